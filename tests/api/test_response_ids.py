"""ResponseId: it names a call, keeps its outcome, and ends the call when that is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fireflyzmq import Failure, RequestCancelled, ResponseId, Service
from tests.api.doors import Door
from tests.api.places import Place


def test_a_call_returns_its_id_at_once(endpoint: Any) -> None:
    id = endpoint.enter()

    assert isinstance(id, ResponseId)
    assert not id.done()
    assert not isinstance(id, int)


def test_ids_are_unique_in_the_process(place: Place, endpoint: Any) -> None:
    other: Any = place.server("other").serviceEndPoint("door")
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
    assert "door.echo" in repr(id)
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


def test_a_response_id_is_what_a_call_returned(place: Place) -> None:
    caller: Any = place.caller
    for function in (caller.cancelRequest, caller.ignoreResponse, caller.responsePending):
        with pytest.raises(TypeError, match="response id"):
            function(5)
    with pytest.raises(TypeError, match="response id"):
        caller.monitorResponse(print, 5)


def test_a_one_way_call_has_no_id(place: Place, door: Door) -> None:
    heard: list[int] = []
    door.service.exportMethod(heard.append, "tell")
    endpoint = place.endpoint("door", oneway=True)

    assert endpoint.tell(1) is None
    place.settle()
    assert heard == [1]


def test_a_one_way_call_that_fails_disturbs_nobody(place: Place, door: Door) -> None:
    class Careful(Service):
        heard: list[Failure] = []

        def unexpectedFailure(self, failure: Failure) -> None:
            self.heard.append(failure)

    caller = place.caller_of(Careful)
    endpoint: Any = caller.serviceEndPoint("door", oneway=True, wait=1.0)
    assert endpoint.refuse() is None
    assert endpoint.missing() is None
    place.settle()

    assert Careful.heard == []
    assert place.run(place.endpoint("door").echo("alive")) == "alive"


def test_cancelling_a_call_ends_it_and_what_works_for_it(place: Place, door: Door, endpoint: Any) -> None:
    id = endpoint.enter()
    place.settle()

    assert place.caller.cancelRequest(id) is True
    failure = place.failure(id)
    place.settle()

    assert isinstance(failure, RequestCancelled)
    assert failure.code == 64
    assert door.cancelled == 1


def test_cancelling_what_has_ended_says_so(place: Place, endpoint: Any) -> None:
    id = endpoint.echo(1)
    place.run(id)

    assert place.caller.cancelRequest(id) is False
    assert place.run(id) == 1


def test_cancelling_twice_cancels_once(place: Place, door: Door, endpoint: Any) -> None:
    id = endpoint.enter()
    place.settle()

    assert [place.caller.cancelRequest(id) for _ in range(2)] == [True, False]
    place.settle()
    assert door.cancelled == 1


def test_a_call_is_cancelled_before_it_has_left(place: Place, door: Door, endpoint: Any) -> None:
    id = endpoint.enter()
    place.caller.cancelRequest(id)
    place.settle()

    assert isinstance(place.failure(id), RequestCancelled)
    assert place.run(place.endpoint("door").system.statistics())["running"] == 0
