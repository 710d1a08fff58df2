"""Groups: one call to every member, from its start until the last answer is there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import Any

import fireflyzmq as netsvc
from benchmarks.child import START_SECONDS
from benchmarks.plan import MEMBER_PROCESSES, Plan
from benchmarks.systems import ready, start_exchange
from fireflyzmq.runtime.dispatcher import new_event_loop


def measure_groups(plan: Plan) -> dict[str, dict[str, Any]]:
    """For each number of members: the number of their processes, and the milliseconds of each call."""
    return {f"{members} members": _measure(members, plan) for members in plan.members}


def _measure(members: int, plan: Plan) -> dict[str, Any]:
    processes = min(members, MEMBER_PROCESSES)
    bounds = [members * number // processes for number in range(processes + 1)]
    with contextlib.ExitStack() as stack:
        _, address = start_exchange(stack)
        for first, end in itertools.pairwise(bounds):
            ready(stack, "firefly_members", address, str(first), str(end - first))
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return {"processes": processes, "ms": runner.run(_times(address, members, plan.group_calls))}


async def _times(address: str, members: int, calls: int) -> list[float]:
    """Milliseconds of each of some calls, one after the other, behind one that does not count."""
    async with netsvc.connect(address) as peer:
        await _all_seen(peer, members)
        endpoint: Any = peer.groupEndPoint("members")
        times = []
        for question in range(calls + 1):
            start = time.perf_counter()
            answers = await endpoint.work(question)
            times.append((time.perf_counter() - start) * 1e3)
            if sorted(answers.values()) != [[number, question] for number in range(members)]:
                raise RuntimeError(f"not each of {members} members has answered once: {answers}")
        return times[1:]


async def _all_seen(peer: netsvc.Service, members: int) -> None:
    """Wait until a peer knows of all members."""
    due = time.monotonic() + START_SECONDS
    while len(peer.lookupServiceGroup("members")) < members:
        if time.monotonic() > due:
            raise RuntimeError(f"{len(peer.lookupServiceGroup('members'))} of {members} members are known")
        await asyncio.sleep(0.01)
