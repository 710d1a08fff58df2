"""Extras: what a package that is missing has to do with the library's optional dependencies. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

_BRINGS: Final = {
    "aiohttp": "http",
    "prometheus_client": "metrics",
    "msgspec": "validate",
    "click": "cli",
    "rich": "cli",
}
"""The extra that brings a package, by the name that is imported."""


@contextlib.contextmanager
def needed_for(what: str) -> Iterator[None]:
    """Import inside of this what an extra brings: when that is missing, the error says which extra it is.

    ModuleNotFoundError in any case.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _BRINGS:
            raise
        hint = f"pip install 'fireflyzmq[{_BRINGS[package]}]'"
        raise ModuleNotFoundError(f"{what} needs {package}, which is not here: {hint}", name=error.name) from None
