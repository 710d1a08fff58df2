"""Asking: how a command reaches the exchange and its services: the options for it, and a connection for a while.

It knows the API. It must not know what is asked, or how it is shown.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from fireflyzmq.api.connect import Peer, connect
from fireflyzmq.errors import ExchangeLost

Given = TypeVar("Given")
Command = TypeVar("Command", bound=Callable[..., Any])

SECONDS = 10.0
"""How long an answer is waited for unless `--timeout` says otherwise."""


class NoExchange(Exception):
    """There is no exchange where one was looked for."""


@dataclass(frozen=True)
class Asking:
    """Where the exchange is (None: where the library looks), how long an answer may take (s), and JSON or not."""

    exchange: str | None = None
    timeout: float = SECONDS
    json: bool = False

    def run(self, use: Callable[[Peer], Awaitable[Given]]) -> Given:
        """Connect, and give what `use` makes of it. NoExchange where none is, otherwise what `use` raises."""
        return asyncio.run(self._use(use))

    async def _use(self, use: Callable[[Peer], Awaitable[Given]]) -> Given:
        try:
            peer = await connect(self.exchange, self.timeout)
        except ExchangeLost as failure:
            raise NoExchange(failure.description) from None
        try:
            return await use(peer)
        finally:
            await peer.leave()


def examples(*lines: str) -> str:
    """What stands below a command's help."""
    return "\b\n" + "\n".join(lines)  # click takes the first character as a wish to keep the lines


def asks(command: Command) -> Command:
    """Give a command `--exchange`, `--timeout` and `--json`, as one `Asking` in front of its own parameters."""

    @click.option("--exchange", metavar="ADDRESS", help="Where the exchange is: tcp://host:port, ipc:///path.")
    @click.option(
        "--timeout",
        type=click.FloatRange(0.001, 86400.0),
        default=SECONDS,
        metavar="SECONDS",
        show_default=True,
        help="How long an answer may take.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(command)
    def asking(*args: Any, exchange: str | None, timeout: float, as_json: bool, **options: Any) -> Any:
        return command(Asking(exchange, timeout, as_json), *args, **options)

    return asking  # type: ignore[return-value]
