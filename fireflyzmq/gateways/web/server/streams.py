"""Reports over HTTP: as server-sent events (WHATWG HTML, 9.2) or over a WebSocket, no faster than the client reads.

It knows which streams are open, so that they end with the daemon; those of others too. It knows no gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import WSCloseCode, web

from fireflyzmq.errors import Failure
from fireflyzmq.gateways.web.server.access import note_access
from fireflyzmq.gateways.web.translation import json_values
from fireflyzmq.gateways.web.translation.event_ids import Heard
from fireflyzmq.wire.names import pattern_problem

if TYPE_CHECKING:
    from fireflyzmq.gateways.web.server.request import WebRequest
    from fireflyzmq.peer.subscriptions import Report
    from fireflyzmq.runtime.events import ReportEvents
    from fireflyzmq.wire.binding import Binding

_BEAT_SECONDS: Final = 15.0
"""How often a client hears that the stream is still there, so that nothing between takes it for dead."""

_BEAT: Final = b": still here\n\n"

_RETRY_MILLISECONDS: Final = (1000, 3000)
"""How long a browser that lost its stream is to wait before it asks again."""

_END_SECONDS: Final = 1.0
"""How long a client has to read what has been sent to it when its stream ends."""


class OpenStream(Protocol):
    """What is still being written to a client, for as long as that and the daemon like."""

    def end(self) -> None:
        """The daemon stops: say no more, soon."""


class Publishers(Protocol):
    """Whose reports clients may have: an `Exhibition`, or what does for one."""

    def instances(self, name: str) -> Container[Binding]:
        """The instances of a name whose reports are passed on now."""

    def has_shown(self, name: str) -> bool:
        """Whether there may be a stream of this name now; otherwise it begins later."""

    def when_shown(self, name: str) -> asyncio.Future[None]:
        """Done when there may be; cancelled by whoever waits no longer."""


STREAMS: Final[web.AppKey[set[OpenStream]]] = web.AppKey("STREAMS", set)
"""Where an application has its open streams; they are ended when it shuts down."""


async def end_streams(application: web.Application) -> None:
    """Let all streams end, within a second or so: a client that does not read by then is cut off."""
    streams: set[OpenStream] = application[STREAMS]
    for stream in list(streams):
        stream.end()


async def stream_reports(request: WebRequest, publishers: Publishers, publisher: str) -> web.StreamResponse:
    """Send a publisher's reports that match `?pattern=` (all of them, otherwise) until the client goes.

    What comes faster than the client reads waits in the exchange, up to the limit; then the oldest are dropped, and
    the next one says how many (`lost`). A client that shows a `Last-Event-ID` goes on where it was.
    HTTPBadRequest for an illegal pattern.
    """
    pattern = request.http.query.get("pattern", ">")
    problem = pattern_problem(pattern)
    if problem is not None:
        raise web.HTTPBadRequest(text=f"{problem}\n")
    respond = _by_websocket if request.http.headers.get("Upgrade", "").lower() == "websocket" else _by_events
    with contextlib.ExitStack() as stack:

        def begin() -> _ReportStream:
            stream = _ReportStream(request, publishers, publisher, pattern)
            stack.callback(stream.close)
            return stream

        return await respond(request, begin)


class _ReportStream:
    """A subscription for one client: the reports of those instances that are exposed when they come.

    For a name that has never been exposed it begins once that is: nobody else hears that somebody asks.
    """

    def __init__(self, request: WebRequest, publishers: Publishers, publisher: str, pattern: str) -> None:
        self._request = request
        self._publishers = publishers
        self._publisher = publisher
        self._pattern = pattern
        self._heard = Heard(pattern, request.http.headers.get("Last-Event-ID"))
        self._ended = False
        self._shown: asyncio.Future[None] | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._open = request.http.app[STREAMS]
        self._events = self._subscribe() if publishers.has_shown(publisher) else None
        self._open.add(self)

    def _subscribe(self) -> ReportEvents:
        limit = self._request.limits.stream_bytes
        return self._request.caller.monitorReports(None, self._publisher, self._pattern, limit=limit)

    @property
    def id(self) -> str:
        """What the client has to show to go on behind the last report."""
        return self._heard.id()

    async def next(self) -> bytes | None:
        """The next report as JSON; None when there will be no more."""
        if self._events is None:
            self._shown = self._publishers.when_shown(self._publisher)
            await asyncio.wait([self._shown])
            if self._ended:
                return None
            self._events = self._subscribe()
        lost: int | None = 0
        with contextlib.suppress(StopAsyncIteration, Failure):
            while True:
                report = await anext(self._events)
                if self._heard.has(report):
                    continue
                lost = None if lost is None or report.lost is None else lost + report.lost
                if report.publisher in self._publishers.instances(report.publisher.name):
                    lost = self._heard.missed(report, lost)
                    self._heard.add(report)
                    return _content(report, lost)
        return None

    def _be_told_no_more(self) -> None:
        self._ended = True
        if self._events is not None:
            self._events.close()
        if self._shown is not None:
            self._shown.cancel()

    def end(self) -> None:
        """Be told no more; who writes to a client that does not read would not see that, so cut it off in a moment."""
        self._be_told_no_more()
        if self._cut is None:
            self._cut = asyncio.get_running_loop().call_later(_END_SECONDS, self._abort)

    def _abort(self) -> None:
        transport = self._request.http.transport
        if transport is not None:
            transport.abort()

    def close(self) -> None:
        """Be told no more: the request has ended."""
        self._open.discard(self)
        self._be_told_no_more()
        if self._cut is not None:
            self._cut.cancel()


def _content(report: Report, lost: int | None) -> bytes:
    """A report as JSON; one whose content JSON cannot say tells that."""
    fields = {"publisher": report.publisher.name, "subject": report.subject, "lost": lost}
    try:
        return json_values.dumps({**fields, "content": report.content})
    except ValueError as error:
        return json_values.dumps({**fields, "error": f"the content is nothing that JSON can say: {error}"})


async def _by_events(request: WebRequest, begin: Callable[[], _ReportStream]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request.http)
    stream = begin()
    coming: asyncio.Task[bytes | None] | None = None
    retry = random.randint(*_RETRY_MILLISECONDS)  # so that not all come again at once
    try:
        await response.write(f": here\nretry: {retry}\nid: {stream.id}\n\n".encode())
        while True:
            if coming is None:
                coming = asyncio.ensure_future(stream.next())
            done, _ = await asyncio.wait([coming], timeout=_BEAT_SECONDS)
            content, coming = (coming.result(), None) if done else (b"", coming)
            if content is None:
                break
            event = b"event: report\ndata: %b\nid: %b\n\n" % (content, stream.id.encode()) if done else _BEAT
            await response.write(event)
    except ConnectionError:
        pass
    finally:
        if coming is not None:
            coming.cancel()
    return response


async def _by_websocket(request: WebRequest, begin: Callable[[], _ReportStream]) -> web.StreamResponse:
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
