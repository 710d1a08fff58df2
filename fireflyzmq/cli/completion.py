"""Completion: names that a shell completes, as the exchange knows them at that moment."""

from __future__ import annotations

import asyncio
from typing import Any

import click
from click.shell_completion import CompletionItem

from fireflyzmq.api.connect import connect

_SECONDS = 1.0
"""How long a shell is kept waiting at most, for each of two questions."""


class _Service(click.ParamType[str]):
    """A service's name."""

    name = "service"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin so."""
        return _items(sorted({each["name"] for each in _ask(context, "exchange", "services")}), incomplete)


class _Method(click.ParamType[str]):
    """A method of the service that stands before it."""

    name = "method"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names of methods that begin so, each with its signature."""
        methods = _ask(context, context.params["name"], "system.describe")["methods"]
        return [
            CompletionItem(each["name"], help=f"{each['name']}{each['signature']}")
            for each in methods
            if each["name"].startswith(incomplete)
        ]


SERVICE, METHOD = _Service(), _Method()


def _items(names: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _ask(context: click.Context, service: str, method: str) -> Any:
    async def ask() -> Any:
        async with connect(context.params.get("exchange"), _SECONDS) as peer:
            return await peer.serviceEndPoint(service, timeout=_SECONDS)[method]()

    return asyncio.run(ask())
