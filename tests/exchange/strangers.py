"""Sockets of strangers, who say to an exchange what they like."""

from __future__ import annotations

import zmq

from exchange.server import Server
from tests.exchange.core.hand import readable
from tests.waiting import wait_until


class Stranger:
    """A DEALER socket of anybody's, under a routing id of its own choice, or (None) under none."""

    def __init__(self, server: Server, routing_id: bytes | None) -> None:
        self._server = server
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        if routing_id is not None:
            self._socket.setsockopt(zmq.ROUTING_ID, routing_id)
        self._socket.connect(server.addresses[0])

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def answer(self, seconds: float) -> tuple[object, ...]:
        """What has come, () when nothing does."""
        return readable(tuple(self._socket.recv_multipart())) if self._socket.poll(round(seconds * 1000)) else ()

    def ask(self, frame: bytes) -> tuple[object, ...]:
        """Send a message, let the server work, and return the answer."""
        self._socket.send(frame)
        wait_until(self._answered)
        return readable(tuple(self._socket.recv_multipart()))

    def _answered(self) -> bool:
        self._server.process()
        return bool(self._socket.poll(5))

    def close(self) -> None:
        self._socket.close()
