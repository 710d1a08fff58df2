"""The codec and frames alone: packing and unpacking bodies of calls as they travel."""

from __future__ import annotations

import time

from benchmarks.plan import Plan
from benchmarks.timing import per_second
from fireflyzmq.wire.codec import new_pack, unpack
from fireflyzmq.wire.commands import REQUEST, RESPONSE
from fireflyzmq.wire.frames import join_items

BATCH = 100


def measure_codec(plan: Plan) -> dict[str, float]:
    """Items per second, in bodies of 100: packed each by itself and joined, then unpacked as a whole."""
    pack = new_pack()
    deadline = time.monotonic() + 30.0
    numbers = range(100_000, 100_000 + BATCH)

    def pack_requests() -> int:
        join_items([pack([REQUEST, number, "multiply", [number, 2], deadline]) for number in numbers])
        return BATCH

    def pack_responses() -> int:
        join_items([pack([RESPONSE, number, 2 * number]) for number in numbers])
        return BATCH

    requests = join_items([pack([REQUEST, number, "multiply", [number, 2], deadline]) for number in numbers])
    responses = join_items([pack([RESPONSE, number, 2 * number]) for number in numbers])

    def unpack_requests() -> int:
        return len(unpack(requests))

    def unpack_responses() -> int:
        return len(unpack(responses))

    works = {
        "pack requests": pack_requests,
        "unpack requests": unpack_requests,
        "pack responses": pack_responses,
        "unpack responses": unpack_responses,
    }
    return {f"codec: {name}, items/s": per_second(work, plan) for name, work in works.items()}
