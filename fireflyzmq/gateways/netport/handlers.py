"""Handlers: functions in the netport's own process that serve commands."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from fireflyzmq.errors import ORIGIN, ApplicationFailure, Failure, InvalidArguments, Overloaded, RequestTimeout
from fireflyzmq.gateways.netport.codecs.codec import NETPORT

if TYPE_CHECKING:
    from fireflyzmq.gateways.netport.clients import Clients
    from fireflyzmq.gateways.netport.codecs.codec import Command
    from fireflyzmq.gateways.netport.session import SessionCore
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
        self, function: Function, clients: Clients, connection: Connection, threads: int, limit: int, decoded: bool
    ) -> None:
        if threads < 0 or limit < 1:
            raise ValueError(f"a handler has 0 or more threads and a limit of 1 or more, not {threads} and {limit}")
        if threads and inspect.iscoroutinefunction(function):
            raise ValueError(f"{function!r} is a coroutine function, which runs in the loop and not in threads")
        check_handler(function)
        self._function = function
        self._clients = clients
        self._connection = connection
        self._limit = limit
        self._decoded = decoded
        self._running = 0
        self._plain = not (threads or decoded or clients.codec.numbered)
        self._encode = clients.codec.encode
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
            value = self._clients.codec.load(body) if self._decoded else body
        except Exception as error:
            session.fail(command, request, InvalidArguments(f"the body does not decode: {error}", origin=NETPORT))
            return
        if self._pool is not None:
            self._begin(_Thread(self, session, command, request, value))
            return
        try:
            answer = self._function(session.shown, value)
        except Exception as error:
            self._failed(session, command, request, error)
        else:
            self._answer(session, command, request, answer)

    def _answer(self, session: SessionCore, command: Command, request: int | None, answer: Any) -> None:
        if inspect.isawaitable(answer):
            self._begin(_Task(self, session, command, request, answer))
        else:
            session.reply(command, request, answer, self._decoded)

    def _begin(self, work: _Work) -> None:
        session = work.session
        if session.closed or self._running >= self._limit:
            work.drop()
            session.fail(
                work.command,
                work.request,
                Overloaded(f"{self._limit} such requests are at work already", origin=NETPORT),
            )
            return
        self._running += 1
        session.begin(work)
        work.start()

    def _ended(self, work: _Work, answer: Any, error: BaseException | None) -> None:
        """A request has ended that did not end at once."""
        session = work.session
        self._running -= 1
        if error is None:
            session.reply(work.command, work.request, answer, self._decoded)
        elif not session.closed:
            self._failed(session, work.command, work.request, error)
        session.done(work)

    def _failed(self, session: SessionCore, command: Command, request: int | None, error: BaseException) -> None:
        if not isinstance(error, Failure):
            self._clients.complain("command %r of %r raised", command, session, error=error)
            error = ApplicationFailure()
        elif error.id is None and error.origin == ORIGIN:  # raised here on purpose, not by a call made here
            error.origin = NETPORT
        session.fail(command, request, error)

    def close(self) -> None:
        """Serve no more; threads end with what they do."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


class _Work:
    """A request at work: its session may cancel it."""

    def __init__(self, handler: Handler, session: SessionCore, command: Command, request: int | None) -> None:
        self.handler = handler
        self.session = session
        self.command = command
        self.request = request

    def start(self) -> None:
        """Begin."""

    def cancel(self) -> None:
        """Nobody waits for it any more."""

    def drop(self) -> None:
        """It is not to begin."""


class _Task(_Work):
    def __init__(
        self, handler: Handler, session: SessionCore, command: Command, request: int | None, awaitable: Awaitable[Any]
    ) -> None:
        super().__init__(handler, session, command, request)
        self._awaitable = awaitable
        self._task: asyncio.Task[Any] | None = None

    def start(self) -> None:
        loop = self.handler._connection.loop
        self._task = loop.create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._finish)
        if self.session.closed:  # by the task, which may have begun already
            self._task.cancel()

    async def _run(self) -> Any:
        seconds = self.handler._clients.limits.request_seconds
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._awaitable
        except TimeoutError:
            if limit.expired():
                raise RequestTimeout(f"no answer within {seconds:g} s", origin=NETPORT) from None
            raise

    def _finish(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self.drop()
            self.handler._ended(self, None, asyncio.CancelledError())
        else:
            error = task.exception()
            self.handler._ended(self, task.result() if error is None else None, error)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def drop(self) -> None:
        if inspect.iscoroutine(self._awaitable):
            self._awaitable.close()


class _Thread(_Work):
    def __init__(
        self, handler: Handler, session: SessionCore, command: Command, request: int | None, value: Any
    ) -> None:
        super().__init__(handler, session, command, request)
        self._value = value

    def start(self) -> None:
        assert self.handler._pool is not None
        self._future = self.handler._pool.submit(self.handler._function, self.session.shown, self._value)
        self._future.add_done_callback(lambda future: self.handler._connection.call_from_anywhere(self._finish))

    def _finish(self) -> None:
        future = self._future
        if future.cancelled():
            self.handler._ended(self, None, asyncio.CancelledError())
        else:
            error = future.exception()
            self.handler._ended(self, future.result() if error is None else None, error)

    def cancel(self) -> None:
        self._future.cancel()
