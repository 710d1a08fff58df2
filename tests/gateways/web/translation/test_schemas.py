"""Schemas that services say of their methods: bounded, closed in themselves, and no narrower than they were."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fireflyzmq.gateways.web.translation.descriptions import parse_description
from fireflyzmq.gateways.web.translation.json_values import dumps
from fireflyzmq.gateways.web.translation.openapi import document
from fireflyzmq.gateways.web.translation.schemas import Budget, references, renamed, take_schemas


def taken(*schemas: Any, definitions: Any = None, budget: Budget | None = None) -> tuple[list[Any], dict[str, Any]]:
    return take_schemas(list(schemas), definitions, budget or Budget())


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "integer", "minimum": 1, "exclusiveMaximum": 2.5, "multipleOf": 1},
        {"type": ["string", "null"], "minLength": 1, "pattern": "^a$", "format": "uuid", "contentEncoding": "base64"},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False, "minItems": 1, "maxItems": 1},
        {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": {"type": "string"}},
        {"type": "object", "propertyNames": {"pattern": "^[0-9]+$"}, "additionalProperties": True},
        {"anyOf": [{"const": 1}, {"enum": ["a", None, 2.5]}], "title": "T", "description": "D", "default": []},
        {"not": {}},
        {"$ref": "#/$defs/Node"},
    ],
)
def test_what_makes_sense_is_taken_as_it_is(schema: dict[str, Any]) -> None:
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}}
    assert taken(schema, definitions={"Node": node}) == ([schema], {"Node": node})


@pytest.mark.parametrize(
    "schema",
    [
        None,
        5,
        "text",
        [],
        True,
        {"type": "number of things"},
        {"type": []},
        {"type": ["integer", "integer"]},
        {"type": [[]]},
        {"minimum": "1"},
        {"minimum": True},
        {"minimum": float("nan")},
        {"minimum": 1 << 80},
        {"multipleOf": 0},
        {"minLength": -1},
        {"minLength": 1.5},
        {"required": "a"},
        {"required": ["a", "a"]},
        {"required": [1]},
        {"enum": []},
        {"enum": [{"a": 1}]},
        {"enum": ["\ud800"]},
        {"const": [1]},
        {"pattern": "a" * 1001},
        {"pattern": 5},
        {"title": 5},
        {"properties": []},
        {"properties": {"a": 5}},
        {"properties": {"\ud800": {}}},
        {"properties": {"a" * 201: {}}},
        {"anyOf": []},
        {"anyOf": {}},
        {"anyOf": [{"type": "what"}]},
        {"items": [{}]},
        {"additionalProperties": False, "patternProperties": {"^a": {}}},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "#/components/schemas/Failure"},
        {"$ref": "#"},
        {"$ref": "http://example.com/schema"},
        {"$ref": "//example.com/schema"},
        {"$ref": 5},
        {"items": {"properties": {"a": {"anyOf": [{"$ref": "file:///etc/passwd"}]}}}},
    ],
)
def test_what_makes_no_sense_takes_anything(schema: Any) -> None:
    assert taken(schema, {"type": "integer"}, definitions={"A": schema, "B": {"type": "null"}}) == (
        [{}, {"type": "integer"}],
        {"A": {}, "B": {"type": "null"}},
    )


def test_keywords_that_are_not_known_are_left_out() -> None:
    told = {
        "type": "integer",
        "$id": "http://example.com",
        "$dynamicRef": "http://example.com",
        "if": {},
        "x": 1,
        5: 6,
    }
    assert taken({**told, "not": {"type": "null"}}) == ([{"type": "integer"}], {})


@pytest.mark.parametrize(
    "definitions", [None, 5, [], {5: {}}, {"": {}}, {"a" * 201: {}}, {str(n): {} for n in range(51)}]
)
def test_definitions_without_names_are_none(definitions: Any) -> None:
    assert taken({}, definitions=definitions) == ([{}], {})


def test_references_that_lead_back_to_themselves_take_anything() -> None:
    definitions = {
        "Self": {"$ref": "#/$defs/Self"},
        "One": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Other"}]},
        "Other": {"anyOf": [{"anyOf": [{"$ref": "#/$defs/One"}]}]},
        "Into": {"$ref": "#/$defs/One"},
        "Fine": {"type": "array", "items": {"$ref": "#/$defs/Fine"}},
    }
    _, found = taken(definitions=definitions)
    assert found == {"Self": {}, "One": {}, "Other": {}, "Into": {}, "Fine": definitions["Fine"]}
    for name in found:
        assert Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": found}).is_valid([])


def test_references_that_double_at_each_step_end() -> None:
    definitions = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    _, found = taken(definitions={**definitions, "d40": {"not": {}}})
    begin = time.process_time()
    Draft202012Validator({"$ref": "#/$defs/d0", "$defs": found}).is_valid(1)
    assert time.process_time() - begin < 2


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


def test_what_is_deep_takes_anything() -> None:
    assert taken(nested(5)) == ([nested(5)], {})
    assert taken(nested(400)) == ([{}], {})


def test_what_is_too_much_takes_anything() -> None:
    wide = {"properties": {f"p{number}": {"type": "integer"} for number in range(500)}}
    texts = {"anyOf": [{"enum": [str(number) * 100] * 100} for number in range(200)]}
    for much in (wide, texts):
        budget = Budget()
        outcomes = [taken(much, budget=budget)[0][0] for _ in range(100)]
        size = len(json.dumps(outcomes))
        assert outcomes[-1] == {} and size < 4_000_000, size
    first = taken(wide, budget=Budget())[0][0]
    assert first == wide


def hostile(methods: int) -> dict[str, Any]:
    """Many methods whose definitions all refer to each other."""
    names = [f"D{number}" for number in range(50)]
    definitions = {
        name: {"properties": {other: {"$ref": f"#/$defs/{other}"} for other in names[:10]}} for name in names
    }
    parameter = {"name": "x", "kind": "named", "required": True, "annotation": "", "schema": {"$ref": "#/$defs/D0"}}
    return {
        "methods": [
            {"name": f"m{number}", "parameters": [parameter], "definitions": {**definitions, "D49": {"const": number}}}
            for number in range(methods)
        ]
    }


def test_a_document_of_what_a_hostile_service_says_is_made_in_bounded_time_and_size() -> None:
    told = hostile(2000)
    begin = time.process_time()
    made = document("services", "/", [parse_description("odd", told)], True)
    assert time.process_time() - begin < 3
    assert len(dumps(made["components"])) < 4_000_000


KEYWORDS = [
    *("type", "$ref", "items", "anyOf", "properties", "enum", "required", "prefixItems", "not", "minLength"),
    *("additionalProperties", "const", "default", "A", "B", "multipleOf", "oneOf", "$id"),
]
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [None, True, False, 0, -1, 1.5, "a", "integer", "#/$defs/A", "#/$defs/B", [], {}, ["a"], ["null"]]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYWORDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(SCHEMAS, max_size=3), st.fixed_dictionaries({"A": SCHEMAS, "B": SCHEMAS}) | SCHEMAS)
def test_whatever_is_said_what_is_taken_is_a_schema(told: list[Any], definitions: Any) -> None:
    schemas, found = taken(*told, definitions=definitions)
    assert len(schemas) == len(told)
    for schema in (*schemas, *found.values()):
        Draft202012Validator.check_schema(schema)
        assert set(references(schema)) <= set(found)
        for value in (None, 1, "a", [], [1], {}, {"A": 1}):
            Draft202012Validator({**schema, "$defs": found}).is_valid(value)
        dumps(schema)


PROBLEM = "what the service says of itself makes no sense: "


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ("nothing", PROBLEM + "it is no dictionary"),
        ({"methods": "many"}, PROBLEM + "its methods are no list"),
        ({"methods": []}, None),
        ({"methods": [{"name": "f"}, {"name": 7}, "f"]}, "what the service says of 2 of its methods makes no sense"),
        ({"methods": [{"name": "f", "doc": 7}]}, "what the service says of 1 of its methods makes no sense"),
        (
            {"methods": [{"name": "f", "parameters": ["x"]}]},
            "what the service says of 1 of its methods makes no sense",
        ),
        ({"methods": [{"name": "f", "parameters": 7}]}, "what the service says of 1 of its methods makes no sense"),
    ],
)
def test_what_makes_no_sense_of_a_service_is_told_as_its_problem(told: Any, problem: str | None) -> None:
    described = parse_description("math", told)
    assert described.get("problem") == problem and described["name"] == "math"
    assert [each["name"] for each in described["methods"]] in ([], ["f"])
    assert all(each["parameters"] is None for each in described["methods"])


def test_a_reference_deep_in_a_schema_is_renamed_as_well() -> None:
    of_a, of_b = {"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}
    schema = {"anyOf": [of_a, {"type": "array", "items": of_b, "prefixItems": [of_a]}], "title": "both"}
    found = renamed(schema, lambda name: f"its {name}")
    assert found == {
        "anyOf": [
            {"$ref": "its A"},
            {"type": "array", "items": {"$ref": "its B"}, "prefixItems": [{"$ref": "its A"}]},
        ],
        "title": "both",
    }
    assert list(references(schema)) == ["A", "B", "A"] and renamed(True, str) is True and list(references(True)) == []


def parameter(name: str, kind: str, required: bool = True, annotation: str = "") -> dict[str, Any]:
    return {"name": name, "kind": kind, "required": required, "annotation": annotation}


def body_of(*parameters: dict[str, Any], known: bool = True) -> Any:
    """The schema of the arguments that a method with such parameters takes."""
    method = {"name": "f", "parameters": list(parameters) if known else None}
    made = document("title", "/base", [parse_description("math", {"methods": [method]})], reports=False)
    assert not any(path.startswith("/reports/") for path in made["paths"])
    operation = made["paths"]["/services/math/f"]["post"]
    return operation["requestBody"]["content"]["application/json"]["schema"]


def test_a_method_of_which_nothing_is_known_takes_any_arguments() -> None:
    assert body_of(known=False) == {"type": ["array", "object"]}


def test_a_method_without_parameters_takes_no_arguments_in_either_form() -> None:
    for arguments, valid in (([], True), ({}, True), ([1], False), ({"x": 1}, False)):
        assert Draft202012Validator(body_of()).is_valid(arguments) is valid, arguments


def test_what_nobody_checks_is_described_by_its_annotation() -> None:
    schema = body_of(parameter("x", "named", annotation="Money"), parameter("y", "named"))
    assert "`Money`, which is not checked" in json.dumps(schema)
    for arguments, valid in (([1, 2], True), ({"x": 1, "y": "any"}, True), ([1], False), ({"x": 1}, False)):
        assert Draft202012Validator(schema).is_valid(arguments) is valid, arguments
