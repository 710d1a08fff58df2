"""Functions in the place of a service, and the gateways asked as an HTTP daemon asks them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fireflyzmq.errors import ApplicationFailure, Failure, InvalidArguments, MethodUnavailable, RequestEncoding
from fireflyzmq.gateways.web.services.calls import check_method
from fireflyzmq.gateways.web.services.gateway import Gateway, Reply
from fireflyzmq.peer.methods import MethodTable
from fireflyzmq.wire.codec import EncodingError, decode, encode


class Functions:
    """A service whose methods are functions. Arguments and results go over the wire; exceptions are failures."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        self.name = "math"
        self.methods = MethodTable()
        self.calls: list[tuple[str, list[Any], dict[str, Any]]] = []
        self.described = 0
        for name, function in functions.items():
            self.methods.export(function, name.replace("__", "."))

    async def call(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        check_method(self.name, method)
        self.calls.append((method, list(args), dict(kwargs)))
        try:
            args, kwargs = decode(encode(list(args))), decode(encode(dict(kwargs)))
        except EncodingError as error:
            raise RequestEncoding(str(error)) from error
        exported = self.methods.get(method)
        if exported is None:
            raise MethodUnavailable(f"'math' exports no method {method!r}")
        problem = exported.problem(args, dict(kwargs))
        if problem is not None:
            raise InvalidArguments(problem)
        try:
            result = exported.function(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result
        except Failure:
            raise
        except Exception as error:
            details = {"type": type(error).__name__, "message": str(error), "traceback": "File secret.py, line 1"}
            raise ApplicationFailure(f"{details['type']}: {error}", details, "math") from error

    async def describe(self) -> dict[str, Any]:
        self.described += 1
        return {"name": "math", "groups": {}, "methods": [method.describe() for method in self.methods.all()]}


class Broken:
    """A service that is not as it should be: all that it has to say is an exception."""

    name = "broken"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def call(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        raise self.error

    async def describe(self) -> dict[str, Any]:
        raise self.error


def ask(gateway: Gateway, service: Any, body: bytes, content_type: str = "") -> Reply:
    """One request to a gateway, from its beginning to its end."""
    return asyncio.run(gateway.respond(service, body, content_type))


class Meeting:
    """A method that ends when so many of its calls run at once; alone it would wait for ever."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.there = 0
        self.met: asyncio.Event | None = None

    async def meet(self, value: Any = None) -> Any:
        self.met = self.met or asyncio.Event()
        self.there += 1
        if self.there == self.size:
            self.met.set()
        await asyncio.wait_for(self.met.wait(), 10)
        return value


async def cancelled_midway(gateway: Gateway, service: Any, body: bytes, began: asyncio.Event) -> None:
    """Ask, and hang up once `began` is set; CancelledError has to come out."""
    asking = asyncio.ensure_future(gateway.respond(service, body, ""))
    await asyncio.wait_for(began.wait(), 10)
    asking.cancel()
    await asking
