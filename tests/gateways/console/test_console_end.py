"""The console's end: what its pages read ends with its daemon."""

from __future__ import annotations

import asyncio
import time

from fireflyzmq.gateways.console import Console
from tests.gateways.web.server.web import Web, on_web


@on_web
async def test_stopping_ends_the_stream_of_failures(web: Web) -> None:
    daemon = web.daemon()
    daemon.attach("/", Console())
    begun = time.monotonic()
    async with web.session.get(f"http://127.0.0.1:{daemon.port()}/api/failures") as response:
        assert await response.content.readline() == b": here\n"
        stopping = asyncio.ensure_future(daemon.stop())
        await response.content.read()
        await stopping
    assert time.monotonic() - begun < 5
