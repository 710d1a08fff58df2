"""Exported methods: which function answers to a name, what its signature takes, and how it is to be run.

Pure: it checks and describes, and runs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from fireflyzmq.wire.commands import MAX_ARGUMENTS
from fireflyzmq.wire.names import method_problem

Function = Callable[..., Any]


class Method:
    """One exported function: `threads` is the size of its pool, 0 when it runs in the loop.

    `limit` is how many of its requests may wait and be served at once (None: as many as the service takes), `running`
    how many are.

    `least` and `most` bound the positional arguments of a call without keywords, so that the common call is checked
    by two comparisons; `signature` is None when Python does not know one (some built-ins), and then all calls pass.
    """

    __slots__ = ("function", "least", "limit", "most", "name", "running", "signature", "threads")

    def __init__(self, name: str, function: Function, threads: int = 0, limit: int | None = None) -> None:
        self.name = name
        self.function = function
        self.threads = threads
        self.limit = limit
        self.running = 0
        self.signature: inspect.Signature | None
        try:
            self.signature = inspect.signature(function)
        except (TypeError, ValueError):
            self.signature = None
        self.least, self.most = self._bounds()

    def _bounds(self) -> tuple[int, int]:
        """How many positional arguments a call without keywords has; (1, 0) when it always needs keywords."""
        if self.signature is None:
            return 0, MAX_ARGUMENTS
        least, most = 0, 0
        for parameter in self.signature.parameters.values():
            needed = parameter.default is parameter.empty
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                least += needed
                most += 1
            elif parameter.kind is parameter.VAR_POSITIONAL:
                most = MAX_ARGUMENTS
            elif parameter.kind is parameter.KEYWORD_ONLY and needed:
                return 1, 0
        return least, most

    def problem(self, args: Sequence[Any], kwargs: dict[str, Any]) -> str | None:
        """Say why the arguments do not fit the signature, or None when they do."""
        if not kwargs and self.least <= len(args) <= self.most:
            return None
        if len(args) + len(kwargs) > MAX_ARGUMENTS:
            return f"{len(args) + len(kwargs)} arguments are over the limit of {MAX_ARGUMENTS}"
        if self.signature is None:
            return None
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            return f"{self.name}{self.signature}: {error}"
        return None

    def describe(self) -> dict[str, Any]:
        """What tools show: name, signature as text, and the docstring."""
        return {
            "name": self.name,
            "signature": str(self.signature) if self.signature is not None else "(...)",
            "doc": inspect.getdoc(self.function) or "",
            "threads": self.threads,
            "limit": self.limit,
        }


class MethodTable:
    """The methods that one service exports, by name."""

    __slots__ = ("_methods", "get")

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}
        self.get = self._methods.get

    def export(
        self, function: Function, name: str | None = None, threads: int = 0, limit: int | None = None
    ) -> Method:
        """Export a function under `name` (its own by default); the same name replaces.

        ValueError for an illegal name or numbers that make no sense, TypeError for what cannot be called.
        """
        if not callable(function):
            raise TypeError(f"{function!r} cannot be called")
        if name is None:
            name = getattr(function, "__name__", None)
        if name is None or name == "<lambda>":
            raise ValueError(f"{function!r} has no name of its own: give one, exportMethod(function, 'name')")
        problem = method_problem(name)
        if problem is not None:
            raise ValueError(problem)
        if name.startswith("system."):
            raise ValueError(f"names that begin with 'system.' are reserved: {name!r}")
        if threads < 0:
            raise ValueError(f"a method has 0 or more threads, not {threads}")
        if limit is not None and limit < 1:
            raise ValueError(f"a method's limit is 1 request or more, not {limit}")
        if threads and inspect.iscoroutinefunction(function):
            raise ValueError(f"{name!r} is a coroutine function, which runs in the loop and not in threads")
        method = Method(name, function, threads, limit)
        self._methods[name] = method
        return method

    def unexport(self, name: str) -> Method:
        """Take a method back; KeyError when there is none of that name."""
        return self._methods.pop(name)

    def names(self) -> list[str]:
        """The exported names, sorted."""
        return sorted(self._methods)
