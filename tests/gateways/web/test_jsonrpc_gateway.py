"""JSON-RPC 2.0: the specification's own examples, what it leaves open, and what clients get wrong."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import errors, jsonrpc
from fireflyzmq.errors import KINDS, ApplicationFailure, Failure, MethodUnavailable, Overloaded
from fireflyzmq.gateways.web.translation import jsonrpc_messages
from tests.gateways.web.exposing import Broken, Functions, Meeting, ask, cancelled_midway

GATEWAY = jsonrpc.RpcGateway("web")


def subtract(minuend: int, subtrahend: int) -> int:
    return minuend - subtrahend


def service() -> Functions:
    """The methods that the specification's examples call."""
    return Functions(
        subtract=subtract,
        update=lambda *numbers: None,
        sum=lambda *numbers: sum(numbers),
        notify_hello=lambda number: None,
        notify_sum=lambda *numbers: None,
        get_data=lambda: ["hello", 5],
        echo=lambda value: value,
    )


def say(body: str | bytes, exposed: Any = None, gateway: jsonrpc.RpcGateway = GATEWAY) -> Any:
    """The response to a body; None when there is none."""
    reply = ask(gateway, exposed or service(), body.encode() if isinstance(body, str) else body)
    if not reply.body:
        assert reply.status == 204
        return None
    assert (reply.status, reply.content_type) == (200, "application/json")
    return json.loads(reply.body)


def call(method: str, params: Any = None, exposed: Any = None, of: Any = 1) -> Any:
    """The response to one request."""
    request = {"jsonrpc": "2.0", "method": method, "id": of}
    return say(json.dumps(request if params is None else {**request, "params": params}), exposed)


def without_data(response: Any) -> Any:
    """A response without what may stand in an error's data, which the specification leaves to the server."""
    if isinstance(response, list):
        return [without_data(each) for each in response]
    if isinstance(response, dict) and "error" in response:
        return {**response, "error": {key: value for key, value in response["error"].items() if key != "data"}}
    return response


EXAMPLES = {
    "positional parameters": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        '{"jsonrpc": "2.0", "result": 19, "id": 1}',
    ),
    "positional parameters, the other way": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        '{"jsonrpc": "2.0", "result": -19, "id": 2}',
    ),
    "named parameters": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        '{"jsonrpc": "2.0", "result": 19, "id": 3}',
    ),
    "named parameters, the other way": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        '{"jsonrpc": "2.0", "result": 19, "id": 4}',
    ),
    "a notification": ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', ""),
    "a notification of what is not there": ('{"jsonrpc": "2.0", "method": "foobar"}', ""),
    "a non-existent method": (
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        '{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}',
    ),
    "invalid JSON": (
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
    ),
    "an invalid request": (
        '{"jsonrpc": "2.0", "method": 1, "params": "bar"}',
        '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}',
    ),
    "a batch, invalid JSON": (
        """[
  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
  {"jsonrpc": "2.0", "method"
]""",
        '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
    ),
    "an empty array": (
        "[]",
        '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}',
    ),
    "an invalid batch that is not empty": (
        "[1]",
        """[
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
]""",
    ),
    "an invalid batch": (
        "[1,2,3]",
        """[
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
]""",
    ),
    "a batch": (
        """[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]""",
        """[
        {"jsonrpc": "2.0", "result": 7, "id": "1"},
        {"jsonrpc": "2.0", "result": 19, "id": "2"},
        {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
        {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
        {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
    ]""",
    ),
    "a batch of notifications": (
        """[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
    ]""",
        "",
    ),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_specifications_examples_are_answered_as_it_says(example: str) -> None:
    request, response = EXAMPLES[example]
    assert without_data(say(request)) == (json.loads(response) if response else None)


def test_notifications_are_calls() -> None:
    exposed = service()
    say(
        '[{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}, {"jsonrpc": "2.0", "method": "foobar"}]',
        exposed,
    )
    assert exposed.calls == [("notify_hello", [7], {}), ("foobar", [], {})]


def test_a_notification_that_failed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert say('{"jsonrpc": "2.0", "method": "foobar"}') is None
    assert "a notification of 'foobar' failed" in caplog.text


@pytest.mark.parametrize("method", ["foo\nCRITICAL forged", "echo", "x" * 100_000])
def test_a_notification_writes_one_short_line_whatever_it_says(method: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(text: str) -> None:
        raise Failure(7, text)

    request = {"jsonrpc": "2.0", "method": method, "params": ["a\r\nCRITICAL forged \x1b[31m" + "x" * 100_000]}
    with caplog.at_level(logging.INFO):
        assert say(json.dumps(request), Functions(echo=fail)) is None
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < 1000


@pytest.mark.parametrize("of", ["", "a", "\N{SNOWMAN}", 0, -1, 1.5, 2**70, None])
def test_an_id_comes_back_as_it_was(of: Any) -> None:
    for response in (call("get_data", of=of), call("foobar", of=of)):
        assert response["id"] == of and type(response["id"]) is type(of)


@pytest.mark.parametrize("of", [True, [], {}])
def test_an_id_is_no_other_value(of: Any) -> None:
    exposed = service()
    response = call("get_data", exposed=exposed, of=of)
    assert (response["error"]["code"], response["id"], exposed.calls) == (-32600, None, [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"jsonrpc": "1.0"},
        {"jsonrpc": 2.0},
        {"jsonrpc": None},
        {"method": None},
        {"method": ["get_data"]},
        {"params": None},
        {"params": 1},
        {"params": "bar"},
    ],
)
def test_an_invalid_request_is_told_by_the_id_that_it_has(wrong: dict[str, Any]) -> None:
    exposed = service()
    response = say(json.dumps({"jsonrpc": "2.0", "method": "get_data", "id": 7, **wrong}), exposed)
    assert (response["error"]["code"], response["id"], exposed.calls) == (-32600, 7, [])
    assert response["error"]["data"]["description"]


@pytest.mark.parametrize("missing", ["jsonrpc", "method"])
def test_a_request_needs_its_members(missing: str) -> None:
    request = {"jsonrpc": "2.0", "method": "get_data", "id": 7}
    del request[missing]
    assert say(json.dumps(request))["error"]["code"] == -32600


@pytest.mark.parametrize("scalar", ["1", "null", '"text"', "true", "1.5"])
def test_what_is_no_object_is_an_invalid_request(scalar: str) -> None:
    response = say(scalar)
    assert (response["error"]["code"], response["id"]) == (-32600, None)


def test_parameters_may_be_left_out_or_be_empty() -> None:
    without: tuple[Any, ...] = (None, [], {})
    for params in without:
        assert call("get_data", params)["result"] == ["hello", 5]


@pytest.mark.parametrize("value", [0, "", [], {}, False, None])
def test_values_that_are_nothing_arrive_as_themselves(value: Any) -> None:
    response = call("echo", [value])
    assert response["result"] == value and type(response["result"]) is type(value)


@pytest.mark.parametrize(
    "method", ["rpc.discover", "rpc.", "system.describe", "system.listMethods", "_hidden", "a._b", "", "a b", "a..b"]
)
def test_names_that_no_service_exports_are_not_asked_for(method: str) -> None:
    exposed = service()
    assert call(method, exposed=exposed)["error"]["code"] == -32601
    assert exposed.calls == []


def test_a_long_name_is_cut_where_it_is_told() -> None:
    response = call("a b" * 100_000)
    assert response["error"]["code"] == -32601 and len(json.dumps(response)) < 1000


@pytest.mark.parametrize("params", [[1], [1, 2, 3], {"minuend": 1}, {"minuend": 1, "subtrahend": 2, "more": 3}])
def test_arguments_that_do_not_fit_are_invalid_params(params: Any) -> None:
    error = call("subtract", params)["error"]
    assert (error["code"], error["message"]) == (-32602, "Invalid params")
    assert (error["data"]["kind"], error["data"]["code"]) == ("InvalidArguments", 56)
    assert "subtract(minuend: " in error["data"]["description"]


# Failures.


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"MethodUnavailable", "InvalidArguments"}))
def test_the_librarys_failures_have_their_numbers_in_the_servers_range(kind: str) -> None:
    failure = getattr(errors, kind)("what happened", {"why": [1]})
    assert call("any", exposed=Broken(failure))["error"] == {
        "code": -32000 - failure.code,
        "message": "what happened",
        "data": {
            "kind": kind,
            "code": failure.code,
            "description": "what happened",
            "details": {"why": [1]},
            "origin": "fireflyzmq",
        },
    }


@pytest.mark.parametrize(
    ("code", "told"),
    [
        *((same, same) for same in (7, -7, 46, 0, -31999, -32769, 2**31 - 1)),
        *((reserved, -32000) for reserved in (-32000, -32601, -32768)),
        *((none, 0) for none in (2**31, -(2**99), True, "7", None)),
    ],
)
def test_a_services_own_failure_has_its_own_code_unless_that_is_reserved(code: Any, told: int) -> None:
    error = call("any", exposed=Broken(Failure(code, "no money", {"missing": 5}, "bank")))["error"]
    assert (error["code"], error["message"]) == (told, "no money")
    assert (error["data"]["kind"], error["data"]["origin"]) == ("Failure", "bank")
    assert error["data"]["details"] == {"missing": 5}


def test_an_exception_is_told_by_its_type_and_message_and_without_its_traceback() -> None:
    exposed = Functions(divide=lambda x, y: x / y)
    error = call("divide", [1, 0], exposed)["error"]
    assert (error["code"], error["message"]) == (-32057, "ZeroDivisionError: division by zero")
    assert error["data"]["details"] == {"type": "ZeroDivisionError", "message": "division by zero"}
    assert "secret.py" not in json.dumps(error)


def test_details_of_a_services_own_failure_are_told_whole() -> None:
    details = {"traceback": "the way back"}
    assert call("any", exposed=Broken(Failure(1, "lost", details)))["error"]["data"]["details"] == details


def test_a_failure_that_json_cannot_say_is_told_without_its_details() -> None:
    for failure in (
        Failure(1, "lost", {1: 2}),
        Overloaded("lost", float("nan")),
        ApplicationFailure("lost", object()),
    ):
        error = call("any", exposed=Broken(failure))["error"]
        assert (error["message"], error["data"]["details"]) == ("lost", None)


@pytest.mark.parametrize("description", ["half \ud800", 5])
def test_a_description_is_told_as_text_that_travels(description: Any) -> None:
    error = call("any", exposed=Broken(Failure(1, description, origin="\udc00")))["error"]
    assert error["message"] == error["data"]["description"] == str(description).replace("\ud800", "?")


def test_what_is_no_failure_is_an_internal_error_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = call("any", exposed=Broken(RuntimeError("the secret")))["error"]
    assert (error["code"], error["message"]) == (-32603, "Internal error")
    assert "the secret" not in json.dumps(error) and "the secret" in caplog.text


def test_a_gateway_that_fails_answers_still(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("the secret")

    monkeypatch.setattr(jsonrpc_messages, "parse", fail)
    assert without_data(call("get_data")) == {
        "jsonrpc": "2.0",
        "error": {"code": -32603, "message": "Internal error"},
        "id": None,
    }
    assert "the secret" in caplog.text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, object(), pytest.param(10**5000, id="digits")])
def test_a_result_that_json_cannot_say_is_a_failure_of_its_own_call(value: Any) -> None:
    class One(Functions):
        async def call(self, method: str, *_: Any) -> Any:
            return value if method == "bad" else 1

    requests = [{"jsonrpc": "2.0", "method": method, "id": method} for method in ("good", "bad")]
    good, bad = say(json.dumps(requests), One())
    assert good["result"] == 1
    assert (bad["error"]["code"], bad["error"]["data"]["kind"]) == (-32052, "ResponseEncoding")


# Batches.


def batch(method: str, size: int) -> str:
    return json.dumps([{"jsonrpc": "2.0", "method": method, "params": [at], "id": at} for at in range(size)])


def test_the_calls_of_a_batch_run_at_once_and_are_answered_in_their_order() -> None:
    responses = say(batch("meet", 50), Functions(meet=Meeting(50).meet))
    assert [(each["id"], each["result"]) for each in responses] == [(at, at) for at in range(50)]


def test_a_batch_may_have_so_many_calls_and_no_more() -> None:
    exposed = service()
    gateway = jsonrpc.RpcGateway("web", batch_calls=3)
    assert len(say(batch("echo", 3), exposed, gateway)) == 3
    refused = say(batch("echo", 4), exposed, gateway)
    assert (refused["error"]["code"], refused["id"], len(exposed.calls)) == (-32600, None, 3)
    assert "4 is over the limit of 3" in refused["error"]["data"]["description"]


@pytest.mark.parametrize("body", [batch("hang", 3), batch("hang", 1)[1:-1]])
def test_a_client_that_goes_cancels_its_calls(body: str) -> None:
    ended: list[str] = []

    async def scenario() -> None:
        began = asyncio.Event()

        async def hang(value: Any) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        with pytest.raises(asyncio.CancelledError):
            await cancelled_midway(GATEWAY, Functions(hang=hang), body.encode(), began)

    asyncio.run(scenario())
    assert ended == ["cancelled"] * body.count("hang")


@pytest.mark.parametrize("wrap", ["%s", "[%s]"])
def test_a_cancellation_from_within_passes_through(wrap: str) -> None:
    body = wrap % '{"jsonrpc": "2.0", "method": "any", "id": 1}'
    with pytest.raises(asyncio.CancelledError):
        ask(GATEWAY, Broken(asyncio.CancelledError()), body.encode())


# Bodies that are no JSON.

HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "white space": lambda: b" \n",
    "invalid UTF-8": lambda: b'{"jsonrpc": "2.0", "method": "echo", "params": ["\xff"], "id": 1}',
    "UTF-8 of half a surrogate pair": lambda: (
        b'{"jsonrpc": "2.0", "method": "echo", "params": ["\xed\xa0\x80"], "id": 1}'
    ),
    "half a surrogate pair": lambda: b'{"jsonrpc": "2.0", "method": "echo", "params": ["\\ud83d"], "id": 1}',
    "half a surrogate pair for an id": lambda: b'{"jsonrpc": "2.0", "method": "get_data", "id": "\\uDC00"}',
    "half a surrogate pair for a key": lambda: (
        b'{"jsonrpc": "2.0", "method": "echo", "params": {"\\ud83d": 1}, "id": 1}'
    ),
    "a method twice": lambda: b'{"jsonrpc": "2.0", "method": "get_data", "method": "echo", "id": 1}',
    "a key twice, deep inside": lambda: (
        b'{"jsonrpc": "2.0", "method": "echo", "params": [[{"a": 1, "a": 1}]], "id": 1}'
    ),
    "NaN": lambda: b'{"jsonrpc": "2.0", "method": "echo", "params": [NaN], "id": 1}',
    "infinity": lambda: b'{"jsonrpc": "2.0", "method": "echo", "params": [-Infinity], "id": 1}',
    "a number beyond floats": lambda: b'{"jsonrpc": "2.0", "method": "echo", "params": [1e999], "id": 1}',
    "an id beyond floats": lambda: b'{"jsonrpc": "2.0", "method": "get_data", "id": -1e999}',
    "an integer without end": lambda: (
        b'{"jsonrpc": "2.0", "method": "echo", "params": [%b], "id": 1}' % (b"9" * 10**6)
    ),
    "arrays without end": lambda: b"[" * 10**6,
    "arrays in arrays": lambda: b"[" * 10**5 + b"]" * 10**5,
    "arrays a little too deep": lambda: b"[" * 102 + b"]" * 102,
    "objects in objects": lambda: b'{"a":' * 10**5 + b"1" + b"}" * 10**5,
    "UTF-16": lambda: '{"jsonrpc": "2.0", "method": "get_data", "id": 1}'.encode("utf-16"),
    "a control character": lambda: b'{"jsonrpc": "2.0", "method": "echo", "params": ["\x01"], "id": 1}',
    "a comma too many": lambda: b'{"jsonrpc": "2.0", "method": "get_data", "id": 1,}',
    "more behind it": lambda: b'{"jsonrpc": "2.0", "method": "get_data", "id": 1} {}',
}


@pytest.mark.parametrize("body", HOSTILE)
def test_what_is_no_json_is_a_parse_error_and_calls_nothing(body: str) -> None:
    exposed = service()
    response = say(HOSTILE[body](), exposed)
    assert (response["error"]["code"], response["id"], exposed.calls) == (-32700, None, [])


def test_a_byte_order_mark_and_any_content_type_are_taken() -> None:
    body = b'\xef\xbb\xbf{"jsonrpc": "2.0", "method": "echo", "params": ["\xc3\xa9"], "id": 1}'
    reply = ask(GATEWAY, service(), body, "text/plain; charset=iso-8859-1")
    assert json.loads(reply.body)["result"] == "\xe9"


def test_methods_that_are_not_there_are_known_by_the_failures_kind_alone() -> None:
    assert call("any", exposed=Broken(MethodUnavailable("no")))["error"]["code"] == -32601
