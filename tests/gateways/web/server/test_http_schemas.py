"""What the document says of checked arguments, and what the gateway and the service make of them: the same."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from xmlrpc.client import Fault

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fireflyzmq import Binding, HttpDaemon, Service
from fireflyzmq.peer.local import LocalService
from fireflyzmq.peer.methods import Method
from tests.gateways.web.server.test_http_openapi import OPENAPI
from tests.gateways.web.server.web import JsonRpcError, Web, on_web, proxy


@dataclasses.dataclass
class Size:
    width: int
    height: int = 1


@dataclasses.dataclass
class Node:
    value: int | None
    children: list[Node] = dataclasses.field(default_factory=list)


class Movie(TypedDict, total=False):
    title: str
    year: int


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Inner:
    deep: int


EXACT: dict[str, tuple[Any, list[Any]]] = {
    "int": (int, [1]),
    "float": (float, [1, 0.5]),
    "bool": (bool, [True]),
    "str": (str, ["a"]),
    "null": (None, [None]),
    "anything": (Any, [[1]]),
    "object": (object, [{"a": 1}]),
    "optional": (int | None, [1, None]),
    "several": (int | str | list[bool], [1, "a", [True]]),
    "ints": (list[int], [[1, 2]]),
    "pair": (tuple[int, str], [[1, "a"]]),
    "tuple": (tuple[int, ...], [[1, 2]]),
    "empty": (tuple[()], [[]]),
    "set": (set[int], [[1, 1]]),
    "any_set": (set, [[1, "a"]]),
    "sequence": (Sequence[str | None], [["a", None]]),
    "mapping": (dict[str, int], [{"a": 1}]),
    "by_number": (dict[int, str], [{"1": "a", "-7": "b"}]),
    "nested": (dict[str, list[tuple[int, int]]], [{"a": [[1, 2]]}]),
    "literal": (Literal["red", 1, None], ["red", 1, None]),
    "colour": (Colour, ["red"]),
    "number": (Number, [1]),
    "size": (Size, [{"width": 1, "height": 2}]),
    "node": (Node, [{"value": 1, "children": [{"value": None, "children": []}]}]),
    "movie": (Movie, [{"title": "a", "year": 1}]),
    "named_pair": (Pair, [[1, "a"]]),
    "sizes": (list[Size] | dict[str, Size], [[{"width": 1}], {"a": {"width": 1}}]),
    "either": (Size | Movie, [{"width": 1}, {"title": "a"}]),
    "lists": (list[int] | list[str] | None, [[1], ["a"]]),
    "data_or_text": (str | bytes, ["a"]),
    "positive": (Annotated[int, msgspec.Meta(gt=0, le=5)], [1, 5]),
    "short": (Annotated[str, msgspec.Meta(min_length=1, max_length=3)], ["a"]),
    "few": (Annotated[list[int], msgspec.Meta(max_length=2)], [[1, 2]]),
    "binding": (Binding, []),
    "binding_or_text": (Binding | str | None, ["a", None]),
}
"""Types by a name, each with some values that it takes. Here the schema says all that is checked."""

WRITTEN: dict[str, tuple[Any, list[Any]]] = {
    "bytes": (bytes, ["aGk="]),
    "datetime": (datetime.datetime, ["2026-05-04T03:02:01", "2026-05-04T03:02:01+02:00"]),
    "date": (datetime.date, ["2026-05-04"]),
    "duration": (datetime.timedelta, ["PT5S"]),
    "decimal": (decimal.Decimal, ["1.5", 1, 0.5]),
    "uuid": (uuid.UUID | None, [str(uuid.UUID(int=7)), None]),
    "moments": (list[datetime.datetime], [["2026-05-04T03:02:01"]]),
}
"""Types that texts are written for: that a text is one of them, JSON Schema does not say."""

KINDS = {**EXACT, **WRITTEN}

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 7),
    st.floats(-5, 5).filter(lambda number: not number.is_integer()),
    st.sampled_from(["", "a", "red", "four", "1", "2026-05-04", "aGk="]),
)
KEYS = st.sampled_from(["width", "height", "value", "children", "title", "year", "a", "1", "-7", "01", "", "+1", " 1"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def places_of(value: Any) -> list[tuple[Any, ...]]:
    """Where in a value something may be put."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((key, *place) for key, each in items for place in places_of(each))]


def put(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """A value with another one somewhere in it."""
    if not place:
        return other
    value = copy.copy(value)
    value[place[0]] = put(value[place[0]], place[1:], other)
    return value


@st.composite
def nearly(draw: st.DrawFn, examples: list[Any]) -> Any:
    """One of some values, as it is or with something else in one place."""
    value = draw(st.sampled_from(examples))
    return value if draw(st.booleans()) else put(value, draw(st.sampled_from(places_of(value))), draw(VALUES))


CALLS = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.tuples(st.just(kind), nearly(KINDS[kind][1]) | VALUES if KINDS[kind][1] else VALUES)
)


def method_of(annotation: Any) -> Any:
    def method(x: Any) -> None: ...

    method.__annotations__ = {"x": annotation}
    return method


async def checked_service(web: Web, name: str, **methods: Any) -> Service:
    """A service that checks what its methods are called with."""
    service = await web.service(name)
    for method, function in methods.items():
        service.exportMethod(function, method, validate=True)
    return service


def body_schema(told: dict[str, Any], path: str) -> dict[str, Any]:
    """The schema of an operation's body, with what it refers to."""
    content = told["paths"][path]["post"]["requestBody"]["content"]
    return {**content["application/json"]["schema"], "components": told["components"]}


class Shop:
    """A gateway over a service with a method for each kind, and what its document says of them."""

    def __init__(self, web: Web, daemon: HttpDaemon, told: dict[str, Any]) -> None:
        self.web = web
        self.daemon = daemon
        self.validators = {name: Draft202012Validator(body_schema(told, f"/services/shop/{name}")) for name in KINDS}

    @classmethod
    async def open(cls, web: Web) -> Shop:
        daemon = web.gateway()
        await checked_service(web, "shop", **{name: method_of(kind) for name, (kind, _) in KINDS.items()})
        told = (await web.get(daemon, "/openapi.json")).json()
        Draft202012Validator(OPENAPI).validate(told)
        return cls(web, daemon, told)

    async def compare(self, name: str, value: Any) -> None:
        """Whether a value is taken, by position and by name, as it is said to be."""
        for body in ([value], {"x": value}):
            answer = await self.web.post(self.daemon, f"/services/shop/{name}", body)
            assert answer.status in (200, 400), answer.body
            taken, promised = answer.status == 200, self.validators[name].is_valid(body)
            assert taken == promised or (name in WRITTEN and promised), (name, body, answer.json())


NO_CHILDREN: list[Any] = [None, [1], [{}], [{"value": "1"}], [{"value": None}], {}]
ODD: list[Any] = [
    *(
        0,
        -1,
        6,
        0.25,
        "",
        "abcd",
        "blue",
        {},
        [],
        [[]],
        [{}],
        [None],
        [[1]],
        [1, 1],
        ["a", "a"],
        [1, "a", 2],
        [1, 2, 3],
    ),
    *({key: "a"} for key in ("a", "0", "-0", "-7", "01", " 1", "1 ", "+1", "1.0", "1_0", "")),
    *({"a": value} for value in (None, [], {}, [[1]], [[1, 2, 3]], {"width": "1"})),
    *({"width": 1, **more} for more in ({"height": None}, {"height": "1"}, {"more": 1}, {"title": 5})),
    *({"value": 1, "children": value} for value in NO_CHILDREN),
    *({"title": "a", "year": value} for value in (None, "1", 0.5)),
    *(["a", 1], [1, None], [1, "a", "b"], [None, "a"], {"left": 1}),
    *("2026-05-04T03:02:01Z", "2026-13-04", "12:00", "PT", "1e5", "0x1", "x" * 36),
]
"""What is nearly of a kind."""


@on_web
async def test_the_document_and_the_service_say_the_same_of_each_kinds_values(web: Web) -> None:
    shop = await Shop.open(web)
    values = [*ODD, *(value for _, examples in KINDS.values() for value in examples)]
    for name in KINDS:
        await asyncio.gather(*(shop.compare(name, value) for value in values))


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(st.lists(CALLS, min_size=100, max_size=100))
def test_the_document_and_the_service_say_the_same_of_any_value(calls: list[tuple[str, Any]]) -> None:
    @on_web
    async def ask(web: Web) -> None:
        shop = await Shop.open(web)
        for name, value in calls:
            await shop.compare(name, value)

    ask()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_each_type_takes_what_it_is_said_to_take(name: str) -> None:
    arguments = Method(name, method_of(KINDS[name][0]), validate=True).arguments
    assert arguments is not None
    for value in KINDS[name][1]:
        arguments.convert([value], {})


def buy(size: Size, *others: Size, colour: Colour = Colour.RED, **counts: int) -> str:
    return type(size).__name__


async def schema_of_buy(web: Web, daemon: HttpDaemon) -> Draft202012Validator:
    """What a daemon says of the body of a call of `buy`."""
    return Draft202012Validator(body_schema((await web.get(daemon, "/openapi.json")).json(), "/services/shop/buy"))


@pytest.mark.parametrize(
    "body",
    [[{"width": 1}], [{"width": 1}, {"width": 2}], {"size": {"width": 1}, "colour": "red", "pears": 2}],
)
@on_web
async def test_right_arguments_are_taken(web: Web, body: Any) -> None:
    daemon = web.gateway()
    await checked_service(web, "shop", buy=buy)
    assert (await schema_of_buy(web, daemon)).is_valid(body)
    assert (await web.post(daemon, "/services/shop/buy", body)).status == 200


@on_web
async def test_a_missing_argument_is_400(web: Web) -> None:
    daemon = web.gateway()
    await checked_service(web, "shop", buy=buy)
    assert not (await schema_of_buy(web, daemon)).is_valid([])
    assert (await web.post(daemon, "/services/shop/buy", [])).status == 400


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ([{"width": "1"}], "size"),
        ({"size": {}}, "size"),
        ([{"width": 1}, {"height": 2}], "others"),
        ({"size": {"width": 1}, "colour": "blue"}, "colour"),
        ({"size": {"width": 1}, "pears": "2"}, "pears"),
    ],
)
@on_web
async def test_a_wrong_argument_is_400_and_is_named(web: Web, body: Any, parameter: str) -> None:
    daemon = web.gateway()
    await checked_service(web, "shop", buy=buy)
    assert not (await schema_of_buy(web, daemon)).is_valid(body)
    answer = await web.post(daemon, "/services/shop/buy", body)
    error = answer.error()
    assert (answer.status, error["kind"], error["details"]) == (400, "InvalidArguments", {"parameter": parameter})
    assert f"buy: {parameter}" in error["description"]


@on_web
async def test_a_wrong_argument_is_told_in_json_rpc_and_xml_rpc_too(web: Web) -> None:
    daemon = web.gateway()
    await checked_service(web, "shop", buy=buy)
    assert await web.jsonrpc(daemon, "shop", "buy", {"width": 1}) == "Size"
    with pytest.raises(JsonRpcError) as error:
        await web.jsonrpc(daemon, "shop", "buy", {"width": "1"})
    assert error.value.code == -32602 and error.value.data["details"] == {"parameter": "size"}
    with proxy(daemon, "shop", allow_none=True) as client:
        assert await asyncio.to_thread(client.buy, {"width": 1}) == "Size"
        with pytest.raises(Fault) as fault:
            await asyncio.to_thread(client.buy, {"width": "1"})
    assert fault.value.faultCode == 56 and "buy: size.width: expected `int`" in fault.value.faultString


@on_web
async def test_xml_rpcs_own_types_are_taken_as_they_are(web: Web) -> None:
    def note(data: bytes, when: datetime.datetime) -> list[str]:
        return [type(data).__name__, type(when).__name__]

    daemon = web.gateway()
    await checked_service(web, "shop", note=note)
    with proxy(daemon, "shop") as client:
        assert await asyncio.to_thread(client.note, b"hi", datetime.datetime(2026, 5, 4)) == ["bytes", "datetime"]
        ways = await asyncio.to_thread(client.system.methodSignature, "note")
    assert ways == [["array", "base64", "string"]]


@on_web
async def test_types_of_one_name_are_told_apart_and_equal_ones_are_one(web: Web) -> None:
    def other_size() -> Any:
        @dataclasses.dataclass
        class Size:
            inner: Inner

        return Size

    daemon = web.gateway()
    one, other = method_of(Size), method_of(other_size())
    await checked_service(web, "shop", one=one, again=method_of(list[Size]), other=other)
    await checked_service(web, "shop_2", one=other)
    await checked_service(web, "shop.2", one=one)
    told = (await web.get(daemon, "/openapi.json")).json()
    Draft202012Validator(OPENAPI).validate(told)
    schemas = told["components"]["schemas"]
    assert set(schemas) == {
        *("Failure", "shop.Size", "shop.Size_2", "shop.Inner", "shop_2.Size", "shop_2.Inner", "shop.2.Size"),
    }
    for path, good in (
        ("/services/shop/one", {"width": 1}),
        ("/services/shop/other", {"inner": {"deep": 1}}),
        ("/services/shop_2/one", {"inner": {"deep": 1}}),
        ("/services/shop.2/one", {"width": 1}),
    ):
        validator = Draft202012Validator(body_schema(told, path))
        for value in ({"width": 1}, {"inner": {"deep": 1}}):
            assert validator.is_valid([value]) == (value == good)


@on_web
async def test_of_what_nobody_checks_no_type_is_promised(web: Web) -> None:
    def multiply(x: int, y: int = 2, *more: int, **named: int) -> int:
        return x * y

    daemon = web.gateway()
    service = await web.service("math", unchecked=multiply)
    service.exportMethod(multiply, "checked", validate=True)
    told = (await web.get(daemon, "/openapi.json")).json()
    for name, answers in (("unchecked", 200), ("checked", 400)):
        operation = told["paths"][f"/services/math/{name}"]["post"]
        schema = body_schema(told, f"/services/math/{name}")
        for body in ({"x": "6", "y": 3}, ["6", 3]):
            assert Draft202012Validator(schema).is_valid(body) == (answers == 200)
            assert (await web.post(daemon, f"/services/math/{name}", body)).status == answers
        assert not Draft202012Validator(schema).is_valid({"y": 3})
        response = operation["responses"]["200"]
        assert response["content"]["application/json"]["schema"] == {}
        assert response["description"] == "What the method returned: `int`, which is not checked"
    named = told["paths"]["/services/math/unchecked"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert named["anyOf"][0]["properties"]["x"] == {"description": "`int`, which is not checked"}


@on_web
async def test_a_schema_that_leads_elsewhere_is_not_passed_on(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = web.gateway()
    await web.service("odd", method=method_of(int))
    elsewhere = "http://127.0.0.1:9/schema.json"
    honest = LocalService.describe

    def describe(service: LocalService) -> dict[str, Any]:
        described = honest(service)
        for method in described["methods"]:
            method["definitions"] = {"Self": {"$ref": "#/$defs/Self"}, "Far": {"items": {"$ref": elsewhere}}}
            for reference in (elsewhere, "#/$defs/Far", "#/$defs/Self", "#/paths", "file:///etc/passwd"):
                name = f"p{len(method['parameters'])}"
                more = {**method["parameters"][0], "name": name, "required": False, "schema": {"$ref": reference}}
                method["parameters"].append(more)
        return described

    monkeypatch.setattr(LocalService, "describe", describe)
    answer = await web.get(daemon, "/openapi.json")
    assert answer.status == 200
    assert not any(each in answer.body for each in (b"127.0.0.1:9", b"passwd", b'"#/paths"'))
    Draft202012Validator(OPENAPI).validate(answer.json())
    validator = Draft202012Validator(body_schema(answer.json(), "/services/odd/method"))
    assert validator.is_valid([1, 2, [3], 4, 5, 6])
