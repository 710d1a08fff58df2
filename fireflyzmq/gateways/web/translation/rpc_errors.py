"""Errors that XML-RPC and JSON-RPC share: the reserved codes, and what a client is told of a failure. Pure.

Sources: Specification for Fault Code Interoperability (version 20010516), whose codes JSON-RPC 2.0 took over.
"""

from __future__ import annotations

from typing import Any, Final

from fireflyzmq.errors import ORIGIN, Failure

PARSE_ERROR: Final = -32700
UNSUPPORTED_ENCODING: Final = -32701
INVALID_CHARACTER: Final = -32702
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000

_MOST: Final = 1 << 31


class BadRequest(Exception):
    """A body is no request: `code` is one of the reserved ones, and `description` says what is wrong with it."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description


class InternalError(Failure):
    """The gateway itself failed; its log says how."""

    default_description = "Internal error"

    def __init__(self) -> None:
        super().__init__(INTERNAL_ERROR, origin=ORIGIN)


def failure_code(failure: Failure) -> int:
    """A failure's own code; 0 when that is no integer of 32 bits."""
    return failure.code if type(failure.code) is int and -_MOST <= failure.code < _MOST else 0


def details_told(failure: Failure) -> Any:
    """A failure's details, without the traceback of what a method raised."""
    details = failure.details
    if failure.kind == "ApplicationFailure" and isinstance(details, dict):
        return {key: value for key, value in details.items() if key != "traceback"}
    return details


def text_told(value: object) -> str:
    """Any object as a text that UTF-8 can say."""
    text = value if isinstance(value, str) else str(value)
    return text.encode("utf-8", "replace").decode("utf-8")
