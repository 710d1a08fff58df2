"""Running: the program of a node's process. It makes the node, imports its app, and runs until it is to stop.

It knows one node and its supervisor's channel. It must not know other nodes.
"""

from __future__ import annotations

import asyncio
import faulthandler
import importlib
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fireflyzmq.api.exchange import Exchange
from fireflyzmq.api.nodes import Child, Root
from fireflyzmq.api.service import Service
from fireflyzmq.cluster.channel import NodeEnd, end_of_environment
from fireflyzmq.cluster.current import be
from fireflyzmq.cluster.node import Node
from fireflyzmq.cluster.plan import Http, Netport
from fireflyzmq.cluster.plan import Node as Spec
from fireflyzmq.gateways.listening import server_context
from fireflyzmq.gateways.netport.limits import NetLimits
from fireflyzmq.gateways.netport.port import NetPort
from fireflyzmq.gateways.web.server.limits import WebLimits
from fireflyzmq.runtime.dispatcher import SHUTDOWN_ARRIVED, Dispatcher
from fireflyzmq.runtime.readiness import problems_of
from fireflyzmq.telemetry.logs import log_to

if TYPE_CHECKING:
    from fireflyzmq.gateways.web.server.daemon import HttpDaemon

logger = logging.getLogger(__name__)

_LONGEST_BEAT: Final = 5.0
"""Seconds between one sign of life of the loop and the next, where nothing asks for more."""

_LOOK_SECONDS: Final = 0.005


def main() -> int:
    """Be the node that the environment says; returns the exit status."""
    said, channel = end_of_environment()
    spec = msgspec.convert(said["spec"], Spec)
    _settle_in(spec, said)
    dispatcher = Dispatcher()
    exchange = Exchange()
    exchange.connect(said["exchange"])
    name, index = said["name"], said["index"]
    node = Node(name, index, spec.settings, exchange, service_of(name, index, spec), listening(index, spec))
    be(node)
    life = _Life(node, spec, dispatcher, channel)
    app = spec.app.partition(":")
    module = importlib.import_module(app[0])
    if app[2]:
        getattr(module, app[2])()
    life.begin()
    dispatcher.run()
    return life.status


def _settle_in(spec: Spec, said: dict[str, Any]) -> None:
    """Make the process what the file wants it to be, before anything of the app's is loaded."""
    log_to(sys.stderr, spec.log_level, spec.log_format)
    faulthandler.register(signal.SIGQUIT, all_threads=True)
    if spec.nice:
        os.nice(spec.nice)
    if spec.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, spec.cpus)
    sys.path.insert(0, said["folder"])


def service_of(name: str, index: int, spec: Spec) -> Service | None:
    """The service of a node that is a root, a child, a netport, or several of these: one, under the node's name."""
    several = spec.instances != 1
    kinds: list[type] = []
    arguments: dict[str, Any] = {}
    if spec.netport is not None:
        kinds.append(NetPort)
        arguments |= _netport(spec.netport, index)
        name = spec.netport.name or (f"{name}.{index}" if several else name)
    if spec.root:
        kinds.append(Root)
    if spec.child_of:
        kinds.append(Child)
        arguments |= {"root": spec.child_of, "instances": several}
    if not kinds:
        return None
    kind = kinds[0] if len(kinds) == 1 else type("NodeService", tuple(kinds), {})
    service: Service = kind(name, **arguments)
    return service


def _netport(said: Netport, index: int) -> dict[str, Any]:
    return {
        "port": said.port_of(index),
        "host": said.host,
        "ssl": server_context(said.certificate, said.key),
        "limits": NetLimits(**said.limits),
        "group": said.group,
        "websocket": said.websocket,
        "websocketPath": said.websocket_path,
        "origins": said.origins,
        "ordered": said.ordered,
        "onePerUser": said.one_per_user,
    }


def listening(index: int, spec: Spec) -> HttpDaemon | None:
    """Serve what a node serves over HTTP; gives its daemon for services, if it has one."""
    if spec.metrics is not None:
        from fireflyzmq.gateways.web.operations import serveMetrics

        serveMetrics(spec.metrics.port_of(index), spec.metrics.host)
    return None if spec.http is None else _http(index, spec.http)


def _http(index: int, said: Http) -> HttpDaemon:
    from fireflyzmq import jsonrpc, xmlrpc
    from fireflyzmq.gateways.web.plain import PlainGateway
    from fireflyzmq.gateways.web.server.credentials import Users
    from fireflyzmq.gateways.web.server.daemon import HttpDaemon

    daemon = HttpDaemon(
        said.port_of(index),
        said.host,
        ssl=server_context(said.certificate, said.key),
        authorise=None if said.users is None else Users.from_file(said.users),
        hosts=said.hosts,
        origins=said.origins,
        limits=WebLimits(**said.limits),
        accessLog=said.access_log,
    )
    daemon.attach("/xmlrpc", xmlrpc.RpcGateway(said.group))
    daemon.attach("/jsonrpc", jsonrpc.RpcGateway(said.group))
    daemon.attach("/", PlainGateway(said.group))
    daemon.start()
    return daemon


class _Life:
    """A node from its first hook to its last, as its supervisor hears of it."""

    def __init__(self, node: Node, spec: Spec, dispatcher: Dispatcher, channel: NodeEnd) -> None:
        self.status = 0
        self._node = node
        self._spec = spec
        self._dispatcher = dispatcher
        self._loop = dispatcher.loop
        self._channel = channel
        self._beat_seconds = min(spec.hang / 4 or _LONGEST_BEAT, _LONGEST_BEAT)

    def begin(self) -> None:
        """Have all happen when the loop runs."""
        self._dispatcher.subscribeShutdown(self._stopped)
        self._channel.listen(self._gone)
        self._loop.call_soon(self._beat)
        self._starting = self._loop.create_task(self._start())

    async def _start(self) -> None:
        try:
            await self._node.exchange.connected(self._spec.start or None)
            await self._node._begin()
            while problems_of(self._loop):  # nothing tells when the last of them is registered
                await asyncio.sleep(_LOOK_SECONDS)
        except Exception:
            logger.exception("%r could not start", self._node)
            self.status = 1
            self._dispatcher.shutdown()
        else:
            self._channel.say({"ready": True})

    def _beat(self) -> None:
        self._channel.say({"beat": time.monotonic()})
        self._loop.call_later(self._beat_seconds, self._beat)

    async def _stopped(self, category: int) -> None:
        if category == SHUTDOWN_ARRIVED:
            await self._node._end()

    def _gone(self) -> None:
        """The supervisor is gone: nobody is left to end this process but itself."""
        self._dispatcher.shutdown()
        threading.Event().wait(self._spec.grace)
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
