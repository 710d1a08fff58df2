"""HttpCounts: what became of the requests to one HTTP daemon, by gateway. Pure.

It says so under the names of metrics to whoever collects these, and knows nothing of that.
"""

from __future__ import annotations

from typing import Final

from fireflyzmq.datastructures.durations import Durations
from fireflyzmq.telemetry.readings import Reading
from fireflyzmq.telemetry.sources import add_source

NOBODY: Final = "none"
"""What stands for the gateway where nothing is attached."""

ABORTED: Final = "aborted"
"""What stands for the status when the client went before it had its answer."""


class HttpCounts:
    """Requests by gateway (the path that it is attached to) and class of status ("2xx"), and how long they took.

    Streams are counted when they end, and their durations are not.
    """

    def __init__(self) -> None:
        self.at_work = 0
        self.requests: dict[tuple[str, str], int] = {}
        self.durations: dict[str, Durations] = {}
        add_source(self)

    def count(self, gateway: str, status: int | None, seconds: float | None) -> None:
        """One request has ended: with a status, or (None) because its client went."""
        key = gateway, ABORTED if status is None else f"{status // 100}xx"
        self.requests[key] = self.requests.get(key, 0) + 1
        if seconds is not None:
            if gateway not in self.durations:
                self.durations[gateway] = Durations()
            self.durations[gateway].add(seconds)

    def read(self, reading: Reading) -> None:
        """Say what has been counted, in any thread."""
        reading.show("http_requests_running", self.at_work)
        for (gateway, status), number in list(self.requests.items()):
            reading.count("http_requests", number, gateway, status)
        for gateway, durations in list(self.durations.items()):
            reading.time("http_request_duration_seconds", durations, gateway)
