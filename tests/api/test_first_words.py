"""What a session tells a service first, and that the service is whole by then."""

from __future__ import annotations

import pytest

from fireflyzmq import Service
from fireflyzmq.api.cores.readiness import Readiness
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.testing import Network


def test_a_service_knows_who_it_is_before_its_session_tells_it_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    class Early(Service):
        pass

    def registered(readiness: Readiness) -> None:
        shown = readiness._service.shown
        assert isinstance(shown, Early)
        told.append((shown.serviceName(), repr(shown), core_of(shown).local.registered))

    monkeypatch.setattr(Readiness, "registered", registered)
    network = Network()
    service = network.make(Early, "early")  # without an exchange it is registered at once

    assert told == [("early", repr(service), True)]
    network.close()
