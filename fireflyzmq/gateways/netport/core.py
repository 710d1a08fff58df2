"""NetPortCore: what a netport is, behind its public object.

It composes the parts: listeners open sessions in `Clients`; what they send goes through a `CommandTable` to handlers
in this process or forwarding rules; and other services reach the sessions through what is exported here.
"""

from __future__ import annotations

import contextvars
import functools
import ssl
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from fireflyzmq.api.cores.service import Part, ServiceCore, core_of
from fireflyzmq.api.endpoint import destination_of
from fireflyzmq.api.options import CallOptions
from fireflyzmq.conventions.extras import needed_for
from fireflyzmq.gateways.listening import bind
from fireflyzmq.gateways.netport.audience import Audience
from fireflyzmq.gateways.netport.clients import Clients
from fireflyzmq.gateways.netport.codecs.codec import Command
from fireflyzmq.gateways.netport.commands import checked, command_from
from fireflyzmq.gateways.netport.complaints import Complaints
from fireflyzmq.gateways.netport.controls import SessionControls
from fireflyzmq.gateways.netport.displacement import Displacement
from fireflyzmq.gateways.netport.exports import Exports
from fireflyzmq.gateways.netport.forwarding import Forward, Shape, ToAttached, ToService
from fireflyzmq.gateways.netport.handlers import Handler
from fireflyzmq.gateways.netport.hooks import HookOwner, Hooks
from fireflyzmq.gateways.netport.listeners.tcp import Listener, TcpListener
from fireflyzmq.gateways.netport.pushing import Pushing
from fireflyzmq.gateways.netport.settings import Settings
from fireflyzmq.gateways.netport.turns import LoopTurns
from fireflyzmq.gateways.netport.watchers import Watchers
from fireflyzmq.peer.records import Destination, Target
from fireflyzmq.runtime.timers import run_logged
from fireflyzmq.telemetry.readings import Reading
from fireflyzmq.wire.names import check_name

if TYPE_CHECKING:
    from fireflyzmq.api.service import Service

_GOODBYE_SECONDS: Final = 5.0
"""How long a netport that stops waits for its connections to be closed."""


class NetPortCore(Part):
    """The listeners of a netport, its clients, and what serves their commands."""

    title = "NetPort"

    def __init__(
        self,
        core: ServiceCore,
        owner: HookOwner,
        settings: Settings,
        forget: Callable[[NetPortCore], None],
    ) -> None:
        self.core = core
        self._settings = settings
        self._forget = forget
        self._start_call = core.connection.machine.calls.start
        turns = LoopTurns(core.connection)
        complaints = Complaints(core.name, turns.clock)
        self.watchers = Watchers(core, complaints)
        hooks = Hooks(core, owner, settings.limits.request_seconds, self.watchers)
        self.displacement = Displacement(core, settings.group) if settings.one_per_user else None
        self.audience = Audience(time.time, self.displacement.displaced if self.displacement is not None else None)
        self._pushing = Pushing(settings.codec, self.audience, turns.call_later)
        controls = SessionControls(core.connection, self.audience, self._pushing, hooks.attachments)
        self.clients = Clients(core.name, settings, turns, self.audience, hooks, controls, complaints)
        self._goodbye = self._pushing.encode(*settings.goodbye) if settings.goodbye is not None else None
        self._handlers: list[Handler] = []
        self._listeners: list[Listener] = []

    # The ports.

    def listen(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        websocket: int | None,
        path: str,
        origins: Collection[str] | None,
    ) -> tuple[int, int | None]:
        """Bind the ports, that of TCP and perhaps that of WebSocket, and return them. OSError when one is taken."""
        tcp = TcpListener(self.clients, bind(host, port), context)
        self._listeners.append(tcp)
        if websocket is None:
            return tcp.port, None
        with needed_for("a netport's WebSocket"):
            from fireflyzmq.gateways.netport.listeners.websocket import WebSocketListener

        listener = WebSocketListener(self.clients, bind(host, websocket), context, path, origins)
        self._listeners.append(listener)
        return tcp.port, listener.port

    def open(self) -> None:
        """Join the group, and offer services what they may do with the sessions."""
        self.core.memberships.join(self._settings.group)
        Exports(self.core, self.clients, self.audience, self._pushing, self.watchers).offer()

    def start(self) -> None:
        """Let clients in as soon as the loop runs."""
        self.core.connection.call_from_anywhere(self._start)

    def _start(self) -> None:
        for listener in self._listeners:
            if not self.clients.stopping:
                run_logged(listener.start, f"a listener of {self.core.title}", self.core.connection.loop)

    # What serves the clients' commands.

    def export(
        self, function: Callable[..., Any], command: Command | None, threads: int, limit: int, decoded: bool | None
    ) -> None:
        """Let a function serve a command."""
        self.core.check_open()
        number = command_from(getattr(function, "__name__", "")) if command is None else checked(command)
        values = self._settings.codec.decoded if decoded is None else decoded
        handler = Handler(function, self.clients, self.core.connection, threads, limit, values)
        self._handlers.append(handler)
        self.clients.commands.add(number, handler)

    def forward(
        self,
        commands: Command | range | None,
        service: object,
        method: str | None,
        group: str | None,
        attached: str | None,
        options: CallOptions,
        sticky: bool,
        decoded: bool | None,
    ) -> None:
        """Let a service serve commands."""
        self.core.check_open()
        if sum(given is not None for given in (service, group, attached)) != 1:
            raise ValueError("give one of a service, group= and attached=")
        if method is None and isinstance(commands, str):
            method = commands
        several = commands is None or isinstance(commands, range)
        values = self._settings.codec.decoded if decoded is None else decoded
        caller, make = self.core.caller, functools.partial(self._destination, options)
        means = self._settings.codec, self._start_call, Shape(method, several, values)
        rule: Forward
        if attached is not None:
            check_name(attached, "key")
            caller.endpoint(self.core.binding, options)  # tells of what makes no sense now
            rule = ToAttached(*means, attached, self.core.connection.watch, make)
        else:
            endpoint = caller.endpoint(service, options) if group is None else caller.member(group, options)
            rule = ToService(*means, endpoint, destination_of(endpoint), make, sticky)
        self.core.connection.run_in_loop(self.clients.commands.add, commands, rule)

    def _destination(self, options: CallOptions, target: Target, key: str | None) -> Destination:
        timeout, wait, balance, oneway = options.timeout, options.wait, options.balance, options.oneway
        return Destination(self.core.local, target, timeout, wait, balance, key, oneway)

    # The sessions.

    def push(
        self, command: Command, body: Any, sessions: Any, user: str | None, channel: str | None, everyone: bool
    ) -> int:
        """Send a frame that nobody asked for; returns to how many sessions."""
        return self.core.connection.run_in_loop(self._pushing.push, command, body, sessions, user, channel, everyone)

    def statistics(self) -> dict[str, Any]:
        """What the netport has done, and how many of what it has."""
        return self.core.connection.run_in_loop(self.clients.statistics)

    def read(self, reading: Reading) -> None:
        """Say what was counted here, and what there is: for metrics."""
        numbers = self.statistics()
        label = reading.labels.netports.label(self.core.name)
        for name in ("connections", "sessions", "users", "channels", "requests"):
            reading.show(f"netport_{name}", numbers[name], label)
        for name in ("accepted", "failures", "frames_received", "frames_sent"):
            reading.count(f"netport_{name}", numbers[name], label)
        reading.count("netport_received_bytes", numbers["bytes_received"], label)
        reading.count("netport_sent_bytes", numbers["bytes_sent"], label)
        for name in ("refused", "closed"):
            for reason, number in numbers[name].items():
                reading.count(f"netport_{name}", number, label, reason)

    # The end.

    def drain(self) -> Awaitable[None]:
        """Let nobody in any more, finish what is at work, say goodbye to the clients."""
        return self.core.connection.loop.create_task(self._drain(), context=contextvars.Context())

    async def _drain(self) -> None:
        clients = self.clients
        for listener in self._listeners:
            listener.stop()
        clients.stop()
        await clients.all_done()
        if self._goodbye is not None:
            self._pushing.push_frame(self._goodbye, list(self.audience.by_id.values()))
        self._end_sessions()
        await clients.all_gone(_GOODBYE_SECONDS)
        await self.core.hooks.ended()

    def _end_sessions(self) -> None:
        """End all sessions at once; what was pushed to them is on its way before."""
        self._pushing.finish()
        self.clients.close()

    def ended(self) -> None:
        """The service is closed."""
        self._forget(self)
        self._end_sessions()
        self.watchers.close()
        if self.displacement is not None:
            self.displacement.close()
        for handler in self._handlers:
            handler.close()
        for listener in self._listeners:
            listener.stop()
            if not self.core.connection.loop.is_closed():
                run_logged(listener.close, f"a listener of {self.core.title}", self.core.connection.loop)

    def abandoned(self) -> None:
        """The loop has ended: free the ports, and the name."""
        self._forget(self)
        for listener in self._listeners:
            listener.abandon()


def clients_of(service: Service) -> Clients:
    """The clients of a netport, as the library's own modules and tests see them."""
    return core_of(service).part(NetPortCore).clients
