"""ResponseId: it names a call, and is what asyncio and threads wait for."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from fireflyzmq import Failure, RequestCancelled, RequestTimeout, ResponseId, Service
from tests.api.places import Place


class Gate:
    """A service whose calls wait for the test: `open(value)` answers all that wait."""

    def __init__(self, place: Place) -> None:
        self.service = place.server("gate")
        self.waiting: list[asyncio.Future[Any]] = []
        self.cancelled = 0
        self.service.exportMethod(self.enter)
        self.service.exportMethod(lambda value: value, "echo")
        self.service.exportMethod(self.refuse)

    async def enter(self) -> Any:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def refuse(self) -> None:
        raise Failure(7, "refused")

    def open(self, value: Any = None) -> None:
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            future.set_result(value)


@pytest.fixture
def gate(place: Place) -> Gate:
    return Gate(place)


@pytest.fixture
def endpoint(place: Place, gate: Gate) -> Any:
    endpoint = place.endpoint("gate")
    place.run(endpoint.echo(0))
    return endpoint


def test_a_call_returns_its_id_at_once(endpoint: Any) -> None:
    id = endpoint.enter()

    assert isinstance(id, ResponseId)
    assert not id.done()
    assert not isinstance(id, int)


def test_ids_are_unique_in_the_process(place: Place, endpoint: Any) -> None:
    other: Any = place.server("other").serviceEndPoint("gate")
    ids = [endpoint.echo(1), endpoint.echo(1), other.echo(1), endpoint.echo(object())]

    assert len({int(id) for id in ids}) == 4
    assert len(set(ids)) == 4


def test_ids_are_keys_like_their_numbers(endpoint: Any) -> None:
    id = endpoint.echo(1)
    calls = {id: "pending"}

    assert calls[int(id)] == "pending"
    assert hash(id) == hash(int(id))
    assert id == int(id) == id
    assert id != int(id) + 1 and id != str(int(id)) and id != endpoint.echo(1)


def test_an_id_prints_what_it_names(place: Place, endpoint: Any) -> None:
    id = endpoint.echo(1)
    assert "gate.echo" in repr(id)
    assert "pending" in repr(id)
    assert str(int(id)) in repr(id)

    place.run(id)
    assert "answered" in repr(id)


def test_an_answered_id_keeps_its_outcome(place: Place, endpoint: Any) -> None:
    id = endpoint.echo("kept")

    assert [place.run(id), place.run(id), id.result(), id.wait()] == ["kept"] * 4
    assert id.exception() is None


def test_a_failed_id_keeps_its_failure(place: Place, endpoint: Any) -> None:
    id = endpoint.refuse()

    for _ in range(2):
        assert place.failure(id).code == 7
    assert id.exception().code == 7
    with pytest.raises(Failure):
        id.wait()


def test_a_pending_id_has_no_result_yet(endpoint: Any) -> None:
    id = endpoint.enter()

    with pytest.raises(asyncio.InvalidStateError):
        id.result()
    with pytest.raises(asyncio.InvalidStateError):
        id.exception()


def test_two_coroutines_may_await_one_id(place: Place, gate: Gate, endpoint: Any) -> None:
    id = endpoint.enter()

    async def wait() -> Any:
        return await id

    async def two() -> Any:
        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        while not gate.waiting:
            await asyncio.sleep(0)
        gate.open("for both")
        return await first, await second

    assert place.run(two()) == ("for both", "for both")


def test_gather_takes_ids(place: Place, endpoint: Any) -> None:
    async def work() -> Any:
        return await asyncio.gather(endpoint.echo(1), endpoint.echo(1), endpoint.echo("x"))

    assert place.run(work()) == [1, 1, "x"]


def test_gather_gives_failures_back(place: Place, endpoint: Any) -> None:
    async def work() -> Any:
        return await asyncio.gather(endpoint.echo(1), endpoint.refuse(), return_exceptions=True)

    value, failure = place.run(work())
    assert value == 1
    assert failure.code == 7


def test_gather_raises_the_first_failure(place: Place, endpoint: Any) -> None:
    async def work() -> Any:
        return await asyncio.gather(endpoint.enter(), endpoint.refuse())

    with pytest.raises(Failure, match="refused"):
        place.run(work())


def test_a_cancelled_gather_ends_and_cancels_its_calls(place: Place, gate: Gate, endpoint: Any) -> None:
    async def work() -> bool:
        async def both() -> None:
            await asyncio.gather(endpoint.enter(), endpoint.enter())

        task = asyncio.create_task(both())
        while len(gate.waiting) < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        return task in done and task.cancelled()

    assert place.run(work())
    place.settle()
    assert gate.cancelled == 2


def test_wait_for_gives_the_result_in_time(place: Place, endpoint: Any) -> None:
    async def work() -> Any:
        return await asyncio.wait_for(endpoint.echo(5), 1)

    assert place.run(work()) == 5


def test_wait_for_cancels_the_call_in_time(place: Place, gate: Gate, endpoint: Any) -> None:
    async def work() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(endpoint.enter(), 1)

    before = place.now
    place.run(work())
    place.settle()

    assert place.now - before == pytest.approx(1, abs=0.1)
    assert gate.cancelled == 1


def test_asyncio_timeout_cancels_the_call(place: Place, gate: Gate, endpoint: Any) -> None:
    async def work() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await endpoint.enter()

    place.run(work())
    place.settle()
    assert gate.cancelled == 1


def test_asyncio_wait_takes_ids(place: Place, gate: Gate, endpoint: Any) -> None:
    async def work() -> None:
        fast, slow = endpoint.echo(1), endpoint.enter()
        done, pending = await asyncio.wait([fast, slow], return_when=asyncio.FIRST_COMPLETED)
        assert (done, pending) == ({fast}, {slow})
        assert not slow.done()
        gate.open("later")
        done, pending = await asyncio.wait([slow])
        assert (done, pending) == ({slow}, set())
        assert await slow == "later"

    place.run(work())


def test_as_completed_takes_ids(place: Place, endpoint: Any) -> None:
    async def work() -> list[int]:
        return sorted([await each for each in asyncio.as_completed([endpoint.echo(n) for n in range(5)])])

    assert place.run(work()) == [0, 1, 2, 3, 4]


def test_shield_keeps_a_call_from_being_cancelled(place: Place, gate: Gate, endpoint: Any) -> None:
    async def work() -> Any:
        id = endpoint.enter()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(id), 1)
        assert not id.done()
        gate.open("kept")
        return await id

    assert place.run(work()) == "kept"
    assert gate.cancelled == 0


def test_a_task_group_takes_calls(place: Place, endpoint: Any) -> None:
    async def echo(value: int) -> Any:
        return await endpoint.echo(value)

    async def work() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(echo(value)) for value in range(3)]
        return [task.result() for task in tasks]

    assert place.run(work()) == [0, 1, 2]


def test_a_cancelled_task_cancels_the_call_it_awaits(place: Place, gate: Gate, endpoint: Any) -> None:
    async def work() -> ResponseId:
        id: ResponseId = endpoint.enter()

        async def wait() -> None:
            await id

        task = asyncio.create_task(wait())
        while not gate.waiting:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return id

    id = place.run(work())
    place.settle()

    assert gate.cancelled == 1
    assert id.done()


def test_done_callbacks_are_called_in_the_loop_with_the_id(place: Place, endpoint: Any) -> None:
    async def work() -> list[Any]:
        called: list[Any] = []
        id = endpoint.echo(1)
        id.add_done_callback(called.append)
        id.add_done_callback(called.append)
        assert id.remove_done_callback(print) == 0
        await id
        id.add_done_callback(called.append)
        assert len(called) < 3
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return [each is id for each in called]

    assert place.run(work()) == [True, True, True]


def test_done_callbacks_are_taken_back(place: Place, endpoint: Any) -> None:
    async def work() -> list[Any]:
        called: list[Any] = []
        id = endpoint.echo(1)
        id.add_done_callback(called.append)
        assert id.remove_done_callback(called.append) == 1
        await id
        await asyncio.sleep(0)
        return called

    assert place.run(work()) == []


def test_awaiting_in_another_loop_is_an_error(place: Place, endpoint: Any) -> None:
    id = endpoint.enter()

    async def wait() -> None:
        await id

    def in_another_loop() -> BaseException | None:
        try:
            asyncio.run(wait())
        except BaseException as error:
            return error
        return None

    errors: list[BaseException | None] = []
    thread = threading.Thread(target=lambda: errors.append(in_another_loop()))
    thread.start()
    thread.join()

    assert isinstance(errors[0], RuntimeError)
    assert "another event loop" in str(errors[0])


def test_waiting_in_the_loops_thread_is_an_error(place: Place, endpoint: Any) -> None:
    id = endpoint.enter()

    async def work() -> None:
        with pytest.raises(RuntimeError, match="loop"):
            id.wait()
        with pytest.raises(RuntimeError, match="loop"):
            id.wait(0.1)

    place.run(work())


def test_a_thread_waits_for_a_call(connected_place: Place) -> None:
    place = connected_place
    Gate(place)
    front = place.server("front")

    def work() -> list[Any]:
        gate: Any = front.serviceEndPoint("gate")
        with pytest.raises(Failure, match="refused"):
            gate.refuse().wait()
        return [gate.echo(1).wait(), gate.echo(None).wait(5.0)]

    front.exportMethod(work, threads=1)

    assert place.run(place.endpoint("front").work()) == [1, None]


def test_a_threads_wait_has_a_timeout_that_leaves_the_call_alone(connected_place: Place) -> None:
    place = connected_place
    gate = Gate(place)
    front = place.server("front")
    entered = threading.Event()

    def work() -> Any:
        endpoint: Any = front.serviceEndPoint("gate")
        id = endpoint.enter()
        with pytest.raises(RequestTimeout):
            id.wait(0.01)
        assert not id.done()
        assert entered.wait(10)
        place.network.loop.call_soon_threadsafe(gate.open, "after all")
        return id.wait(10)

    front.exportMethod(work, threads=1)
    place.run(place.endpoint("gate").echo(1))

    async def call() -> Any:
        id = place.endpoint("front").work()
        while not gate.waiting:
            await asyncio.sleep(0)
        entered.set()
        return await id

    assert place.run(call()) == "after all"


def test_several_threads_may_wait_for_one_call(connected_place: Place) -> None:
    place = connected_place
    gate = Gate(place)
    front = place.server("front")
    shared: list[Any] = []
    begun = threading.Barrier(4, timeout=10)

    def wait() -> Any:
        begun.wait()
        return shared[0].wait(10)

    front.exportMethod(wait, threads=4)

    async def work() -> Any:
        endpoint: Any = front.serviceEndPoint("gate")
        shared.append(endpoint.enter())
        calls: Any = place.endpoint("front")
        ids = [calls.wait() for _ in range(4)]
        while not gate.waiting or begun.n_waiting:
            await asyncio.sleep(0)
        gate.open("for all")
        return await asyncio.gather(*ids)

    assert place.run(work()) == ["for all"] * 4


def test_a_one_way_call_has_no_id(place: Place, gate: Gate) -> None:
    heard: list[int] = []
    gate.service.exportMethod(heard.append, "tell")
    endpoint = place.endpoint("gate", oneway=True)

    assert endpoint.tell(1) is None
    place.settle()
    assert heard == [1]


def test_a_one_way_call_that_fails_disturbs_nobody(place: Place, gate: Gate) -> None:
    class Careful(Service):
        heard: list[Failure] = []

        def unexpectedFailure(self, failure: Failure) -> None:
            self.heard.append(failure)

    caller = place.caller_of(Careful)
    endpoint: Any = caller.serviceEndPoint("gate", oneway=True, wait=1.0)
    assert endpoint.refuse() is None
    assert endpoint.missing() is None
    place.settle()

    assert Careful.heard == []
    assert place.run(place.endpoint("gate").echo("alive")) == "alive"


def test_who_has_given_up_waiting_does_not_keep_a_failure_from_being_told(connected_place: Place) -> None:
    place = connected_place
    gate = Gate(place)
    told: list[Failure] = []

    class Careful(Service):
        def unexpectedFailure(self, failure: Failure) -> None:
            told.append(failure)

    ids: list[Any] = [place.caller_of(Careful).serviceEndPoint("gate", wait=1.0).enter()]

    def wait_in_vain() -> None:
        for _ in range(3):
            with pytest.raises(RequestTimeout):
                ids[0].wait(0.01)

    thread = threading.Thread(target=wait_in_vain)
    thread.start()
    thread.join()
    assert ids[0]._events == ()
    place.settle()
    gate.waiting[0].set_exception(Failure(5, "shut"))
    place.settle()
    ids.clear()
    gc.collect()
    place.settle()
    assert [failure.description for failure in told] == ["shut"]


def test_cancelling_a_call_ends_it_and_what_works_for_it(place: Place, gate: Gate, endpoint: Any) -> None:
    id = endpoint.enter()
    place.settle()

    assert place.caller.cancelRequest(id) is True
    failure = place.failure(id)
    place.settle()

    assert isinstance(failure, RequestCancelled)
    assert failure.code == 64
    assert gate.cancelled == 1


def test_cancelling_what_has_ended_says_so(place: Place, endpoint: Any) -> None:
    id = endpoint.echo(1)
    place.run(id)

    assert place.caller.cancelRequest(id) is False
    assert place.run(id) == 1


def test_cancelling_twice_cancels_once(place: Place, gate: Gate, endpoint: Any) -> None:
    id = endpoint.enter()
    place.settle()

    assert [place.caller.cancelRequest(id) for _ in range(2)] == [True, False]
    place.settle()
    assert gate.cancelled == 1


def test_a_response_id_is_what_a_call_returned(place: Place) -> None:
    caller: Any = place.caller
    for function in (caller.cancelRequest, caller.ignoreResponse, caller.responsePending):
        with pytest.raises(TypeError, match="response id"):
            function(5)
    with pytest.raises(TypeError, match="response id"):
        caller.monitorResponse(print, 5)


def test_a_call_is_cancelled_before_it_has_left(place: Place, gate: Gate, endpoint: Any) -> None:
    id = endpoint.enter()
    place.caller.cancelRequest(id)
    place.settle()

    assert isinstance(place.failure(id), RequestCancelled)
    assert place.run(place.endpoint("gate").system.statistics())["running"] == 0
