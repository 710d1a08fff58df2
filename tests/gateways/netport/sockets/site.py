"""Site: an exchange and a netport in one loop, services that reach them over a socket of ZeroMQ's, and players."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from fireflyzmq import EXCHANGE_SERVER, Exchange, NetPort, Service, Session
from fireflyzmq.api.connect import Peer
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.gateways.netport.core import NetPortCore
from fireflyzmq.gateways.netport.session import core_of as session_core
from fireflyzmq.gateways.netport.watchers import Watcher
from tests.gateways.netport.sockets.player import Player
from tests.waiting import TEST_SECONDS


class Noted(NetPort):
    """A netport that notes who comes and who goes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.came: list[Any] = []
        self.gone: list[tuple[str, str]] = []
        super().__init__(*args, **options)

    def doConnectionMade(self, session: Any) -> None:
        self.came.append(session)

    def doConnectionLost(self, session: Any, reason: str) -> None:
        self.gone.append((session.id, reason))


class Site:
    """Everything that it makes is closed at its end."""

    def __init__(self) -> None:
        self._closing: list[Callable[[], object]] = []
        self._players: list[Player] = []
        self.exchange = Exchange(EXCHANGE_SERVER)
        self._closing.append(self.exchange.close)
        self.address = self.exchange.listen(0)

    def netport(self, name: str = "net", **options: Any) -> Noted:
        """A netport that notes who comes and who goes, beside the exchange."""
        netport: Noted = self.netport_of(Noted, name, **options)
        return netport

    def netport_of(self, kind: Callable[..., Any], name: str = "net", **options: Any) -> Any:
        """A netport of another class."""
        netport = kind(name, exchange=self.exchange, **options)
        self._closing.append(netport.close)
        return netport

    async def peer(self) -> Peer:
        """A connection of its own to the exchange."""
        peer = Peer(self.address)
        self._closing.append(peer.close)
        await peer.connected(5)
        return peer

    async def service(self, name: str = "game", group: str | None = None, **methods: Callable[..., Any]) -> Service:
        """A service with a connection of its own, registered, with methods by their names."""
        service: Service = await self.service_of(Service, name, group, **methods)
        return service

    async def service_of(
        self, kind: type[Service], name: str = "game", group: str | None = None, **methods: Callable[..., Any]
    ) -> Any:
        """A service of another class."""
        service = kind(name, exchange=await self.peer())
        for method, function in methods.items():
            service.exportMethod(function, method)
        if group is not None:
            service.joinGroup(group)
        await service.ready()
        return service

    async def player(self, netport: NetPort, context: ssl.SSLContext | None = None, **options: Any) -> Player:
        """A client that is connected."""
        player = await Player.connect(netport.port, context=context, **options)
        self._players.append(player)
        return player

    async def close(self) -> None:
        """Close all, the players first."""
        for player in self._players:
            player.writer.transport.abort()
        for close in reversed(self._closing):
            close()
        for player in self._players:
            with contextlib.suppress(OSError):
                await player.writer.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:  # those that go on for longer than they should are cancelled with the loop
            await asyncio.wait(others, timeout=2)


def set_hooks(netport: NetPort, **hooks: Callable[..., object]) -> None:
    """Give a netport hooks in the place of its class's, by their names."""
    for name, function in hooks.items():
        setattr(netport, name, function)


AsyncTest = Callable[..., Awaitable[None]]


def at_site(test: AsyncTest) -> Callable[..., None]:
    """Run a test in a loop of its own with a site of its own, its first argument.

    A test that has the argument `new_loop` runs in the loop that this makes.
    """
    signature = inspect.signature(test)

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        async def main() -> None:
            site = Site()
            try:
                await asyncio.wait_for(test(site, **fixtures), TEST_SECONDS)
            finally:
                await site.close()

        with asyncio.Runner(loop_factory=fixtures.get("new_loop")) as runner:
            runner.run(main())

    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=list(signature.parameters.values())[1:]
    )
    return run


def watching(netport: NetPort, session: Session) -> list[Watcher]:
    """The services that watch a session of a netport."""
    return core_of(netport).part(NetPortCore).watchers.of_session(session_core(session))


async def let_pass(player: Player, command: int, body: bytes = b"") -> None:
    """Wait until the netport has worked off what was sent before: what it answers to one more frame is the next."""
    assert await player.ask(command, body) == body
