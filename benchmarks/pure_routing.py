"""The routing core alone: envelopes on known routes, and peers that come, register and watch. No socket."""

from __future__ import annotations

import itertools
import os
from typing import Any

import msgpack

from benchmarks.plan import Plan
from benchmarks.timing import per_second
from exchange.core.records import Send
from exchange.core.routing import RoutingCore
from fireflyzmq.wire.commands import (
    BY_NAME,
    CREDIT,
    ENVELOPE_COST,
    GOODBYE,
    HELLO,
    REGISTER,
    VERSION,
    WATCH,
    WELCOME,
    WINDOW,
)
from fireflyzmq.wire.frames import encode_control, envelope_head

SERVICE, CALLER = b"\0service", b"\0caller"
BATCH = 1000
JOINING = 100


def hello(core: RoutingCore, key: bytes) -> bytes:
    """Introduce a peer; returns its id, from the welcome."""
    greeting = {"versions": [VERSION], "window": WINDOW, "process": "benchmark"}
    sends = core.receive(key, [encode_control(HELLO, greeting)], 0.0)
    return bytes(fields_of(sends, WELCOME)[0]["peer"])


def fields_of(sends: list[Send], command: int) -> list[Any]:
    """The fields of the first control message of a kind among what the core sends."""
    frames = next(frames for _, frames in sends if frames[0][0] == command)
    fields: list[Any] = msgpack.unpackb(frames[0][1:])
    return fields


def register(core: RoutingCore, key: bytes, name: str) -> None:
    """Register a peer's service number 1."""
    core.receive(key, [encode_control(REGISTER, 1, os.urandom(16), name, {}, {"visible": True})], 0.0)


def measure_routing(plan: Plan) -> dict[str, float]:
    """Envelopes per second at two sizes, and peers per second."""
    return {
        "routing: envelopes of 40 bytes/s": _envelopes(40, plan),
        "routing: envelopes of 4,000 bytes/s": _envelopes(4000, plan),
        "routing: peers that come, register, watch and go/s": _joining(plan),
    }


def _envelopes(size: int, plan: Plan) -> float:
    core = RoutingCore(b"benc")
    service_id = hello(core, SERVICE)
    hello(core, CALLER)
    register(core, SERVICE, "math")
    register(core, CALLER, "")
    frames = [envelope_head(service_id, 1, 1), bytes(size)]
    credit = [encode_control(CREDIT, (size + ENVELOPE_COST) * BATCH)]

    def forward() -> int:
        receive = core.receive
        sends: list[Send] = []
        for _ in range(BATCH):
            sends = receive(CALLER, frames, 0.0)
        if not sends or sends[-1][0] != SERVICE or core.refusals or core.flow.returned:
            raise RuntimeError("the routing core did not forward an envelope of the benchmark")
        receive(SERVICE, credit, 0.0)
        return BATCH

    return per_second(forward, plan)


def _joining(plan: Plan) -> float:
    core = RoutingCore(b"benc")
    serial = itertools.count(1)
    watch = [encode_control(WATCH, BY_NAME, "math")]
    goodbye = [encode_control(GOODBYE, "benchmark")]

    def come_and_go() -> int:
        keys = [b"\0%d" % next(serial) for _ in range(JOINING)]
        for key in keys:
            hello(core, key)
            register(core, key, key.decode().strip("\0"))
            core.receive(key, watch, 0.0)
        for key in keys:
            core.receive(key, goodbye, 0.0)
        return JOINING

    return per_second(come_and_go, plan)
