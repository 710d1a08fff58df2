"""Callbacks are checked when they are given: who gives one of the wrong shape is told so there, and not in a log."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import Child, Credentials, Dispatcher, Exchange, HttpDaemon, NetPort, Root, Service, Sessions
from tests.api.places import Place

Give = Callable[[Service, Any], Any]


def called(service: Service, group: str = "") -> Any:
    """A call, whose outcome is wanted by nobody."""
    endpoint: Any = service.groupEndPoint(group) if group else service.serviceEndPoint("server")
    id = endpoint.f()
    service.ignoreResponse(id)
    return id


PRESENCE: dict[str, Give] = {
    "name": lambda service, callback: service.subscribeServiceName(callback, "server"),
    "group": lambda service, callback: service.subscribeServiceGroup(callback, "group"),
    "address": lambda service, callback: service.subscribeServiceAddress(callback, service),
}
GIVEN: dict[str, tuple[str, int, Give]] = {
    **{name: (r"presence callback takes \(binding, status\)", 2, give) for name, give in PRESENCE.items()},
    "registry": (r"\(binding, group, status\)", 3, lambda service, callback: service.subscribeRegistry(callback)),
    "reports": (r"\(report\)", 1, lambda service, callback: service.monitorReports(callback, "server")),
    "reports' failure": (
        r"\(failure\)",
        1,
        lambda service, callback: service.monitorReports(None, "server", failure=callback),
    ),
    "failure": (
        r"\(failure\)",
        1,
        lambda service, callback: service.monitorResponse(None, called(service), failure=callback),
    ),
    "answers": (
        r"\(binding, outcome\)",
        2,
        lambda service, callback: service.monitorAnswers(callback, called(service, "group")),
    ),
    "session": (
        r"\(session, reason\)",
        2,
        lambda service, callback: Sessions(service).monitor(callback, "net/1"),
    ),
}
NONE_OR_ONE: dict[str, tuple[str, Give]] = {
    "response": (
        r"response callback takes \(result\) or \(\)",
        lambda service, callback: service.monitorResponse(callback, called(service)),
    ),
    "one-way": (
        r"\(result\) or \(\)",
        lambda service, callback: service.monitorResponse(callback, None),
    ),
    "timer": (
        r"a timer takes \(name\) or \(\)",
        lambda service, callback: service.startTimer(callback, 1.0),
    ),
    "action": (
        r"an action takes \(name\) or \(\)",
        lambda service, callback: service.scheduleAction(callback),
    ),
}
HOOKS = {
    "doChildConnect": 2,
    "doChildLostConnect": 2,
    "doConnectionLost": 2,
    "doConnectionMade": 1,
    "droppedByRoot": 2,
    "doAttachedLost": 4,
    "executeMethod": 3,
    "handlePublisherNotification": 1,
    "handleSubscription": 1,
    "invalidMethod": 2,
    "registrationFailed": 1,
    "unexpectedFailure": 1,
    "unexpectedReport": 1,
}


def taking(count: int) -> Callable[..., None]:
    """A function of so many arguments."""
    names: dict[str, Any] = {}
    exec(f"def function({', '.join(f'a{n}' for n in range(count))}): pass", names)
    function: Callable[..., None] = names["function"]
    return function


@pytest.fixture
def server(place: Place) -> Service:
    server = place.server()
    server.exportMethod(lambda: None, "f")
    server.joinGroup("group")
    place.settle()
    return server


@pytest.mark.parametrize("case", GIVEN)
def test_a_callback_of_another_shape_is_refused_where_it_is_given(place: Place, server: Service, case: str) -> None:
    shape, count, give = GIVEN[case]
    for wrong in (taking(count - 1), taking(count + 1), "callback", 5):
        with pytest.raises(TypeError, match=shape):
            place.network.make(give, place.caller, wrong)
    place.network.make(give, place.caller, taking(count))
    place.network.make(give, place.caller, lambda *args: None)


@pytest.mark.parametrize("case", NONE_OR_ONE)
def test_a_callback_of_one_argument_or_none_is_taken(place: Place, server: Service, case: str) -> None:
    shape, give = NONE_OR_ONE[case]
    for wrong in (taking(2), "callback", 5):
        with pytest.raises(TypeError, match=shape):
            place.network.make(give, place.caller, wrong)
    for right in (taking(0), taking(1), lambda *args: None):
        place.network.make(give, place.caller, right)


def test_a_response_callback_without_an_argument_is_called_once(place: Place, server: Service) -> None:
    called: list[str] = []
    place.caller.monitorResponse(lambda: called.append("none"), place.endpoint().f())
    place.caller.monitorResponse(lambda *args: called.append(f"{len(args)}"), place.endpoint().f())

    async def later() -> None:
        called.append("async")

    place.caller.monitorResponse(later, place.endpoint().f())
    place.settle()
    assert sorted(called) == ["1", "async", "none"]


def test_a_refused_callback_leaves_the_former_one(place: Place, server: Service) -> None:
    events: list[Any] = []
    place.caller.subscribeServiceName(lambda *event: events.append(event), "server")
    with pytest.raises(TypeError):
        place.caller.subscribeServiceName(taking(3), "server")
    fired: list[str] = []
    place.caller.startTimer(fired.append, 1.0, "t")
    with pytest.raises(TypeError):
        place.caller.startTimer(taking(2), 1.0, "t")
    place.settle()
    place.advance(2.0)
    assert (len(events), fired) == (1, ["t"])


def test_the_callback_of_a_suspended_response_is_checked_in_the_method(place: Place, server: Service) -> None:
    server.exportMethod(lambda: server.suspendResponse(taking(2)), "suspend")
    assert "(id) or ()" in place.failure(place.endpoint().suspend()).description


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_is_assigned_is_checked(hook: str) -> None:
    class Everything(NetPort, Root, Child):
        def __init__(self, before: Any = None) -> None:
            if before is not None:
                setattr(self, hook, before)
            super().__init__("net", root="gate")

    async def main() -> None:
        for wrong in (taking(HOOKS[hook] - 1), taking(HOOKS[hook] + 1), "hook"):
            with pytest.raises(TypeError, match=rf"{hook} takes \("):
                Everything(wrong)
        service = Everything(taking(HOOKS[hook]))
        with pytest.raises(TypeError, match=rf"{hook} takes \("):
            setattr(service, hook, taking(HOOKS[hook] + 1))
        assert getattr(service, hook)(*[None] * HOOKS[hook]) is None
        service.close()

    asyncio.run(main())


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_a_class_overrides_is_checked_when_it_is_made(hook: str) -> None:
    kind = type("Mine", (NetPort, Root, Child), {hook: taking(HOOKS[hook] + 2)})

    async def main() -> None:
        with pytest.raises(TypeError, match=rf"Mine.{hook} takes \(self, "):
            kind("net", root="gate")

    asyncio.run(main())


def test_what_tells_of_the_connection_the_process_and_who_comes_is_checked() -> None:
    async def main() -> None:
        exchange = Exchange()
        with pytest.raises(TypeError, match=r"connectionChanged takes \(state, reason\)"):
            exchange.connectionChanged = taking(1)  # type: ignore[method-assign]
        with pytest.raises(TypeError, match=r"authorises takes \(credentials\)"):
            HttpDaemon(authorise=taking(2))
        await HttpDaemon(authorise=lambda credentials: Credentials().login).stop()
        exchange.close()

    asyncio.run(main())
    dispatcher = Dispatcher()
    with pytest.raises(TypeError, match=r"shutdown callback takes \(category\) or \(\)"):
        dispatcher.subscribeShutdown(taking(2))
    with pytest.raises(TypeError, match=r"signal callback takes \(signum\) or \(\)"):
        dispatcher.subscribeSignal(taking(2), signal.SIGUSR1)
    with contextlib.closing(dispatcher.loop):
        dispatcher.subscribeShutdown(taking(0))


# Keywords of any name, for methods that are not exported.

ANY_NAME = ["self", "name", "params", "method", "args", "kwargs", "core", "timeout", "id"]


class Slash(Service):
    """A catch-all whose own parameters have positions alone."""

    def invalidMethod(self, name: str, params: Any, /, **keywords: Any) -> Any:
        return [name, list(params), keywords, self.serviceName()]


class NoSlash(Service):
    """One whose own parameters have names too."""

    def invalidMethod(self, name: str, params: Any, **keywords: Any) -> Any:  # type: ignore[override]
        return [name, list(params), keywords, self.serviceName()]


@pytest.mark.parametrize("kind", [Slash, NoSlash])
def test_a_catch_all_gets_keywords_of_any_name(place: Place, kind: type[Service]) -> None:
    place.server_of(kind, "proxy")
    keywords = dict.fromkeys(ANY_NAME, 1)
    assert place.run(place.endpoint("proxy").any(2, **keywords)) == ["any", [2], keywords, "proxy"]


def test_a_method_that_nobody_has_is_not_there_whatever_the_keywords_are(place: Place, server: Service) -> None:
    assert place.failure(place.endpoint().nothing(**dict.fromkeys(ANY_NAME, 1))).kind == "MethodUnavailable"
