"""Behind: the one attribute of ours that a public object has, so that users' classes may use any other names.

It knows nothing of what stands behind an object. What does is called a core, and is reached by `core_of` of its kind.
"""

from __future__ import annotations

from typing import Any, Final

NAME: Final = "_fireflyzmq"
"""The attribute. A public class has no other name of its own that begins with an underscore."""


class NotBegun:
    """What a public class has under that name until `__init__` has put its core there. RuntimeError for who looks."""

    def __init__(self, title: str) -> None:
        self._title = title

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        raise RuntimeError(f"call {self._title}.__init__ first")


def put_behind(shown: object, core: object) -> None:
    """Put a core behind a public object, whatever its class makes of assignments."""
    object.__setattr__(shown, NAME, core)


def behind(shown: object) -> Any:
    """The core of a public object. RuntimeError before `__init__` has put it there, AttributeError where none is."""
    return getattr(shown, NAME)
