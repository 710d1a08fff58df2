"""Many clients that mostly only stay connected: `net_clients PORT`.

Questions are lines of JSON with a "mode":

- "connect" ("size"): open so many connections more, and have one frame answered on each;
- "steady" ("command", "senders", "rate", "seconds"): so many of the clients send so many frames/s each, never more
  than one in flight; answers with "latencies" (s, of every frame) and "skipped" (frames whose turn came before the
  answer to the client's last);
- "push": says {"waiting": ...} at once, and when every client has the same unasked frame, {"arrivals": ...}: when each
  had it (s, `time.perf_counter`, which on one machine is the same clock for every process).

It ends with an error when anything else comes than what must. The sockets are blocking ones under epoll.
"""

from __future__ import annotations

import gc
import json
import select
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.programs.descriptors import raise_descriptors
from benchmarks.programs.measure import say
from benchmarks.programs.net_frames import BODY, ECHO, PUSH, encode_frame
from benchmarks.programs.net_load import ANSWER_SECONDS, CLOSED, Client, check

PUSH_SECONDS: Final = 30.0
"""How long it may take until every client has a pushed frame."""


class Clients:
    """All clients of this process."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._all: list[Client] = []
        self._by_fileno: dict[int, Client] = {}
        self._poller = select.epoll()

    def connect(self, question: dict[str, Any]) -> dict[str, Any]:
        """Open connections."""
        frame = encode_frame(ECHO, BODY)
        for _ in range(question["size"]):
            client = Client(self._port)
            client.exchange(frame)
            self._all.append(client)
            self._by_fileno[client.fileno] = client
            self._poller.register(client.fileno, select.EPOLLIN)
        return {"clients": len(self._all)}

    def steady(self, question: dict[str, Any]) -> dict[str, Any]:
        """Let some clients send steadily, their turns spread evenly over time."""
        frame = encode_frame(question["command"], BODY)
        senders = self._all[:: len(self._all) // question["senders"]][: question["senders"]]
        interval = 1 / (question["rate"] * len(senders))
        latencies: list[float] = []
        skipped = turn = 0
        start = time.perf_counter()
        end = start + question["seconds"]
        while (now := time.perf_counter()) < end:
            while start + turn * interval <= now:
                client = senders[turn % len(senders)]
                turn += 1
                if client.sent:
                    skipped += 1
                else:
                    client.sent.append(time.perf_counter())
                    client.send(frame)
            self._take_answers(frame, latencies, max(0.0, start + turn * interval - time.perf_counter()))
        while any(client.sent for client in senders):
            if not self._take_answers(frame, latencies, ANSWER_SECONDS):
                raise RuntimeError(f"no answer within {ANSWER_SECONDS:g} s")
        return {"latencies": latencies, "skipped": skipped}

    def _take_answers(self, frame: bytes, latencies: list[float], seconds: float) -> int:
        events = self._poller.poll(seconds)
        for fileno, _ in events:
            client = self._by_fileno[fileno]
            if self._take(client, frame):
                latencies.append(time.perf_counter() - client.sent.popleft())
        return len(events)

    def push(self, question: dict[str, Any]) -> dict[str, Any]:
        """Wait until every client has the frame that is pushed."""
        frame = encode_frame(PUSH, BODY)
        say({"waiting": len(self._all)})
        arrivals: dict[int, float] = {}
        end = time.perf_counter() + PUSH_SECONDS
        while len(arrivals) < len(self._all):
            events = self._poller.poll(max(0.0, end - time.perf_counter()))
            if not events:
                raise RuntimeError(f"{len(arrivals)} of {len(self._all)} clients have what was pushed")
            for fileno, _ in events:
                if self._take(self._by_fileno[fileno], frame):
                    if fileno in arrivals:
                        raise RuntimeError("a client has what was pushed twice")
                    arrivals[fileno] = time.perf_counter()
        return {"arrivals": list(arrivals.values())}

    def _take(self, client: Client, frame: bytes) -> bool:
        """Read what has come on a connection; whether it makes up the one frame that may come there."""
        data = client.receive(2 * len(frame))
        if not data:
            raise RuntimeError(CLOSED)
        data = client.rest + data
        check(data, frame[: len(data)])
        whole = len(data) == len(frame)
        client.rest = b"" if whole else data
        return whole


def main(port: int) -> None:
    """Answer questions until standard input ends."""
    gc.disable()  # nothing here is in a cycle, and its pauses would be taken for the server's
    raise_descriptors()
    clients = Clients(port)
    modes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "connect": clients.connect,
        "steady": clients.steady,
        "push": clients.push,
    }
    say({"ready": sorted(modes)})
    for line in sys.stdin:
        question = json.loads(line)
        say(modes[question["mode"]](question))


if __name__ == "__main__":
    main(int(sys.argv[1]))
