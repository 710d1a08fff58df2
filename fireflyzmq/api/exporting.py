"""What a service offers: its exported methods, the request being served, and answers that come later."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, overload

from fireflyzmq.api.facet import Facet
from fireflyzmq.conventions.callbacks import check_callback, hook
from fireflyzmq.errors import Failure, MethodUnavailable
from fireflyzmq.peer.records import Request, current_request
from fireflyzmq.peer.serving import Suspended

Function = TypeVar("Function", bound=Callable[..., Any])


class Exporting(Facet):
    """Methods that others call."""

    @overload
    def exportMethod(
        self,
        method: Function,
        name: str | None = None,
        *,
        threads: int = 0,
        limit: int | None = None,
        root: str | None = None,
        validate: bool | None = None,
    ) -> Function: ...
    @overload
    def exportMethod(
        self,
        method: str | None = None,
        name: str | None = None,
        *,
        threads: int = 0,
        limit: int | None = None,
        root: str | None = None,
        validate: bool | None = None,
    ) -> Callable[[Function], Function]: ...
    def exportMethod(
        self,
        method: Any = None,
        name: str | None = None,
        *,
        threads: int = 0,
        limit: int | None = None,
        root: str | None = None,
        validate: bool | None = None,
    ) -> Any:
        """Let others call a function, under its own name or `name`, which may be dotted. Returns the function.

        A `def` runs in the loop, an `async def` concurrently; with `threads=N` a `def` runs in a pool of N threads. Of
        more than `limit` requests that wait or are served at once, the further ones are refused as Overloaded. With
        `root` only the service of that name may call it; each root may have a function of its own under one name.
        With `validate` arguments are checked against the function's annotations, and converted where these say so,
        before it runs; None is what the service says. Usable as a decorator, with and without arguments. ValueError
        for an illegal name, TypeError for an annotation that cannot be checked.
        """
        options: dict[str, Any] = {"threads": threads, "limit": limit, "root": root, "validate": validate}
        if method is None:
            return functools.partial(self.exportMethod, name=name, **options)
        if isinstance(method, str):
            return functools.partial(self.exportMethod, name=method, **options)
        self._fireflyzmq.methods.export(method, name, threads, limit, root, validate)
        return method

    def unexportMethod(self, name: str) -> None:
        """Take an exported method back; KeyError when there is none of that name."""
        self._fireflyzmq.methods.unexport(name)

    def exportedMethods(self) -> list[str]:
        """The names of the exported methods, sorted."""
        return self._fireflyzmq.local.methods.names()

    def lookupMethod(self, name: str) -> Callable[..., Any] | None:
        """The function exported under a name, None when there is none."""
        method = self._fireflyzmq.local.methods.find(name)
        return None if method is None else method.function

    @hook
    def executeMethod(self, name: str, method: Callable[..., Any], params: tuple[Any, ...]) -> Any:
        """Run an exported method; override to put something around all of them (middleware).

        The arguments have been checked, and converted where `validate` says so. Keyword arguments are bound into
        `method` already. What it returns is the answer, and is awaited when it can be; what it raises is the failure.
        """
        return method(*params)

    @hook
    def invalidMethod(self, name: str, params: tuple[Any, ...], /, **keywords: Any) -> Any:
        """Answer a call of a method that is not exported; override to catch them all. Raises MethodUnavailable.

        `keywords` are whatever the caller says, `name` and `params` among them, so an override has the slash too:
        `def invalidMethod(self, name, params, /, **keywords)`.
        """
        raise MethodUnavailable(f"{self._fireflyzmq.local.name!r} exports no method {name!r}")

    def currentRequest(self) -> Request:
        """The request that the running method serves; RuntimeError outside of one."""
        return _request()

    def suspendResponse(self, callback: Callable[[str], Any] | Callable[[], Any] | None = None) -> NoReturn:
        """End the method here and answer later: `resumeResponse(id)` with the id of `currentRequest()`.

        With a callback, its result is the answer: `callback(id)`, or `callback()`. Raises, to leave the method;
        TypeError for a callback of another shape.
        """
        if callback is not None:
            check_callback(callback, "a callback that answers a request", ("id",), ())
        self._fireflyzmq.suspended.add(_request(), callback)
        raise Suspended

    def resumeResponse(self, id: str, value: Any = None) -> bool:
        """Answer a suspended request with its callback's result, or with `value`. What the callback raises fails it.

        False, and nothing happens, when the request has ended: its caller gave up, or it was answered already. May be
        called in any thread; the callback runs in the loop.
        """
        core = self._fireflyzmq
        return core.connection.run_in_loop(core.suspended.resume, id, value)

    def cancelResponse(self, id: str, code: int, description: str = "", details: Any = None) -> bool:
        """Answer a suspended request with a failure; False when it has ended. May be called in any thread."""
        core = self._fireflyzmq
        return core.connection.run_in_loop(core.suspended.fail, id, Failure(code, description, details))


def _request() -> Request:
    request = current_request.get()
    if request is None:
        raise RuntimeError("there is no request: currentRequest() is for methods that serve one")
    return request
