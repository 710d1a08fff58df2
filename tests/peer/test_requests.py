"""Requests at their service: how methods are run, what their callers are told, and which requests are not taken."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq.errors import Failure, InvalidArguments
from fireflyzmq.peer.records import PENDING, Destination, Request, current_request
from fireflyzmq.peer.serving import Suspended
from fireflyzmq.wire import snapshot
from fireflyzmq.wire.codec import encode, encoder
from fireflyzmq.wire.commands import CANCEL, MAX_TIMEOUT, REQUEST
from fireflyzmq.wire.frames import join_items
from fireflyzmq.wire.items import request_item
from tests.peer.world import Later, RecordedCall, World, WorldPeer, WorldService, pair


def answered(world: World, call: RecordedCall) -> Any:
    """What a call has come to once nothing is under way any more."""
    world.settle()
    assert call.ended and call.ends == 1
    return call.value


def served(method: Callable[..., Any], **options: Any) -> tuple[World, WorldPeer, WorldPeer, WorldService]:
    """A pair whose service exports a method as `run`."""
    world, caller, callee, service = pair()
    service.local.methods.export(method, "run", **options)
    return world, caller, callee, service


# How methods are run.


def test_keywords_arrive_as_keywords() -> None:
    world, caller, _, _ = served(lambda first, *, second=0: [first, second])
    assert answered(world, caller.ask("math", "run", 1, second=2)) == [1, 2]


@pytest.mark.parametrize("kwargs", [{"other": 1}, {1: 2}], ids=["unknown", "no text"])
def test_keywords_that_do_not_fit_are_said_to(kwargs: dict[Any, Any]) -> None:
    world, caller, _, _ = served(lambda first=0: first)
    destination = Destination(caller.caller.local, caller.watch("math"))
    call = caller.machine.calls.start(destination, "run", (), kwargs)
    world.settle()
    failure = call.value
    assert failure.kind == "InvalidArguments"
    assert ("keywords must be texts" in str(failure)) is (1 in kwargs)


def test_arguments_that_are_checked_arrive_converted_or_not_at_all() -> None:
    def run(when: float) -> str:
        return repr(when)

    world, caller, _, _ = served(run, validate=True)
    assert answered(world, caller.ask("math", "run", 1)) == "1.0"
    failure = answered(world, caller.ask("math", "run", "soon"))
    assert failure.kind == "InvalidArguments" and str(failure).startswith("math.run: run: when: expected")
    assert failure.details == {"parameter": "when"}


def test_what_is_not_exported_may_have_a_method_that_takes_everything() -> None:
    world, caller, _, service = pair()
    service.catch_all = lambda *args: ["caught", *args]
    assert answered(world, caller.ask("math", "anything", 1)) == ["caught", 1]


def test_middleware_gets_the_method_and_all_of_its_arguments() -> None:
    world, caller, _, service = served(lambda *args, **kwargs: [list(args), kwargs])
    service.local.middleware = lambda name, method, args, kwargs: [name, method.function(*args, **kwargs)]
    assert answered(world, caller.ask("math", "run", 1)) == ["run", [[1], {}]]
    assert answered(world, caller.ask("math", "run", 1, a=2)) == ["run", [[1], {"a": 2}]]


def test_a_method_with_threads_runs_in_a_pool_and_is_answered_when_that_has_ended() -> None:
    world, caller, callee, service = served(lambda value: value + 1, threads=1)
    call = caller.ask("math", "run", 1)
    world.settle()
    assert call.state == PENDING and service.local.running == 1
    callee.tasks[0].run()
    assert answered(world, call) == 2 and service.local.running == 0 and service.local.served == 1


def test_a_request_for_which_no_thread_is_to_be_had_has_not_run_and_goes_elsewhere() -> None:
    world, caller, callee, service = served(lambda: "here", threads=1)
    other = world.peer().add_service("math")
    other.local.methods.export(lambda: "there", "run")
    callee.threads = False
    world.settle()
    destination = Destination(caller.caller.local, caller.watch("math"), balance="round-robin")
    calls = [caller.machine.calls.start(destination, "run", (), {}) for _ in range(2)]
    world.settle()
    caller.run_turns()
    world.settle()
    assert [call.value for call in calls] == ["there", "there"]
    assert service.local.refused == 1 and service.local.served == service.local.running == 0
    other.close()
    world.settle()
    assert answered(world, caller.ask("math", "run")).kind == "Overloaded"


def test_a_suspended_method_is_answered_later_and_once() -> None:
    requests: list[Request | None] = []

    def suspend() -> None:
        requests.append(current_request.get())
        raise Suspended

    world, caller, callee, service = served(suspend)
    call = caller.ask("math", "run")
    world.settle()
    (request,) = requests
    assert request is not None and call.state == PENDING and service.local.running == 1
    for value in ("first", "second"):
        callee.machine.serving.finish(request, value, None)
        callee.run_turns()
    assert answered(world, call) == "first" and service.local.running == 0


def test_work_that_suspends_its_request_ends_without_an_answer() -> None:
    world, caller, callee, _ = pair()
    call = caller.call("math", "later")
    world.settle()
    (task,) = callee.tasks
    callee.machine.serving.finish(task.request, None, Suspended())
    world.settle()
    assert call.state == PENDING and task.request.work is None
    callee.machine.serving.finish(task.request, "resumed", None)
    callee.run_turns()
    assert answered(world, call) == "resumed"


# What callers are told.


def test_what_a_method_raises_is_told_by_its_type_and_message_alone() -> None:
    def run() -> None:
        raise KeyError("secret place")

    world, caller, _, service = served(run)
    failure = answered(world, caller.ask("math", "run"))
    assert (failure.kind, failure.description) == ("ApplicationFailure", "KeyError: 'secret place'")
    assert failure.details == {"type": "KeyError", "message": "'secret place'"}
    assert service.local.failures == {"ApplicationFailure": 1}


class Unshowable(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "shown"), [(ValueError("mine"), "ValueError: mine"), (Unshowable(), "Unshowable")], ids=["text", "none"]
)
def test_with_debug_the_traceback_is_told_too(error: Exception, shown: str) -> None:
    world = World()
    caller, callee = world.peer(), world.peer(debug=True)

    def run() -> None:
        raise error

    callee.add_service("math").local.methods.export(run, "run")
    world.settle()
    failure = answered(world, caller.ask("math", "run"))
    assert failure.details["type"] == type(error).__name__ and shown in failure.details["traceback"]


def test_a_traceback_that_cannot_be_shown_costs_nobody_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    caller, callee = world.peer(), world.peer(debug=True)

    def run() -> None:
        raise ValueError("mine")

    def broken(error: BaseException) -> list[str]:
        raise MemoryError

    callee.add_service("math").local.methods.export(run, "run")
    world.settle()
    monkeypatch.setattr("traceback.format_exception", broken)
    failure = answered(world, caller.ask("math", "run"))
    assert (failure.description, failure.details["traceback"]) == (
        "ValueError: mine",
        "it cannot be shown: MemoryError",
    )


class CancelledError(BaseException):
    """As asyncio has it, which this layer does not know."""


def test_a_method_that_is_cancelled_where_it_runs_is_a_cancelled_request() -> None:
    def run() -> None:
        raise CancelledError

    world, caller, _, _ = served(run)
    assert answered(world, caller.ask("math", "run")).kind == "RequestCancelled"


def test_a_kind_of_the_library_raised_on_purpose_has_the_services_name_as_its_origin() -> None:
    def run() -> None:
        raise InvalidArguments("not these")

    world, caller, _, _ = served(run)
    failure = answered(world, caller.ask("math", "run"))
    assert (failure.kind, failure.description, failure.origin) == ("InvalidArguments", "not these", "math")


def test_the_failure_of_a_methods_own_call_is_told_as_a_failure_of_the_method() -> None:
    world, caller, _callee, service = pair()
    own = caller.call("math", "absent")
    world.settle()

    def run() -> None:
        raise own.value

    service.local.methods.export(run, "run")
    failure = answered(world, caller.ask("math", "run"))
    assert (failure.kind, failure.code) == ("ApplicationFailure", 57)
    assert failure.details["type"] == "MethodUnavailable" and "exports no method 'absent'" in failure.description


def test_a_failure_of_the_programs_own_whose_id_cannot_be_had_is_told_as_it_is() -> None:
    class Odd(Failure):
        @property
        def id(self) -> Any:
            raise RuntimeError

        @id.setter
        def id(self, value: Any) -> None:
            pass

    def run() -> None:
        raise Odd(7, "odd")

    world, caller, _, _ = served(run)
    failure = answered(world, caller.ask("math", "run"))
    assert (failure.code, failure.description) == (7, "odd")


def test_a_result_that_does_not_travel_is_a_failure_that_says_where() -> None:
    world, caller, callee, _ = served(lambda: [1, {"a": object()}])
    failure = answered(world, caller.ask("math", "run"))
    assert failure.kind == "ResponseEncoding" and "result[1]['a']" in str(failure)
    call = caller.call("math", "later")
    world.settle()
    callee.machine.serving.finish(callee.tasks[0].request, object(), None)
    callee.run_turns()
    failure = answered(world, call)
    assert failure.kind == "ResponseEncoding" and "result:" not in str(failure)


class Ending:
    """What ends the program when it is encoded."""


def end() -> None:
    raise KeyboardInterrupt


def test_an_encoder_that_ends_the_program_leaves_its_call_a_failure() -> None:
    kept = dict(snapshot.encoders)
    encoder(9, Ending, lambda value: end())
    try:
        world, caller, callee, _ = pair()
        call = caller.call("math", "later")
        world.settle()
        with pytest.raises(KeyboardInterrupt):
            callee.machine.serving.finish(callee.tasks[0].request, Ending(), None)
        callee.run_turns()
        assert answered(world, call).details["type"] == "KeyboardInterrupt"
    finally:
        snapshot.encoders.clear()
        snapshot.encoders.update(kept)


@pytest.mark.parametrize("later", [False, True])
def test_an_answer_over_the_limit_is_a_failure_in_its_place(later: bool) -> None:
    world, caller, callee, _ = served(lambda: Later("") if later else "x" * 1000)
    caller.watch("math")
    world.settle()
    callee.machine.terms.message = 1000
    call = caller.ask("math", "run")
    world.settle()
    for task in list(callee.tasks):
        callee.machine.serving.finish(task.request, "x" * 1000, None)
        callee.run_turns()
    failure = answered(world, call)
    assert failure.kind == "MessageTooLarge" and "over the limit of 1000" in str(failure)


def test_a_failure_with_too_many_details_is_told_without_them() -> None:
    def run() -> None:
        raise Failure(7, "long", "x" * 100_000)

    world, caller, callee, _ = served(run)
    callee.machine.terms.message = 1000
    failure = answered(world, caller.ask("math", "run"))
    assert (failure.code, failure.description) == (7, "long")
    assert failure.details is None or len(failure.details) < 64 * 1024


def test_a_failed_one_way_call_is_logged_at_its_service(caplog: pytest.LogCaptureFixture) -> None:
    world, caller, _, service = pair()
    call = caller.call("math", "fail", oneway=True)
    world.settle()
    assert service.local.failures == {"Failure": 1} and f"a one-way call of fail failed: {call.token}" in caplog.text


def test_what_raises_behind_its_answer_is_logged_and_answered_once(caplog: pytest.LogCaptureFixture) -> None:
    """As a loop does that cannot be woken."""
    world, caller, callee, _ = served(lambda: "answer")

    def broken() -> None:
        raise RuntimeError("the loop is closed")

    callee.machine.channels.wake = broken
    assert answered(world, caller.ask("math", "run")) == "answer"
    assert "was answered, and then raised" in caplog.text


# What a request says of itself.


def test_a_request_knows_its_sender_user_trace_and_time() -> None:
    said: list[dict[str, Any]] = []

    def run() -> None:
        request = current_request.get()
        assert request is not None
        said.append({"user": request.user, "trace": request.trace, "left": request.remaining, "id": request.id})
        said[-1]["shown"] = repr(request)
        request.properties["own"] = 1

    world, caller, _, _ = served(run)
    trace = "0af7651916cd43dd8448eb211c80319c"
    for properties in ({"user": "alice", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}, {"user": 7}, None):
        call = caller.ask_with(properties, "math", "run")
        assert answered(world, call) is None
        last = said[-1]
        assert last["id"].endswith(f":{call.number}") and last["shown"] == f"<Request {last['id']} run>"
        assert 29.0 < last["left"] <= 30.01
    assert [each["user"] for each in said] == ["alice", None, None]
    assert [each["trace"] for each in said] == [trace, None, None]


def test_the_user_whom_the_exchange_knows_is_not_the_callers_to_choose() -> None:
    users: list[str | None] = []

    def run() -> None:
        request = current_request.get()
        assert request is not None
        request.channel.binding.user = "known"
        users.append(request.user)

    world, caller, _, _ = served(run)
    answered(world, caller.ask_with({"user": "somebody else"}, "math", "run"))
    assert users == ["known"]


# What is not taken.


@pytest.mark.parametrize("limit", ["service", "method"])
def test_a_request_over_a_limit_is_refused_and_says_whose_limit_it_is(limit: str) -> None:
    world, caller, callee, service = pair()
    if limit == "service":
        service.local.limit = 1
    else:
        service.local.methods.export(service.later, limit=1)
    first = caller.call("math", "later")
    world.settle()
    failure = answered(world, caller.call("math", "later"))
    assert failure.kind == "Overloaded" and (f"the {limit} " in str(failure)) and failure.details["retry_after"] > 0
    assert ("'later'" in str(failure)) and service.local.refused == 1
    callee.tasks[0].finish()
    assert answered(world, first) == first.token
    assert caller.machine.outcomes.failures == {"Overloaded": 1}


def test_a_service_without_a_name_that_is_full_says_so() -> None:
    world = World()
    caller, callee = world.peer(), world.peer()
    service = callee.add_service("")
    service.local.limit = 1
    callee.machine.memberships.join(service.local, "red")
    world.settle()
    caller.gather("red", "later")
    world.settle()
    call = caller.gather("red", "later")
    world.settle()
    (failure,) = call.value.values()
    assert failure.kind == "Overloaded" and "the service without a name has" in str(failure)


FULL = [("overloaded", "does not take more requests"), ("a word of the future", "does not take more requests")]


@pytest.mark.parametrize(("why", "said"), FULL)
def test_a_refusal_for_whatever_reason_is_overload(why: str, said: str) -> None:
    world, caller, callee, _service = pair()
    call = caller.call("math", "later")
    world.settle()
    channel = callee.tasks[0].request.channel
    callee.machine.channels.append(channel, encode([5, call.number, why, 0.5]))
    callee.run_turns()
    failure = answered(world, call)
    assert (failure.kind, failure.details) == ("Overloaded", {"retry_after": 0.5}) and said in str(failure)


def forged(items: list[Any]) -> tuple[World, WorldPeer, WorldPeer, WorldService, RecordedCall]:
    """A pair in touch; the caller has sent items of nobody's beside a good call of its own."""
    world, caller, callee, service = pair()
    caller.call("math")
    world.settle()
    caller.caller.forge(service, join_items([encode(item) for item in items]))
    return world, caller, callee, service, caller.call("math")


def deadline(world: World, seconds: float = 30.0) -> float:
    return world.now + world.ahead + seconds


def test_a_request_whose_number_is_in_use_is_not_served_again() -> None:
    world, caller, callee, service = pair()
    call = caller.call("math", "later")
    world.settle()
    request = request_item(call.number, "echo", ["again"], {}, {}, deadline(world))
    caller.caller.forge(service, join_items([encode(request)]))
    world.settle()
    assert world.runs["again"] == 0 and callee.machine.incoming.bad_items == 1
    callee.tasks[0].finish()
    assert answered(world, call) == call.token


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ([REQUEST, 900, "echo", []], "elements at least"),
        ([REQUEST, 900, 7, [], 1.0], "method is a text"),
        ([REQUEST, 900, "echo", {}, 1.0], "arguments are an array"),
        ([REQUEST, 900, "echo", [], [], 1.0], "keywords are a dictionary"),
        ([REQUEST, 900, "echo", ["x"], {}, {1: 2}, 1e5], "properties are a dictionary under texts"),
        ([REQUEST, 900, "echo", ["x"], {}, [], 1e5], "properties are a dictionary under texts"),
        ([REQUEST, 900, "echo", [], "soon"], "deadline is a number"),
        ([REQUEST, 900, "echo", [], 1e5 + 2 * MAX_TIMEOUT], "s away"),
    ],
)
def test_a_request_that_cannot_be_read_is_answered_with_what_is_wrong(item: list[Any], problem: str) -> None:
    world, _caller, _callee, service, call = forged([item])
    assert answered(world, call) == call.token
    (kept,) = service.local.recent_failures(0.0)
    assert kept["kind"] == "RequestDecoding" and problem in kept["description"]
    assert sum(world.runs.values()) == 2 and service.local.running == 0


def test_of_what_is_no_request_and_no_answer_nothing_comes() -> None:
    world, _caller, _callee, service, call = forged(
        [[99, 1], [REQUEST], [CANCEL, 12345], ["x", None], 7, [REQUEST, 1.5]]
    )
    assert answered(world, call) == call.token
    assert service.local.recent_failures(0.0) == []


def test_an_item_of_an_unknown_kind_under_the_number_of_a_call_ends_nothing() -> None:
    world, caller, callee, _service = pair()
    call = caller.call("math", "later")
    world.settle()
    channel = callee.tasks[0].request.channel
    callee.machine.channels.append(channel, encode([99, call.number]))
    callee.run_turns()
    world.settle()
    assert call.state == PENDING and caller.machine.incoming.bad_items == 1
    callee.tasks[0].finish()
    assert answered(world, call) == call.token


# Work for nobody.


def test_of_what_overruns_its_deadline_each_is_cancelled_whatever_another_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world, caller, callee, service = pair()
    calls = [caller.call("math", "later", timeout=2.0) for _ in range(2)]
    world.settle()
    cancelled: list[Any] = []

    def cancel(work: Any) -> None:
        cancelled.append(work)
        if len(cancelled) == 1:
            raise RuntimeError("it does not want to")

    callee.cancel = cancel  # type: ignore[method-assign]
    world.advance(3.0)
    assert len(cancelled) == 2 and service.local.running == 0 and "was not cancelled" in caplog.text
    assert [call.failure for call in calls] == ["RequestTimeout"] * 2
    assert callee.machine.at_work.expired == 2


def test_a_request_that_ends_when_another_is_cancelled_at_its_deadline_has_not_expired() -> None:
    world, caller, callee, service = pair()
    for _ in range(2):
        caller.call("math", "later", timeout=2.0)
    world.settle()
    _, second = callee.tasks
    callee.cancel = lambda work: second.finish()  # type: ignore[method-assign]
    world.advance(3.0)
    assert callee.machine.at_work.expired == 1 and service.local.running == 0


def test_a_one_way_request_outlives_its_caller_until_its_service_ends() -> None:
    world, caller, callee, service = pair()
    for _ in range(2):
        caller.call("math", "later", oneway=True)
    world.settle()
    first, second = callee.tasks
    caller.disconnect()
    world.settle()
    assert service.local.running == 2 and not first.cancelled
    first.finish()
    assert service.local.running == 1
    service.close()
    assert second.cancelled and service.local.running == 0


def test_what_is_suspended_and_cancelled_has_no_work_that_could_be() -> None:
    def suspend() -> None:
        raise Suspended

    world, caller, callee, service = served(suspend)
    call = caller.ask("math", "run")
    world.settle()
    assert service.local.running == 1
    caller.cancel_call(call)
    world.settle()
    assert service.local.running == 0 and call.failure == "RequestCancelled"
    assert callee.machine.incoming.bad_items == 0


# What every service answers to.


def test_every_service_describes_itself() -> None:
    world, caller, callee, service = pair()
    callee.machine.memberships.join(service.local, "red")
    described = answered(world, caller.ask("math", "system.describe"))
    assert (described["name"], described["address"], described["groups"]) == ("math", service.address, {"red": ""})
    assert [each["name"] for each in described["methods"]] == service.local.methods.names()


def test_every_service_says_what_it_has_served_and_what_failed() -> None:
    world, caller, _, _ = pair()
    for method in ("echo", "echo", "fail", "absent"):
        caller.call("math", method)
    world.settle()
    statistics = answered(world, caller.ask("math", "system.statistics"))
    assert (statistics["served"], statistics["failed"], statistics["running"]) == (3, 2, 0)
    assert statistics["failures"] == {"Failure": 1, "MethodUnavailable": 1}
    assert sum(statistics["durations"]) == 2 and statistics["median"] <= statistics["p99"]
    world.advance(5.0)
    failures = answered(world, caller.ask("math", "system.failures"))
    assert [(each["number"], each["method"]) for each in failures] == [(1, "fail"), (2, "absent")]
    assert all(4.9 < each["age"] < 5.1 for each in failures)


def test_of_reserved_names_only_some_mean_something() -> None:
    world, caller, _, _ = pair()
    assert answered(world, caller.ask("math", "system.nothing")).kind == "MethodUnavailable"


class Moody:
    """What is never found again where it was put."""

    hashes = itertools.count()

    def __hash__(self) -> int:
        return next(self.hashes)


def test_details_that_cannot_be_shown_cost_nobody_the_failure() -> None:
    def run() -> None:
        raise Failure(7, "odd", {Moody(): 1})

    world, caller, _, service = served(run)
    assert answered(world, caller.ask("math", "run")).code == 7
    (kept,) = service.local.recent_failures(0.0)
    assert kept["details"] == "<dict that cannot be shown>"


def test_a_services_limit_is_a_request_at_least() -> None:
    _, caller, _, service = pair()
    with pytest.raises(ValueError, match="limit is 1 request or more"):
        caller.machine.new_service("more", service, limit=0)
