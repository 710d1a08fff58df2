"""Placement: where a call goes that is not under way, as far as what is known of instances says it. Pure choices.

It knows no more of a call than its destination and where it has been. What is done about the choice it does not know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from fireflyzmq.errors import ExchangeLost, Failure, ServiceUnavailable
from fireflyzmq.peer.records import BALANCES, Call, Destination, Instance, Target
from fireflyzmq.peer.terms import Terms

LOAD_HALF_LIFE = 0.5
"""Seconds after which a load that an instance reported counts half: old news must not keep callers away."""

_SAMPLE = 16

Item = TypeVar("Item")


class Chance(Protocol):
    """Where the randomness comes from: `random.Random` has all of it."""

    def choice(self, seq: Sequence[Item], /) -> Item: ...
    def sample(self, population: Sequence[Item], /, k: int) -> list[Item]: ...


Policy = Callable[[Target, Sequence[Instance], float, Chance], Instance]


def place(call: Call, now: float, terms: Terms, chance: Chance) -> Instance | Failure | None:
    """The instance that a call is to go to now, or why there is none; None while there is something to wait for."""
    target = call.destination.target
    candidates = tuple(target.ready)  # as they are now: a finalizer or a signal's handler may close one meanwhile
    if call.tried:
        candidates = tuple(instance for instance in candidates if instance not in call.tried)
    if candidates:
        return _chosen(call.destination, candidates, now, chance)
    if target.ready and call.refusal is not None:
        return call.refusal
    if now < call.wait_until:
        return None
    if terms.attached and not terms.connected:
        return no_connection()
    if target.unconfirmed or not target.known:
        return None
    return call.refusal or ServiceUnavailable(f"nobody offers {target.title!r}")


def spreads(call: Call, now: float, terms: Terms) -> bool | Failure:
    """Whether a call may be spread over its target's instances now, or why it never will be."""
    target = call.destination.target
    offline = terms.attached and not terms.connected
    if (offline or not target.ready) and now < call.wait_until:
        return False
    if offline:
        return no_connection()
    return not target.unconfirmed and target.known


def no_connection() -> ExchangeLost:
    """Why a call cannot be made that would need the exchange."""
    return ExchangeLost("there is no connection to the exchange")


def _chosen(destination: Destination, candidates: Sequence[Instance], now: float, chance: Chance) -> Instance:
    if len(candidates) == 1:
        return candidates[0]
    if destination.key is not None:
        return sticky(destination.key, candidates)
    return _POLICIES[destination.balance](destination.target, candidates, now, chance)


def least_pending(target: Target, instances: Sequence[Instance], now: float, chance: Chance) -> Instance:
    """The instance with the fewest requests: this peer's own, or what it reported with its last answers.

    Ties are broken at random, so that many callers with one call each do not all pick the same. Among many
    instances a random sample is compared (Mitzenmacher's power of choices: nearly as good, at constant cost).
    """
    if len(instances) > _SAMPLE:
        instances = chance.sample(instances, k=_SAMPLE)
    best: list[Instance] = []
    least = float("inf")
    for instance in instances:
        pending = _pending(instance, now)
        if pending < least:
            least = pending
            best = [instance]
        elif pending == least:
            best.append(instance)
    return best[0] if len(best) == 1 else chance.choice(best)


def _pending(instance: Instance, now: float) -> float:
    own = 0
    for channel in instance.channels.values():
        own += len(channel.calls)
    load = instance.load
    if not load:
        return own
    faded: float = load * 0.5 ** ((now - instance.load_at) / LOAD_HALF_LIFE)
    return max(own, own + faded - instance.own_at_load)


def round_robin(target: Target, instances: Sequence[Instance], now: float, chance: Chance) -> Instance:
    """One after the other, for all endpoints of the name in this process together."""
    target.turn += 1
    return instances[target.turn % len(instances)]


def at_random(target: Target, instances: Sequence[Instance], now: float, chance: Chance) -> Instance:
    """Any, with equal chances."""
    return chance.choice(instances)


def sticky(key: str, instances: Sequence[Instance]) -> Instance:
    """The instance that wins for `key`: highest random weight (Thaler and Ravishankar, 1996).

    Every caller chooses the same, and when an instance comes or goes only the keys that it wins or won move.
    """
    written = key.encode("utf-8", "surrogatepass")
    return max(instances, key=lambda instance: _weight(written, instance.binding.address))


def _weight(key: bytes, address: str) -> bytes:
    return hashlib.blake2b(key + b"\0" + address.encode("ascii", "replace"), digest_size=8).digest()


_POLICIES: dict[str, Policy] = dict(zip(BALANCES, (least_pending, round_robin, at_random), strict=True))
