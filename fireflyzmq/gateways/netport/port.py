"""NetPort: a service whose clients are connections of TCP or WebSocket.

Here is what users say to it; what it does is in its core.
"""

from __future__ import annotations

import functools
import ssl
import weakref
from collections.abc import Callable, Collection
from typing import Any, Final, TypeVar, overload

from fireflyzmq.api.options import CallOptions
from fireflyzmq.api.service import Service
from fireflyzmq.conventions.callbacks import hook
from fireflyzmq.gateways.netport.codecs.codec import Codec, Command
from fireflyzmq.gateways.netport.codecs.firefly import FireflyCodec
from fireflyzmq.gateways.netport.commands import checked, command_from
from fireflyzmq.gateways.netport.core import NetPortCore
from fireflyzmq.gateways.netport.handlers import check_handler
from fireflyzmq.gateways.netport.limits import NetLimits
from fireflyzmq.gateways.netport.settings import Settings
from fireflyzmq.gateways.netport.shown import Session
from fireflyzmq.peer.local import MAX_REQUESTS
from fireflyzmq.telemetry.sources import add_source, drop_source
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.names import check_name

NETPORTS: Final = "netports"
"""The group that netports are in, unless they say else."""

Function = TypeVar("Function", bound=Callable[..., Any])


class NetPort(Service):
    """A service through which clients reach others: `NetPort("net1", 11009)`. It binds at once.

    `name` is one of its own, as sessions are called after it ("net1/42"): while another netport has it this one takes
    clients, and others reach its sessions once it has the name. Port 0 picks a free one; `port` says which.
    `codec` is what clients speak, Firefly's frames unless it says else; with `ssl` they speak it over TLS. With
    `websocket`, a port (0: a free one, see `websocketPort`), WebSockets at `websocketPath` are clients too; only pages
    of `origins` may connect when these are given. With `ordered` a session's requests are served one after the other,
    with `onePerUser` a user has one session among all netports of the `group`. `goodbye`, a command and a body, is
    pushed to all when the netport stops: it lets nobody in any more, finishes what is at work, says goodbye to the
    clients, and drains as any service. Further arguments are those of `Service`. OSError when a port is taken, or the
    `host` is none of this machine's ("::" is all of them, IPv4 as well); ValueError for what is no host or port.

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
        core = self._fireflyzmq
        codec = FireflyCodec() if codec is None else codec
        limits = NetLimits() if limits is None else limits
        settings = Settings(codec, limits, group, ordered, onePerUser, goodbye)
        try:
            netport = NetPortCore(core, self, settings, _forget)
            core.add(netport)
            self.port, self.websocketPort = netport.listen(host, port, ssl, websocket, websocketPath, origins)
            netport.open()
            for command, function in _handled:
                netport.export(function, command, 0, MAX_REQUESTS, None)
        except BaseException:
            core.close()
            raise
        _netports.add(netport)
        add_source(netport)
        netport.start()

    # What serves the clients' commands.

    @overload
    def exportCommand(
        self,
        function: Function,
        command: Command | None = None,
        *,
        threads: int = 0,
        limit: int = MAX_REQUESTS,
        decoded: bool | None = None,
    ) -> Function: ...
    @overload
    def exportCommand(
        self,
        function: Command | None = None,
        command: Command | None = None,
        *,
        threads: int = 0,
        limit: int = MAX_REQUESTS,
        decoded: bool | None = None,
    ) -> Callable[[Function], Function]: ...
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
        self._fireflyzmq.part(NetPortCore).export(function, command, threads, limit, decoded)
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
        options = CallOptions(timeout, wait, balance, oneway=oneway)
        self._fireflyzmq.part(NetPortCore).forward(
            commands, service, method, group, attached, options, sticky, decoded
        )

    # Hooks.

    @hook
    def doConnectionMade(self, session: Session) -> Any:
        """Override to hear of a client that has come, before anything it sends; it may be pushed to at once.

        With an `async def` its frames wait until that has ended, for `request_seconds` at most. When the hook raises,
        or takes longer, the session is closed ("refused").
        """

    @hook
    def doConnectionLost(self, session: Session, reason: str) -> Any:
        """Override to hear, once, that a session has ended: "goodbye", "lost", "protocol", "silent", "idle", "slow",
        "replaced", "refused", "stopped", "closed", or the reason that was given when it was closed.
        """

    @hook
    def doAttachedLost(self, session: Session, key: str, binding: Binding, reason: str) -> Any:
        """Override to name another service (its binding) for a session whose attached one is gone; may be an
        `async def`. What the session forwards there meanwhile waits. With None such frames fail from then on.
        """

    # The sessions.

    def session(self, id: str) -> Session | None:
        """The session of an id, None when there is none."""
        found = self._fireflyzmq.part(NetPortCore).audience.by_id.get(id)
        return None if found is None else found.shown

    def sessions(self) -> list[Session]:
        """All sessions."""
        return [each.shown for each in list(self._fireflyzmq.part(NetPortCore).audience.by_id.values())]

    def sessionsOf(self, user: str) -> list[Session]:
        """A user's sessions here."""
        return [each.shown for each in self._fireflyzmq.part(NetPortCore).audience.of_user(user)]

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
        return self._fireflyzmq.part(NetPortCore).push(command, body, sessions, user, channel, everyone)

    def stats(self) -> dict[str, Any]:
        """What the netport has done, and how many of what it has."""
        return self._fireflyzmq.part(NetPortCore).statistics()


_handled: list[tuple[Command, Callable[..., Any]]] = []
_netports: weakref.WeakSet[NetPortCore] = weakref.WeakSet()


def _forget(netport: NetPortCore) -> None:
    """A netport has closed: it gets no handlers any more, and is not measured."""
    _netports.discard(netport)
    drop_source(netport)


@overload
def netserviceHandle(function: Function, command: Command | None = None) -> Function: ...
@overload
def netserviceHandle(
    function: Command | None = None, command: Command | None = None
) -> Callable[[Function], Function]: ...
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
        netport.export(function, number, 0, MAX_REQUESTS, None)
    return function
