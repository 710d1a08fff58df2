"""Whatever raises between a request's arrival and its answer is that request's failure, and nobody else's."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from fireflyzmq import ApplicationFailure, Failure, InvalidArguments, Overloaded, Service, encoder
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.wire import snapshot
from tests.api.places import Place


def failure_of(place: Place, awaitable: Any) -> Failure:
    """How a call ends, well before its deadline."""
    with pytest.raises(Failure) as caught:
        place.run(asyncio.wait_for(as_coroutine(awaitable), 5))
    return caught.value


async def as_coroutine(awaitable: Any) -> Any:
    return await awaitable


def raising(error: BaseException) -> Callable[[], None]:
    """A method that raises."""

    def fail() -> None:
        raise error

    return fail


def raising_in_a_coroutine(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise error

    return fail


class Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the log is full")


@pytest.fixture(params=["handler", "filter"])
def broken_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """A log that raises for all that the library says."""
    logger = logging.getLogger("fireflyzmq.peer.serving")
    handler, kept = Raising(), logger.propagate

    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError("no filter")

    if request.param == "handler":
        logger.addHandler(handler)
    else:
        logger.addFilter(refuse)
    logger.propagate = False
    yield
    logger.removeHandler(handler)
    logger.removeFilter(refuse)
    logger.propagate = kept


@pytest.mark.usefixtures("broken_log")
@pytest.mark.parametrize(
    ("form", "threads"),
    [(raising, 0), (raising_in_a_coroutine, 0), (raising, 1)],
    ids=["def", "async", "threads"],
)
def test_a_log_that_raises_changes_no_answer(across: Place, form: Callable[..., Any], threads: int) -> None:
    server = across.server()
    server.exportMethod(form(KeyError("why")), "fail", threads=threads)
    server.exportMethod(lambda: 42, "good")
    endpoint = across.endpoint(timeout=20)
    failure = failure_of(across, endpoint.fail())
    assert (type(failure), failure.details["type"]) == (ApplicationFailure, "KeyError")
    assert across.run(endpoint.good()) == 42


def test_a_method_without_a_thread_is_refused(across: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    server = across.server()
    server.exportMethod(lambda: 42, "work", threads=2)

    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        failure = failure_of(across, across.endpoint().work())
    assert type(failure) is Overloaded
    told = across.run(across.endpoint().system.statistics())
    assert sum(told["durations"]) == told["running"] == 0  # what has not run has taken no time
    assert across.run(across.endpoint().work()) == 42


class Lazy:
    def __repr__(self) -> str:
        raise RuntimeError("not configured yet")


def test_a_signature_that_cannot_be_shown_is_shown_with_dots(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda x, lazy=Lazy(), huge=10**5000: x, "odd")  # noqa: B008
    failure = failure_of(place, place.endpoint().odd())
    assert type(failure) is InvalidArguments
    assert "odd(x, lazy=..., huge=...)" in failure.description
    (described,) = place.run(place.endpoint().system.describe())["methods"]
    assert described["signature"] == "(x, lazy=..., huge=...)"


class NoSuper(Failure):
    def __init__(self) -> None:
        pass


class OddFields(Failure):
    def __init__(self) -> None:
        super().__init__("code", 5, object(), b"origin")  # type: ignore[arg-type]


class OddKind(Failure):
    kind = 5  # type: ignore[assignment]


class RaisingFields(Failure):
    @property
    def kind(self) -> str:
        raise RuntimeError("no kind")

    @property
    def id(self) -> int:
        raise RuntimeError("no id")

    @id.setter
    def id(self, value: Any) -> None: ...

    @property
    def origin(self) -> str:
        raise RuntimeError("no origin")

    @origin.setter
    def origin(self, value: Any) -> None: ...


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


ODD = [
    NoSuper(),
    OddFields(),
    OddKind(7, "x"),
    RaisingFields(7, "x"),
    Failure(1 << 80, "\ud800"),
    Failure(1, "x", Lazy()),
]


@pytest.mark.parametrize(
    "error", [*ODD, Unspeakable(), GeneratorExit(), asyncio.CancelledError()], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("form", [raising, raising_in_a_coroutine], ids=["def", "async"])
def test_whatever_is_raised_is_told(place: Place, error: BaseException, form: Callable[..., Any]) -> None:
    place.server().exportMethod(form(error), "fail")
    failure = failure_of(place, place.endpoint(timeout=20).fail())
    assert failure.kind in {type(error).__name__, "ApplicationFailure", "RequestCancelled", "Failure"}


class Shelf(Failure):
    """A failure of an application's own."""


def test_a_failures_own_kind_reaches_its_caller(place: Place) -> None:
    server, middle = place.server(), place.server("middle")

    def fail() -> None:
        raise Shelf(404, "no such shelf", {"shelf": 7})

    async def through() -> Any:
        return await middle.serviceEndPoint("server").fail()

    server.exportMethod(fail)
    middle.exportMethod(through)
    for call in (place.endpoint().fail(), place.endpoint("middle").through()):
        failure = failure_of(place, call)
        assert type(failure) is Failure and isinstance(failure, Failure)
        assert (failure.kind, failure.code, failure.description) == ("Shelf", 404, "no such shelf")
        assert (failure.details, failure.origin) == ({"shelf": 7}, "server")
        assert "Shelf 404" in str(failure) and "Shelf" in repr(failure)
        for copied in (copy.copy(failure), copy.deepcopy(failure), pickle.loads(pickle.dumps(failure))):
            assert (copied.kind, copied.code, copied.origin) == ("Shelf", 404, "server")
    assert place.run(place.endpoint().system.statistics())["failures"] == {"Failure": 1 + 1}


def test_what_a_service_says_of_itself_is_not_the_librarys_word(place: Place) -> None:
    from fireflyzmq import ExchangeLost, MethodUnavailable

    def fail() -> None:
        raise ExchangeLost("so it says")

    place.server().exportMethod(fail)
    failure = failure_of(place, place.endpoint().fail())
    assert (failure.kind, failure.origin) == ("ExchangeLost", "server")
    for name in ("nothing", "system.nothing"):
        failure = failure_of(place, getattr(place.endpoint(), name)())
        assert (type(failure), failure.origin) == (MethodUnavailable, "fireflyzmq")


class Hooked(Service):
    """A service whose hooks raise, of an instance's own accord."""

    def invalidMethod(self, name: str, params: tuple[Any, ...], /, **keywords: Any) -> Any:
        raise Unspeakable

    def executeMethod(self, name: str, method: Any, params: tuple[Any, ...]) -> Any:
        if name == "work":
            raise Unspeakable
        return super().executeMethod(name, method, params)


def test_hooks_that_raise_are_the_requests_failure(place: Place) -> None:
    server = place.server_of(Hooked)
    server.exportMethod(lambda: 1, "work")
    for name in ("work", "unknown"):
        failure = failure_of(place, getattr(place.endpoint(), name)())
        assert failure.details["type"] == "Unspeakable"


def test_a_tracer_and_an_owner_that_raise_are_the_requests_failure(
    across: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = across.server()
    server.exportMethod(lambda **keywords: 1, "work")

    def fail(*_: Any) -> Any:
        raise RuntimeError("no owner")

    monkeypatch.setattr(core_of(server).local.owner, "stray_method", fail)
    failure = failure_of(across, across.endpoint().unknown())
    assert failure.details == {"type": "RuntimeError", "message": "no owner"}
    assert across.run(across.endpoint().work(a=1)) == 1


class Thing:
    """What an encoder of the test's own turns into a number."""


@pytest.fixture
def things() -> Iterator[list[Any]]:
    """What runs when a Thing is encoded, the last first."""
    kept = dict(snapshot.encoders)
    acts: list[Any] = []
    encoder(11, Thing, lambda _: acts.pop()() if acts else 5)
    yield acts
    snapshot.encoders.clear()
    snapshot.encoders.update(kept)


def test_an_encoder_that_closes_its_service_ends_its_call(across: Place, things: list[Any]) -> None:
    server = across.server()
    server.exportMethod(lambda value: "here", "take")
    caller = across.caller_of(Service)
    endpoint = caller.serviceEndPoint("server")
    assert across.run(endpoint.take(1)) == "here"
    things.append(lambda: (caller.close(), 5)[1])  # type: ignore[func-returns-value]
    failure = failure_of(across, endpoint.take(Thing()))
    assert failure.kind == "RequestCancelled"


def test_an_encoder_that_calls_and_publishes_while_answering_spoils_nothing(across: Place, things: list[Any]) -> None:
    server = across.server()
    notes: list[Any] = []
    server.exportMethod(lambda: ["r", Thing(), "end"], "make")
    server.exportMethod(notes.append, "note")
    reports: list[Any] = []
    across.caller.monitorReports(lambda report: reports.append(report.content), "server", ">")
    endpoint = across.endpoint()
    oneway = server.serviceEndPoint("server", oneway=True)
    across.run(endpoint.note(0))

    def act() -> int:
        oneway.note(("inner", 1))
        server.publishReport("inner", ["i", (1,)])
        return 5

    for _ in range(3):
        things.append(act)
        value = across.run(endpoint.make())
        assert (value[0], value[2], len(value)) == ("r", "end", 3)
    things.append(act)
    server.publishReport("outer", ["o", Thing(), "end"])
    across.run(endpoint.note(9))
    assert notes == [0, *[("inner", 1)] * 4, 9]
    assert [each if each[0] == "i" else (each[0], each[2]) for each in reports] == [*[["i", (1,)]] * 4, ("o", "end")]
