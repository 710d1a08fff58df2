"""Bare ZeroMQ sockets, the floor for anything brokered: `bare proxy`, `bare echo BACK`, `bare caller FRONT`.

The proxy is libzmq's own, in C; the echo and the caller block in it, one message per call, without any encoding.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Final

import zmq

from benchmarks.programs.measure import answer_questions, in_flight, one_at_a_time, say

PAYLOAD: Final = b"a call of twenty four b."


def open_socket(kind: int) -> zmq.Socket[bytes]:
    """A socket that drops nothing for want of room."""
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    socket.set_hwm(0)
    socket.setsockopt(zmq.LINGER, 0)
    return socket


def proxy() -> None:
    """Forward between callers and echoes until killed."""
    front, back = open_socket(zmq.ROUTER), open_socket(zmq.DEALER)
    addresses = []
    for socket in (front, back):
        socket.bind("tcp://127.0.0.1:*")
        addresses.append(str(socket.getsockopt_string(zmq.LAST_ENDPOINT)).rstrip("\0"))
    say({"ready": addresses})
    zmq.proxy(front, back)


def echo(address: str) -> None:
    """Send back whatever comes, until killed."""
    socket = open_socket(zmq.DEALER)
    socket.connect(address)
    say({"ready": ["echo"]})
    while True:
        socket.send_multipart(socket.recv_multipart())


def caller(address: str) -> None:
    """Call, and answer questions. The event loop only waits for them: calls block in libzmq."""
    socket = open_socket(zmq.DEALER)
    socket.connect(address)

    async def call() -> None:
        socket.send(PAYLOAD)
        assert socket.recv() == PAYLOAD

    async def batch(size: int) -> None:
        for _ in range(size):
            socket.send(PAYLOAD)
        for _ in range(size):
            socket.recv()

    async def main() -> None:
        await call()
        await answer_questions({"one": one_at_a_time(call), "batch": in_flight(batch)})

    asyncio.run(main())


_ROLES: Final[dict[str, Callable[..., None]]] = {"proxy": proxy, "echo": echo, "caller": caller}

if __name__ == "__main__":
    _ROLES[sys.argv[1]](*sys.argv[2:])
