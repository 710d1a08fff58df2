"""What a daemon has counted, as it tells those who collect metrics."""

from __future__ import annotations

from fireflyzmq.datastructures.durations import Durations
from fireflyzmq.gateways.web.server.counts import NOBODY, HttpCounts


class Told:
    """What was told, by name and labels."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}

    def count(self, name: str, value: float, *labels: str) -> None:
        self.values[name, *labels] = value

    def show(self, name: str, value: float, *labels: str) -> None:
        self.values[name, *labels] = value

    def time(self, name: str, durations: Durations, *labels: str) -> None:
        self.values[name, *labels] = sum(durations.counts)


def test_requests_are_told_by_gateway_and_status_and_streams_without_their_durations() -> None:
    counts = HttpCounts()
    counts.at_work = 3
    counts.count("/", 200, 0.01)
    counts.count("/", 204, 0.02)
    counts.count("/", 200, None)
    counts.count(NOBODY, 404, 0.01)
    counts.count("/xmlrpc", None, None)
    counts.tell(told := Told())
    assert told.values == {
        ("http_requests_running",): 3,
        ("http_requests", "/", "2xx"): 3,
        ("http_requests", "none", "4xx"): 1,
        ("http_requests", "/xmlrpc", "aborted"): 1,
        ("http_request_duration_seconds", "/"): 2,
        ("http_request_duration_seconds", "none"): 1,
    }
