"""Node: what an app is given of the node that it is: who it is, its settings, its services, and hooks around its life.

It knows what users of the library say. It must not know who started the process, or that there are others.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fireflyzmq.api.endpoint import Endpoint
from fireflyzmq.api.exchange import Exchange
from fireflyzmq.api.nodes import Child, Root
from fireflyzmq.api.service import Service
from fireflyzmq.gateways.netport.port import NetPort

if TYPE_CHECKING:
    from fireflyzmq.gateways.web.server.daemon import HttpDaemon

logger = logging.getLogger(__name__)

Hook = TypeVar("Hook", bound=Callable[..., Any])

HOOK_SECONDS: Final = 30.0
"""How long all start hooks together may take, and all stop hooks."""


class Node:
    """One node of a cluster, in its process: `node = netsvc.node()`.

    `name` and `index` say which it is, `settings` are those of the cluster's file (read-only), `exchange` is its link
    to the exchange. `service` is the service under its name, where it is a root, a child or has a netport; `root`,
    `child` and `netport` are the same service where it is that, otherwise None. `http` is its daemon, if it has one.
    """

    def __init__(
        self,
        name: str,
        index: int,
        settings: Mapping[str, Any],
        exchange: Exchange,
        service: Service | None = None,
        http: HttpDaemon | None = None,
    ) -> None:
        self.name = name
        self.index = index
        self.settings = MappingProxyType(dict(settings))
        self.exchange = exchange
        self.service = service
        self.http = http
        self.root = service if isinstance(service, Root) else None
        self.child = service if isinstance(service, Child) else None
        self.netport = service if isinstance(service, NetPort) else None
        self._start_hooks: list[Callable[[], Any]] = []
        self._stop_hooks: list[Callable[[], Any]] = []

    def __repr__(self) -> str:
        return f"<Node {self.name} {self.index}>"

    @property
    def roots(self) -> Mapping[str, Endpoint]:
        """The roots that this node is a child of: proxies by name. Their calls wait for a root to come."""
        child = self.child
        return {} if child is None else {name: child.root(name, wait=HOOK_SECONDS) for name in child.roots()}

    def onStart(self, hook: Hook) -> Hook:
        """Call a function, plain or async, before the node counts as ready: `@node.onStart`. Returns the function.

        Its services are being registered then, and calls may be made. What it raises ends the node.
        """
        self._start_hooks.append(_checked(hook, "a start hook"))
        return hook

    def onStop(self, hook: Hook) -> Hook:
        """Call a function, plain or async, when the node has drained: `@node.onStop`. Returns the function.

        What it raises is logged, and the next one is called.
        """
        self._stop_hooks.append(_checked(hook, "a stop hook"))
        return hook

    async def _begin(self) -> None:
        """Run the start hooks, one after the other; TimeoutError when that takes too long, or what one raises."""
        async with asyncio.timeout(HOOK_SECONDS):
            for hook in self._start_hooks:
                await _run(hook)

    async def _end(self) -> None:
        """Run the stop hooks, the last one first."""
        try:
            async with asyncio.timeout(HOOK_SECONDS):
                for hook in reversed(self._stop_hooks):
                    try:
                        await _run(hook)
                    except Exception:
                        logger.exception("a stop hook of %r raised", self)
        except TimeoutError:
            logger.error("the stop hooks of %r took more than %g s", self, HOOK_SECONDS)


def _checked(hook: Hook, what: str) -> Hook:
    if not callable(hook):
        raise TypeError(f"{what} is a function, not {hook!r}")
    return hook


async def _run(hook: Callable[[], Any]) -> None:
    result = hook()
    if inspect.isawaitable(result):
        await result
