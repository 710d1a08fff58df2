"""XML-RPC as the standard library's client speaks it: values, faults, introspection, several calls at once."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import math
import uuid
import xmlrpc.client
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq import errors
from fireflyzmq.errors import KINDS, Failure
from fireflyzmq.gateways.web.translation import xmlrpc_messages
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.codec import Opaque
from fireflyzmq.xmlrpc import RpcGateway
from tests.gateways.web.exposing import Broken, Functions, Meeting, ask, cancelled_midway

GATEWAY = RpcGateway("web")
EAST = datetime.timezone(datetime.timedelta(hours=2))
LISTED = ["system.listMethods", "system.methodHelp", "system.methodSignature", "system.multicall"]


def add(x: int, y: int = 1) -> int:
    """Add two numbers."""
    return x + y


def service() -> Functions:
    return Functions(add=add, echo=lambda value: value, count=lambda *values: len(values), divide=lambda x, y: x / y)


def send(body: bytes, exposed: Any = None, content_type: str = "text/xml", gateway: RpcGateway = GATEWAY) -> Any:
    """What the standard library's client makes of the response to a body; a Fault is returned."""
    reply = ask(gateway, exposed or service(), body, content_type)
    assert (reply.status, reply.content_type) == (200, "text/xml")
    try:
        (value,), method = xmlrpc.client.loads(reply.body, use_builtin_types=True)
    except xmlrpc.client.Fault as fault:
        return fault
    assert method is None
    return value


def call(method: str, *args: Any, exposed: Any = None, gateway: RpcGateway = GATEWAY) -> Any:
    """Call a method as the standard library's client does."""
    return send(xmlrpc.client.dumps(args, method, allow_none=True).encode(), exposed, gateway=gateway)


def request(value: str, method: str = "echo") -> bytes:
    """A request with one argument, which is written already."""
    head = f"<methodCall><methodName>{method}</methodName>"
    return f"{head}<params><param>{value}</param></params></methodCall>".encode()


def told(fault: Any) -> tuple[int, str]:
    assert isinstance(fault, xmlrpc.client.Fault)
    return fault.faultCode, fault.faultString


class Giving(Functions):
    """A service that gives a value without sending it over the wire first."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    async def call(self, *_: Any) -> Any:
        return self.value


# Values.

# Python's writer of XML leaves carriage returns as they are, and so does not get them there itself.
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff", include_characters="\n\t")
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.binary()
    | st.datetimes().map(lambda value: value.replace(microsecond=0, fold=0)),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@settings(deadline=None)
@given(VALUES)
def test_values_go_there_and_back_as_they_were(value: Any) -> None:
    exposed = service()
    assert repr(call("echo", value, exposed=exposed)) == repr(value)
    assert repr(exposed.calls) == repr([("echo", [value], {})])


@pytest.mark.parametrize("value", [0, "", b"", [], {}, False, None, 0.0])
def test_values_that_are_nothing_arrive_as_themselves(value: Any) -> None:
    result = call("echo", value)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    "text", ["a\r\nb", "\r", "]]>", "<&>\"'", " x ", "\x85\u2028", "\N{GRINNING FACE}", "\ud7ff\ufffd"]
)
def test_texts_are_given_as_they_are(text: str) -> None:
    assert call("get", exposed=Giving({text: [text]})) == {text: [text]}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (2**31, 2**31),
        (-(2**31) - 1, -(2**31) - 1),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        ((1, (2,)), [1, [2]]),
        ({3}, [3]),
        (frozenset({b"a"}), [b"a"]),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.time(3, 4, 5), "03:04:05"),
        (datetime.timedelta(hours=1), 3600.0),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 999_999), datetime.datetime(2026, 1, 2, 3, 4, 5)),
        (datetime.datetime(2026, 1, 2, 1, 4, 5, 0, EAST), datetime.datetime(2026, 1, 1, 23, 4, 5)),
        (datetime.datetime(5, 1, 2, 3, 4, 5), datetime.datetime(5, 1, 2, 3, 4, 5)),
        (Binding("math", "ab" * 16, ("web",), "eve"), {"name": "math", "address": "ab" * 16, "groups": ["web"]}),
    ],
)
def test_what_xmlrpc_lacks_has_something_that_stands_for_it(value: Any, read: Any) -> None:
    result = call("get", exposed=Giving([{"a": value}]))
    assert result == [{"a": read}] and type(result[0]["a"]) is type(read)


@pytest.mark.parametrize(
    ("value", "said"),
    [(2**31 - 1, "<int>2147483647</int>"), (2**31, "<i8>2147483648</i8>"), (-(2**31), "<int>-2147483648</int>")],
)
def test_integers_of_more_than_32_bits_are_i8(value: int, said: str) -> None:
    assert said.encode() in ask(GATEWAY, Giving(value), request("<value/>")).body


class Point:
    """A type that an application may register for the wire."""

    def __init__(self) -> None:
        self.x = 1


def too_deep() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**63, "more than 64 bits"),
        (-(2**63) - 1, "more than 64 bits"),
        (math.nan, "nan is no number of XML-RPC"),
        (math.inf, "inf is no number of XML-RPC"),
        ("\x00", "XML has no character '\\x00'"),
        ("\ufffe", "XML has no character"),
        ("\ud800", "XML has no character"),
        ({"\x1b": 1}, "XML has no character '\\x1b'"),
        ({1: 2}, "a dictionary's keys must be texts, and one is of the type int"),
        (Point(), "objects of the type Point"),
        (Opaque(1, b""), "objects of the type Opaque"),
        (datetime.datetime(1, 1, 1, 0, 0, 0, 0, EAST), "is no time in UTC"),
        (too_deep(), "more than 100 deep"),
    ],
)
def test_a_result_that_has_no_form_is_a_fault_that_says_so(value: Any, why: str) -> None:
    for whole in (value, [value], {"a": (value,)}):
        code, text = told(call("get", exposed=Giving(whole)))
        assert code == 52 and text.startswith("the result cannot be said: ") and why in text


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("<value>text</value>", "text"),
        ("<value> \n </value>", " \n "),
        ("<value/>", ""),
        ("<value><string/></value>", ""),
        ("<value>\n <int> 5 </int>\n</value>", 5),
        ("<value><i4>+5</i4></value>", 5),
        ("<value><i1>-1</i1></value>", -1),
        ("<value><i2>300</i2></value>", 300),
        ("<value><i8>9223372036854775807</i8></value>", 2**63 - 1),
        ("<value><int>2147483648</int></value>", 2**31),
        ("<value xmlns:ex='http://ws.apache.org/xmlrpc/namespaces/extensions'><ex:nil/></value>", None),
        ("<value><ex:i8>1</ex:i8></value>", 1),
        ("<value><nil></nil></value>", None),
        ("<value><double>-1.5e3</double></value>", -1500.0),
        ("<value><double>.5</double></value>", 0.5),
        ("<value><boolean>1</boolean></value>", True),
        ("<value><base64>\n AP\n8= </base64></value>", b"\x00\xff"),
        ("<value><base64/></value>", b""),
        (
            "<value><dateTime.iso8601>19980717T14:08:55</dateTime.iso8601></value>",
            datetime.datetime(1998, 7, 17, 14, 8, 55),
        ),
        (
            "<value><dateTime.iso8601>1998-07-17T14:08:55</dateTime.iso8601></value>",
            datetime.datetime(1998, 7, 17, 14, 8, 55),
        ),
        (
            "<value><dateTime.iso8601>19980717T14:08:55+02:00</dateTime.iso8601></value>",
            datetime.datetime(1998, 7, 17, 14, 8, 55, 0, EAST),
        ),
        (
            "<value><dateTime.iso8601>19980717T14:08:55Z</dateTime.iso8601></value>",
            datetime.datetime(1998, 7, 17, 14, 8, 55, 0, datetime.UTC),
        ),
        ("<value><array><data/></array></value>", []),
        ("<value><struct/></value>", {}),
        ("<value><struct><member><name/><value>x</value></member></struct></value>", {"": "x"}),
        ("<!-- a --><value><?b c?><string>x<!-- d -->y</string></value>", "xy"),
        ("<value><![CDATA[<&]]>&#233;&amp;</value>", "<&\xe9&"),
    ],
)
def test_what_other_clients_write_is_read(written: str, value: Any) -> None:
    exposed = service()
    result = send(request(written), exposed)
    assert not isinstance(result, xmlrpc.client.Fault), result
    assert repr(exposed.calls) == repr([("echo", [value], {})])


def test_a_call_without_parameters_may_leave_them_out() -> None:
    for params in ("", "<params/>", "<params></params>"):
        assert send(f"<methodCall>\n<methodName> count </methodName>{params}</methodCall>".encode()) == 0


# Faults.


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_fault_has_the_failures_code_and_description(kind: str) -> None:
    failure = getattr(errors, kind)("what happened", {"traceback": "secret"})
    assert told(call("any", exposed=Broken(failure))) == (failure.code, "what happened")


@pytest.mark.parametrize(
    ("code", "said"), [(7, 7), (-1, -1), (0, 0), (2**31 - 1, 2**31 - 1), (2**31, 0), (None, 0), ("7", 0), (True, 0)]
)
def test_a_services_own_failure_has_its_own_code_when_it_is_one(code: Any, said: int) -> None:
    fault = call("any", exposed=Broken(Failure(code, "no money")))
    assert told(fault) == (said, "no money") and type(fault.faultCode) is int


@pytest.mark.parametrize(
    ("text", "said"), [("a\x00\x1bb", "a\ufffd\ufffdb"), ("\ud800", "?"), ("<&\r", "<&\r"), (5, "5")]
)
def test_a_description_is_said_whatever_it_holds(text: Any, said: str) -> None:
    assert told(call("any", exposed=Broken(Failure(1, text)))) == (1, said)


def test_an_exception_is_told_by_its_type_and_message() -> None:
    assert told(call("divide", 1, 0)) == (57, "ZeroDivisionError: division by zero")


def test_arguments_that_do_not_fit_and_unknown_methods_are_the_services_failures() -> None:
    assert told(call("add"))[0] == 56
    assert told(call("subtract", 1)) == (55, "'math' exports no method 'subtract'")


@pytest.mark.parametrize(
    "method", ["system.describe", "system.statistics", "system.", "_hidden", "a._b", "a b", "", "\N{SNOWMAN}"]
)
def test_names_that_no_service_exports_are_not_asked_for(method: str) -> None:
    exposed = service()
    assert told(send(request("<value/>", method), exposed)) == (55, f"'math' exports no method {method!r}")
    assert exposed.calls == []


def test_what_is_no_failure_is_an_internal_error_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert told(call("any", exposed=Broken(RuntimeError("the secret")))) == (-32603, "Internal error")
    assert "the secret" in caplog.text


def test_a_gateway_that_fails_answers_still(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("the secret")

    monkeypatch.setattr(xmlrpc_messages, "parse_call", fail)
    assert told(call("add", 1)) == (-32603, "Internal error")
    assert "the secret" in caplog.text


# Introspection.


def test_a_service_lists_its_methods_and_the_gateways() -> None:
    assert call("system.listMethods") == sorted(["add", "count", "divide", "echo", *LISTED])


def test_methods_for_one_root_alone_are_not_listed() -> None:
    exposed = service()
    exposed.methods.export(lambda: 1, "forRoot", root="gate")
    assert "forRoot" not in call("system.listMethods", exposed=exposed)


def test_a_method_tells_its_doc_and_the_ways_to_call_it() -> None:
    assert call("system.methodHelp", "add") == "Add two numbers."
    assert call("system.methodHelp", "echo") == ""
    assert call("system.methodSignature", "add") == [["int", "int"], ["int", "int", "int"]]
    assert call("system.methodSignature", "echo") == "undef"


@pytest.mark.parametrize("method", LISTED)
def test_the_gateways_own_methods_tell_of_themselves(method: str) -> None:
    assert call("system.methodHelp", method)
    assert call("system.methodSignature", method)[0][0] in ("array", "string")


@pytest.mark.parametrize("method", ["system.methodHelp", "system.methodSignature"])
def test_introspection_wants_the_name_of_a_method(method: str) -> None:
    assert told(call(method, "subtract"))[0] == 55
    for args in ((), (1,), ("add", "add")):
        assert told(call(method, *args)) == (56, f"{method} takes the name of a method")
    assert told(call("system.listMethods", "add")) == (56, "system.listMethods takes nothing")


def test_a_service_that_cannot_be_described_says_why() -> None:
    assert told(call("system.listMethods", exposed=Broken(Failure(46, "gone")))) == (46, "gone")


@pytest.mark.parametrize(
    "description",
    [None, [], {}, {"methods": None}, {"methods": [1, {}, {"name": 1}, {"name": "a", "root": "gate"}]}],
)
def test_a_description_that_makes_no_sense_lists_nothing(description: Any) -> None:
    class Strange(Functions):
        async def describe(self) -> Any:
            return description

    assert call("system.listMethods", exposed=Strange()) == LISTED


def test_a_description_may_lack_what_is_asked_for() -> None:
    class Strange(Functions):
        async def describe(self) -> Any:
            return {"methods": [{"name": "a", "doc": 1, "signature": None}]}

    assert call("system.methodHelp", "a", exposed=Strange()) == ""
    assert call("system.methodSignature", "a", exposed=Strange()) == "undef"


# Several calls in one.


def multicall(*calls: Any, exposed: Any = None, gateway: RpcGateway = GATEWAY) -> Any:
    return call("system.multicall", list(calls), exposed=exposed, gateway=gateway)


def one(method: str, *params: Any) -> dict[str, Any]:
    return {"methodName": method, "params": list(params)}


def test_each_call_of_several_has_its_value_or_its_fault() -> None:
    answers = multicall(one("add", 1, 2), one("divide", 1, 0), one("subtract"), one("system.methodHelp", "add"))
    assert answers == [
        [3],
        {"faultCode": 57, "faultString": "ZeroDivisionError: division by zero"},
        {"faultCode": 55, "faultString": "'math' exports no method 'subtract'"},
        ["Add two numbers."],
    ]


@pytest.mark.parametrize("value", [None, {"faultCode": 1, "faultString": "a value"}, [[]], "<&\r", b"\x00"])
def test_any_value_may_be_among_several(value: Any) -> None:
    assert multicall(one("get"), exposed=Giving(value)) == [[value]]


def test_a_value_that_has_no_form_spoils_only_its_own_call() -> None:
    class Some(Functions):
        async def call(self, method: str, *_: Any) -> Any:
            return {1: 2} if method == "bad" else "good"

    bad, good = multicall(one("bad"), one("good"), exposed=Some())
    assert (bad["faultCode"], good) == (52, ["good"])


def test_several_calls_run_at_once_and_are_answered_in_their_order() -> None:
    answers = multicall(*(one("meet", at) for at in range(50)), exposed=Functions(meet=Meeting(50).meet))
    assert answers == [[at] for at in range(50)]


def test_several_calls_do_not_call_several() -> None:
    exposed = service()
    (answer,) = multicall(one("system.multicall", [one("add", 1)]), exposed=exposed)
    assert (answer["faultCode"], exposed.calls) == (56, [])


def test_there_may_be_so_many_calls_and_no_more() -> None:
    exposed, gateway = service(), RpcGateway("web", batch_calls=3)
    assert len(multicall(*[one("add", 1)] * 3, exposed=exposed, gateway=gateway)) == 3
    assert told(multicall(*[one("add", 1)] * 4, exposed=exposed, gateway=gateway)) == (
        56,
        "4 calls are over the limit of 3",
    )
    assert len(exposed.calls) == 3


@pytest.mark.parametrize(
    "wrong", [1, "add", [], {}, {"methodName": 1}, {"methodName": "add", "params": 1}, {"params": []}, None]
)
def test_what_is_no_call_among_several_has_a_fault_of_its_own(wrong: Any) -> None:
    answer, other = multicall(wrong, {"methodName": "count"})
    assert (answer["faultCode"], other) == (56, [0])


def test_several_calls_are_one_array() -> None:
    wrong: tuple[tuple[Any, ...], ...] = ((), (1,), ([], []), ({},))
    for args in wrong:
        assert told(call("system.multicall", *args)) == (56, "system.multicall takes one array of calls")
    assert multicall() == []


def test_a_client_that_goes_cancels_its_calls() -> None:
    ended: list[str] = []

    async def scenario(body: bytes) -> None:
        began = asyncio.Event()

        async def hang() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        with pytest.raises(asyncio.CancelledError):
            await cancelled_midway(GATEWAY, Functions(hang=hang), body, began)

    asyncio.run(scenario(b"<methodCall><methodName>hang</methodName></methodCall>"))
    assert len(ended) == 1
    asyncio.run(scenario(xmlrpc.client.dumps(([one("hang")] * 3,), "system.multicall").encode()))
    assert len(ended) == 4


def test_a_cancellation_from_within_passes_through() -> None:
    for method, args in (("any", ()), ("system.listMethods", ()), ("system.multicall", ([one("any")],))):
        with pytest.raises(asyncio.CancelledError):
            call(method, *args, exposed=Broken(asyncio.CancelledError()))
