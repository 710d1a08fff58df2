"""What a peer has counted, for metrics: its calls, requests and reports, and what waits. It only reads."""

from __future__ import annotations

from typing import Any, Final

from fireflyzmq.peer.machine import Machine
from fireflyzmq.telemetry.readings import Reading

_STATES: Final = ("connected", "offline", "lost", "refused")


def read_counts(machine: Machine, reading: Reading) -> None:
    """Add what only grows."""
    outcomes, subscriptions, services = machine.outcomes, machine.subscriptions, reading.labels.services
    failures = dict(outcomes.failures)
    reading.count("calls_started", outcomes.started)
    reading.count("calls_answered", outcomes.ended - sum(failures.values()))
    for kind, number in failures.items():
        reading.count("calls_failed", number, kind)
    reading.count("requests_expired", machine.at_work.expired)
    reading.count("answers_lost", machine.channels.answers.lost)
    reading.count("bad_items", machine.incoming.bad_items)
    reading.count("reports_published", machine.publications.published)
    reading.count("reports_delivered", subscriptions.delivered)
    reading.count("reports_lost", subscriptions.missed)
    for name, before in machine.registrations.served_before.all().items():
        _read_served(reading, services.label(name), before)
    for service in list(machine.services.values()):
        _read_served(reading, services.label(service.name), service)


def _read_served(reading: Reading, label: str, served: Any) -> None:
    reading.count("requests_served", served.served, label)
    reading.count("requests_refused", served.refused, label)
    for kind, number in list(served.failures.items()):
        reading.count("requests_failed", number, label, kind)
    reading.time("request_duration_seconds", served.durations, label)


def read_present(machine: Machine, state: str, reading: Reading) -> None:
    """Add what there is now, of a peer whose connection is in some state."""
    for service in list(machine.services.values()):
        reading.show("requests_running", service.running, reading.labels.services.label(service.name))
    for each in _STATES:
        reading.show("connections", state == each, each)
    reading.show("calls_in_flight", machine.outcomes.pending)
    reading.show("outgoing_queued_bytes", machine.outgoing.queued)
    reading.show("answers_kept_bytes", machine.channels.answers.size)
    reading.show("requests_postponed_bytes", machine.endings.postponed.size)
    reading.show("subscriptions", len(machine.subscriptions))
