"""Clients that load a server with frames, the same for every system: `net_load`.

A question is one line of JSON: {"port", "command", "connections", "in_flight", "seconds"}. It opens the connections,
keeps so many frames in flight on each (each answer sends the next frame), and answers with "frames", "seconds" and
"latencies" (median and 99th percentile, in microseconds). It ends with an error when an answer is not, byte for byte,
what was sent.

Blocking sockets under epoll: two system calls for whatever came on a connection, and one comparison for all of it, so
that the load costs less than what is loaded.
"""

from __future__ import annotations

import collections
import gc
import json
import select
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.programs.measure import say
from benchmarks.programs.net_frames import BODY, encode_frame

ANSWER_SECONDS: Final = 10.0
"""How long all connections may be silent while frames are in flight."""

CLOSED: Final = "the server has closed a connection"

_CHUNK: Final = 1 << 16


class Client:
    """One connection. `sent` has when (s, `time.perf_counter`) each frame in flight left; `rest` is half an answer."""

    __slots__ = ("_socket", "fileno", "receive", "rest", "send", "sent")

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fileno = self._socket.fileno()
        self.send, self.receive = self._socket.sendall, self._socket.recv
        self.rest = b""
        self.sent: collections.deque[float] = collections.deque()

    def exchange(self, frame: bytes) -> None:
        """Send one frame and wait for its answer, so that the server has taken the connection."""
        self.send(frame)
        answer = b""
        while len(answer) < len(frame) and (data := self.receive(_CHUNK)):
            answer += data
        check(answer, frame)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


def check(answers: bytes, expected: bytes) -> None:
    """RuntimeError when answers are not what must come."""
    if answers != expected:
        raise RuntimeError(f"got {len(answers)} bytes, {answers[:100].hex()}, not {expected[:100].hex()}")


def load(clients: Sequence[Client], frame: bytes, in_flight: int, seconds: float) -> dict[str, Any]:
    """Keep frames in flight on each connection for so long, and wait for the last answers."""
    clock, size = time.perf_counter, len(frame)
    frames = [frame * count for count in range(in_flight + 1)]
    by_fileno = {client.fileno: client for client in clients}
    latencies: list[float] = []
    busy = len(clients)
    with select.epoll() as poller:
        for fileno in by_fileno:
            poller.register(fileno, select.EPOLLIN)
        start = now = clock()
        end = start + seconds
        for client in clients:
            client.sent.extend([clock()] * in_flight)
            client.send(frames[in_flight])
        while busy:
            events = poller.poll(ANSWER_SECONDS)
            if not events:
                raise RuntimeError(f"no answer within {ANSWER_SECONDS:g} s")
            for fileno, _ in events:
                client = by_fileno[fileno]
                data = client.receive(_CHUNK)
                now = clock()
                sent = client.sent
                if not data:
                    raise RuntimeError(CLOSED)
                if client.rest:
                    data = client.rest + data
                count, over = divmod(len(data), size)
                if over:
                    client.rest, data = data[-over:], data[:-over]
                    check(client.rest, frame[:over])
                else:
                    client.rest = b""
                check(data, frames[min(count, len(sent))])
                latencies += [now - sent.popleft() for _ in range(count)]
                if now < end:
                    sent.extend([now] * count)
                    client.send(frames[count])
                elif not sent:
                    busy -= 1
    latencies.sort()
    spent = {"median": statistics.median(latencies) * 1e6, "p99": latencies[len(latencies) * 99 // 100] * 1e6}
    return {"frames": len(latencies), "seconds": now - start, "latencies": spent}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Open connections, load them, close them."""
    frame = encode_frame(question["command"], BODY)
    clients = [Client(question["port"]) for _ in range(question["connections"])]
    try:
        for client in clients:
            client.exchange(frame)
        return load(clients, frame, question["in_flight"], question["seconds"])
    finally:
        for client in clients:
            client.close()


def main() -> None:
    """Answer questions until standard input ends."""
    gc.disable()  # nothing here is in a cycle, and its pauses would be taken for the server's
    say({"ready": ["load"]})
    for line in sys.stdin:
        say(answer(json.loads(line)))


if __name__ == "__main__":
    main()
