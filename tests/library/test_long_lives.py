"""What goes on for longer than a call: watches, groups, calls that waited, services that were refused."""

from __future__ import annotations

import gc
from typing import Any

from fireflyzmq import Failure, Service
from fireflyzmq.testing import Network


def test_looking_a_name_up_every_second_sees_who_comes() -> None:
    with Network() as network:
        caller = Service(exchange=network.exchange())
        later = network.exchange()
        seen = []
        for second in range(150):
            seen.append(bool(caller.serviceEndPoint("math")))
            gc.collect()
            if second == 100:
                Service("math", exchange=later)
            network.advance(1)
        assert seen == [False] * 101 + [True] * 49


def test_a_service_of_the_same_peer_knows_its_callers_groups_as_they_change() -> None:
    with Network() as network:
        exchange = network.exchange()
        service, caller = Service("math", exchange=exchange), Service(exchange=exchange)
        service.exportMethod(lambda: service.currentRequest().sender.groups, "groups")
        endpoint: Any = caller.serviceEndPoint("math", wait=1)
        assert network.run(endpoint.groups()) == ()
        caller.joinGroup("team")
        assert network.run(endpoint.groups()) == ("team",)


def test_a_call_that_waited_for_its_instance_is_not_kept_after_it_has_ended() -> None:
    class Listener(Service):
        unexpected: list[Failure] = []

        def unexpectedFailure(self, failure: Failure) -> None:
            self.unexpected.append(failure)

    with Network() as network:
        service, caller = Service("math", exchange=network.exchange()), Listener(exchange=network.exchange())

        @service.exportMethod  # type: ignore[untyped-decorator]
        def refuse() -> None:
            raise Failure(7, "refused")

        endpoint: Any = caller.serviceEndPoint("math", wait=20.0)
        endpoint.refuse()
        network.advance(1)
        gc.collect()
        network.settle()
        assert [failure.code for failure in caller.unexpected] == [7]


def test_a_service_that_was_refused_is_ready_when_its_name_is_free() -> None:
    with Network() as network:
        winner = Service("solo", exchange=network.exchange(), unique=True)
        network.run(winner.ready())
        loser = Service("solo", exchange=network.exchange())
        network.settle()
        winner.close()
        network.restart()
        network.run(loser.ready())
        caller = Service(exchange=network.exchange())
        assert network.run(caller.lookup("solo", 1)) == [loser.serviceBinding()]
