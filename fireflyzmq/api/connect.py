"""connect: the exchange for programs that run asyncio themselves, and Peer, which it gives."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any

from fireflyzmq.api.cores.parts import Part
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.api.exchange import EXCHANGE_CLIENT, Exchange, connection_of, exchange_address
from fireflyzmq.api.service import Service
from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.errors import ExchangeLost
from fireflyzmq.runtime.connection import Connection


class PeerCore(Part):
    """The exchange of a peer, which is closed with it."""

    title = "Peer"

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange


class Peer(Service):
    """A nameless service with a connection of its own, in the running loop."""

    def __init__(self, address: str | None = None) -> None:
        exchange = Exchange(EXCHANGE_CLIENT)
        try:
            super().__init__("", exchange=exchange)
            self._fireflyzmq.add(PeerCore(exchange))
            exchange.connect(exchange_address(address))
        except BaseException:
            exchange.close()
            raise

    async def connected(self, timeout: float) -> None:
        """Wait until connected; ExchangeLost after `timeout` seconds."""
        await exchange_of(self).connected(timeout)

    async def leave(self) -> None:
        """Close the connection with all its services, and wait until the exchange has heard it, a second at most.

        One-way calls and reports of before leave first, 5 seconds at most. Cancelled, it closes at once.
        """
        await exchange_of(self).leave()

    def close(self) -> None:
        """Say goodbye and close the connection at once, with all services that belong to it."""
        exchange_of(self).close()


@connection_of.register
def _connection_of_peer(peer: Peer) -> Connection:
    connection = core_of(peer).connection
    if connection.closed:
        raise RuntimeError("this connection, which connect gave, is closed")
    return connection


def exchange_of(peer: Peer) -> Exchange:
    """The exchange of a peer."""
    return core_of(peer).part(PeerCore).exchange


class connect:  # noqa: N801
    """Connect inside a running asyncio program: `async with connect(address) as peer`, or `await connect(address)`.

    The running loop is adopted, signals are left alone. Waits up to `timeout` seconds for the exchange, then raises
    ExchangeLost. Without an address, FIREFLYZMQ_EXCHANGE says where, otherwise it is this host's port 11111.
    """

    _fireflyzmq: Opening = NotBegun("connect")  # type: ignore[assignment]

    def __init__(self, address: str | None = None, timeout: float = 5.0) -> None:
        put_behind(self, Opening(address, timeout))

    def __await__(self) -> Generator[Any, None, Peer]:
        return self._fireflyzmq.open().__await__()

    async def __aenter__(self) -> Peer:
        self._fireflyzmq.peer = await self._fireflyzmq.open()
        return self._fireflyzmq.peer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fireflyzmq.peer is not None:
            await self._fireflyzmq.peer.leave()


class Opening:
    """What stands behind `connect`: where to, how long, and the peer once it is there."""

    def __init__(self, address: str | None, timeout: float) -> None:
        self.peer: Peer | None = None
        self._address = address
        self._timeout = timeout

    async def open(self) -> Peer:
        """Connect, or raise ExchangeLost."""
        peer = Peer(self._address)
        try:
            await peer.connected(self._timeout)
        except ExchangeLost as error:
            peer.close()
            raise error.with_traceback(None) from None
        except BaseException:
            peer.close()
            raise
        return peer
