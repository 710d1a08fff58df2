"""NetPort: a service whose clients are connections of TCP or WebSocket.

It composes the parts: listeners open sessions in `Clients`; what they send goes through a `CommandTable` to handlers
in this process or forwarding rules; and other services reach the sessions through what is exported here.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import ssl
import weakref
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, TypeVar

from fireflyzmq.calls import Destination
from fireflyzmq.endpoint import Endpoint
from fireflyzmq.mirror import Target
from fireflyzmq.netport.clients import Clients
from fireflyzmq.netport.codec import Codec, Command
from fireflyzmq.netport.commands import checked, command_from
from fireflyzmq.netport.exports import Exports
from fireflyzmq.netport.firefly import FireflyCodec
from fireflyzmq.netport.forwarding import Forward, ToAttached, ToService
from fireflyzmq.netport.handlers import Handler, check_handler
from fireflyzmq.netport.hooks import Hooks
from fireflyzmq.netport.limits import NetLimits
from fireflyzmq.netport.session import Session
from fireflyzmq.netport.tcp import TcpListener, bind
from fireflyzmq.service import Service
from fireflyzmq.serving import MAX_REQUESTS
from fireflyzmq.timers import run_logged
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.names import check_name

logger = logging.getLogger(__name__)

NETPORTS: Final = "netports"
"""The group that netports are in, unless they say else."""

_GOODBYE_SECONDS: Final = 5.0
"""How long a netport that stops waits for its connections to be closed."""

Function = TypeVar("Function", bound=Callable[..., Any])


class NetPort(Service):
    """A service through which clients reach others: `NetPort("net1", 11009)`. It binds at once.

    `name` is one of its own, as sessions are called after it ("net1/42"). Port 0 picks a free one; `port` says which.
    `codec` is what clients speak, Firefly's frames unless it says else; with `ssl` they speak it over TLS. With
    `websocket`, a port (0: a free one, see `websocketPort`), WebSockets at `websocketPath` are clients too; only pages
    of `origins` may connect when these are given. With `ordered` a session's requests are served one after the other,
    with `onePerUser` a user has one session among all netports of the `group`. `goodbye`, a command and a body, is
    pushed to all when the netport stops. Further arguments are those of `Service`. OSError when a port is taken.

    Override, or assign, `doConnectionMade`, `doConnectionLost` and `doAttachedLost`.
    """

    def __init__(
        self,
        name: str,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        codec: Codec | None = None,
        limits: NetLimits | None = None,
        ssl: ssl.SSLContext | None = None,
        websocket: int | None = None,
        websocketPath: str = "/",
        origins: Collection[str] | None = None,
        group: str = NETPORTS,
        ordered: bool = False,
        onePerUser: bool = False,
        goodbye: tuple[Command, Any] | None = None,
        **options: Any,
    ) -> None:
        check_name(name, "netport's name")
        check_name(group, "group name")
        super().__init__(name, **{"unique": True, **options})
        self._group = group
        self._handlers: list[Handler] = []
        self._draining: asyncio.Task[None] | None = None
        connection = self._connection
        self._clients = clients = Clients(
            name, connection, codec or FireflyCodec(), limits or NetLimits(), ordered, onePerUser
        )
        hooks = Hooks(self, clients)
        clients.opened = hooks.opened
        clients.closed = hooks.closed
        clients.attach = hooks.attachments.attach
        clients.displaced = self._displaced
        clients.start_call = connection.session.calls.start
        self._listeners: list[Any] = []
        try:
            self._goodbye = clients.encode(*goodbye) if goodbye is not None else None
            self._listeners.append(tcp := TcpListener(clients, bind(host, port), ssl))
            self.port = tcp.port
            self.websocketPort: int | None = None
            if websocket is not None:
                from fireflyzmq.netport.websocket import WebSocketListener

                listener = WebSocketListener(clients, bind(host, websocket), ssl, websocketPath, origins)
                self._listeners.append(listener)
                self.websocketPort = listener.port
            self.joinGroup(group)
            self.exportMethod(self.push)
            self.exportMethod(self.stats)
            Exports(self, clients)
            for command, function in _handled:
                self.exportCommand(function, command)
        except BaseException:
            self.close()
            raise
        _netports.add(self)
        connection.call_from_anywhere(self._start)

    def _start(self) -> None:
        for listener in self._listeners:
            if not self._clients.stopping:
                run_logged(listener.start, f"a listener of {self!r}", self._connection.loop)

    # What serves the clients' commands.

    def exportCommand(
        self,
        function: Any = None,
        command: Command | None = None,
        *,
        threads: int = 0,
        limit: int = MAX_REQUESTS,
        decoded: bool | None = None,
    ) -> Any:
        """Let a function serve a command: `function(session, body)`. Returns the function.

        Without a command it is the number that the function's name ends in, 101 of `login_101`. What it returns is
        sent back under the same command: bytes or a text, an empty one too; None is no answer. With `decoded` (what
        the codec says, otherwise) it gets and returns values. A `def` runs in the loop, with `threads=N` in a pool of
        N threads, an `async def` concurrently. Of more than `limit` requests at work further ones fail as Overloaded.
        What it raises is told to the client as a failure, and the client stays. Usable as a decorator:
        `@net.exportCommand`, `@net.exportCommand(101)`. ValueError for what cannot be a command, or a handler.
        """
        if not callable(function):
            given = command if function is None else function
            return functools.partial(self.exportCommand, command=given, threads=threads, limit=limit, decoded=decoded)
        self._check_open()
        number = command_from(getattr(function, "__name__", "")) if command is None else checked(command)
        clients = self._clients
        values = clients.codec.decoded if decoded is None else decoded
        handler = Handler(function, clients, self._connection, threads, limit, values)
        self._handlers.append(handler)
        self._clients.commands.add(number, handler)
        return function

    def forward(
        self,
        commands: Command | range | None,
        service: str | Binding | Service | None = None,
        method: str | None = None,
        *,
        group: str | None = None,
        attached: str | None = None,
        timeout: float = 30.0,
        wait: float = 0.0,
        balance: str = "least-pending",
        sticky: bool = False,
        oneway: bool = False,
        decoded: bool | None = None,
    ) -> None:
        """Let a service serve a command, a range of commands, or (None) all that nothing else is for.

        The service is one of a name, a member of a `group`, or the one that the session is attached to under the key
        `attached` (see `Session.attach`). With `sticky` a session's frames go to the same instance while it is there.

        The method is called as `method(session, body)` with the session's id; one that serves several commands as
        `method(command, session, body)`. Without a method a number calls the one whose name ends in it, as
        `callRemote(101, session, body)` does, and a word the method of that name. What it returns is the answer, as
        for `exportCommand`; `oneway` calls have none. `timeout`, `wait` and `balance` are those of `serviceEndPoint`.
        """
        self._check_open()
        if (service, group, attached).count(None) != 2:
            raise ValueError("give one of a service, group= and attached=")
        if method is None and isinstance(commands, str):
            method = commands
        several = commands is None or isinstance(commands, range)
        values = self._clients.codec.decoded if decoded is None else decoded
        make = functools.partial(self._destination, timeout, wait, balance, oneway)
        shape = self._clients, method, several, values
        rule: Forward
        if attached is not None:
            check_name(attached, "key")
            self._endpoint(self, None, timeout, wait, balance, oneway)  # tells of what makes no sense now
            rule = ToAttached(*shape, attached, self._connection.watch, make)
        else:
            endpoint = self._endpoint(service, group, timeout, wait, balance, oneway)
            rule = ToService(*shape, endpoint, make, sticky)
        self._connection.run_in_loop(self._clients.commands.add, commands, rule)

    def _endpoint(
        self,
        service: str | Binding | Service | None,
        group: str | None,
        timeout: float,
        wait: float,
        balance: str,
        oneway: bool,
    ) -> Endpoint:
        if group is not None:
            return self.groupEndPoint(group, timeout, wait, balance, None, oneway)
        assert service is not None
        return self.serviceEndPoint(service, timeout, wait, balance, None, oneway)

    def _destination(
        self, timeout: float, wait: float, balance: str, oneway: bool, target: Target, key: str | None
    ) -> Destination:
        return Destination(self._local, target, timeout, wait, balance, key, oneway)

    # Hooks.

    def doConnectionMade(self, session: Session) -> Any:
        """Override to hear of a client that has come, before anything it sends; it may be pushed to at once.

        With an `async def` its frames wait until that has ended, for `request_seconds` at most. When the hook raises,
        or takes longer, the session is closed ("refused").
        """

    def doConnectionLost(self, session: Session, reason: str) -> Any:
        """Override to hear, once, that a session has ended: "goodbye", "lost", "protocol", "silent", "idle", "slow",
        "replaced", "refused", "stopped", "closed", or the reason that was given when it was closed.
        """

    def doAttachedLost(self, session: Session, key: str, binding: Binding, reason: str) -> Any:
        """Override to name another service (its binding) for a session whose attached one is gone; may be an
        `async def`. What the session forwards there meanwhile waits. With None such frames fail from then on.
        """

    # The sessions.

    def session(self, id: str) -> Session | None:
        """The session of an id, None when there is none."""
        return self._clients.by_id.get(id)

    def sessions(self) -> list[Session]:
        """All sessions."""
        return list(self._clients.by_id.values())

    def sessionsOf(self, user: str) -> list[Session]:
        """A user's sessions here."""
        return self._clients.of_user(user)

    def push(
        self,
        command: Command,
        body: Any,
        sessions: Any = (),
        *,
        user: str | None = None,
        channel: str | None = None,
        everyone: bool = False,
    ) -> int:
        """Send a frame that nobody asked for, encoded once; returns to how many sessions.

        To one session or several, by id, and to those of a `user`, in a `channel`, or to `everyone`. Those that are
        not there (any more) are left out. Other services call it by the same name.
        """
        return self._connection.run_in_loop(self._clients.push, command, body, sessions, user, channel, everyone)

    def stats(self) -> dict[str, Any]:
        """What the netport has done, and how many of what it has."""
        return self._connection.run_in_loop(self._clients.statistics)

    def _displaced(self, user: str, bound_at: float, id: str) -> None:
        """A user has come here: the netports of the group close that user's earlier sessions."""
        self.groupEndPoint(self._group, oneway=True).displace(user, bound_at, id)

    # The end.

    def drain(self) -> Awaitable[None]:
        """Let nobody in any more, finish what is at work, say goodbye to the clients; then drain as any service."""
        if self._draining is None:
            loop = self._connection.loop
            self._draining = loop.create_task(self._drain(), context=contextvars.Context())
        return asyncio.shield(self._draining)

    async def _drain(self) -> None:
        clients = self._clients
        for listener in self._listeners:
            listener.stop()
        clients.stop()
        await clients.all_done()
        if self._goodbye is not None:
            clients.push_frame(self._goodbye, list(clients.by_id.values()))
        clients.close()
        await clients.all_gone(_GOODBYE_SECONDS)
        await super().drain()

    def _ended(self) -> None:
        _netports.discard(self)
        self._clients.close()
        for handler in self._handlers:
            handler.close()
        for listener in self._listeners:
            listener.stop()
            if not self._connection.loop.is_closed():
                run_logged(listener.close, f"a listener of {self!r}", self._connection.loop)
        super()._ended()


_handled: list[tuple[Command, Callable[..., Any]]] = []
_netports: weakref.WeakSet[NetPort] = weakref.WeakSet()


def netserviceHandle(function: Any = None, command: Command | None = None) -> Any:
    """Let a function serve a command of this process's netports: `@netserviceHandle`. Returns the function.

    It works before the `NetPort` is made, and after. The command is the number that the function's name ends in, or
    the one that is given: `@netserviceHandle(101)`.
    """
    if not callable(function):
        return functools.partial(netserviceHandle, command=command if function is None else function)
    number = command_from(getattr(function, "__name__", "")) if command is None else checked(command)
    check_handler(function)
    _handled.append((number, function))
    for netport in list(_netports):
        netport.exportCommand(function, number)
    return function
