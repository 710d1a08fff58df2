"""How methods are exported and taken back, and what a service may put around or in the place of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import ApplicationFailure, InvalidArguments, MethodUnavailable, Service
from tests.api.places import Place


def test_export_method_returns_the_function(place: Place) -> None:
    def f() -> None: ...

    assert place.server().exportMethod(f) is f


def test_export_method_is_a_decorator_with_and_without_arguments(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def bare() -> str:
        return "bare"

    @server.exportMethod()
    def called() -> str:
        return "called"

    @server.exportMethod("given")
    def positional() -> str:
        return "given"

    @server.exportMethod(name="by.keyword")
    def keyword() -> str:
        return "by.keyword"

    assert server.exportedMethods() == ["bare", "by.keyword", "called", "given"]
    assert (bare(), called(), positional(), keyword()) == ("bare", "called", "given", "by.keyword")
    for name in ("bare", "called", "given"):
        assert place.run(getattr(place.endpoint(), name)()) == name
    assert place.run(place.endpoint().by.keyword()) == "by.keyword"


def test_the_decorator_takes_threads(connected_place: Place) -> None:
    server = connected_place.server()

    @server.exportMethod("named", threads=2)
    def f() -> int:
        return 1

    @server.exportMethod(threads=1)
    def g() -> int:
        return 2

    assert connected_place.run(connected_place.endpoint().named()) == 1
    assert connected_place.run(connected_place.endpoint().g()) == 2


def test_exporting_the_same_name_again_replaces(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: "old", "f")
    assert place.run(place.endpoint().f()) == "old"

    server.exportMethod(lambda x: x, "f")

    assert place.run(place.endpoint().f("new")) == "new"
    assert server.exportedMethods() == ["f"]


def test_an_unexported_method_is_unavailable(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: 1, "f")
    assert place.run(place.endpoint().f()) == 1

    server.unexportMethod("f")

    assert isinstance(place.failure(place.endpoint().f()), MethodUnavailable)
    assert server.exportedMethods() == []
    with pytest.raises(KeyError):
        server.unexportMethod("f")


def test_what_a_thread_runs_when_its_method_is_unexported_is_answered(connected_place: Place) -> None:
    place = connected_place
    server = place.server()

    def f() -> str:
        server.unexportMethod("f")
        return "last"

    server.exportMethod(f, threads=1)

    assert place.run(place.endpoint().f()) == "last"
    assert isinstance(place.failure(place.endpoint().f()), MethodUnavailable)


def test_lookup_method_gives_the_function(place: Place) -> None:
    server = place.server()

    def f() -> None: ...

    server.exportMethod(f, "g")
    assert server.lookupMethod("g") is f
    assert server.lookupMethod("f") is None


@pytest.mark.parametrize(
    "name", ["", "_hidden", "a._hidden", "a..b", ".a", "a.", "two words", "a-b", "1a", "*", "a.>", "x" * 201]
)
def test_illegal_method_names_are_refused(place: Place, name: str) -> None:
    server = place.server()
    with pytest.raises(ValueError, match="name"):
        server.exportMethod(lambda: 1, name)
    assert server.exportedMethods() == []


def test_a_lambda_needs_a_name(place: Place) -> None:
    with pytest.raises(ValueError, match="name"):
        place.server().exportMethod(lambda: 1)


@pytest.mark.parametrize("name", ["system.describe", "system.mine"])
def test_the_librarys_own_method_names_are_refused(place: Place, name: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        place.server().exportMethod(lambda: 1, name)


def test_what_cannot_be_called_is_not_exported(place: Place) -> None:
    with pytest.raises(TypeError):
        place.server().exportMethod(5, "five")  # type: ignore[call-overload]


def test_a_coroutine_function_takes_no_threads(place: Place) -> None:
    async def f() -> None: ...

    with pytest.raises(ValueError, match="coroutine"):
        place.server().exportMethod(f, threads=2)


def test_a_negative_number_of_threads_is_refused(place: Place) -> None:
    with pytest.raises(ValueError, match="threads"):
        place.server().exportMethod(lambda: 1, "f", threads=-1)


class Guarded(Service):
    """Middleware: keeps a record, turns away one method, and wraps what the others give."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.record: list[tuple[str, tuple[Any, ...]]] = []
        self.exportMethod(self.add)
        self.exportMethod(self.later)
        self.exportMethod(self.forbidden)
        self.exportMethod(lambda: self.currentRequest().method, "in_thread", threads=1)

    def executeMethod(self, name: str, method: Callable[..., Any], params: tuple[Any, ...]) -> Any:
        self.record.append((name, params))
        if name == "forbidden":
            raise PermissionError("not for you")
        return method(*params)

    def add(self, x: int, y: int = 0) -> int:
        return x + y

    async def later(self) -> str:
        return "later"

    def forbidden(self) -> None:
        raise AssertionError("the middleware lets nobody come here")


def test_middleware_is_around_every_method(place: Place) -> None:
    server = place.server_of(Guarded)

    assert place.run(place.endpoint().add(1, 2)) == 3
    assert place.run(place.endpoint().add(1, y=5)) == 6
    assert place.run(place.endpoint().later()) == "later"
    assert server.record == [("add", (1, 2)), ("add", (1,)), ("later", ())]


def test_middleware_may_refuse(place: Place) -> None:
    place.server_of(Guarded)

    failure = place.failure(place.endpoint().forbidden())

    assert isinstance(failure, ApplicationFailure)
    assert failure.details == {"type": "PermissionError", "message": "not for you"}


def test_middleware_sees_only_calls_whose_arguments_fit(place: Place) -> None:
    server = place.server_of(Guarded)

    assert isinstance(place.failure(place.endpoint().add()), InvalidArguments)
    assert isinstance(place.failure(place.endpoint().missing()), MethodUnavailable)
    assert server.record == []


def test_middleware_runs_in_the_methods_thread(connected_place: Place) -> None:
    server = connected_place.server_of(Guarded)

    assert connected_place.run(connected_place.endpoint().in_thread()) == "in_thread"
    assert server.record == [("in_thread", ())]


def test_a_coroutine_may_be_middleware(place: Place) -> None:
    class Careful(Service):
        async def executeMethod(self, name: str, method: Callable[..., Any], params: tuple[Any, ...]) -> Any:
            result = method(*params)
            return [name, await result if hasattr(result, "__await__") else result]

    server = place.server_of(Careful)
    server.exportMethod(lambda x: x, "plain")

    @server.exportMethod
    async def awaited(x: int) -> int:
        return x

    assert place.run(place.endpoint().plain(1)) == ["plain", 1]
    assert place.run(place.endpoint().awaited(2)) == ["awaited", 2]


class CatchAll(Service):
    """Answers to every name."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.exportMethod(lambda: "exported", "exported")

    def invalidMethod(self, name: str, params: tuple[Any, ...], /, **keywords: Any) -> Any:
        if name == "refused":
            return super().invalidMethod(name, params)
        return [name, list(params), keywords, self.currentRequest().method]


def test_a_catch_all_answers_to_names_that_are_not_exported(place: Place) -> None:
    place.server_of(CatchAll)

    assert place.run(place.endpoint().exported()) == "exported"
    assert place.run(place.endpoint().anything(1, 2)) == ["anything", [1, 2], {}, "anything"]
    assert place.run(place.endpoint().a.b(x=1)) == ["a.b", [], {"x": 1}, "a.b"]


def test_a_catch_all_may_refuse(place: Place) -> None:
    place.server_of(CatchAll)

    assert isinstance(place.failure(place.endpoint().refused(1)), MethodUnavailable)


def test_a_catch_all_may_be_a_coroutine(place: Place) -> None:
    class Later(Service):
        async def invalidMethod(self, name: str, params: tuple[Any, ...], /, **keywords: Any) -> Any:
            return name

    place.server_of(Later)

    assert place.run(place.endpoint().whatever()) == "whatever"


def test_every_service_describes_itself(place: Place) -> None:
    server = place.server()
    server.joinGroup("tools")

    @server.exportMethod
    def add(x: int, y: int = 0) -> int:
        """Add two numbers."""
        return x + y

    description = place.run(place.endpoint().system.describe())

    assert description["name"] == "server"
    assert description["address"] == server.serviceAddress()
    assert list(description["groups"]) == ["tools"]
    (method,) = description["methods"]
    assert (method["name"], method["doc"]) == ("add", "Add two numbers.")
    assert "x" in method["signature"]
    assert "y" in method["signature"]


def test_every_service_counts_what_it_served(place: Place) -> None:
    server = place.server()
    server.exportMethod(lambda: 1, "fine")
    server.exportMethod(lambda: 1 / 0, "bad")
    for _ in range(3):
        place.run(place.endpoint().fine())
    place.failure(place.endpoint().bad())

    statistics = place.run(place.endpoint().system.statistics())

    assert statistics["failed"] == 1
    assert statistics["served"] >= 4


def test_a_catch_all_does_not_hide_the_description(place: Place) -> None:
    place.server_of(CatchAll)

    assert place.run(place.endpoint().system.describe())["name"] == "server"
