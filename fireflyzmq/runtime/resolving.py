"""Resolving: the addresses that stand behind the name in an exchange's address, to be tried one after the other.

A name is asked for in a thread of its own, as that may take many seconds: ZeroMQ would do it in the thread that
answers the heartbeats of all connections.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import threading
import weakref
from collections.abc import Callable
from typing import Final

from fireflyzmq.wire.addresses import bracketed, host_of, is_name

_LOCALHOST: Final = "localhost"
"""The name that needs no asking (RFC 6761, section 6.3)."""

_MOST_PLACES: Final = 8
"""Addresses of one name that are tried."""


class NoSuchHost(Exception):
    """A name has no address, or none that can be found now; the text says which."""


Found = Callable[["list[str] | NoSuchHost"], None]


class Places:
    """Where an exchange's address leads to, in full addresses without names."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._left: list[str] = []
        self._asking = False

    @property
    def more(self) -> bool:
        """Whether there are some that were not tried since they were found."""
        return bool(self._left)

    def next(self) -> str | None:
        """The next place to try; None when `ask` has to find them first."""
        if not self._left:
            self._left = self._known()
        return self._left.pop(0) if self._left else None

    def _known(self) -> list[str]:
        host, port = host_of(self._address) or ("", "")
        if host == _LOCALHOST:
            return [f"tcp://127.0.0.1:{port}", *([f"tcp://[::1]:{port}"] if _has_ipv6() else [])]
        return [] if is_name(host) and host else [self._address]

    def ask(self, loop: asyncio.AbstractEventLoop, found: Found) -> None:
        """Ask for the name's addresses; `found`, a method, is called in the loop, unless its object is gone by then.

        While that goes on, asking again changes nothing. RuntimeError when there can be no thread.
        """
        if self._asking:
            return
        host, port = host_of(self._address) or ("", "")
        tell = weakref.WeakMethod(found)

        def deliver(outcome: list[str] | NoSuchHost) -> None:
            self._asking = False
            if not isinstance(outcome, NoSuchHost):
                self._left = outcome
            told = tell()
            if told is not None:
                told(outcome)

        def work() -> None:
            try:
                outcome: list[str] | NoSuchHost = _addresses(host, port)
            except NoSuchHost as error:
                outcome = error
            try:
                loop.call_soon_threadsafe(deliver, outcome, context=contextvars.Context())
            except RuntimeError:  # the loop has ended
                return

        self._asking = True
        try:
            threading.Thread(target=work, name=f"fireflyzmq asks for {host}", daemon=True).start()
        except RuntimeError:
            self._asking = False
            raise


def _addresses(host: str, port: str) -> list[str]:
    """The addresses of a name, IPv4 first, where most listen; NoSuchHost when there are none."""
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoSuchHost(f"no such host: {getattr(error, 'strerror', None) or error}") from None
    hosts = dict.fromkeys(
        str(address[0])
        for wanted in (socket.AF_INET, socket.AF_INET6)
        for family, _, _, _, address in found
        if family == wanted
    )
    if not hosts:
        raise NoSuchHost("no such host: it has no address of IPv4 or IPv6")
    return [f"tcp://{bracketed(each)}:{port}" for each in list(hosts)[:_MOST_PLACES]]


def _has_ipv6() -> bool:
    """Whether this machine has the loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
