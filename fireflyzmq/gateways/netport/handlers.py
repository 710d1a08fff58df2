"""Handlers: functions in the netport's own process that serve commands."""

from __future__ import annotations

import abc
import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from fireflyzmq.errors import ORIGIN, ApplicationFailure, Failure, InvalidArguments, Overloaded, RequestTimeout
from fireflyzmq.gateways.netport.codecs.codec import NETPORT

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.codecs.codec import Command
    from fireflyzmq.gateways.netport.session import Host, SessionCore
    from fireflyzmq.runtime.connection import Connection

Function = Callable[..., Any]


def check_handler(function: Function) -> None:
    """ValueError for a function that does not take a session and a body."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # Python does not know it
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise ValueError(f"{function!r} does not take a session and a body: {error}") from None


class Handler:
    """One function, which gets the session and the body, or the value in it when `decoded`.

    What it returns is the answer, None is none. A `def` runs in the loop, or with `threads` in a pool; an `async def`
    as a task, for at most the netport's `request_seconds`. Of more than `limit` requests at work at once further ones
    fail as Overloaded.
    """

    def __init__(
        self, function: Function, host: Host, connection: Connection, threads: int, limit: int, decoded: bool
    ) -> None:
        if threads < 0 or limit < 1:
            raise ValueError(f"a handler has 0 or more threads and a limit of 1 or more, not {threads} and {limit}")
        if threads and inspect.iscoroutinefunction(function):
            raise ValueError(f"{function!r} is a coroutine function, which runs in the loop and not in threads")
        check_handler(function)
        self._function = function
        self._host = host
        self._connection = connection
        self._limit = limit
        self._decoded = decoded
        self._running = 0
        self._plain = not (threads or decoded or host.codec.numbered)
        self._encode = host.codec.encode
        self._pool = (
            ThreadPoolExecutor(threads, f"fireflyzmq-{getattr(function, '__name__', 'handler')}") if threads else None
        )

    def serve(self, session: SessionCore, command: Command, body: bytes, request: int | None) -> bytes | None:
        """Serve one request. Bytes that answer plain bytes, the common case, take the shortest way."""
        if self._plain:
            try:
                answer = self._function(session.shown, body)
            except Exception as error:
                self._failed(session, command, request, error)
                return None
            if type(answer) is bytes:
                try:
                    return self._encode(command, answer)
                except Exception:
                    pass  # which `reply` sees to
            self._answer(session, command, request, answer)
        else:
            self._serve_value(session, command, body, request)
        return None

    def _serve_value(self, session: SessionCore, command: Command, body: bytes, request: int | None) -> None:
        try:
            value = self._host.codec.load(body) if self._decoded else body
        except Exception as error:
            session.fail(command, request, InvalidArguments(f"the body does not decode: {error}", origin=NETPORT))
            return
        if self._pool is not None:
            submit = functools.partial(self._pool.submit, self._function, session.shown, value)
            self._begin(_ThreadJob(self._ended, session, command, request, submit, self._connection))
            return
        try:
            answer = self._function(session.shown, value)
        except Exception as error:
            self._failed(session, command, request, error)
        else:
            self._answer(session, command, request, answer)

    def _answer(self, session: SessionCore, command: Command, request: int | None, answer: Any) -> None:
        if inspect.isawaitable(answer):
            seconds = self._host.limits.request_seconds
            self._begin(_TaskJob(self._ended, session, command, request, answer, self._connection, seconds))
        else:
            session.reply(command, request, answer, self._decoded)

    def _begin(self, job: _FunctionJob) -> None:
        session = job.session
        if session.closed or self._running >= self._limit:
            job.drop()
            session.fail(
                job.command,
                job.request,
                Overloaded(f"{self._limit} such requests are at work already", origin=NETPORT),
            )
            return
        self._running += 1
        session.intake.begin(job)
        job.start()

    def _ended(self, job: _FunctionJob, answer: Any, error: BaseException | None) -> None:
        """A request has ended that did not end at once."""
        session = job.session
        self._running -= 1
        if error is None:
            session.reply(job.command, job.request, answer, self._decoded)
        elif not session.closed:
            self._failed(session, job.command, job.request, error)
        session.intake.done(job)

    def _failed(self, session: SessionCore, command: Command, request: int | None, error: BaseException) -> None:
        if not isinstance(error, Failure):
            self._host.complain("command %r of %r raised", command, session, error=error)
            error = ApplicationFailure()
        elif error.id is None and error.origin == ORIGIN:  # raised here on purpose, not by a call made here
            error.origin = NETPORT
        session.fail(command, request, error)

    def close(self) -> None:
        """Serve no more; threads end with what they do."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


class _FunctionJob(abc.ABC):
    """A request at work in a function: its session may cancel it. `ended(job, answer, error)` hears of its end."""

    def __init__(self, ended: Ended, session: SessionCore, command: Command, request: int | None) -> None:
        self.session = session
        self.command = command
        self.request = request
        self._ended = ended

    @abc.abstractmethod
    def start(self) -> None:
        """Begin."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Nobody waits for it any more."""

    @abc.abstractmethod
    def drop(self) -> None:
        """It is not to begin."""


Ended = Callable[[_FunctionJob, Any, "BaseException | None"], None]


class _TaskJob(_FunctionJob):
    """One in a task, for so many seconds at most."""

    def __init__(
        self,
        ended: Ended,
        session: SessionCore,
        command: Command,
        request: int | None,
        awaitable: Awaitable[Any],
        connection: Connection,
        seconds: float,
    ) -> None:
        super().__init__(ended, session, command, request)
        self._awaitable = awaitable
        self._connection = connection
        self._seconds = seconds
        self._task: asyncio.Task[Any] | None = None

    def start(self) -> None:
        """Begin the task."""
        self._task = self._connection.loop.create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._finish)
        if self.session.closed:  # by the task, which may have begun already
            self._task.cancel()

    async def _run(self) -> Any:
        try:
            async with asyncio.timeout(self._seconds) as limit:
                return await self._awaitable
        except TimeoutError:
            if limit.expired():
                raise RequestTimeout(f"no answer within {self._seconds:g} s", origin=NETPORT) from None
            raise

    def _finish(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self.drop()
            self._ended(self, None, asyncio.CancelledError())
        else:
            error = task.exception()
            self._ended(self, task.result() if error is None else None, error)

    def cancel(self) -> None:
        """Cancel the task."""
        if self._task is not None:
            self._task.cancel()

    def drop(self) -> None:
        """Leave no coroutine that was never awaited."""
        if inspect.iscoroutine(self._awaitable):
            self._awaitable.close()


class _ThreadJob(_FunctionJob):
    """One in a thread; `submit` begins it."""

    _future: Future[Any]

    def __init__(
        self,
        ended: Ended,
        session: SessionCore,
        command: Command,
        request: int | None,
        submit: Callable[[], Future[Any]],
        connection: Connection,
    ) -> None:
        super().__init__(ended, session, command, request)
        self._submit = submit
        self._connection = connection

    def start(self) -> None:
        """Begin in a thread."""
        self._future = self._submit()
        self._future.add_done_callback(lambda future: self._connection.call_from_anywhere(self._finish))

    def _finish(self) -> None:
        future = self._future
        if future.cancelled():
            self._ended(self, None, asyncio.CancelledError())
        else:
            error = future.exception()
            self._ended(self, future.result() if error is None else None, error)

    def cancel(self) -> None:
        """Cancel it, if it has not begun."""
        self._future.cancel()

    def drop(self) -> None:
        """There is nothing to leave."""
