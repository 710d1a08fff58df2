"""Texts of objects that nothing is known of: whatever their `__str__` does, there is a text, and it can be sent."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 10_000
"""Characters of a text that tells somebody of something."""


def said(value: object, longest: int = LONGEST) -> str:
    """An object as a text that can be sent, cut at `longest` characters. Raises nothing."""
    try:
        text = value if type(value) is str else str(value)
        return text[:longest].encode("utf-8", "replace").decode("utf-8")
    except Exception as error:
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"


def shown(value: object, longest: int = LONGEST) -> str:
    """An object's `repr` in the same way."""
    try:
        return said(repr(value), longest)
    except Exception as error:
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
