"""Which of several instances a call goes to. Pure choices over what the session knows of each instance."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fireflyzmq.peer.mirror import Instance, Target

LOAD_HALF_LIFE = 0.5
"""Seconds after which a load that an instance reported counts half: old news must not keep callers away."""

_SAMPLE = 16

Policy = Callable[["Target", Sequence["Instance"], float], "Instance"]


def least_pending(target: Target, instances: Sequence[Instance], now: float) -> Instance:
    """The instance with the fewest requests: this session's own, or what it reported with its last answers.

    Ties are broken at random, so that many callers with one call each do not all pick the same. Among many
    instances a random sample is compared (Mitzenmacher's power of choices: nearly as good, at constant cost).
    """
    if len(instances) > _SAMPLE:
        instances = random.sample(instances, _SAMPLE)
    best: list[Instance] = []
    least = float("inf")
    for instance in instances:
        pending = _pending(instance, now)
        if pending < least:
            least = pending
            best = [instance]
        elif pending == least:
            best.append(instance)
    return best[0] if len(best) == 1 else random.choice(best)


def _pending(instance: Instance, now: float) -> float:
    own = 0
    for channel in instance.channels.values():
        own += len(channel.calls)
    load = instance.load
    if not load:
        return own
    faded: float = load * 0.5 ** ((now - instance.load_at) / LOAD_HALF_LIFE)
    return max(own, own + faded - instance.own_at_load)


def round_robin(target: Target, instances: Sequence[Instance], now: float) -> Instance:
    """One after the other, for all endpoints of the name in this process together."""
    target.turn += 1
    return instances[target.turn % len(instances)]


def at_random(target: Target, instances: Sequence[Instance], now: float) -> Instance:
    """Any, with equal chances."""
    return random.choice(instances)


def sticky(key: str, instances: Sequence[Instance]) -> Instance:
    """The instance that wins for `key`: highest random weight (Thaler and Ravishankar, 1996).

    Every caller chooses the same, and when an instance comes or goes only the keys that it wins or won move.
    """
    written = key.encode("utf-8", "surrogatepass")
    return max(instances, key=lambda instance: _weight(written, instance.binding.address))


def _weight(key: bytes, address: str) -> bytes:
    return hashlib.blake2b(key + b"\0" + address.encode("ascii", "replace"), digest_size=8).digest()


POLICIES: dict[str, Policy] = {
    "least-pending": least_pending,
    "round-robin": round_robin,
    "random": at_random,
}
