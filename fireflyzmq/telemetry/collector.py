"""MetricsCollector: what the sources of this process have counted, for Prometheus.

It reads when it is asked, and adds nothing to what a call costs. What has closed stays counted, a connection that was
there between two scrapes, too. It knows no HTTP.
"""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from collections.abc import Iterable, Iterator

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.telemetry.families import families_of
from fireflyzmq.telemetry.lag import Lag
from fireflyzmq.telemetry.readings import MOST_NAMES, NameLabels, Reading
from fireflyzmq.telemetry.sources import Source, add_keeper, sources


class Readings:
    """What a collector has read of each source, and what it remembers of those that are gone."""

    def __init__(self, names: int) -> None:
        self._labels = NameLabels(names)
        self._last: dict[weakref.ref[Source], Reading] = {}
        self._past = Reading()
        self._counted: weakref.WeakSet[Source] = weakref.WeakSet()  # what is in the past, and may still be there
        self._lock = threading.RLock()  # of what is known; never held while a loop is waited for
        self._lag = Lag()

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        known = list(self._last.items())  # before the sources are listed: what is not among them then has gone
        readings = [(source, reading) for source in sources() if (reading := self._read(source)) is not None]
        listed = {weakref.ref(source) for source, _ in readings}
        gone = [  # what it has counted since, too, as long as it is there
            (reference, self._last_reading(reference(), reading))
            for reference, reading in known
            if reference not in listed
        ]
        total = Reading()
        with self._lock:
            for reference, reading in gone:
                self._bury(reference, reading)
            for source, reading in readings:
                if source not in self._counted:
                    self._last[weakref.ref(source)] = reading
                    total.merge(reading)
                    for (name, labels), value in reading.gauges.items():
                        total.show(name, value, *labels)
            total.merge(self._past)
            total.time("loop_lag_seconds", self._lag.durations)
        for _, reading in readings:
            for loop in reading.loops:
                self._lag.sample(loop)
        return families_of(total)

    def _read(self, source: Source) -> Reading | None:
        """What a source says now; None when it cannot say any more, as its loop has ended."""
        reading = Reading(self._labels)
        try:
            source.read(reading)
        except RuntimeError:
            return None
        return reading

    def _last_reading(self, source: Source | None, known: Reading) -> Reading:
        """What a source that has gone says now; what is known of it when it is there no more, or cannot say."""
        reading = None if source is None else self._read(source)
        return known if reading is None else reading

    def _bury(self, reference: weakref.ref[Source], reading: Reading) -> None:
        """Let what something has counted that was known, and is gone, belong to the past, once."""
        if self._last.pop(reference, None) is not None:
            self._past.merge(reading)
            source = reference()
            if source is not None:
                self._counted.add(source)

    def keep(self, source: Source) -> None:
        """Keep what a source has counted, whether it was ever read or not."""
        reading = self._read(source)
        if reading is None:
            return
        with self._lock:
            if source not in self._counted:
                self._last.setdefault(weakref.ref(source), reading)
                self._bury(weakref.ref(source), reading)


class MetricsCollector(Collector):
    """What Prometheus's client calls to collect. `MetricsCollector.of(registry)` is the one of a registry."""

    _fireflyzmq: Readings = NotBegun("MetricsCollector")  # type: ignore[assignment]

    def __init__(self, names: int = MOST_NAMES) -> None:
        put_behind(self, readings := Readings(names))
        add_keeper(readings)

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


@functools.cache
def _freeze_once() -> None:
    """Leave what has been loaded out of garbage collections."""
    gc.collect()
    gc.freeze()


_registered: weakref.WeakKeyDictionary[CollectorRegistry, MetricsCollector] = weakref.WeakKeyDictionary()
