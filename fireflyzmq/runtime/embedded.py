"""An exchange inside a process's event loop. The one place in which the library reaches the exchange's code."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from fireflyzmq.runtime.beside import exchange_package

if TYPE_CHECKING:
    from exchange.server import Joined, Server


logger = logging.getLogger(__name__)

FAULT_PAUSE = 0.1
"""Seconds until an exchange that has failed goes on, so that what stays wrong fills neither the log nor the loop."""

LONGEST_WAIT = 3600.0
"""Seconds after which it looks again at what is due: loops have bounds of their own for their timers."""


class EmbeddedExchange:
    """A server driven by an asyncio loop. `limits` are those of `exchange.core.limits.Limits`, by name."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Mapping[str, float]) -> None:
        package = exchange_package()
        bounds = importlib.import_module(f"{package}.core.limits").Limits(**limits)
        self._loop = loop
        self._server: Server = importlib.import_module(f"{package}.server").Server((), bounds, loop.time)
        self._operator = importlib.import_module(f"{package}.operator").Operator(self._server)
        self._timer: asyncio.TimerHandle | None = None
        self._poked = False
        self._context = contextvars.Context()  # what is driven belongs to no request
        loop.add_reader(self._server.descriptors[0], self._drive)
        self._listen_to_monitor()

    def bind(self, address: str) -> str:
        """Listen at a ZeroMQ address; returns it with its port. OSError when it is taken, ValueError if illegal."""
        bound = self._server.bind(address)
        self._poke()
        return bound

    def join(self, receive: Callable[[list[bytes]], None]) -> JoinedPeer:
        """Join a peer of this process: `receive` gets the frames of each of its messages."""
        return JoinedPeer(self._server.join(receive), self._poke)

    def _poke(self) -> None:
        if not self._poked:
            self._poked = True
            self._loop.call_soon(self._drive, context=self._context)

    def _drive(self) -> None:
        """Let the server work; again in the next turn while there is more, so that others get theirs."""
        self._poked = False
        if self._server.closed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait: float | None = FAULT_PAUSE  # whatever is raised, it goes on
        try:
            if self._server.process():
                self._poke()
            due = self._server.next_deadline()
            wait = None if due is None else min(max(0.0, due - self._server.clock()), LONGEST_WAIT)
        except Exception:
            logger.exception("the exchange in this process failed, and goes on")
        finally:
            if wait is not None:
                self._timer = self._loop.call_later(wait, self._drive, context=self._context)

    def _listen_to_monitor(self) -> None:
        if not self._server.closed:
            self._loop.add_reader(self._server.descriptors[1], self._hear)

    def _hear(self) -> None:
        if self._server.closed:
            return
        try:
            self._server.process_monitor()
        except Exception:  # what it has not read it would be told of again at once
            logger.exception("the exchange in this process failed on its monitor, and goes on")
            self._loop.remove_reader(self._server.descriptors[1])
            self._loop.call_later(FAULT_PAUSE, self._listen_to_monitor, context=self._context)
        self._drive()

    def close(self) -> None:
        """Stop listening; the peers see their connections go."""
        if not self._loop.is_closed():
            for descriptor in self._server.descriptors:
                self._loop.remove_reader(descriptor)
        if self._timer is not None:
            self._timer.cancel()
        self._server.close()


class JoinedPeer:
    """The place of a peer of this process, which lets the server look for what its sending has stirred up."""

    def __init__(self, joined: Joined, poke: Callable[[], None]) -> None:
        self._joined = joined
        self._poke = poke

    def send(self, frames: Iterable[bytes]) -> None:
        """Send the exchange a message."""
        self._joined.send(frames)
        self._poke()

    def leave(self, reason: str = "lost") -> None:
        """Be gone, as if the connection were cut."""
        self._joined.leave(reason)
        self._poke()
