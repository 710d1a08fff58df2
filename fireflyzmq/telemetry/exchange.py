"""The families of an exchange's own statistics, as it answers them to whoever calls its method `stats`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fireflyzmq.telemetry.families import PREFIX

EXCHANGE_COUNTERS: Final = {
    "peers_gone": "Peers that are connected no more.",
    "refusals": "Peers that were refused, or cut for what they sent.",
    "envelopes": "Envelopes that were forwarded.",
    "bytes_received": "Bytes of envelopes and reports from peers, with 64 for each message.",
    "bytes_sent": "Bytes of envelopes and reports to peers, with 64 for each message.",
    "controls_received": "Control messages from peers.",
    "controls_sent": "Control messages to peers.",
    "returned": "Envelopes that went back to their senders undelivered.",
    "reports_published": "Reports from publishers.",
    "reports_sent": "Messages of reports to subscriptions.",
    "reports_lost": "Reports that were dropped for subscribers that read too slowly.",
}
EXCHANGE_GAUGES: Final = {
    "uptime": "Seconds since the exchange was started.",
    "services": "Services that are registered.",
    "queued": "Bytes of envelopes that wait for peers.",
    "reports_queued": "Bytes of reports that wait for subscribers.",
    "reports_kept": "Bytes of reports that are kept for late subscribers.",
    "subscriptions": "Subscriptions to reports.",
}
_UNITS: Final = {
    "bytes_received": "received_bytes",
    "bytes_sent": "sent_bytes",
    "uptime": "uptime_seconds",
    "queued": "queued_bytes",
    "reports_queued": "reports_queued_bytes",
    "reports_kept": "reports_kept_bytes",
}


def exchange_families(stats: Mapping[str, Any] | None) -> Iterator[Metric]:
    """What the exchange answered to `stats`, or (None) that it did not; what it did not say is left out."""
    prefix = f"{PREFIX}exchange_"
    yield GaugeMetricFamily(f"{prefix}up", "Whether the exchange answers.", value=stats is not None)
    if stats is None:
        return
    numbers = {key: value for key, value in stats.items() if isinstance(value, (int, float))}
    for key, text in EXCHANGE_COUNTERS.items():
        if key in numbers:
            yield CounterMetricFamily(prefix + _UNITS.get(key, key), text, value=numbers[key])
    for key, text in EXCHANGE_GAUGES.items():
        if key in numbers:
            yield GaugeMetricFamily(prefix + _UNITS.get(key, key), text, value=numbers[key])
    peers = GaugeMetricFamily(f"{prefix}peers", "Peers, and whether something waits for them.", labels=("state",))
    waiting = numbers.get("peers_waiting", 0)
    peers.add_metric(("flowing",), numbers.get("peers", 0) - waiting)
    peers.add_metric(("waiting",), waiting)
    yield peers
