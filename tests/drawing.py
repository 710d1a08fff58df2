"""How much of what could be tried a test tries: all that it asks for, or under a profile with fewer examples less."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

_USUAL: Final = 100
"""What Hypothesis draws without a profile."""


def examples(count: int) -> int:
    """So many examples, or the share of them that the profile has of the usual number."""
    return max(1, count * settings().max_examples // _USUAL)


def stride() -> int:
    """How far it is from one place that is tried to the next, where all are tried without a profile.

    It is odd, so that calls and returns, which take turns, are both tried.
    """
    return _USUAL // settings().max_examples | 1
