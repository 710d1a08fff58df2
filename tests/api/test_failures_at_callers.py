"""What a caller is told of a call that failed, and what of it stays at the service."""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import Any

import pytest

import fireflyzmq
from fireflyzmq import ApplicationFailure, Failure, MethodUnavailable, RequestCancelled, ServiceUnavailable
from tests.api.places import Place


def test_an_exception_is_an_application_failure_with_its_type_and_message(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def f() -> None:
        raise LookupError("no such row")

    failure = place.failure(place.endpoint().f())

    assert isinstance(failure, ApplicationFailure)
    assert (failure.kind, failure.code, failure.origin) == ("ApplicationFailure", 57, "server")
    assert failure.details == {"type": "LookupError", "message": "no such row"}
    assert "LookupError: no such row" in failure.description


def test_exceptions_of_coroutines_and_threads_are_told_alike(connected_place: Place) -> None:
    place = connected_place
    server = place.server()

    def in_thread() -> None:
        raise LookupError("row")

    @server.exportMethod
    async def in_loop() -> None:
        await asyncio.sleep(0)
        raise LookupError("row")

    server.exportMethod(in_thread, threads=1)

    for failure in (place.failure(place.endpoint().in_loop()), place.failure(place.endpoint().in_thread())):
        assert isinstance(failure, ApplicationFailure)
        assert failure.details == {"type": "LookupError", "message": "row"}


def test_a_traceback_stays_in_the_services_log(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    server = place.server()

    def secretive() -> None:
        raise ValueError("oops")

    server.exportMethod(secretive)

    failure = place.failure(place.endpoint().secretive())

    assert "secretive" not in failure.description
    assert "Traceback" not in str(failure)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "server.secretive" in record.getMessage()


def test_a_failure_raised_on_purpose_arrives_as_it_is(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def f() -> None:
        raise Failure(1234, "Out of stock", {"left": 0, "alternatives": ("tea", None)})

    failure = place.failure(place.endpoint().f())

    assert type(failure) is Failure
    assert (failure.kind, failure.code, failure.description) == ("Failure", 1234, "Out of stock")
    assert failure.details == {"left": 0, "alternatives": ("tea", None)}
    assert failure.origin == "server"


def test_a_failure_raised_on_purpose_is_not_logged_as_an_error(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    server = place.server()

    @server.exportMethod
    def f() -> None:
        raise Failure(1, "on purpose")

    place.failure(place.endpoint().f())

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_an_origin_given_on_purpose_is_kept(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    async def f() -> None:
        raise Failure(1, "locked", origin="the vault")

    assert place.failure(place.endpoint().f()).origin == "the vault"


def test_failures_know_their_call(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: 1 / 0, "a.b")

    id = place.endpoint().a.b()
    failure = place.failure(id)

    assert (failure.service, failure.method, failure.id) == ("server", "a.b", int(id))
    assert "server.a.b" in str(failure)


def test_the_librarys_failures_are_of_its_own_origin(place: Place) -> None:
    place.server()

    assert place.failure(place.endpoint().missing()).origin == "fireflyzmq"
    assert place.failure(place.endpoint("nobody").missing()).origin == "fireflyzmq"


def test_a_failure_passes_through_a_service_that_does_not_catch_it(place: Place) -> None:
    deep, front = place.server("deep"), place.server("front")

    @deep.exportMethod
    def f() -> None:
        raise Failure(77, "from below", [1])

    @front.exportMethod
    async def through() -> Any:
        below: Any = front.serviceEndPoint("deep")
        return await below.f()

    failure = place.failure(place.endpoint("front").through())

    assert (failure.code, failure.description, failure.details) == (77, "from below", [1])
    assert failure.origin == "deep"
    assert (failure.service, failure.method) == ("front", "through")


def test_a_library_failure_raised_by_a_method_keeps_its_kind(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def f() -> None:
        raise fireflyzmq.Overloaded("come later", {"retry_after": 2.5})

    failure = place.failure(place.endpoint().f())

    assert isinstance(failure, fireflyzmq.Overloaded)
    assert failure.retry_after == 2.5


def test_details_that_do_not_travel_are_told_as_text(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def f() -> None:
        raise Failure(5, "odd", {"what": object()})

    failure = place.failure(place.endpoint().f())

    assert (failure.code, failure.description) == (5, "odd")
    assert "object" in failure.details


def test_details_that_hold_themselves_do_not_keep_the_caller_waiting(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def f() -> None:
        endless: list[Any] = []
        endless.append(endless)
        raise Failure(5, "odd", endless)

    before = place.now
    assert place.failure(place.endpoint().f()).code == 5
    assert place.now - before < 1


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_failure_that_comes_through_several_services_reads_as_one_sentence(place: Place, levels: int) -> None:
    service = place.server("shop")
    books: dict[str, str] = {}
    service.exportMethod(lambda: books["book"], "find")
    inside: Any = service.serviceEndPoint("shop")
    for level in range(levels):

        async def ask(below: str = "find" if level == 0 else f"ask{level - 1}") -> Any:
            return await inside[below]()

        service.exportMethod(ask, f"ask{level}")
    failure = place.failure(place.endpoint("shop")[f"ask{levels - 1}"]())
    asked = "".join(f"shop.ask{level}: " for level in reversed(range(levels)))
    assert str(failure) == f"{asked}shop.find: KeyError: 'book' [ApplicationFailure 57]"


def test_a_failure_of_the_librarys_that_comes_through_a_service_keeps_its_kind_in_the_text(place: Place) -> None:
    service = place.server("shop")
    nobody: Any = service.serviceEndPoint("stock")

    async def ask() -> Any:
        return await nobody.count()

    service.exportMethod(ask)
    failure = place.failure(place.endpoint("shop").ask())
    assert str(failure) == ("shop.ask: ServiceUnavailable: stock.count: nobody offers 'stock' [ApplicationFailure 57]")
    assert (failure.details["type"], failure.details["code"]) == ("ServiceUnavailable", 46)


def test_a_message_that_is_not_unicode_does_not_keep_the_caller_waiting(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "fireflyzmq")  # xdist cannot hand on a captured log that is not unicode
    server = place.server()

    @server.exportMethod
    def f() -> None:
        raise FileNotFoundError("no file caf\udce9")

    before = place.now
    failure = place.failure(place.endpoint().f())

    assert isinstance(failure, ApplicationFailure)
    assert "no file caf" in failure.description
    assert place.now - before < 1


def test_an_exception_without_a_text_does_not_keep_the_caller_waiting(place: Place) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("nothing to say")

    server = place.server()

    @server.exportMethod
    def f() -> None:
        raise Mute

    before = place.now
    failure = place.failure(place.endpoint().f())

    assert isinstance(failure, ApplicationFailure)
    assert failure.details["type"] == "Mute"
    assert place.now - before < 1


def test_a_cancelled_error_in_a_plain_method_fails_its_own_call_alone(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: "fine", "fine")

    @server.exportMethod
    def cancelled() -> None:
        raise asyncio.CancelledError

    endpoint = place.endpoint(wait=1.0)

    async def both() -> Any:
        return await asyncio.gather(endpoint.cancelled(), endpoint.fine(), return_exceptions=True)

    before = place.now
    bad, fine = place.run(both())

    assert isinstance(bad, RequestCancelled)
    assert fine == "fine"
    assert place.now - before < 1


def test_a_stop_iteration_is_an_exception_like_others(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: next(iter(())), "plain")

    @server.exportMethod
    async def awaited() -> Any:
        return next(iter(()))

    assert isinstance(place.failure(place.endpoint().plain()), ApplicationFailure)
    assert isinstance(place.failure(place.endpoint().awaited()), ApplicationFailure)


def test_an_absent_service_is_known_at_once(place: Place) -> None:
    before = place.now
    failure = place.failure(place.endpoint("nobody", timeout=20.0).f())

    assert isinstance(failure, ServiceUnavailable)
    assert failure.code == 46
    assert "nobody" in failure.description
    assert place.now - before < 0.1


def test_a_missing_method_is_known_at_once(place: Place) -> None:
    place.server()
    before = place.now

    assert isinstance(place.failure(place.endpoint().f()), MethodUnavailable)
    assert place.now - before < 0.1


def test_failures_print_and_pickle() -> None:
    failure = fireflyzmq.ServiceUnavailable("nobody offers 'x'", {"a": 1})
    copy = pickle.loads(pickle.dumps(failure))

    assert type(copy) is fireflyzmq.ServiceUnavailable
    assert (copy.code, copy.description, copy.details) == (46, "nobody offers 'x'", {"a": 1})
    assert "ServiceUnavailable" in str(failure)
    assert "46" in str(failure)


def test_the_codes_are_netsvcs_where_it_has_one() -> None:
    codes = {
        name: getattr(fireflyzmq, name).code
        for name in (
            "ServiceUnavailable",
            "RequestTimeout",
            "ResponseEncoding",
            "RequestDecoding",
            "MethodUnavailable",
            "InvalidArguments",
            "ApplicationFailure",
            "ServiceWithdrawn",
        )
    }
    own = [
        getattr(fireflyzmq, name).code
        for name in (
            "RequestEncoding",
            "Overloaded",
            "NotAuthorised",
            "MessageTooLarge",
            "RequestCancelled",
            "ExchangeLost",
        )
    ]

    assert list(codes.values()) == [46, 47, 52, 54, 55, 56, 57, 57]
    assert len(set(own)) == len(own)
    assert not set(own) & set(codes.values())
