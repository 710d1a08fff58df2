"""Reports over HTTP: as server-sent events (WHATWG HTML, 9.2) or over a WebSocket, no faster than the client reads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType, web

from fireflyzmq.subjects import pattern_problem
from fireflyzmq.webgate import json_values

if TYPE_CHECKING:
    from fireflyzmq.reports import Report
    from fireflyzmq.webgate.context import WebRequest

_BEAT_SECONDS: Final = 15.0
"""How often a client hears that the stream is still there, so that nothing between takes it for dead."""


async def stream_reports(request: WebRequest, publisher: str) -> web.StreamResponse:
    """Send a publisher's reports that match `?pattern=` (all of them, otherwise) until the client goes.

    What comes faster than the client reads waits in the exchange, up to the limit; then the oldest are dropped, and
    the next one says how many (`lost`). HTTPBadRequest for an illegal pattern.
    """
    pattern = request.http.query.get("pattern", ">")
    problem = pattern_problem(pattern)
    if problem is not None:
        raise web.HTTPBadRequest(text=f"{problem}\n")
    if request.http.headers.get("Upgrade", "").lower() == "websocket":
        return await _by_websocket(request, publisher, pattern)
    return await _by_events(request, publisher, pattern)


def _subscribe(request: WebRequest, publisher: str, pattern: str) -> Any:
    return request.caller.monitorReports(None, publisher, pattern, limit=request.limits.stream_bytes)


def _content(report: Report) -> bytes:
    """A report as JSON; one whose content JSON cannot say tells that."""
    fields = {"publisher": report.publisher.name, "subject": report.subject, "lost": report.lost}
    try:
        return json_values.dumps({**fields, "content": report.content})
    except ValueError as error:
        return json_values.dumps({**fields, "error": f"the content is nothing that JSON can say: {error}"})


async def _by_events(request: WebRequest, publisher: str, pattern: str) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request.http)
    events = _subscribe(request, publisher, pattern)
    reports = aiter(events)
    coming: asyncio.Task[Any] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.ensure_future(anext(reports))
            done, _ = await asyncio.wait([coming], timeout=_BEAT_SECONDS)
            if done:
                report, coming = coming.result(), None
                await response.write(b"event: report\ndata: " + _content(report) + b"\n\n")
            else:
                await response.write(b": still here\n\n")
    except (StopAsyncIteration, ConnectionError):
        pass
    finally:
        if coming is not None:
            coming.cancel()
        events.close()
    return response


async def _by_websocket(request: WebRequest, publisher: str, pattern: str) -> web.StreamResponse:
    response = web.WebSocketResponse(heartbeat=_BEAT_SECONDS, compress=False, max_msg_size=4096)
    await response.prepare(request.http)
    events = _subscribe(request, publisher, pattern)

    async def send() -> None:
        async for report in events:
            await response.send_str(_content(report).decode())

    sending = asyncio.ensure_future(send())
    try:
        async for message in response:  # clients have nothing to say here; this sees them go
            if message.type is WSMsgType.ERROR:
                break
    finally:
        sending.cancel()
        events.close()
    return response
