"""What a daemon has counted, as it tells those who collect metrics."""

from __future__ import annotations

from fireflyzmq.gateways.web.server.counts import NOBODY, HttpCounts
from fireflyzmq.telemetry.readings import Reading


def test_requests_are_told_by_gateway_and_status_and_streams_without_their_durations() -> None:
    counts = HttpCounts()
    counts.at_work = 3
    counts.count("/", 200, 0.01)
    counts.count("/", 204, 0.02)
    counts.count("/", 200, None)
    counts.count(NOBODY, 404, 0.01)
    counts.count("/xmlrpc", None, None)
    counts.read(reading := Reading())
    assert reading.gauges == {("http_requests_running", ()): 3}
    assert reading.counters == {
        ("http_requests", ("/", "2xx")): 3,
        ("http_requests", ("none", "4xx")): 1,
        ("http_requests", ("/xmlrpc", "aborted")): 1,
    }
    timed = {labels: sum(durations.counts) for (_, labels), durations in reading.durations.items()}
    assert timed == {("/",): 2, ("none",): 1}
