"""Timers and actions: a service's own callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.places import Place


def test_a_timer_fires_once_with_its_name(place: Place) -> None:
    fired: list[tuple[str, float]] = []
    start = place.now
    place.caller.startTimer(lambda name: fired.append((name, place.now - start)), 2.5, "tea")
    place.advance(20)

    ((name, seconds),) = fired
    assert name == "tea"
    assert seconds == pytest.approx(2.5, abs=0.01)


def test_a_callback_without_parameters_is_called_too(place: Place) -> None:
    fired: list[int] = []
    place.caller.startTimer(lambda: fired.append(1), 1, "tea")
    place.advance(2)

    assert fired == [1]


def test_a_timer_without_a_name_gets_one(place: Place) -> None:
    fired: list[str] = []
    names = [place.caller.startTimer(fired.append, 1), place.caller.startTimer(fired.append, 1)]
    place.advance(2)

    assert len(set(names)) == 2
    assert sorted(fired) == sorted(names)


def test_a_timer_of_the_same_name_replaces(place: Place) -> None:
    fired: list[str] = []
    assert place.caller.startTimer(lambda: fired.append("first"), 1, "tea") == "tea"
    assert place.caller.startTimer(lambda: fired.append("second"), 3, "tea") == "tea"
    place.advance(2)
    assert fired == []
    place.advance(2)

    assert fired == ["second"]


def test_a_timer_is_pending_until_it_fires(place: Place) -> None:
    pending: list[bool] = []
    caller = place.caller
    assert not caller.timerPending("tea")
    caller.startTimer(lambda name: pending.append(caller.timerPending(name)), 1, "tea")
    assert caller.timerPending("tea")
    place.advance(2)

    assert not caller.timerPending("tea")
    assert pending == [False]


def test_a_cancelled_timer_does_not_fire(place: Place) -> None:
    fired: list[str] = []
    place.caller.startTimer(fired.append, 1, "tea")

    assert place.caller.cancelTimer("tea") is True
    assert place.caller.cancelTimer("tea") is False
    assert not place.caller.timerPending("tea")
    place.advance(2)
    assert fired == []


def test_a_timer_may_start_itself_again(place: Place) -> None:
    ticks: list[str] = []

    def tick(name: str) -> None:
        ticks.append(name)
        place.caller.startTimer(tick, 1, name)

    place.caller.startTimer(tick, 1, "clock")
    place.advance(5.5)

    assert ticks == ["clock"] * 5


def test_timers_of_two_services_do_not_mix(place: Place) -> None:
    fired: list[str] = []
    server = place.server()
    place.caller.startTimer(lambda: fired.append("caller"), 1, "tea")
    server.startTimer(lambda: fired.append("server"), 1, "tea")
    place.caller.cancelTimer("tea")
    place.advance(2)

    assert fired == ["server"]


def test_a_timer_may_be_a_coroutine_function(place: Place) -> None:
    place.server().exportMethod(lambda: "called", "f")
    results: list[str] = []

    async def timer(name: str) -> None:
        results.append(await place.endpoint().f())

    place.caller.startTimer(timer, 1)
    place.advance(2)

    assert results == ["called"]


def test_a_timer_that_raises_is_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.caller.startTimer(lambda: 1 / 0, 1, "bad")
    place.advance(2)

    assert any("bad" in record.getMessage() and record.exc_info for record in caplog.records)


def test_a_negative_delay_is_refused(place: Place) -> None:
    with pytest.raises(ValueError, match="seconds"):
        place.caller.startTimer(print, -1)


def test_an_action_runs_in_one_of_the_next_turns(place: Place) -> None:
    ran: list[str] = []
    before = place.now
    name = place.caller.scheduleAction(ran.append, "soon")
    assert ran == []
    place.settle()

    assert ran == [name] == ["soon"]
    assert place.now - before < 0.01


def test_an_action_of_the_same_name_replaces(place: Place) -> None:
    ran: list[int] = []
    for number in range(5):
        place.caller.scheduleAction(lambda name, number=number: ran.append(number), "soon")
    place.settle()

    assert ran == [4]


def test_closing_a_service_cancels_its_timers(place: Place) -> None:
    fired: list[str] = []
    server = place.server()
    server.startTimer(fired.append, 1, "tea")
    server.close()
    place.advance(2)

    assert fired == []
    with pytest.raises(RuntimeError, match="closed"):
        server.startTimer(fired.append, 1, "tea")


def test_a_timer_starts_in_a_thread(connected_place: Place) -> None:
    place = connected_place
    fired: list[str] = []
    server = place.server()
    server.exportMethod(lambda: server.startTimer(fired.append, 1.0, "tea"), "start", threads=1)

    assert place.run(place.endpoint().start()) == "tea"
    place.advance(2)
    assert fired == ["tea"]


def test_signals_and_shutdown_belong_to_a_dispatcher(place: Place) -> None:
    subscriptions: tuple[Callable[[], object], ...] = (
        lambda: place.caller.subscribeSignal(print, 2),
        lambda: place.caller.subscribeShutdown(print),
        place.caller.suspendShutdown,
    )
    for subscribe in subscriptions:
        with pytest.raises(RuntimeError):
            subscribe()


def test_actions_and_timers_have_names_of_their_own(place: Place) -> None:
    called: list[str] = []
    place.caller.scheduleAction(lambda name: called.append(f"action {name}"), "5")
    place.caller.startTimer(lambda name: called.append(f"timer {name}"), 1.0, "5")
    assert place.caller.timerPending("5")
    place.advance(2.0)
    assert called == ["action 5", "timer 5"]
    place.caller.scheduleAction(lambda name: called.append(f"action {name}"), "6")
    assert not place.caller.timerPending("6") and not place.caller.cancelTimer("6")
    place.advance(1.0)
    assert called[2:] == ["action 6"]


@pytest.mark.parametrize("other", ["* * * * *", "0 12 * * 1-5", " a b ", "a\tb", 0, 1, True, 1.5, b"name", ["a"]])
def test_what_netsvc_has_in_the_place_of_an_actions_name_is_refused(place: Place, other: Any) -> None:
    with pytest.raises(ValueError, match="no cron"):
        place.caller.scheduleAction(lambda: None, other)
