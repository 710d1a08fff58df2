"""Classes as users write them: with any names beside the public vocabulary, and whose objects say odd things."""

from __future__ import annotations

from typing import Any

from tests.api.words import NAMES


class Mine:
    """A value of the user's. Whoever uses it has taken it for something else."""

    def _touched(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("an attribute of the user's was used by the library")

    __call__ = __bool__ = __len__ = __iter__ = __getitem__ = __setitem__ = __await__ = __enter__ = _touched

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"an attribute of the user's was asked for {name}")


class Guarded:
    """A property of the user's that can neither be read nor set."""

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        raise AssertionError("a property of the user's was read by the library")

    def __set__(self, instance: object, value: object) -> None:
        raise AssertionError("a property of the user's was set by the library")


def a_method(self: object, *args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a method of the user's was called by the library")


def assigned_before(kind: type) -> type:
    def begin(self: Any, *args: Any, **options: Any) -> None:
        for name in NAMES:
            object.__setattr__(self, name, Mine())
        kind.__init__(self, *args, **options)  # type: ignore[misc]

    return type(f"Before{kind.__name__}", (kind,), {"__init__": begin})


def assigned_after(kind: type) -> type:
    def begin(self: Any, *args: Any, **options: Any) -> None:
        kind.__init__(self, *args, **options)  # type: ignore[misc]
        for name in NAMES:
            object.__setattr__(self, name, Mine())

    return type(f"After{kind.__name__}", (kind,), {"__init__": begin})


def with_methods(kind: type) -> type:
    return type(f"Methods{kind.__name__}", (kind,), dict.fromkeys(NAMES, a_method))


def with_properties(kind: type) -> type:
    return type(f"Guarded{kind.__name__}", (kind,), {name: Guarded() for name in NAMES})


WAYS = [assigned_before, assigned_after, with_methods, with_properties]

HOOKS = {
    "doAttachedLost",
    "doChildConnect",
    "doChildLostConnect",
    "doConnectionLost",
    "doConnectionMade",
    "drain",
    "droppedByRoot",
    "executeMethod",
    "handlePublisherNotification",
    "handleSubscription",
    "invalidMethod",
    "registrationFailed",
    "unexpectedFailure",
    "unexpectedReport",
}
"""What the library calls of a service's class, and users override."""


def with_all_words(kind: type) -> type:
    """A class that has something else under each of our words but the hooks: only others can work with it."""
    words = {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))} - HOOKS
    return type(f"Words{kind.__name__}", (kind,), dict.fromkeys(words, a_method))


def with_odd_dunders(kind: type) -> type:
    """A class whose objects are false, empty, equal to nothing, unhashable, and have no text."""

    def no_text(self: object) -> str:
        raise OSError("no text")

    def never(self: object, other: object) -> bool:
        raise OSError("not comparable")

    words: dict[str, Any] = {"__bool__": lambda self: False, "__len__": lambda self: 0, "__hash__": None}
    return type(f"Odd{kind.__name__}", (kind,), {**words, "__repr__": no_text, "__str__": no_text, "__eq__": never})
