"""Both gateways under any bytes: a reply that the other side reads always comes back, and no exception ever does."""

from __future__ import annotations

import json
import xmlrpc.client
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fireflyzmq import jsonrpc
from fireflyzmq import xmlrpc as xmlrpc_gateway
from fireflyzmq.errors import ExchangeLost, Failure, Overloaded
from tests.drawing import examples
from tests.gateways.web.exposing import Broken, Functions, ask

JSON, XML = jsonrpc.RpcGateway("web", batch_calls=5), xmlrpc_gateway.RpcGateway("web", batch_calls=5)


def fail(code: Any = 1, description: Any = "", details: Any = None) -> None:
    raise Failure(code, description, details)


def service() -> Functions:
    return Functions(echo=lambda *values, **named: [values, named], fail=fail, get_data=lambda: {1: b"\x00"})


@pytest.mark.parametrize(
    ("failure", "headers"),
    [
        (Overloaded("later", {"retry_after": 2.5}), {"Retry-After": "3"}),
        (Overloaded("later", {"retry_after": 0.01}), {"Retry-After": "1"}),
        (Overloaded("later", {"retry_after": "nonsense"}), {"Retry-After": "1"}),
        (ExchangeLost(), {"Retry-After": "1"}),
        (Failure(7, "on purpose", {"retry_after": 5}), {}),
    ],
)
def test_when_to_try_again_is_a_header_though_the_status_is_200(failure: Failure, headers: dict[str, str]) -> None:
    call = b'{"jsonrpc":"2.0","method":"any","id":1}'
    for gateway, body in ((JSON, call), (XML, xmlrpc.client.dumps((), "any").encode())):
        reply = ask(gateway, Broken(failure), body)
        assert (reply.status, reply.headers) == (200, headers)
    assert ask(JSON, Broken(failure), b"[%b]" % call).headers == {}


def check_response(response: Any) -> None:
    """A response object as the specification has it."""
    assert response["jsonrpc"] == "2.0"
    assert response["id"] is None or type(response["id"]) in (str, int, float)
    if "error" in response:
        assert set(response) == {"jsonrpc", "error", "id"}
        assert type(response["error"]["code"]) is int and type(response["error"]["message"]) is str
    else:
        assert set(response) == {"jsonrpc", "result", "id"}


def check_json(body: bytes) -> None:
    reply = ask(JSON, service(), body)
    if reply.status == 204:
        assert reply.body == b""
        return
    assert reply.status == 200
    said = json.loads(reply.body.decode(), parse_constant=pytest.fail)
    assert said != []
    for response in said if isinstance(said, list) else [said]:
        check_response(response)


def check_xml(body: bytes, content_type: str) -> None:
    reply = ask(XML, service(), body, content_type)
    assert reply.status == 200
    try:
        (_,), method = xmlrpc.client.loads(reply.body, use_builtin_types=True)
        assert method is None
    except xmlrpc.client.Fault as fault:
        assert type(fault.faultCode) is int and type(fault.faultString) is str


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["2.0", "echo"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)
METHODS = st.sampled_from(["echo", "fail", "get_data", "system.listMethods", "system.multicall", "_a", ""]) | VALUES
REQUESTS = st.fixed_dictionaries(
    {}, optional={"jsonrpc": st.just("2.0") | VALUES, "method": METHODS, "params": VALUES, "id": VALUES}
)
CALLS = st.fixed_dictionaries({"methodName": METHODS, "params": st.lists(VALUES, max_size=3)})


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_get_a_response(body: bytes) -> None:
    check_json(body)
    check_xml(body, "text/xml")


@settings(deadline=None)
@given(REQUESTS | st.lists(REQUESTS | VALUES, max_size=6))
@example({"jsonrpc": "2.0", "method": "fail", "params": [1, "\ud800", {1: 2}], "id": 1})
@example({"jsonrpc": "2.0", "method": "get_data", "id": 1})
def test_any_json_gets_a_response(value: Any) -> None:
    check_json(json.dumps(value).encode())


def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """A body in which a piece was replaced by another."""
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 20)))
    taken_from = draw(st.integers(0, len(body)))
    piece = draw(st.binary(max_size=4) | st.just(body[taken_from : taken_from + 30]))
    return body[:start] + piece + body[end:]


@st.composite
def mutated_json(draw: st.DrawFn) -> bytes:
    request = {"jsonrpc": "2.0", "method": draw(METHODS), "params": draw(VALUES), "id": 1}
    return mutated(draw, json.dumps(draw(st.sampled_from([request, [request, request]]))).encode())


@st.composite
def mutated_xml(draw: st.DrawFn) -> bytes:
    calls = [{"methodName": "echo", "params": [True, 1.5, b"a"]}, {"methodName": "fail", "params": []}]
    method, args = draw(st.sampled_from([("echo", (1, "<", None, {"a": [b"b"]})), ("system.multicall", (calls,))]))
    body = xmlrpc.client.dumps(args, method, allow_none=True).encode()
    for _ in range(draw(st.integers(1, 3))):
        body = mutated(draw, body)
    return body


@settings(max_examples=examples(300), deadline=None)
@given(mutated_json())
def test_requests_of_json_that_were_damaged_get_a_response(body: bytes) -> None:
    check_json(body)


@settings(max_examples=examples(300), deadline=None)
@given(mutated_xml(), st.sampled_from(["", "text/xml", "text/xml; charset=utf-16", "text/xml; charset=iso-8859-1"]))
def test_requests_of_xml_that_were_damaged_get_a_response(body: bytes, content_type: str) -> None:
    check_xml(body, content_type)


@settings(deadline=None)
@given(st.lists(CALLS | VALUES, max_size=6), st.text())
def test_any_calls_among_several_get_a_response(calls: list[Any], content_type: str) -> None:
    try:
        body = xmlrpc.client.dumps((calls,), "system.multicall", allow_none=True).encode()
    except (OverflowError, UnicodeEncodeError):
        return  # the client's own marshaller refuses
    check_xml(body, content_type)


TAGS = [
    "methodCall",
    "methodName",
    "params",
    "param",
    "value",
    "int",
    "string",
    "array",
    "data",
    "struct",
    "member",
    "name",
]
MARKUP = st.sampled_from(
    [f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS] + ["<nil/>", "1", " ", "echo", "&#13;"]
)


@st.composite
def trees(draw: st.DrawFn, depth: int = 5) -> str:
    """Well-formed XML of XML-RPC's elements, in any order."""
    tag = draw(st.sampled_from(TAGS))
    inner = draw(st.lists(trees(depth - 1) if depth else st.just("1"), max_size=3))
    return f"<{tag}>{''.join(inner)}{draw(st.sampled_from(['', '1', ' ']))}</{tag}>"


@settings(deadline=None)
@given(trees() | st.lists(MARKUP).map("".join))
def test_any_elements_get_a_response(inner: str) -> None:
    check_xml(inner.encode(), "text/xml")
    check_xml(f"<methodCall><methodName>echo</methodName><params>{inner}</params></methodCall>".encode(), "text/xml")
