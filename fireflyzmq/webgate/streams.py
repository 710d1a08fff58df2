"""Reports over HTTP: as server-sent events (WHATWG HTML, 9.2) or over a WebSocket, no faster than the client reads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aiohttp import WSCloseCode, web

from fireflyzmq.errors import Failure
from fireflyzmq.subjects import pattern_problem
from fireflyzmq.webgate import json_values
from fireflyzmq.webgate.access import note_access

if TYPE_CHECKING:
    from fireflyzmq.reports import Report
    from fireflyzmq.webgate.context import WebRequest
    from fireflyzmq.webgate.selection import Exhibition

_BEAT_SECONDS: Final = 15.0
"""How often a client hears that the stream is still there, so that nothing between takes it for dead."""

_END_SECONDS: Final = 1.0
"""How long a client has to read what has been sent to it when its stream ends."""

STREAMS: Final[web.AppKey[set[_Stream]]] = web.AppKey("STREAMS", set)
"""Where an application has its open streams; they are closed when it shuts down."""


async def end_streams(application: web.Application) -> None:
    """Let all streams end, within a second or so: a client that does not read by then is cut off."""
    streams: set[_Stream] = application[STREAMS]
    for stream in list(streams):
        stream.end()


async def stream_reports(request: WebRequest, exhibition: Exhibition, publisher: str) -> web.StreamResponse:
    """Send a publisher's reports that match `?pattern=` (all of them, otherwise) until the client goes.

    What comes faster than the client reads waits in the exchange, up to the limit; then the oldest are dropped, and
    the next one says how many (`lost`). HTTPBadRequest for an illegal pattern.
    """
    pattern = request.http.query.get("pattern", ">")
    problem = pattern_problem(pattern)
    if problem is not None:
        raise web.HTTPBadRequest(text=f"{problem}\n")
    respond = _by_websocket if request.http.headers.get("Upgrade", "").lower() == "websocket" else _by_events
    with contextlib.ExitStack() as stack:

        def begin() -> _Stream:
            stream = _Stream(request, exhibition, publisher, pattern)
            stack.callback(stream.close)
            return stream

        return await respond(request, begin)


class _Stream:
    """A subscription for one client: the reports of those instances that are exposed when they come."""

    def __init__(self, request: WebRequest, exhibition: Exhibition, publisher: str, pattern: str) -> None:
        self._exhibition = exhibition
        self._http = request.http
        self._cut: asyncio.TimerHandle | None = None
        self._open = request.http.app[STREAMS]
        self._events = request.caller.monitorReports(None, publisher, pattern, limit=request.limits.stream_bytes)
        self._open.add(self)

    async def next(self) -> bytes | None:
        """The next report as JSON; None when there will be no more."""
        lost: int | None = 0
        with contextlib.suppress(StopAsyncIteration, Failure):
            while True:
                report = await anext(self._events)
                lost = None if lost is None or report.lost is None else lost + report.lost
                if report.publisher in self._exhibition.instances(report.publisher.name):
                    return _content(report, lost)
        return None

    def end(self) -> None:
        """Be told no more; who writes to a client that does not read would not see that, so cut it off in a moment."""
        self._events.close()
        if self._cut is None:
            self._cut = asyncio.get_running_loop().call_later(_END_SECONDS, self._abort)

    def _abort(self) -> None:
        transport = self._http.transport
        if transport is not None:
            transport.abort()

    def close(self) -> None:
        """Be told no more: the request has ended."""
        self._open.discard(self)
        self._events.close()
        if self._cut is not None:
            self._cut.cancel()


def _content(report: Report, lost: int | None) -> bytes:
    """A report as JSON; one whose content JSON cannot say tells that."""
    fields = {"publisher": report.publisher.name, "subject": report.subject, "lost": lost}
    try:
        return json_values.dumps({**fields, "content": report.content})
    except ValueError as error:
        return json_values.dumps({**fields, "error": f"the content is nothing that JSON can say: {error}"})


async def _by_events(request: WebRequest, begin: Callable[[], _Stream]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request.http)
    stream = begin()
    coming: asyncio.Task[bytes | None] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.ensure_future(stream.next())
            done, _ = await asyncio.wait([coming], timeout=_BEAT_SECONDS)
            content, coming = (coming.result(), None) if done else (b"", coming)
            if content is None:
                break
            await response.write(b"event: report\ndata: " + content + b"\n\n" if done else b": still here\n\n")
    except ConnectionError:
        pass
    finally:
        if coming is not None:
            coming.cancel()
    return response


async def _by_websocket(request: WebRequest, begin: Callable[[], _Stream]) -> web.StreamResponse:
    response = web.WebSocketResponse(heartbeat=_BEAT_SECONDS, compress=False, max_msg_size=4096)
    await response.prepare(request.http)
    stream = begin()

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            while (content := await stream.next()) is not None:
                await response.send_str(content.decode())
                note_access(sent=len(content))
            await response.close(code=WSCloseCode.GOING_AWAY)

    sending = asyncio.ensure_future(send())
    try:
        async for _ in response:  # clients have nothing to say here; this sees them go
            pass
    finally:
        sending.cancel()
    return response
