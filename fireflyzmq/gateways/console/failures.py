"""The stream of failures that a page watches, and the sweeping that finds them while it does.

It knows how news reach the page, and ends with it or with the daemon. What is a failure the tail knows.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from fireflyzmq.gateways.console.overview import Overview
from fireflyzmq.gateways.console.pages import HEADERS
from fireflyzmq.gateways.web.server.request import WebRequest
from fireflyzmq.gateways.web.server.streams import STREAMS
from fireflyzmq.gateways.web.translation import json_values

_BEAT_SECONDS: Final = 1.0

_EVENTS: Final = {
    **HEADERS,
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


async def stream_failures(request: WebRequest, overview: Overview) -> web.StreamResponse:
    """Send the latest failures of all services, and those that come, until the client goes or the daemon stops."""
    response = web.StreamResponse(headers=_EVENTS)
    await response.prepare(request.http)
    await response.write(b": here\n\n")
    news, waiting = overview.tail.watch()
    stream = _FailureStream(news)
    streams = request.http.app[STREAMS]
    streams.add(stream)
    try:
        while not stream.ended:
            await overview.sweep()
            try:
                async with asyncio.timeout(_BEAT_SECONDS):
                    await news.wait()
            except TimeoutError:
                await response.write(b": still here\n\n")
            news.clear()
            while waiting:
                failure = waiting.pop(next(iter(waiting)))
                await response.write(b"event: failure\ndata: " + json_values.dumps(failure) + b"\n\n")
    except ConnectionError:
        pass
    finally:
        overview.tail.leave(news)
        streams.discard(stream)
    return response


class _FailureStream:
    """A stream that the daemon ends when it stops: who waits for news is woken."""

    def __init__(self, news: asyncio.Event) -> None:
        self.ended = False
        self._news = news

    def end(self) -> None:
        self.ended = True
        self._news.set()
