"""ResponseId: the caller's handle on one call. It has a number, and is awaitable, waitable, and a future to asyncio.

It speaks asyncio's protocol for foreign futures (`_asyncio_future_blocking`, as tasks, `gather` and `wait_for`
expect it), so awaiting costs neither a future nor a task beside the call itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any, Generic

from fireflyzmq.errors import Failure, RequestTimeout
from fireflyzmq.peer.records import FAILED, PENDING, VALUE, Call, current_request
from fireflyzmq.runtime.portal import LOOK_SECONDS, Portal
from fireflyzmq.runtime.timers import Later, run_logged
from fireflyzmq.runtime.unawaited import Unawaited

if TYPE_CHECKING:
    from types import FrameType

    from typing_extensions import TypeVar

    from fireflyzmq.wire.binding import Binding

    Result = TypeVar("Result", covariant=True, default=Any)
    Each = TypeVar("Each", default=Any)
else:
    from typing import TypeVar

    Result = TypeVar("Result", covariant=True)
    Each = TypeVar("Each")

WAIT_SLACK = 0.3
"""Seconds after a call's deadline until a thread that waits gives up a loop that has not ended the call."""

_waiting = threading.RLock()
"""Held while a thread begins or ceases to wait; several may wait for one call, and a signal may come between."""

Callback = tuple[Callable[[Any], Any], contextvars.Context]
Monitor = tuple[Callable[[Any], Any] | None, Callable[[Failure], Any] | None, contextvars.Context | None]


class ResponseId(Call, Unawaited, Generic[Result]):
    """One call: `await id`, `id.wait()` in a thread, or `monitorResponse(callback, id)`.

    All of them give the method's result or raise the call's Failure. `int(id)` is its number, unique in the process,
    whose hash and equality it has. Used as if it were the result it raises a TypeError that says to await it; when a
    task makes a call and nobody ever asks for its answer, a RuntimeWarning says so.

    Each connection has its own subclass, so that what all its calls share need not be set for each: the `portal` to
    their loop, and `cancel_call`, which cancels one of them in any thread and says whether it had not ended.
    """

    portal: Portal
    cancel_call: Callable[[Call], bool]
    in_place = True
    """Whether a task that awaits the id may go on inside the callback that takes the answer in."""
    _asyncio_future_blocking = False
    _callbacks: list[Callback] | None = None
    _monitors: tuple[Monitor, ...] = ()
    _events: tuple[threading.Event, ...] = ()
    _unseen: _Unseen | None = None
    in_task = False
    """Whether it was made where it could have been awaited."""
    _made_at: tuple[str, int] | None = None
    """The file and line where the call was made, which is known in loops that debug."""

    def __int__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, int) and other == self.number)

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        return f"<ResponseId {self.number} {self._title} {('pending', 'answered', 'failed')[self.state]}>"

    @property
    def _title(self) -> str:
        """What was called, as texts say it."""
        return f"{self.destination.target.title}.{self.method}"

    def finished(self, in_place: bool) -> None:
        """Tell everybody who waits. That nobody has asked is told when the id is collected, of a failure to the
        service, of a value that a task could have awaited as a warning.
        """
        callbacks, monitors, events = self._callbacks, self._monitors, self._events
        if callbacks:
            self._callbacks = None
            in_place = in_place and self.in_place
            for callback, context in callbacks:
                if in_place:
                    self._call_back(callback, context)
                else:
                    self.portal.loop.call_soon(callback, self, context=context)
        if monitors:
            self._monitors = ()
            for result, failure, inherited in monitors:
                self._tell(result, failure, inherited)
        if events:
            for event in events:
                event.set()
        elif not callbacks and not monitors:
            unasked = callbacks is None and not self.each and not self.destination.oneway
            if self.state == FAILED or (unasked and self.in_task):
                self._report_when_collected()

    def _call_back(self, callback: Callable[[Any], Any], context: contextvars.Context) -> None:
        """Run one of asyncio's callbacks as the loop would in its next turn, without waiting for that.

        Nothing of asyncio's is running when an answer is taken in: a task that awaits it may go on at once, and what
        it says then still leaves in this turn. A turn of the loop costs some 10 µs.
        """
        try:
            context.run(callback, self)
        except Exception as error:
            self.portal.loop.call_exception_handler(
                {"message": f"a callback for {self!r} raised", "exception": error, "future": self}
            )

    def _report_when_collected(self) -> None:
        failure = self.value if self.state == FAILED else None
        hook = self.destination.caller.owner.unexpected_failure
        self._unseen = _Unseen(self.portal, self._title, self._made_at, failure, hook)

    def note_where(self) -> None:
        """Note which line of the program makes the call. For loops that debug: it takes longer than all the rest."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and str(frame.f_globals.get("__name__")).startswith("fireflyzmq"):
            frame = frame.f_back
        if frame is not None:
            self._made_at = frame.f_code.co_filename, frame.f_lineno

    # Asked for by callback.

    def monitor(self, result: Callable[[Any], Any] | None, failure: Callable[[Failure], Any] | None) -> None:
        """Call `result(value)` or `failure(failure)` when the call ends; soon, when it has ended already."""
        context = contextvars.copy_context() if current_request.get() is not None else None
        self.portal.run_in_loop(self._monitor, result, failure, context)

    def _monitor(
        self,
        result: Callable[[Any], Any] | None,
        failure: Callable[[Failure], Any] | None,
        context: contextvars.Context | None,
    ) -> None:
        if self.state == PENDING:
            self._monitors = (*self._monitors, (result, failure, context))
        else:
            if failure is not None or self.state == VALUE:
                self._seen()
            self.portal.loop.call_soon(self._tell, result, failure, context)

    def _tell(
        self,
        result: Callable[[Any], Any] | None,
        failure: Callable[[Failure], Any] | None,
        context: contextvars.Context | None,
    ) -> None:
        """Run the callback for the outcome; what it raises is logged, as there is nobody to raise it to."""
        callback = failure if self.state == FAILED else result
        if callback is not None:
            if context is None:
                context = contextvars.Context()
            what = Later("the callback for", self)
            context.run(run_logged, lambda: callback(self.value), what, self.portal.loop)
        elif self.state == FAILED and self._unseen is None:
            self._report_when_collected()

    def _seen(self) -> None:
        if self._unseen is not None:
            self._unseen.disarm()
            self._unseen = None

    def ignore(self) -> None:
        """Let nobody be told of the outcome, not even of a failure."""
        self.portal.run_in_loop(self._ignore)

    def _ignore(self) -> None:
        self._monitors = ((_nothing, _nothing, None),)
        self._seen()

    # Asked for by a thread.

    def wait(self, timeout: float | None = None) -> Result:
        """Block this thread until the call ends; returns its value or raises its Failure.

        `timeout` (s) bounds the wait, not the call: RequestTimeout is raised and the call goes on. RuntimeError in
        the thread of the loop, which would wait for itself, and when the loop has ended. When the loop is too busy to
        end the call at its deadline, or does not run, RequestTimeout is raised a little later all the same.
        """
        if self.portal.in_loop_thread() and self.state == PENDING:
            raise RuntimeError("wait() in the loop's thread would block the loop for ever; await the id instead")
        if self.state == PENDING:
            event = threading.Event()
            with _waiting:
                self._events = (*self._events, event)
            try:
                self._wait_for(event, timeout)
            except RequestTimeout:
                self._wait_no_more(event)
                if self.state == PENDING:
                    raise
            except BaseException:
                self._wait_no_more(event)
                raise
            if _process.ends:
                _stay_a_daemon()
        return self.result()

    def _wait_no_more(self, event: threading.Event) -> None:
        """A thread gives up: unless others ask, a failure that comes yet is one that nobody has asked for."""
        with _waiting:
            self._events = tuple(each for each in self._events if each is not event)

    def _wait_for(self, event: threading.Event, timeout: float | None) -> None:
        """Wait for the event without trusting in the loop, which may be gone, busy, or have never run."""
        now = time.monotonic()
        patience = None if timeout is None else now + timeout
        end = now + max(0.0, self.deadline - self.portal.loop.time()) + WAIT_SLACK
        while self.state == PENDING:
            if self.portal.ended:
                raise RuntimeError("the event loop that was to take the answer has ended")
            now = time.monotonic()
            if now >= end:
                raise RequestTimeout("no answer by the deadline: the event loop is busy, or does not run")
            if patience is not None and now >= patience:
                raise RequestTimeout(f"no answer within {timeout} s of waiting")
            event.wait(min(LOOK_SECONDS, end - now, end - now if patience is None else patience - now))

    # Asked for by asyncio.

    def __await__(self) -> Generator[Any, None, Result]:
        if self.state == PENDING:
            self._check_loop()
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def _check_loop(self) -> None:
        if asyncio.get_running_loop() is not self.portal.loop:
            raise RuntimeError(
                "this id belongs to another event loop; await it there, or use id.wait() in a worker thread"
            )

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop in which the id may be awaited."""
        return self.portal.loop

    def add_done_callback(self, callback: Callable[[Any], Any], *, context: contextvars.Context | None = None) -> None:
        """Call `callback(id)` when the call has ended: asyncio's protocol, and as there for the loop's thread only."""
        if context is None:
            context = contextvars.copy_context()
        if self.state != PENDING:
            self.portal.loop.call_soon(callback, self, context=context)
        elif self._callbacks is None:
            self._callbacks = [(callback, context)]
        else:
            self._callbacks.append((callback, context))

    def remove_done_callback(self, callback: Callable[[Any], Any]) -> int:
        """Take back what `add_done_callback` added; returns how many that were."""
        if self._callbacks is None:
            return 0
        kept = [pair for pair in self._callbacks if pair[0] != callback]
        removed = len(self._callbacks) - len(kept)
        self._callbacks = kept  # an empty one says that somebody has asked
        return removed

    def done(self) -> bool:
        """Whether the call has ended."""
        if self.state == VALUE:
            self._seen()
        return self.state != PENDING

    def result(self) -> Result:
        """The call's value; raises its Failure, or InvalidStateError while it has not ended."""
        if self.state == PENDING:
            raise asyncio.InvalidStateError("the call has not ended")
        if self._unseen is not None:
            self._seen()
        if self.state == FAILED:
            if self._cancelled_by_task:
                raise self._make_cancelled_error()
            raise self.value
        return self.value  # type: ignore[no-any-return]

    def exception(self) -> BaseException | None:
        """The call's Failure, or None when it has a value; InvalidStateError while it has not ended."""
        if self.state == PENDING:
            raise asyncio.InvalidStateError("the call has not ended")
        if self._unseen is not None:
            self._seen()
        if self.state == FAILED:
            if self._cancelled_by_task:
                raise self._make_cancelled_error()
            failure: BaseException = self.value
            return failure
        return None

    _cancelled_by_task = False
    _cancel_message: Any = None
    """What `asyncio.gather` looks at in a cancelled future."""

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the call as asyncio does when the task that awaits it is cancelled."""
        if self.state != PENDING:
            return False
        self._cancelled_by_task = True
        self._cancel_message = msg
        return self.cancel_call(self)

    def cancelled(self) -> bool:
        """Whether the call was cancelled through the task that awaited it."""
        return self._cancelled_by_task

    def _make_cancelled_error(self) -> asyncio.CancelledError:
        """What `asyncio.gather` asks a cancelled future for."""
        return asyncio.CancelledError()


class GroupResponseId(ResponseId[dict["Binding", "Each | Failure"]], Generic[Each]):
    """A call of a group: besides what every id offers, `async for binding, outcome in id` gives each member's answer
    as it comes, a value or a Failure; it ends with the call, and raises the call's failure if it has one.
    """

    def monitor_answers(self, callback: Callable[[Binding, Any], Any]) -> None:
        """Call `callback(binding, outcome)` for each answer; for those that have come already in the next turn."""
        context = contextvars.copy_context() if current_request.get() is not None else None
        self.portal.run_in_loop(self._monitor_answers, callback, context)

    def _monitor_answers(self, callback: Callable[[Any, Any], Any], context: contextvars.Context | None) -> None:
        def tell(binding: Any, outcome: Any) -> None:
            what = f"the callback for answers to {self!r}"
            (context or contextvars.Context()).run(
                run_logged, lambda: callback(binding, outcome), what, self.portal.loop
            )

        for answer in self.outcomes.items():
            self.portal.later(tell, *answer)
        if self.state == VALUE:
            self._seen()
        if self.state == PENDING:
            self.each = (*self.each, lambda binding, outcome: self.portal.later(tell, binding, outcome))

    async def __aiter__(self) -> AsyncIterator[tuple[Binding, Each | Failure]]:
        self._check_loop()
        answers: asyncio.Queue[tuple[Any, Any] | None] = asyncio.Queue()
        for answer in self.outcomes.items():
            answers.put_nowait(answer)
        self.each = (*self.each, lambda binding, outcome: answers.put_nowait((binding, outcome)))
        self.add_done_callback(lambda _: answers.put_nowait(None))
        while (come := await answers.get()) is not None:
            yield come
        self.result()


def classes_for(
    portal: Portal, cancel_call: Callable[[Call], bool]
) -> tuple[type[ResponseId[Any]], type[GroupResponseId[Any]]]:
    """The classes of one connection's ids: what all of them share is the class's, and so need not be set for each.

    A weak reference, called as a method, gives the loop at half the cost of a function.
    """
    shared: dict[str, Any] = {"portal": portal, "cancel_call": cancel_call, "get_loop": weakref.ref(portal.loop)}
    if portal.loop.get_debug():
        shared["__init__"] = ResponseId.note_where
    return type("ResponseId", (ResponseId,), shared), type("GroupResponseId", (GroupResponseId,), shared)


class _Process:
    ends = False


_process = _Process()


def process_ends() -> None:
    """From now on calls end because the process does, which is no news for its daemon threads."""
    _process.ends = True


def _stay_a_daemon() -> None:
    """A daemon thread stays where it is when the process ends: an exception there would be shown as if it mattered."""
    if threading.current_thread().daemon:
        threading.Event().wait()


class _Unseen:
    """An outcome that nobody has asked for. Collected with its id it tells of a failure, by the service's hook, and
    otherwise warns: an `await` was forgotten.
    """

    __slots__ = ("_armed", "_failure", "_hook", "_made_at", "_portal", "_title")

    def __init__(
        self,
        portal: Portal,
        title: str,
        made_at: tuple[str, int] | None,
        failure: Failure | None,
        hook: Callable[[Failure], None],
    ) -> None:
        self._armed = True
        self._portal = portal
        self._title = title
        self._made_at = made_at
        self._failure = failure
        self._hook = hook

    def disarm(self) -> None:
        self._armed = False

    def __del__(self) -> None:
        if not self._armed or sys.is_finalizing():
            return
        if self._failure is None:
            self._warn()
        elif not self._portal.closed:
            self._portal.call_from_anywhere(self._hook, self._failure)

    def _warn(self) -> None:
        text = (
            f"the call {self._title} was never awaited; await it, or say that its result is not wanted: "
            "`oneway=True`, or `ignoreResponse(id)`"
        )
        if self._made_at is None:
            warnings.warn(text, RuntimeWarning, stacklevel=1)
        else:
            warnings.warn_explicit(text, RuntimeWarning, *self._made_at)


def _nothing(outcome: Any) -> None:
    """Ignore an outcome."""
