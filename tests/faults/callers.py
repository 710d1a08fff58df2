"""What the tests of faults do as callers."""

from __future__ import annotations

import time

import fireflyzmq as netsvc
from fireflyzmq.api.connect import Peer
from tests.waiting import until


async def eventually_running(peer: Peer, name: str, token: str) -> None:
    """Wait until a worker has begun to serve a request."""

    async def begun() -> bool:
        return token in str(await peer.serviceEndPoint(name).tokens())

    await until(begun)


async def failure_of(id: netsvc.ResponseId) -> tuple[netsvc.Failure, float]:
    """The failure with which a call ends, and the seconds it took."""
    started = time.monotonic()
    try:
        value = await id
    except netsvc.Failure as failure:
        return failure, time.monotonic() - started
    raise AssertionError(f"the call has a value: {value!r}")
