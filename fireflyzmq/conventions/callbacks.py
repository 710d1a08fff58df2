"""Callbacks: whether what a user gives to be called takes what it will be called with. It calls nothing. Pure.

What Python knows no signature of passes: whether it takes what it gets, its first call tells.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Final, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_LONGEST: Final = 200


def check_callback(callback: object, what: str, *shapes: tuple[str, ...]) -> int:
    """How many arguments a callback is to get: those of the first of some shapes that it takes.

    TypeError, which says the shapes, for what takes none of them: `what` is "a presence callback", a shape is
    `("binding", "status")`.
    """
    bound = type(callback) is MethodType
    function = callback.__func__ if bound else callback  # type: ignore[attr-defined]
    if type(function) is FunctionType and not function.__dict__:  # nearly all are, and it is asked for each call
        code = function.__code__
        if code.co_argcount == len(shapes[0]) + bound and not code.co_kwonlyargcount:
            return len(shapes[0])
    if not callable(callback):
        raise TypeError(f"{_wanted(what, shapes)}; {_shown(callback)} cannot be called")
    for follow in (True, False):  # a decorator may say what it wraps, and take something else
        for shape in shapes:
            if takes(callback, len(shape), follow):
                return len(shape)
    raise TypeError(f"{_wanted(what, shapes)}; {_shown(callback)} does not")


def takes(callback: Callable[..., Any], count: int, follow_wrapped: bool = True) -> bool:
    """Whether a callback can be called with so many positional arguments and nothing else, as far as Python knows."""
    bound = type(callback) is MethodType
    function = callback.__func__ if isinstance(callback, MethodType) else callback
    if type(function) is FunctionType and not function.__dict__:  # a signature takes a hundred times as long
        return _function_takes(function, count + bound)
    try:
        signature = inspect.signature(callback, follow_wrapped=follow_wrapped)
    except Exception:  # of a builtin, or of something that answers oddly when it is asked
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def _function_takes(function: FunctionType, count: int) -> bool:
    code = function.__code__
    if code.co_kwonlyargcount > len(function.__kwdefaults__ or ()):
        return False
    if count > code.co_argcount:
        return bool(code.co_flags & inspect.CO_VARARGS)
    return count >= code.co_argcount - len(function.__defaults__ or ())


def _wanted(what: str, shapes: tuple[tuple[str, ...], ...]) -> str:
    return f"{what} takes {' or '.join(_listed(shape) for shape in shapes)}"


def _listed(names: tuple[str, ...]) -> str:
    return f"({', '.join(names)})"


def _shown(callback: object) -> str:
    """A callback's name and arguments, as far as they can be had without asking a user's values for theirs."""
    name = getattr(callback, "__qualname__", None)
    shown = name if isinstance(name, str) else f"<{type(callback).__name__}>"
    try:
        parameters = inspect.signature(callback).parameters.values()  # type: ignore[arg-type]
    except Exception:
        return shown
    stars: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = (
        f"{stars.get(each.kind, '')}{each.name}{'' if each.default is inspect.Parameter.empty else '=...'}"
        for each in parameters
    )
    return f"{shown}{_listed(tuple(names))}"[:_LONGEST]


class Hook:
    """A method that users override, or assign to an object; what is assigned is checked then."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.shape = tuple(
            each.name
            for each in list(inspect.signature(function).parameters.values())[1:]
            if each.kind is not inspect.Parameter.VAR_KEYWORD
        )
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self.function
        assigned = vars(instance)
        return assigned[self.name] if self.name in assigned else MethodType(self.function, instance)

    def __set__(self, instance: object, value: object) -> None:
        self.check(value)
        vars(instance)[self.name] = value

    def __delete__(self, instance: object) -> None:
        try:
            del vars(instance)[self.name]
        except KeyError:
            raise AttributeError(self.name) from None

    def check(self, function: object) -> None:
        """TypeError for what does not take what the hook gets."""
        check_callback(function, self.name, self.shape)


def hook(function: Function) -> Function:
    """Make a method of a public class a hook. Its arguments are what it is called with, keywords left out."""
    return Hook(function)  # type: ignore[return-value]


_checked: Final[weakref.WeakSet[type]] = weakref.WeakSet()


def check_hooks(kind: type) -> None:
    """TypeError for a class that overrides a hook with a function of another shape; each class is looked at once."""
    if kind in _checked:
        return
    for each in kind.__mro__:
        for name, attribute in vars(each).items():
            if isinstance(attribute, Hook):
                _check_override(kind, name, attribute)
    _checked.add(kind)


def _check_override(kind: type, name: str, hook: Hook) -> None:
    found = inspect.getattr_static(kind, name)
    if isinstance(found, FunctionType):
        check_callback(found, f"{kind.__name__}.{name}", ("self", *hook.shape))
    elif isinstance(found, (classmethod, staticmethod)):
        check_callback(getattr(kind, name), f"{kind.__name__}.{name}", hook.shape)


def positional_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose own parameters take no keywords, so that its `**keywords` may have their names."""
    if not isinstance(function, MethodType) or not isinstance(function.__func__, FunctionType):
        return function
    plain = function.__func__
    code = plain.__code__.replace(co_posonlyargcount=plain.__code__.co_argcount)
    same = FunctionType(code, plain.__globals__, plain.__name__, plain.__defaults__, plain.__closure__)
    same.__kwdefaults__ = plain.__kwdefaults__
    return MethodType(same, function.__self__)
