"""Services as arguments: a binding at the other side, which calls back."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import Binding, MethodUnavailable, Service, ServiceUnavailable
from tests.api.places import Place


class Asker(Service):
    """Calls back whom it is given, while the call is being served."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.kept: list[Any] = []
        self.exportMethod(self.ask)
        self.exportMethod(self.keep)
        self.exportMethod(lambda binding: binding, "echo")

    async def ask(self, whom: Binding, question: str) -> Any:
        endpoint: Any = self.serviceEndPoint(whom)
        return [await endpoint.answer(question), await endpoint.answer(question * 2)]

    def keep(self, *values: Any) -> None:
        self.kept.extend(values)


class Answerer(Service):
    """Answers questions, and counts them."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **options)
        self.asked: list[str] = []
        self.exportMethod(self.answer)

    def answer(self, question: str) -> str:
        self.asked.append(question)
        return question.upper()


def test_a_service_given_as_an_argument_is_called_back_during_the_call(place: Place) -> None:
    place.server_of(Asker)
    caller = place.caller_of(Answerer)
    endpoint: Any = caller.serviceEndPoint("server")

    assert place.run(endpoint.ask(caller, "why")) == ["WHY", "WHYWHY"]
    assert caller.asked == ["why", "whywhy"]


def test_a_thread_calls_back_during_the_call(connected_place: Place) -> None:
    place = connected_place
    server = place.server()

    def ask(whom: Binding) -> Any:
        endpoint: Any = server.serviceEndPoint(whom)
        return [endpoint.answer("a").wait(), endpoint.answer("b").wait()]

    server.exportMethod(ask, threads=1)
    caller = place.caller_of(Answerer)
    endpoint: Any = caller.serviceEndPoint("server")

    assert place.run(endpoint.ask(caller)) == ["A", "B"]


def test_callback_code_calls_back_during_the_call(place: Place) -> None:
    server = place.server()

    def ask(whom: Binding) -> None:
        request = server.currentRequest().id
        endpoint: Any = server.serviceEndPoint(whom)
        server.monitorResponse(lambda answer: server.resumeResponse(request, answer), endpoint.answer("x"))
        server.suspendResponse()

    server.exportMethod(ask)
    caller = place.caller_of(Answerer)
    endpoint: Any = caller.serviceEndPoint("server")

    assert place.run(endpoint.ask(caller)) == "X"


def test_calls_go_back_and_forth_as_deep_as_needed(place: Place) -> None:
    server, other = place.server(), place.server("other")

    def descend(from_: Service) -> Any:
        async def down(depth: int, partner: Binding) -> int:
            endpoint: Any = from_.serviceEndPoint(partner)
            return 0 if depth == 0 else 1 + int(await endpoint.down(depth - 1, from_))

        return down

    server.exportMethod(descend(server), "down")
    other.exportMethod(descend(other), "down")

    assert place.run(place.endpoint().down(20, other)) == 20


def test_what_arrives_is_a_binding(place: Place) -> None:
    server = place.server_of(Asker)
    named = place.server("named")
    named.joinGroup("tools")
    place.settle()
    place.run(place.endpoint().keep(named, [named.serviceBinding()], {"nameless": place.caller}))

    first, (second,), third = server.kept[0], server.kept[1], server.kept[2]["nameless"]
    assert all(isinstance(each, Binding) for each in (first, second, third))
    assert (first.name, first.address) == ("named", named.serviceAddress())
    assert first == second
    assert first.groups == ("tools",)
    assert (third.name, third.address) == ("", place.caller.serviceAddress())


def test_a_binding_comes_back_as_a_result_and_is_a_key(place: Place) -> None:
    server = place.server_of(Asker)

    binding = place.run(place.endpoint().echo(server))

    assert binding == server.serviceBinding()
    assert {binding: 1}[server.serviceBinding()] == 1
    assert place.run(place.endpoint(binding).echo(5)) == 5


def test_a_binding_may_be_handed_on_to_a_third_service(across: Place) -> None:
    across.server_of(Asker)
    third = Answerer(exchange=across.network.exchange())

    assert across.run(across.endpoint().ask(third, "who")) == ["WHO", "WHOWHO"]


def test_the_sender_of_a_request_may_be_called_back(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    async def ask() -> Any:
        endpoint: Any = server.serviceEndPoint(server.currentRequest().sender)
        return await endpoint.answer("you")

    caller = place.caller_of(Answerer)
    endpoint: Any = caller.serviceEndPoint("server")

    assert place.run(endpoint.ask()) == "YOU"


def test_a_nameless_service_is_found_by_nobody(across: Place) -> None:
    service = Answerer(exchange=across.network.exchange())
    exchange = across.endpoint("exchange")

    listed = across.run(exchange.services())

    assert service.serviceAddress() not in [entry["address"] for entry in listed]
    assert across.run(across.endpoint(service).answer("x")) == "X"


def test_a_hidden_service_is_reached_by_its_binding_alone(across: Place) -> None:
    from fireflyzmq import SERVICE_HIDDEN

    hidden = across.server("hidden", visibility=SERVICE_HIDDEN)
    hidden.exportMethod(lambda: 1, "f")

    assert isinstance(across.failure(across.endpoint("hidden").f()), ServiceUnavailable)
    assert across.run(across.endpoint(hidden).f()) == 1


def test_an_unknown_visibility_is_refused(across: Place) -> None:
    with pytest.raises(ValueError, match="visibility"):
        across.server(visibility="sometimes")


def test_a_callback_object_that_is_closed_is_unavailable(place: Place) -> None:
    server = place.server_of(Asker)
    callback = place.caller_of(Answerer)
    place.run(place.endpoint().keep(callback))
    callback.close()
    place.settle()

    async def call() -> Any:
        endpoint: Any = server.serviceEndPoint(server.kept[0])
        return await endpoint.answer("x")

    assert isinstance(place.failure(call()), ServiceUnavailable)


def test_methods_of_a_nameless_service_are_checked_too(place: Place) -> None:
    caller = place.caller_of(Answerer)

    assert isinstance(place.failure(place.endpoint(caller).nothing()), MethodUnavailable)


def test_services_compare_by_identity_and_print(place: Place) -> None:
    server = place.server()

    assert server.serviceName() == "server"
    assert place.caller.serviceName() == ""
    assert "server" in repr(server)
    assert "nameless" in repr(place.caller)
    assert server.serviceBinding().address == server.serviceAddress()
