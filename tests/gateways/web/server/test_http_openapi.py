"""The document of what a plain gateway offers: valid, and true."""

from __future__ import annotations

import asyncio
import datetime
import json
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fireflyzmq import Failure, MethodUnavailable, PlainGateway
from fireflyzmq.api.cores.service import core_of
from fireflyzmq.peer.local import LocalService
from tests.gateways.web.server.web import GROUP, Web, on_web, proxy

OPENAPI = json.loads((pathlib.Path(__file__).parent / "openapi-3.1.schema.json").read_text("utf-8"))
"""What documents of OpenAPI 3.1 are like: https://spec.openapis.org/oas/3.1/schema/2022-10-07."""

SHOP = "/services/shop.odd-n%C3%A4med"


def named(first: int, second: str = "") -> dict[str, int]:
    """Take two arguments.

    At length.
    """
    return {second: first}


def positional(first: int, /, second: str, *more: int) -> list[Any]:
    return [first, second, *more]


def keywords(*, name: str, **others: int) -> dict[str, Any]:
    return {"name": name, **others}


def both(first: int, /, *, name: str) -> None:
    pass


def untyped(first, second=2):  # type: ignore[no-untyped-def]
    return [first, second]


async def typed(when: datetime.datetime, id: uuid.UUID | None = None, data: bytes = b"") -> None:
    pass


def fail() -> None:
    raise Failure(7, "on purpose", {"why": "so"})


METHODS: tuple[Callable[..., Any], ...] = (named, positional, keywords, both, untyped, typed, fail)


async def document(web: Web) -> tuple[Any, dict[str, Any]]:
    """A gateway over many kinds of methods, and its document."""
    daemon = web.gateway()
    methods: dict[str, Any] = {method.__name__: method for method in METHODS}
    await web.service("shop.odd-nämed", **methods)
    answer = await web.get(daemon, "/openapi.json")
    assert answer.status == 200
    return daemon, answer.json()


def valid(schema: dict[str, Any], value: Any) -> bool:
    """Whether a value is as a schema says."""
    Draft202012Validator.check_schema(schema)
    return bool(Draft202012Validator(schema).is_valid(value))


@on_web
async def test_it_is_a_document_of_openapi_3_1(web: Web) -> None:
    _, told = await document(web)
    Draft202012Validator(OPENAPI).validate(told)
    operations = [operation for path in told["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) == len(METHODS) + 3
    for operation in operations:
        for response in operation["responses"].values():
            for content in response["content"].values():
                Draft202012Validator.check_schema(content.get("schema", {}))
    Draft202012Validator.check_schema(told["components"]["schemas"]["Failure"])


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("named", {"first": 1}, 200),
        ("named", {"first": 1, "second": "a"}, 200),
        ("named", [1], 200),
        ("named", [1, "a"], 200),
        ("named", {}, 400),
        ("named", [], 400),
        ("named", [1, "a", 3], 400),
        ("named", {"first": 1, "third": 3}, 400),
        ("positional", [1, "a"], 200),
        ("positional", [1, "a", 2, 3], 200),
        ("positional", [1], 400),
        ("positional", {"first": 1, "second": "a"}, 400),
        ("keywords", {"name": "a", "more": 1}, 200),
        ("keywords", {"more": 1}, 400),
        ("keywords", ["a"], 400),
        ("both", [1], 400),
        ("both", {"name": "a"}, 400),
        ("untyped", [1], 200),
        ("untyped", {"first": {}}, 200),
        ("untyped", [], 400),
        ("typed", {"when": "2026-11-21T12:00:00Z", "id": None, "data": "AA=="}, 200),
        ("fail", [], 422),
    ],
)
@on_web
async def test_what_it_says_of_arguments_is_what_is_taken(web: Web, method: str, body: Any, status: int) -> None:
    daemon, told = await document(web)
    path = f"{SHOP}/{method}"
    operation = told["paths"][path]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert valid(schema, body) == (status != 400)
    answer = await web.post(daemon, path, body)
    assert answer.status == status
    said = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    if "$ref" in said:
        assert said == {"$ref": "#/components/schemas/Failure"}
        said = told["components"]["schemas"]["Failure"]
    assert valid(said, answer.json())


@on_web
async def test_it_says_whether_a_body_is_needed(web: Web) -> None:
    daemon, told = await document(web)
    for method, needed in (("named", True), ("fail", False), ("keywords", True)):
        path = f"{SHOP}/{method}"
        assert told["paths"][path]["post"]["requestBody"]["required"] is needed
        assert ((await web.post(daemon, path)).status == 400) is needed


@on_web
async def test_it_has_the_words_of_the_methods(web: Web) -> None:
    _, told = await document(web)
    operation = told["paths"][f"{SHOP}/named"]["post"]
    assert operation["summary"] == "Take two arguments."
    assert "At length." in operation["description"]
    assert "`named(first: 'int', second: 'str' = '')" in operation["description"]
    assert operation["tags"] == ["shop.odd-nämed"]


@on_web
async def test_it_says_where_it_is_and_what_it_is_called(web: Web) -> None:
    daemon = web.daemon()
    daemon.attach("/api/v1", PlainGateway(GROUP, title="The shop"))
    told = (await web.get(daemon, "/api/v1/openapi.json")).json()
    assert (told["info"]["title"], told["servers"]) == ("The shop", [{"url": "/api/v1"}])
    Draft202012Validator(OPENAPI).validate(told)


@on_web
async def test_a_service_that_does_not_answer_is_left_out_and_holds_nothing_up(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fireflyzmq.gateways.web.plain._DESCRIBE_SECONDS", 0.2)
    daemon = web.gateway()
    silent = await web.service("silent", named=named)
    await web.service("shop", named=named)
    core_of(silent).connection.machine.receive = lambda frames, backlog=0: None
    paths = (await web.get(daemon, "/openapi.json")).json()["paths"]
    assert "/services/shop/named" in paths
    assert not [path for path in paths if "silent" in path]


def method_told(**fields: Any) -> dict[str, Any]:
    return {"methods": [{"name": "odd", "signature": "()", "parameters": [], "returns": "", "doc": "", **fields}]}


def parameter_told(**fields: Any) -> dict[str, Any]:
    parameter = {"name": "first", "kind": "named", "required": True, "annotation": "int"}
    return method_told(parameters=[{**parameter, **fields}])


@pytest.mark.parametrize(
    ("description", "methods"),
    [
        ([1], []),
        (None, []),
        ("text", []),
        ({"name": "evil"}, []),
        ({"groups": 5, "methods": {"a": 1}}, []),
        ({"groups": [1, "g"], "methods": [1, None, [], {}, {"name": 5}]}, []),
        (method_told(name="/../evil"), []),
        (method_told(name="_hidden"), []),
        (method_told(root="other"), []),
        (method_told(), ["odd"]),
        ({"methods": [{"name": "odd"}, {"name": "odd"}]}, ["odd"]),
        (method_told(doc=5, signature=[], returns={}), ["odd"]),
        (method_told(parameters={"a": 1}), ["odd"]),
        (method_told(parameters=[1]), ["odd"]),
        (parameter_told(), ["odd"]),
        (parameter_told(name=5), ["odd"]),
        (parameter_told(kind="other"), ["odd"]),
        (parameter_told(kind=[]), ["odd"]),
        (parameter_told(required="yes"), ["odd"]),
        (parameter_told(annotation=None), ["odd"]),
        (
            {
                "methods": [
                    {**method_told()["methods"][0], "parameters": parameter_told()["methods"][0]["parameters"] * 2}
                ]
            },
            ["odd"],
        ),
    ],
)
@on_web
async def test_what_makes_no_sense_in_what_a_service_says_of_itself_is_left_out(
    web: Web, monkeypatch: pytest.MonkeyPatch, description: Any, methods: list[str]
) -> None:
    daemon = web.gateway()
    await web.service("shop", named=named)
    await web.service("odd")
    honest = LocalService.describe
    monkeypatch.setattr(
        LocalService, "describe", lambda service: description if service.name == "odd" else honest(service)
    )
    answer = await web.get(daemon, "/openapi.json")
    assert answer.status == 200
    Draft202012Validator(OPENAPI).validate(answer.json())
    paths = answer.json()["paths"]
    assert {path for path in paths if path.count("/") == 3} == {
        "/services/shop/named",
        *(f"/services/odd/{method}" for method in methods),
    }
    for method in methods:
        body = paths[f"/services/odd/{method}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        Draft202012Validator.check_schema(body)
    told = (await web.get(daemon, "/services/odd")).json()
    assert told["name"] == "odd"
    assert [each["name"] for each in told["methods"]] == methods
    honest_ones = (method_told(), method_told(root="other"), parameter_told(), {"methods": [{"name": "odd"}] * 2})
    assert ("problem" in told) == (description not in honest_ones)
    assert told.get("problem", "makes no sense").count("makes no sense") == 1
    assert {type(value) for each in told["methods"] for value in each.values()} <= {str}


@on_web
async def test_a_service_that_cannot_say_anything_of_itself_has_an_empty_description(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = web.gateway()
    await web.service("foreign", named=named)
    monkeypatch.setattr(LocalService, "describe", unavailable)
    answer = await web.get(daemon, "/services/foreign")
    assert (answer.status, answer.json()) == (200, {"name": "foreign", "groups": [], "methods": []})
    told = (await web.get(daemon, "/openapi.json")).json()["paths"]
    assert "/reports/foreign" in told
    with proxy(daemon, "foreign") as foreign:
        assert await asyncio.to_thread(foreign.system.listMethods) == [
            *("system.listMethods", "system.methodHelp", "system.methodSignature", "system.multicall")
        ]


def unavailable(service: LocalService) -> None:
    raise MethodUnavailable(f"{service.name!r} exports no method 'system.describe'")


@on_web
async def test_a_method_gets_its_arguments_as_the_document_says(web: Web) -> None:
    def put(data: bytes, *more: uuid.UUID, when: datetime.date | None = None) -> list[str]:
        return [type(each).__name__ for each in (data, *more, when)]

    daemon = web.gateway()
    await web.service("store", put=put)
    told = (await web.get(daemon, "/openapi.json")).json()
    content = told["paths"]["/services/store/put"]["post"]["requestBody"]["content"]
    assert "contentEncoding" not in json.dumps(content) and "format" not in json.dumps(content)
    assert (await web.post(daemon, "/services/store/put", ["aGk=", "x"])).json() == ["str", "str", "NoneType"]


@on_web
async def test_it_tells_of_the_resources_of_services_too(web: Web) -> None:
    daemon, told = await document(web)
    listed, described = told["paths"]["/services"]["get"], told["paths"]["/services/{service}"]["get"]
    for operation, path in ((listed, "/services"), (described, SHOP)):
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert valid(schema, (await web.get(daemon, path)).json())
        assert not valid(schema, [{}])
        assert {"415", "421"} <= set(operation["responses"])
