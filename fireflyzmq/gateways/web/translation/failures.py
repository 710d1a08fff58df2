"""What a Failure is over HTTP: its status, its headers, and what is told of it. Pure."""

from __future__ import annotations

import math
from typing import Any, Final

from fireflyzmq.errors import Failure
from fireflyzmq.gateways.web.translation.rpc_errors import details_told

STATUS: Final = {
    "ServiceUnavailable": 404,
    "RequestTimeout": 504,
    "ResponseEncoding": 502,
    "RequestDecoding": 400,
    "MethodUnavailable": 404,
    "InvalidArguments": 400,
    "ApplicationFailure": 500,
    "ServiceWithdrawn": 502,
    "RequestEncoding": 400,
    "Overloaded": 503,
    "NotAuthorised": 403,
    "MessageTooLarge": 413,
    "RequestCancelled": 502,
    "ExchangeLost": 503,
    "RegistrationRefused": 503,
    "ResponseLost": 502,
}
"""HTTP status by kind. What a service fails on purpose with is 422: it was understood, and refused."""

_ON_PURPOSE: Final = 422


def status_of(failure: Failure) -> int:
    """The HTTP status that says the same as a failure."""
    return STATUS.get(failure.kind, _ON_PURPOSE)


def headers_of(failure: Failure) -> dict[str, str]:
    """When to try again, where that helps (RFC 9110, 10.2.3: whole seconds)."""
    if failure.kind == "Overloaded":
        return {"Retry-After": str(max(1, math.ceil(getattr(failure, "retry_after", None) or 1)))}
    return {"Retry-After": "1"} if failure.kind == "ExchangeLost" else {}


def told(failure: Failure) -> dict[str, Any]:
    """What a client is told: kind, code, description, origin and details, without a traceback."""
    return {
        "kind": failure.kind,
        "code": failure.code,
        "description": failure.description,
        "origin": failure.origin,
        "details": details_told(failure),
    }
