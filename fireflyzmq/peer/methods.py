"""Exported methods: which function answers to a name, what its signature takes, and how it is to be run.

Pure: it checks and describes, and runs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fireflyzmq.conventions.extras import needed_for
from fireflyzmq.peer.statistics import Pace
from fireflyzmq.wire.commands import MAX_ARGUMENTS
from fireflyzmq.wire.names import check_name, method_problem
from fireflyzmq.wire.texts import said

if TYPE_CHECKING:
    from fireflyzmq.peer.arguments import Arguments

Function = Callable[..., Any]

RESERVED = "system."
"""The beginning of the names of methods that every service answers to."""


class Method:
    """One exported function: `threads` is the size of its pool, 0 when it runs in the loop.

    `limit` is how many of its requests may wait and be served at once (None: as many as the service takes), `running`
    how many are, `pace` how long they take. With a `root` it is offered to the service of that name alone.

    `least` and `most` bound the positional arguments of a call without keywords, so that the common call is checked
    by two comparisons; `signature` is None when Python does not know one (some built-ins), and then all calls pass.
    With `validate` the types of all arguments are checked too, by `arguments`: there is no common call.
    """

    __slots__ = (
        "_bounds",
        "arguments",
        "function",
        "least",
        "limit",
        "most",
        "name",
        "pace",
        "root",
        "running",
        "signature",
        "threads",
    )

    def __init__(
        self,
        name: str,
        function: Function,
        threads: int = 0,
        limit: int | None = None,
        root: str | None = None,
        validate: bool = False,
    ) -> None:
        self.name = name
        self.root = root
        self.function = function
        self.threads = threads
        self.limit = limit
        self.running = 0
        self.pace = Pace()
        self.signature: inspect.Signature | None
        try:
            self.signature = inspect.signature(function)
        except Exception:  # those without one raise TypeError or ValueError, a callable object's own code anything
            self.signature = None
        self.arguments = self._checked_arguments() if validate else None
        self._bounds = self._find_bounds()
        self.least, self.most = (1, 0) if validate else self._bounds

    def _checked_arguments(self) -> Arguments:
        """What checks the arguments; TypeError when it cannot, ImportError without the library that does it."""
        with needed_for("the check of arguments"):
            from fireflyzmq.peer.arguments import Arguments
        if self.signature is None:
            raise TypeError(f"{self.name!r} has no signature that its arguments could be checked against")
        return Arguments(self.function, self.signature)

    def _find_bounds(self) -> tuple[int, int]:
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
        least, most = self._bounds
        if not kwargs and least <= len(args) <= most:
            return None
        if len(args) + len(kwargs) > MAX_ARGUMENTS:
            return f"{len(args) + len(kwargs)} arguments are over the limit of {MAX_ARGUMENTS}"
        if self.signature is None:
            return None
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            return f"{self.name}{self.signature_text()}: {error}"
        return None

    def signature_text(self) -> str:
        """The signature as text, with `...` for what cannot be shown of it; "(...)" when there is none."""
        if self.signature is None:
            return "(...)"
        try:
            return said(str(self.signature), _LONGEST)
        except Exception:  # a default's own `__repr__`, say
            parameters = [_showable(parameter) for parameter in self.signature.parameters.values()]
            return said(str(inspect.Signature(parameters)), _LONGEST)

    def describe(self) -> dict[str, Any]:
        """What tools show: name, signature as text and taken apart, and the docstring.

        Each of `parameters` has a `name`, a `kind` (positional, named, keyword, arguments, keywords), `required`, and
        its `annotation` as text; `parameters` is None when Python does not know the signature. Parameters whose
        arguments are checked have the JSON Schema of what they take as `schema`, which may refer to `definitions`.
        """
        schemas, definitions = ({}, {}) if self.arguments is None else self.arguments.schemas()
        parameters: Iterable[inspect.Parameter] = () if self.signature is None else self.signature.parameters.values()
        return {
            "name": self.name,
            "signature": self.signature_text(),
            "parameters": None if self.signature is None else [_describe(each, schemas) for each in parameters],
            "returns": "" if self.signature is None else _annotation(self.signature.return_annotation),
            "doc": _doc(self.function),
            "threads": self.threads,
            "limit": self.limit,
            "root": self.root,
            **({"definitions": definitions} if definitions else {}),
        }


_LONGEST = 10_000
"""Characters of what is shown of a signature or a docstring."""


class _Unshown:
    """Stands for a default that cannot be shown."""

    def __repr__(self) -> str:
        return "..."


def _showable(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter whose text can be had."""
    if parameter.default is not parameter.empty:
        try:
            str(parameter.replace(annotation=parameter.empty))
        except Exception:
            parameter = parameter.replace(default=_Unshown())
    try:
        str(parameter)
    except Exception:
        parameter = parameter.replace(annotation=parameter.empty)
    return parameter


def _doc(function: Function) -> str:
    try:
        return said(inspect.getdoc(function) or "", _LONGEST)
    except Exception:  # a property of a callable object
        return ""


_KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "named",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_POSITIONAL: "arguments",
    inspect.Parameter.VAR_KEYWORD: "keywords",
}


def _describe(parameter: inspect.Parameter, schemas: Mapping[str, Any]) -> dict[str, Any]:
    several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return {
        "name": parameter.name,
        "kind": _KINDS[parameter.kind],
        "required": parameter.default is parameter.empty and not several,
        "annotation": _annotation(parameter.annotation),
        **({"schema": schemas[parameter.name]} if parameter.name in schemas else {}),
    }


def _annotation(annotation: Any) -> str:
    """A type as its source has it, "" for none."""
    if annotation is inspect.Signature.empty:
        return ""
    try:
        return said(annotation if isinstance(annotation, str) else inspect.formatannotation(annotation), _LONGEST)
    except Exception:
        return "..."


class MethodTable:
    """The methods that one service exports, by name.

    `get` finds those that are offered to everybody. A name of which something is offered to one root is not among
    them: `offered` finds the right one of its methods, and those that are called by a command's number.
    """

    __slots__ = ("_commands", "_methods", "_offers", "get")

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}
        self._offers: dict[str, dict[str | None, Method]] = {}
        self._commands: dict[int, str] = {}
        self.get = self._methods.get

    def export(
        self,
        function: Function,
        name: str | None = None,
        threads: int = 0,
        limit: int | None = None,
        root: str | None = None,
        validate: bool = False,
    ) -> Method:
        """Export a function under `name` (its own by default), to all or to one root; the same again replaces.

        ValueError for an illegal name or numbers that make no sense, TypeError for what cannot be called, or checked.
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
        if root is not None:
            check_name(root, "root's name")
        if threads < 0:
            raise ValueError(f"a method has 0 or more threads, not {threads}")
        if limit is not None and limit < 1:
            raise ValueError(f"a method's limit is 1 request or more, not {limit}")
        if threads and inspect.iscoroutinefunction(function):
            raise ValueError(f"{name!r} is a coroutine function, which runs in the loop and not in threads")
        method = Method(name, function, threads, limit, root, validate)
        offers = self._offers.get(name)
        if root is not None and offers is None:
            offers = self._offers[name] = {}
            if name in self._methods:
                offers[None] = self._methods.pop(name)
        if offers is None:
            self._methods[name] = method
        else:
            offers[root] = method
        command = command_of(name)
        if command is not None:
            self._commands[command] = name
        return method

    def offered(self, name: str, sender: str) -> Method | None:
        """What a name, or a command's number as `command_name` writes it, means for a sender."""
        if name.startswith(_COMMAND):
            command = command_of(name)
            name = self._commands.get(command, name) if command is not None else name
        offers = self._offers.get(name)
        if offers is None:
            return self.get(name)
        return offers.get(sender) or offers.get(None)

    def find(self, name: str, root: str | None = None) -> Method | None:
        """The method exported under a name to all, or to one root."""
        offers = self._offers.get(name)
        if offers is not None:
            return offers.get(root)
        return self.get(name) if root is None else None

    def unexport(self, name: str) -> list[Method]:
        """Take a name back, with all that is exported under it; KeyError when there is nothing."""
        if name not in self._methods and name not in self._offers:
            raise KeyError(name)
        offers = self._offers.pop(name, {})
        method = self._methods.pop(name, None)
        command = command_of(name)
        if command is not None and self._commands.get(command) == name:
            del self._commands[command]
            for other in (*self._methods, *self._offers):
                if command_of(other) == command:
                    self._commands[command] = other
        return [*offers.values(), *([method] if method is not None else ())]

    def names(self) -> list[str]:
        """The exported names, sorted."""
        return sorted({*self._methods, *self._offers})

    def all(self) -> list[Method]:
        """All exported methods, sorted by name; a name may have one for each root."""
        offers = [method for methods in self._offers.values() for method in methods.values()]
        return sorted([*self._methods.values(), *offers], key=lambda method: (method.name, method.root or ""))


_COMMAND = "command_"
_MOST_DIGITS = 10


def command_of(name: str) -> int | None:
    """The number of a command in a method's name, as Firefly has it: 101 of `login_101`; None when there is none."""
    _, _, digits = name.rpartition("_")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else None


def command_name(command: int) -> str:
    """The method's name under which a command of a number is called; ValueError when it is not a number from 0."""
    if isinstance(command, bool) or not 0 <= command < 10**_MOST_DIGITS:
        raise ValueError(f"a command is a number from 0, not {command!r}")
    return f"{_COMMAND}{command}"
