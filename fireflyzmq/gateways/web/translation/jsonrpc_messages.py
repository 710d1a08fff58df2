"""JSON-RPC 2.0's messages: a body to requests, values or failures to responses. Pure; it knows nothing of services.

Sources: www.jsonrpc.org/specification. It leaves open what other errors have for codes:

    -32700  Parse error         the body is no JSON that is taken here
    -32600  Invalid Request     it is JSON, and no request; a batch of nothing, or of too many
    -32601  Method not found    MethodUnavailable
    -32602  Invalid params      InvalidArguments
    -32603  Internal error      the gateway failed
    -320nn                      the library's other failures, by their numbers: -32046 is ServiceUnavailable, 46
    -32000                      a failure of a service's own whose code is among the reserved ones
    any other                   a failure of a service's own, by its own code
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from fireflyzmq.errors import KINDS, Failure
from fireflyzmq.gateways.web.translation import json_values
from fireflyzmq.gateways.web.translation.json_values import BadJson
from fireflyzmq.gateways.web.translation.plain_values import Unsayable
from fireflyzmq.gateways.web.translation.rpc_errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    SERVER_ERROR,
    BadRequest,
    details_told,
    failure_code,
    text_told,
)

CONTENT_TYPE: Final = "application/json"

Id = str | int | float | None
"""What a client gives a request, and gets back with its response."""


@dataclasses.dataclass(frozen=True)
class RpcRequest:
    """One call. A notification has no id, and gets no response."""

    method: str
    args: list[Any]
    kwargs: dict[str, Any]
    id: Id
    notification: bool


@dataclasses.dataclass(frozen=True)
class Invalid:
    """What stands in the place of a request, with the id if it has one."""

    problem: str
    id: Id


def parse(body: bytes, most: int) -> tuple[list[RpcRequest | Invalid], bool]:
    """The requests of a body, and whether they are a batch. BadRequest when there is none, or more than `most`."""
    try:
        value = json_values.loads(body)
    except BadJson as error:
        raise BadRequest(PARSE_ERROR, str(error)) from error
    if not isinstance(value, list):
        return [_request(value)], False
    if not value:
        raise BadRequest(INVALID_REQUEST, "a batch of nothing")
    if len(value) > most:
        raise BadRequest(INVALID_REQUEST, f"a batch of {len(value)} is over the limit of {most}")
    return [_request(each) for each in value], True


def _request(value: Any) -> RpcRequest | Invalid:
    if not isinstance(value, dict):
        return Invalid("a request is an object", None)
    given = value.get("id")
    if not _is_id(given):
        return Invalid("an id is a string, a number or null", None)
    if value.get("jsonrpc") != "2.0":
        return Invalid('"jsonrpc" is "2.0"', given)
    method, params = value.get("method"), value.get("params", [])
    if not isinstance(method, str):
        return Invalid('"method" is a string', given)
    if not isinstance(params, (list, dict)):
        return Invalid('"params" are an array or an object', given)
    args, kwargs = (params, {}) if isinstance(params, list) else ([], params)
    return RpcRequest(method, args, kwargs, given, "id" not in value)


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool))


def encode_result(result: bytes, of: Id) -> bytes:
    """The response with a value, which is JSON already."""
    return b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (result, json_values.dumps(of))


def encode_problem(code: int, problem: str, of: Id = None) -> bytes:
    """The response to what is no request: what is wrong stands in the error's data."""
    return _encode_error(code, _MESSAGES[code], json_values.dumps({"description": text_told(problem)}), of)


def encode_failure(failure: Failure, of: Id) -> bytes:
    """The response with a failure: its kind, code, description, details and origin stand in the error's data."""
    code = error_code(failure)
    told = {
        "kind": failure.kind,
        "code": failure_code(failure),
        "description": text_told(failure.description),
        "details": None,
        "origin": text_told(failure.origin),
    }
    try:
        data = json_values.dumps({**told, "details": details_told(failure)})
    except Unsayable:
        data = json_values.dumps(told)
    return _encode_error(code, _MESSAGES.get(code) or text_told(failure.description), data, of)


def encode_batch(responses: list[bytes]) -> bytes:
    """The responses of a batch."""
    return b"[%b]" % b",".join(responses)


def error_code(failure: Failure) -> int:
    """The code of a failure in an error object."""
    kind = failure.kind
    if kind in _CODES:
        return _CODES[kind]
    code = failure_code(failure)
    if kind in KINDS:
        return SERVER_ERROR - code
    return SERVER_ERROR if code in _RESERVED else code


def _encode_error(code: int, message: str, data: bytes, of: Id) -> bytes:
    start = json_values.dumps({"code": code, "message": message})
    return b'{"jsonrpc":"2.0","error":%b,"data":%b},"id":%b}' % (start[:-1], data, json_values.dumps(of))


_RESERVED: Final = range(-32768, -32000 + 1)

_CODES: Final = {
    "MethodUnavailable": METHOD_NOT_FOUND,
    "InvalidArguments": INVALID_PARAMS,
    "InternalError": INTERNAL_ERROR,
}

_MESSAGES: Final = {
    PARSE_ERROR: "Parse error",
    INVALID_REQUEST: "Invalid Request",
    METHOD_NOT_FOUND: "Method not found",
    INVALID_PARAMS: "Invalid params",
    INTERNAL_ERROR: "Internal error",
}
