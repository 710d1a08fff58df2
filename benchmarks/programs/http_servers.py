"""What HTTP costs without services: `http_servers aiohttp`, a handler of its own, or `http_servers xmlrpc`, the
standard library's server. Both multiply, and say at which port.
"""

from __future__ import annotations

import asyncio
import json
import sys
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

from aiohttp import web

from benchmarks.programs.measure import run, say


async def answer(request: web.Request) -> web.Response:
    """The product of an array of two."""
    x, y = json.loads(await request.read())
    return web.Response(body=json.dumps(x * y).encode(), content_type="application/json")


async def serve_aiohttp() -> None:
    """Serve until killed."""
    application = web.Application()
    application.router.add_post("/services/math/multiply", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    say({"ready": [str(runner.addresses[0][1])]})
    await asyncio.get_running_loop().create_future()


class Handler(SimpleXMLRPCRequestHandler):
    """The standard library's, at the gateway's path."""

    rpc_paths = ("/xmlrpc/math",)


def serve_xmlrpc() -> None:
    """Serve until killed."""
    with SimpleXMLRPCServer(("127.0.0.1", 0), Handler, logRequests=False) as server:
        server.register_function(lambda x, y: x * y, "multiply")
        say({"ready": [str(server.server_address[1])]})
        server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "aiohttp":
        run(serve_aiohttp())
    else:
        serve_xmlrpc()
