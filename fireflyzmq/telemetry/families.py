"""Families: what is measured, under which names and labels, in the form that Prometheus's client has for it.

It knows nothing of where the numbers come from.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from fireflyzmq.datastructures.durations import BOUNDS, Durations
from fireflyzmq.telemetry.readings import Key, Labels, Reading

PREFIX: Final = "fireflyzmq_"

Family = tuple[str, Labels]

COUNTERS: Final[dict[str, Family]] = {
    "calls_started": ("Calls that were made. A call of a group counts, and each of its members' calls.", ()),
    "calls_answered": ("Calls that ended without a failure, one-way calls among them.", ()),
    "calls_failed": ("Calls that failed.", ("kind",)),
    "requests_served": ("Requests whose method was begun.", ("service",)),
    "requests_failed": ("Requests that were answered with a failure.", ("service", "kind")),
    "requests_refused": ("Requests that were not taken: overloaded, or draining.", ("service",)),
    "requests_expired": ("Requests whose deadline had come before they were answered.", ()),
    "answers_lost": ("Answers that could not be kept until their callers had room for them.", ()),
    "bad_items": ("Items from peers that make no sense.", ()),
    "reports_published": ("Reports that services of this process published.", ()),
    "reports_delivered": ("Reports that came for subscriptions of this process.", ()),
    "reports_lost": ("Reports that were dropped for subscriptions of this process, by the exchange or here.", ()),
    "netport_accepted": ("Clients that were let in.", ("netport",)),
    "netport_refused": ("Clients that were not let in.", ("netport", "reason")),
    "netport_closed": ("Sessions that have ended.", ("netport", "reason")),
    "netport_failures": ("Requests of clients that failed.", ("netport",)),
    "netport_frames_received": ("Frames from clients.", ("netport",)),
    "netport_frames_sent": ("Frames to clients.", ("netport",)),
    "netport_received_bytes": ("Bytes from clients.", ("netport",)),
    "netport_sent_bytes": ("Bytes to clients.", ("netport",)),
    "http_requests": ("Requests over HTTP that have ended.", ("gateway", "status")),
}
"""What only grows: its help, and its labels."""

GAUGES: Final[dict[str, Family]] = {
    "connections": ("Connections to an exchange.", ("state",)),
    "calls_in_flight": ("Calls that have not ended.", ()),
    "requests_running": ("Requests that are being served, those that wait for a thread among them.", ("service",)),
    "outgoing_queued_bytes": ("Bytes that wait until the exchange takes more.", ()),
    "answers_kept_bytes": ("Bytes of answers that their callers have no room for, and of large ones under way.", ()),
    "requests_postponed_bytes": ("Bytes of requests that begin when their callers have room for answers.", ()),
    "subscriptions": ("Subscriptions to reports.", ()),
    "netport_connections": ("Connections of clients.", ("netport",)),
    "netport_sessions": ("Sessions of clients.", ("netport",)),
    "netport_users": ("Users who have a session.", ("netport",)),
    "netport_channels": ("Channels that have members.", ("netport",)),
    "netport_requests": ("Requests of clients at work.", ("netport",)),
    "http_requests_running": ("Requests over HTTP at work, streams among them.", ()),
}
"""What goes up and down."""

HISTOGRAMS: Final[dict[str, Family]] = {
    "request_duration_seconds": (
        "How long requests took to be served, but for those that fail at once. Of those that end at once a service's "
        "first sixteen are timed, and then every sixteenth, which counts as sixteen.",
        ("service",),
    ),
    "http_request_duration_seconds": ("How long requests over HTTP took, streams left out.", ("gateway",)),
    "loop_lag_seconds": ("How much later than asked for event loops call back, four times a second.", ()),
}


def families_of(reading: Reading) -> Iterator[Metric]:
    """All of a reading, as Prometheus's client has it; what nothing is known of is 0, or has no samples."""
    for name, (text, labels) in COUNTERS.items():
        counter = CounterMetricFamily(PREFIX + name, text, labels=labels)
        for values, value in _of(reading.counters, name, labels):
            counter.add_metric(values, value)
        yield counter
    for name, (text, labels) in GAUGES.items():
        gauge = GaugeMetricFamily(PREFIX + name, text, labels=labels)
        for values, value in _of(reading.gauges, name, labels):
            gauge.add_metric(values, value)
        yield gauge
    for name, (text, labels) in HISTOGRAMS.items():
        histogram = HistogramMetricFamily(PREFIX + name, text, labels=labels)
        for (each, values), durations in reading.durations.items():
            if each == name:
                histogram.add_metric(values, _buckets(durations), durations.total)
        yield histogram


def _of(values: Mapping[Key, float], name: str, labels: Labels) -> list[tuple[Labels, float]]:
    found = [(key[1], value) for key, value in values.items() if key[0] == name]
    return found if found or labels else [((), 0)]


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    """The cumulative counts by their upper bounds."""
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    return list(zip(bounds, itertools.accumulate(durations.counts), strict=True))
