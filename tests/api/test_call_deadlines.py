"""Deadlines travel: both sides keep them, nested calls inherit them, and giving up cancels what works for it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from fireflyzmq import Failure, RequestTimeout, Service, detached
from tests.api.places import Place


class Chain:
    """Two services, `front` and `deep`; what is cancelled in them is recorded by name."""

    def __init__(self, place: Place) -> None:
        self.deep = place.server("deep")
        self.front = place.server("front")
        self.cancelled: list[str] = []
        self.remaining: list[float] = []
        self.deep.exportMethod(self.sleep)
        self.deep.exportMethod(self.look)
        self.front.exportMethod(self.through)
        self.front.exportMethod(self.sleep, "sleep")

    def endpoint(self, **options: Any) -> Any:
        return self.front.serviceEndPoint("deep", **options)

    async def sleep(self, seconds: float) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append("sleep")
            raise
        return "slept"

    def look(self) -> float:
        remaining = self.deep.currentRequest().remaining
        self.remaining.append(remaining)
        return remaining

    async def through(self, seconds: float) -> Any:
        try:
            return await self.endpoint().sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append("through")
            raise


@pytest.fixture
def chain(place: Place) -> Chain:
    return Chain(place)


def test_a_call_times_out_after_thirty_seconds_unless_told_otherwise(place: Place, chain: Chain) -> None:
    before = place.now
    failure = place.failure(place.endpoint("deep").sleep(1000))

    assert isinstance(failure, RequestTimeout)
    assert failure.code == 47
    assert place.now - before == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize("timeout", [0.05, 1, 90.0])
def test_an_endpoints_timeout_is_its_calls_deadline(place: Place, chain: Chain, timeout: float) -> None:
    endpoint = place.endpoint("deep", timeout=timeout)
    before = place.now
    assert isinstance(place.failure(endpoint.sleep(1000)), RequestTimeout)

    assert timeout <= place.now - before < timeout + 0.02


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1}, {"timeout": float("nan")}, {"wait": -1}])
def test_times_that_make_no_sense_are_refused(place: Place, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="seconds"):
        place.endpoint("deep", **options)


def test_the_service_cancels_the_coroutine_at_the_deadline(place: Place, chain: Chain) -> None:
    place.failure(place.endpoint("deep", timeout=2.0).sleep(1000))
    place.advance(0.1)

    assert chain.cancelled == ["sleep"]
    assert place.run(place.endpoint("deep").system.statistics())["running"] == 0


def test_a_result_after_the_deadline_is_dropped(place: Place) -> None:
    server = place.server()
    finished: list[int] = []

    @server.exportMethod
    async def stubborn() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)
        await asyncio.sleep(5)
        finished.append(1)
        return "too late"

    id = place.endpoint(timeout=2.0).stubborn()
    assert isinstance(place.failure(id), RequestTimeout)
    place.advance(10)

    assert finished == [1]
    assert isinstance(place.failure(id), RequestTimeout)


def test_the_remaining_time_shrinks(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    async def look() -> list[float]:
        first = server.currentRequest().remaining
        await asyncio.sleep(4)
        return [first, server.currentRequest().remaining]

    assert place.run(place.endpoint(timeout=10.0).look()) == [
        pytest.approx(10, abs=0.1),
        pytest.approx(6, abs=0.1),
    ]


def test_a_nested_call_inherits_what_remains(place: Place, chain: Chain) -> None:
    @chain.front.exportMethod
    async def nested() -> Any:
        await asyncio.sleep(4)
        return await chain.endpoint().look()

    assert place.run(place.endpoint("front", timeout=10.0).nested()) == pytest.approx(6, abs=0.1)


def test_a_nested_call_may_have_less_time_and_never_more(place: Place, chain: Chain) -> None:
    @chain.front.exportMethod
    async def nested(timeout: float) -> Any:
        return await chain.endpoint(timeout=timeout).look()

    endpoint = place.endpoint("front", timeout=10.0)
    assert place.run(endpoint.nested(3.0)) == pytest.approx(3, abs=0.1)
    assert place.run(endpoint.nested(500.0)) == pytest.approx(10, abs=0.1)


def test_a_plain_methods_calls_inherit_too(place: Place, chain: Chain) -> None:
    chain.front.exportMethod(lambda: chain.endpoint().look(), "nested")

    def nested() -> None:
        chain.front.monitorResponse(None, chain.endpoint().look())

    chain.front.exportMethod(nested)
    place.run(place.endpoint("front", timeout=7.0).nested())
    place.settle()

    assert chain.remaining == [pytest.approx(7, abs=0.1)]


def test_a_threads_calls_inherit_too(connected_place: Place) -> None:
    chain = Chain(connected_place)
    chain.front.exportMethod(lambda: chain.endpoint().look().wait(), "nested", threads=1)

    remaining = connected_place.run(connected_place.endpoint("front", timeout=9.0).nested())

    assert remaining == pytest.approx(9, abs=0.1)


def test_tasks_that_a_method_starts_inherit_too(place: Place, chain: Chain) -> None:
    @chain.front.exportMethod
    async def nested() -> Any:
        async def call() -> Any:
            return await chain.endpoint().look()

        return await asyncio.create_task(call())

    assert place.run(place.endpoint("front", timeout=8.0).nested()) == pytest.approx(8, abs=0.1)


def test_an_expired_nested_call_is_its_callers_timeout(place: Place, chain: Chain) -> None:
    before = place.now
    failure = place.failure(place.endpoint("front", timeout=3.0).through(1000))
    place.advance(0.1)

    assert isinstance(failure, RequestTimeout)
    assert failure.service == "front"
    assert place.now - before == pytest.approx(3.1, abs=0.05)
    assert "sleep" in chain.cancelled


def test_cancelling_reaches_nested_calls(place: Place, chain: Chain) -> None:
    id = place.endpoint("front").through(1000)
    place.advance(1)
    place.caller.cancelRequest(id)
    place.advance(0.1)

    assert sorted(chain.cancelled) == ["sleep", "through"]
    assert place.failure(id).kind == "RequestCancelled"


def test_a_caller_that_closes_cancels_what_works_for_it(place: Place, chain: Chain) -> None:
    id = place.endpoint("front").through(1000)
    place.advance(1)
    place.caller.close()
    place.advance(0.1)

    assert sorted(chain.cancelled) == ["sleep", "through"]
    assert isinstance(place.failure(id), Failure)


def test_a_caller_that_is_cut_off_cancels_what_works_for_it(across: Place) -> None:
    chain = Chain(across)
    exchange = across.network.exchange()
    caller = Service(exchange=exchange)
    endpoint: Any = caller.serviceEndPoint("front")
    id = endpoint.through(1000)
    across.advance(1)
    across.network.cut(exchange)
    across.advance(0.1)

    assert sorted(chain.cancelled) == ["sleep", "through"]
    assert across.failure(id).kind == "ExchangeLost"


def test_a_threads_result_is_dropped_when_its_caller_gives_up(connected_place: Place) -> None:
    place = connected_place
    server = place.server()
    server.exportMethod(lambda: 1, "f", threads=1)
    id = place.endpoint(wait=1.0).f()
    place.caller.cancelRequest(id)

    assert place.failure(id).kind == "RequestCancelled"
    assert place.run(place.endpoint().f()) == 1


def test_calls_of_a_timer_inherit_nothing(place: Place, chain: Chain) -> None:
    def start() -> None:
        chain.front.startTimer(lambda name: chain.endpoint().look(), 1.0, "timer")

    chain.front.exportMethod(start)
    place.run(place.endpoint("front", timeout=5.0).start())
    place.advance(2)

    assert chain.remaining == [pytest.approx(30, abs=0.1)]


def test_calls_of_an_action_inherit_nothing(place: Place, chain: Chain) -> None:
    def start() -> None:
        chain.front.scheduleAction(lambda: chain.endpoint().look())

    chain.front.exportMethod(start)
    place.run(place.endpoint("front", timeout=5.0).start())
    place.settle()
    place.settle()

    assert chain.remaining == [pytest.approx(30, abs=0.1)]


def test_a_timer_has_no_current_request(place: Place, chain: Chain) -> None:
    found: list[str] = []

    def look() -> None:
        try:
            chain.front.currentRequest()
        except RuntimeError:
            found.append("none")

    chain.front.exportMethod(lambda: [chain.front.startTimer(look, 0.0)], "start")
    place.run(place.endpoint("front").start())
    place.settle()

    assert found == ["none"]


def test_detached_calls_inherit_nothing(place: Place, chain: Chain) -> None:
    @chain.front.exportMethod
    async def nested() -> list[float]:
        with detached():
            outside = await chain.endpoint().look()
        inside = await chain.endpoint().look()
        return [outside, inside]

    assert place.run(place.endpoint("front", timeout=5.0).nested()) == [
        pytest.approx(30, abs=0.1),
        pytest.approx(5, abs=0.1),
    ]


def test_a_detached_task_outlives_its_caller(place: Place, chain: Chain) -> None:
    finished: list[Any] = []
    tasks: list[asyncio.Task[None]] = []

    @chain.front.exportMethod
    async def start() -> None:
        async def work() -> None:
            finished.append(await chain.endpoint().sleep(10))

        with detached():
            tasks.append(asyncio.create_task(work()))

    place.run(place.endpoint("front", timeout=2.0).start())
    place.advance(11)

    assert finished == ["slept"]
    assert chain.cancelled == []


def test_detached_ends_where_it_ends(place: Place) -> None:
    server = place.server()

    @server.exportMethod
    def look() -> str:
        with detached(), pytest.raises(RuntimeError):
            server.currentRequest()
        return server.currentRequest().method

    assert place.run(place.endpoint().look()) == "look"


def test_a_call_that_arrives_after_its_deadline_is_not_run(across: Place) -> None:
    ran: list[int] = []
    across.server().exportMethod(ran.append, "run")
    endpoint = across.endpoint(timeout=1.0)
    across.run(endpoint.run(0))

    id = endpoint.run(1)
    across.network.loop.jump(2.0)  # the process was frozen before the call left
    failure = across.failure(id)
    across.advance(5)

    assert isinstance(failure, RequestTimeout)
    assert ran == [0]


def test_a_call_keeps_its_deadline_when_it_waits_as_long(place: Place) -> None:
    class Late(Service):
        def __init__(self, name: str, **options: Any) -> None:
            super().__init__(name, **options)
            self.exportMethod(self.hang)

        async def hang(self) -> None:
            await asyncio.sleep(1000)

    call = place.endpoint("late", timeout=2.0, wait=2.0).hang()
    place.advance(1.0)
    place.server_of(Late, "late")
    place.advance(1.5)

    assert call.done() and place.failure(call).kind == "RequestTimeout"
