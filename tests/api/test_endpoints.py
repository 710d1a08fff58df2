"""Endpoints: what they are made of, what they say of themselves, and how long they make a call wait."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from fireflyzmq import Binding, Service, ServiceUnavailable
from tests.api.places import Place


def test_an_endpoint_is_true_while_an_instance_is_there(place: Place) -> None:
    endpoint = place.endpoint()
    place.settle()
    assert not endpoint

    server = place.server()
    place.settle()
    assert bool(endpoint) is True

    server.close()
    place.settle()
    assert bool(endpoint) is False


def test_an_endpoint_equals_none_while_nobody_is_there(place: Place) -> None:
    endpoint = place.endpoint()
    place.settle()
    assert endpoint == None  # noqa: E711
    assert not endpoint != None  # noqa: E711, SIM202

    place.server()
    place.settle()
    assert endpoint != None  # noqa: E711
    assert not endpoint == None  # noqa: E711, SIM201
    assert endpoint is not None


def test_endpoints_are_equal_to_themselves_alone_and_are_keys(place: Place) -> None:
    first, second = place.endpoint(), place.endpoint()
    place.server()
    place.settle()

    assert first == first
    assert first != second
    assert {first: 1, second: 2} == {first: 1, second: 2}
    assert len({first, second, first}) == 2


def test_looking_at_an_endpoint_calls_nothing(place: Place) -> None:
    called: list[str] = []

    class Trap(Service):
        def invalidMethod(self, name: str, params: tuple[Any, ...], /, **keywords: Any) -> Any:
            called.append(name)

    place.server_of(Trap)
    endpoint = place.endpoint()
    place.settle()
    str(endpoint), repr(endpoint), hash(endpoint), bool(endpoint), endpoint == 1, endpoint != 1
    _ = endpoint.method
    repr(endpoint.method)
    place.settle()

    assert called == []


def test_an_endpoint_prints_its_target(place: Place) -> None:
    assert "server" in repr(place.endpoint())
    assert "a.b" in repr(place.endpoint().a.b)


@pytest.mark.parametrize("name", ["_private", "__len__", "__aiter__", "_connected"])
def test_names_with_a_leading_underscore_are_never_remote(place: Place, name: str) -> None:
    endpoint = place.endpoint()

    with pytest.raises(AttributeError):
        getattr(endpoint, name)
    with pytest.raises(AttributeError):
        getattr(endpoint.method, name)


def test_protocols_that_look_for_attributes_find_none(place: Place) -> None:
    endpoint = place.endpoint()

    assert not hasattr(endpoint, "__await__")
    assert not callable(endpoint)
    with pytest.raises(TypeError):
        iter(endpoint)
    with pytest.raises(TypeError):
        len(endpoint)


def test_attributes_of_an_endpoint_cannot_be_set(place: Place) -> None:
    endpoint = place.endpoint()

    with pytest.raises(AttributeError):
        endpoint.timeout = 5


def test_remote_methods_may_have_any_public_name(place: Place) -> None:
    server = place.server()
    names = ["timeout", "wait", "close", "result", "lookup", "connect", "name", "call"]
    for name in names:
        server.exportMethod(lambda name=name: name, name)

    endpoint = place.endpoint()
    assert [place.run(getattr(endpoint, name)()) for name in names] == names


def test_a_remote_method_may_be_kept(place: Place) -> None:
    place.server().exportMethod(lambda x: x, "echo")
    echo = place.endpoint().echo

    assert [place.run(echo(1)), place.run(echo(2))] == [1, 2]


@pytest.mark.parametrize("name", ["", "two words", "a*", ">", "x" * 201, "tab\t"])
def test_illegal_names_are_refused(place: Place, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        place.endpoint(name)


@pytest.mark.parametrize("target", [5, None, b"bytes", object()], ids=["int", "None", "bytes", "object"])
def test_what_is_neither_a_name_nor_a_binding_is_refused(place: Place, target: Any) -> None:
    with pytest.raises(TypeError):
        place.endpoint(target)


def test_a_binding_of_nobody_is_unavailable(place: Place) -> None:
    failure = place.failure(place.endpoint(Binding("ghost", "0" * 32)).f())

    assert isinstance(failure, ServiceUnavailable)


def test_the_first_call_waits_until_the_name_is_known(across: Place) -> None:
    across.server().exportMethod(lambda: "there", "f")
    endpoint = across.endpoint()
    assert not endpoint

    assert across.run(endpoint.f()) == "there"
    assert endpoint


class Late(Service):
    """A service that comes late and has its methods from its first moment."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.ran: list[int] = []
        self.exportMethod(self.run)

    def run(self, number: int) -> str:
        self.ran.append(number)
        return "at last"


def test_wait_lets_a_call_wait_for_an_instance(place: Place) -> None:
    id = place.endpoint(wait=5.0).run(1)
    place.advance(4)
    assert not id.done()
    place.server_of(Late)

    assert place.run(id) == "at last"


def test_a_wait_ends_when_its_time_is_over(place: Place) -> None:
    before = place.now
    failure = place.failure(place.endpoint(wait=5.0).f())

    assert isinstance(failure, ServiceUnavailable)
    assert place.now - before == pytest.approx(5, abs=0.1)


def test_the_deadline_ends_a_longer_wait(place: Place) -> None:
    before = place.now
    failure = place.failure(place.endpoint(timeout=2.0, wait=50.0).f())

    assert failure.kind == "RequestTimeout"
    assert place.now - before == pytest.approx(2, abs=0.1)


def test_a_waiting_call_may_be_cancelled(place: Place) -> None:
    id = place.endpoint(wait=20.0).run(1)
    place.advance(1)
    place.caller.cancelRequest(id)
    server = place.server_of(Late)
    place.advance(1)

    assert place.failure(id).kind == "RequestCancelled"
    assert server.ran == []


def test_waiting_calls_go_in_the_order_in_which_they_were_made(place: Place) -> None:
    endpoint = place.endpoint(wait=20.0)
    ids = [endpoint.run(number) for number in range(20)]
    place.advance(1)
    server = place.server_of(Late)
    for id in ids:
        place.run(id)

    assert server.ran == list(range(20))


def test_a_watch_outlives_its_endpoints_by_a_minute(across: Place) -> None:
    across.endpoint()
    across.settle()
    gc.collect()

    across.advance(59)
    server = across.server()
    across.settle()

    assert across.caller.lookupServiceName("server") == [server.serviceBinding()]


def test_a_watch_that_nobody_uses_ends(across: Place) -> None:
    server = across.server()
    across.endpoint()
    across.settle()
    gc.collect()
    across.advance(181)

    assert across.caller.lookupServiceName("server") == []  # not known any more, and watched from now on
    across.settle()
    assert across.caller.lookupServiceName("server") == [server.serviceBinding()]


def test_an_endpoint_keeps_its_watch(across: Place) -> None:
    endpoint = across.endpoint()
    across.advance(500)
    across.server()
    across.settle()

    assert endpoint


def test_a_name_that_is_looked_up_each_second_stays_watched(across: Place) -> None:
    across.server()
    assert across.caller.lookupServiceName("server") == []
    across.settle()
    for _ in range(300):
        across.advance(1)
        assert len(across.caller.lookupServiceName("server")) == 1


@pytest.mark.parametrize("bad", ["", "_private", "a b", -1])
def test_what_can_be_no_method_is_none_of_an_endpoints(bad: Any, place: Place) -> None:
    with pytest.raises((ValueError, AttributeError)):
        place.endpoint()[bad]
    with pytest.raises(TypeError):
        iter(place.caller.serviceEndPoint("server"))
