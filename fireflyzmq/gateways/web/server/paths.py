"""Paths: what is attached to which path of an HTTP daemon, and which of it answers a request.

It knows nothing of who may ask, nor of how long the daemon lives.
"""

from __future__ import annotations

from typing import Protocol, cast

from aiohttp import web

from fireflyzmq.api.service import Service
from fireflyzmq.gateways.web.server.request import WebRequest
from fireflyzmq.gateways.web.server.rpc_path import RpcPath
from fireflyzmq.gateways.web.services.gateway import Gateway


class Attached(Protocol):
    """What answers the requests under a path. Those of one with a true attribute `traced` get a span each."""

    def open(self, caller: Service) -> None:
        """The daemon begins: follow the services."""

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        """Answer a request."""

    def close(self) -> None:
        """The daemon has ended."""


def plain_path(path: str) -> str:
    """A path without slashes at its end, "" for the whole site; ValueError for what is no path."""
    if not path.startswith("/"):
        raise ValueError(f"a path begins with '/', not {path!r}")
    return path.rstrip("/")


class Paths:
    """What is attached, by its path as `plain_path` has it; it calls services in the name of `caller`."""

    def __init__(self, caller: Service) -> None:
        self._caller = caller
        self._attached: dict[str, Attached] = {}
        self._public: set[str] = set()

    def attach(self, path: str, gateway: Gateway | Attached | None, public: bool) -> None:
        """Let a gateway answer under a path, or nobody; ValueError for one that is attached already."""
        if gateway is not None and any(each is gateway for each in self._attached.values()):
            raise ValueError(f"{gateway!r} is attached already; each path has a gateway of its own")
        attached: Attached | None = None
        if gateway is not None:
            attached = cast(Attached, gateway) if hasattr(gateway, "open") else RpcPath(gateway)
            attached.open(self._caller)  # when that fails, all is as it was
        former = self._attached.pop(path, None)
        if attached is not None:
            self._attached[path] = attached
        (self._public.add if public else self._public.discard)(path)
        if former is not None:
            former.close()

    def at(self, path: str) -> tuple[str, Attached | None]:
        """The longest path that something is attached to, and what."""
        while path not in self._attached and path:
            path = path.rpartition("/")[0]
        return path, self._attached.get(path)

    def is_public(self, path: str) -> bool:
        """Whether everybody may ask for what is attached to a path."""
        return path in self._public

    def close(self) -> None:
        """Tell all of them that the daemon has ended."""
        for attached in self._attached.values():
            attached.close()
