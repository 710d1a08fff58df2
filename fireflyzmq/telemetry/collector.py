"""Metrics: what the connections, services, netports and gateways of this process have counted, for Prometheus.

It reads when it is asked, and adds nothing to what a call costs. What has closed stays counted, a connection that was
there between two scrapes, too. It knows no HTTP.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.datastructures.durations import BOUNDS, Durations
from fireflyzmq.gateways.netport.core import NetPortCore
from fireflyzmq.gateways.netport.port import _netports
from fireflyzmq.gateways.web.server.counts import HttpCounts, all_http_counts
from fireflyzmq.peer.statistics import OTHER
from fireflyzmq.runtime.connection import Connection, closed_hooks, connections, copied

MOST_NAMES: Final = 200
"""Names of services that get a label of their own, and as many of netports; the rest is counted as "other"."""

NAMELESS: Final = "(no name)"
"""The label of services without a name. No name has white space."""

PREFIX: Final = "fireflyzmq_"

Labels = tuple[str, ...]
Key = tuple[str, Labels]
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

STATES: Final = ("connected", "offline", "lost", "refused")

_EVERY: Final = 0.25
_WATCHED: Final = 90.0
"""Seconds after a scrape for which the lag of loops is sampled: longer than between two of them."""


class Reading:
    """What some sources say at one moment."""

    def __init__(self) -> None:
        self.counters: dict[Key, float] = {}
        self.gauges: dict[Key, float] = {}
        self.durations: dict[Key, Durations] = {}

    def count(self, name: str, value: float, *labels: str) -> None:
        """Add to a counter."""
        self.counters[name, labels] = self.counters.get((name, labels), 0) + value

    def show(self, name: str, value: float, *labels: str) -> None:
        """Add to a gauge."""
        self.gauges[name, labels] = self.gauges.get((name, labels), 0) + value

    def time(self, name: str, durations: Durations, *labels: str) -> None:
        """Add to a histogram."""
        key = name, labels
        if key not in self.durations:
            self.durations[key] = Durations()
        self.durations[key].merge(durations)

    def merge(self, other: Reading) -> None:
        """Add what only grows of another one."""
        for (name, labels), value in other.counters.items():
            self.count(name, value, *labels)
        for (name, labels), durations in other.durations.items():
            self.time(name, durations, *labels)

    def families(self) -> Iterator[Metric]:
        """All of it, as Prometheus's client has it; what nothing is known of is 0, or has no samples."""
        for name, (text, labels) in COUNTERS.items():
            counter = CounterMetricFamily(PREFIX + name, text, labels=labels)
            for values, value in _of(self.counters, name, labels):
                counter.add_metric(values, value)
            yield counter
        for name, (text, labels) in GAUGES.items():
            gauge = GaugeMetricFamily(PREFIX + name, text, labels=labels)
            for values, value in _of(self.gauges, name, labels):
                gauge.add_metric(values, value)
            yield gauge
        for name, (text, labels) in HISTOGRAMS.items():
            histogram = HistogramMetricFamily(PREFIX + name, text, labels=labels)
            for (each, values), durations in self.durations.items():
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


class Names:
    """Which names get labels of their own: the first ones that come, up to a limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        """The label for a name, "" among them."""
        if not name:
            return NAMELESS
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


class Readings:
    """What a collector has read of each source, and what it remembers of those that are gone."""

    def __init__(self, names: int) -> None:
        self._services = Names(names)
        self._netports = Names(names)
        self._last: dict[weakref.ref[Any], tuple[Callable[[Any], Reading], Reading]] = {}
        self._past = Reading()
        self._counted: weakref.WeakSet[Any] = weakref.WeakSet()  # what is in the past, and may still be there
        self._lock = threading.RLock()  # of what is known; never held while a loop is waited for
        self._lag = Durations()
        self._samplers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LagSampler] = weakref.WeakKeyDictionary()

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        known = list(self._last.items())  # before the sources are listed: what is not among them then has gone
        sources: list[tuple[Any, Callable[[Any], Reading]]] = [
            *((connection, self._read_connection) for connection in connections()),
            *((netport, self._read_netport) for netport in copied(_netports)),
            *((counts, _read_http) for counts in copied(all_http_counts)),
        ]
        readings = [(source, read, read(source)) for source, read in sources]
        listed = {weakref.ref(source) for source, _ in sources}
        gone = [  # what it has counted since, too, as long as it is there
            (reference, _last_reading(reference(), read, reading))
            for reference, (read, reading) in known
            if reference not in listed
        ]
        total = Reading()
        with self._lock:
            for reference, reading in gone:
                self._bury(reference, reading)
            for source, read, reading in readings:
                if source not in self._counted:
                    self._last[weakref.ref(source)] = read, reading
                    total.merge(reading)
                    for (name, labels), value in reading.gauges.items():
                        total.show(name, value, *labels)
            total.merge(self._past)
            total.time("loop_lag_seconds", self._lag)
        self._sample_lag()
        return total.families()

    def _bury(self, reference: weakref.ref[Any], reading: Reading) -> None:
        """Let what something has counted that was known, and is gone, belong to the past, once."""
        if self._last.pop(reference, None) is not None:
            self._past.merge(reading)
            source = reference()
            if source is not None:
                self._counted.add(source)

    def connection_closed(self, connection: Connection) -> None:
        """Keep what a connection has counted, whether it was ever read or not."""
        reading = self._read_connection(connection)
        with self._lock:
            if connection not in self._counted:
                self._last.setdefault(weakref.ref(connection), (self._read_connection, reading))
                self._bury(weakref.ref(connection), reading)

    def _read_connection(self, connection: Connection) -> Reading:
        reading, session = Reading(), connection.session
        outcomes, subscriptions = session.outcomes, session.subscriptions
        failures = dict(outcomes.failures)
        reading.count("calls_started", outcomes.started)
        reading.count("calls_answered", outcomes.ended - sum(failures.values()))
        for kind, number in failures.items():
            reading.count("calls_failed", number, kind)
        reading.count("requests_expired", session.at_work.expired)
        reading.count("answers_lost", session.channels.answers.lost)
        reading.count("bad_items", session.incoming.bad_items)
        reading.count("reports_published", session.publications.published)
        reading.count("reports_delivered", subscriptions.delivered)
        reading.count("reports_lost", subscriptions.missed)
        for name, before in session.registrations.served_before.all().items():
            self._read_served(reading, self._services.label(name), before)
        for service in list(session.services.values()):
            label = self._services.label(service.name)
            self._read_served(reading, label, service)
            reading.show("requests_running", service.running, label)
        for state in STATES:
            reading.show("connections", connection.state == state, state)
        reading.show("calls_in_flight", outcomes.pending)
        reading.show("outgoing_queued_bytes", session.outgoing.queued)
        reading.show("answers_kept_bytes", session.channels.answers.size)
        reading.show("requests_postponed_bytes", session.endings.postponed.size)
        reading.show("subscriptions", len(subscriptions))
        return reading

    def _read_served(self, reading: Reading, label: str, served: Any) -> None:
        reading.count("requests_served", served.served, label)
        reading.count("requests_refused", served.refused, label)
        for kind, number in list(served.failures.items()):
            reading.count("requests_failed", number, label, kind)
        reading.time("request_duration_seconds", served.durations, label)

    def _read_netport(self, netport: NetPortCore) -> Reading:
        reading, numbers = Reading(), netport.statistics()
        label = self._netports.label(netport.core.name)
        for name in ("connections", "sessions", "users", "channels", "requests"):
            reading.show(f"netport_{name}", numbers[name], label)
        for name in ("accepted", "failures", "frames_received", "frames_sent"):
            reading.count(f"netport_{name}", numbers[name], label)
        reading.count("netport_received_bytes", numbers["bytes_received"], label)
        reading.count("netport_sent_bytes", numbers["bytes_sent"], label)
        for name in ("refused", "closed"):
            for reason, number in numbers[name].items():
                reading.count(f"netport_{name}", number, label, reason)
        return reading

    def _sample_lag(self) -> None:
        """Let the loops be watched as long as somebody asks."""
        for connection in connections():
            loop = connection.loop
            sampler = self._samplers.get(loop)
            if sampler is None:
                sampler = self._samplers[loop] = LagSampler(loop, self._lag)
            connection.call_from_anywhere(sampler.go_on)


class MetricsCollector(Collector):
    """What Prometheus's client calls to collect. `MetricsCollector.of(registry)` is the one of a registry."""

    _fireflyzmq: Readings = NotBegun("MetricsCollector")  # type: ignore[assignment]

    def __init__(self, names: int = MOST_NAMES) -> None:
        put_behind(self, readings := Readings(names))
        _all_readings.add(readings)

    @classmethod
    def of(cls, registry: CollectorRegistry = REGISTRY) -> MetricsCollector:
        """The collector that is registered in a registry; a new one where there was none.

        The first one freezes what there is (`gc.freeze`), after a garbage collection, so that later collections need
        not look at all that aiohttp and Prometheus's client consist of. So make it when a program begins: what is
        there is freed by its last reference, and not out of a cycle.
        """
        collector = _registered.get(registry)
        if collector is None:
            collector = _registered[registry] = cls()
            registry.register(collector)
            _freeze_once()
        return collector

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not collect to register."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read everything now. In the thread of the loop, or in another one; in several at once."""
        return self._fireflyzmq.collect()


def _last_reading(source: Any, read: Callable[[Any], Reading], known: Reading) -> Reading:
    """What something that has closed says now; what is known of it when it is there no more, or its loop is not."""
    if source is None:
        return known
    try:
        return read(source)
    except RuntimeError:
        return known


def _read_http(counts: HttpCounts) -> Reading:
    reading = Reading()
    reading.show("http_requests_running", counts.at_work)
    for (gateway, status), number in list(counts.requests.items()):
        reading.count("http_requests", number, gateway, status)
    for gateway, durations in list(counts.durations.items()):
        reading.time("http_request_duration_seconds", durations, gateway)
    return reading


class LagSampler:
    """Times how late a loop calls back, for a while."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lag: Durations) -> None:
        self._loop = weakref.ref(loop)
        self._lag = lag
        self._until = 0.0
        self._due: float | None = None

    def go_on(self) -> None:
        """Sample from now on, or longer; in the loop."""
        loop = self._loop()
        if loop is not None:
            self._until = loop.time() + _WATCHED
            if self._due is None:
                self._wait(loop)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + _EVERY
        loop.call_at(self._due, self._sample)

    def _sample(self) -> None:
        loop = self._loop()
        if loop is None or self._due is None:
            return
        now = loop.time()
        self._lag.add(max(0.0, now - self._due))
        self._due = None
        if now < self._until:
            self._wait(loop)


@functools.cache
def _freeze_once() -> None:
    """Leave what has been loaded out of garbage collections."""
    gc.collect()
    gc.freeze()


_registered: weakref.WeakKeyDictionary[CollectorRegistry, MetricsCollector] = weakref.WeakKeyDictionary()
_all_readings: weakref.WeakSet[Readings] = weakref.WeakSet()


def _closed(connection: Connection) -> None:
    for readings in copied(_all_readings):
        readings.connection_closed(connection)


closed_hooks.append(_closed)


# The exchange.

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
