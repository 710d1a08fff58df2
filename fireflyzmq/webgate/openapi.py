"""OpenAPI: a document of what a plain gateway offers, made of what services say of their methods. Pure.

Source: OpenAPI Specification 3.1.0, https://spec.openapis.org/oas/v3.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from fireflyzmq._version import VERSION
from fireflyzmq.webgate.failures import STATUS

_SIMPLE: Final[dict[str, dict[str, Any]]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "None": {"type": "null"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "dict": {"type": "object"},
    "datetime.datetime": {"type": "string", "format": "date-time"},
    "datetime": {"type": "string", "format": "date-time"},
    "datetime.date": {"type": "string", "format": "date"},
    "uuid.UUID": {"type": "string", "format": "uuid"},
    "UUID": {"type": "string", "format": "uuid"},
}
_GIVEN: Final = {
    **_SIMPLE,
    **{name: {"type": "string"} for name, schema in _SIMPLE.items() if schema["type"] == "string"},
}
"""Types of arguments. Methods get the texts that clients send: nothing turns them into bytes, times or UUIDs."""

_LIST: Final = re.compile(r"(?:list|tuple|set|frozenset|Sequence)\[([^\[\],]+)(?:, \.\.\.)?\]")
_DICT: Final = re.compile(r"(?:dict|Mapping)\[str, ([^\[\]]+)\]")

_FAILURE: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["kind", "code", "description"],
            "properties": {
                "kind": {"type": "string"},
                "code": {"type": "integer"},
                "description": {"type": "string"},
                "origin": {"type": "string"},
                "details": {},
            },
        }
    },
}

_TEXT: Final = {"type": "string"}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_SERVICE: Final = {"name": "service", "in": "path", "required": True, "schema": _TEXT}
_LISTED: Final = _object(name=_TEXT, instances={"type": "integer"})
_DESCRIBED: Final = _object(
    name=_TEXT,
    groups={"type": "array", "items": _TEXT},
    methods={"type": "array", "items": _object(name=_TEXT, signature=_TEXT, doc=_TEXT)},
)


def schema_of(annotation: str, simple: Mapping[str, dict[str, Any]] = _SIMPLE) -> dict[str, Any]:
    """The JSON Schema of a result's type as a signature writes it; {} (anything) for what has none."""
    annotation = annotation.strip().strip("'\"").removeprefix("typing.")
    if annotation in simple:
        return dict(simple[annotation])
    if " | " in annotation and "[" not in annotation:
        return {"anyOf": [schema_of(each, simple) for each in annotation.split(" | ")]}
    several = _LIST.fullmatch(annotation)
    if several is not None:
        return {"type": "array", "items": schema_of(several[1], simple)}
    mapping = _DICT.fullmatch(annotation)
    if mapping is not None:
        return {"type": "object", "additionalProperties": schema_of(mapping[1], simple)}
    return {}


def argument_schema_of(annotation: str) -> dict[str, Any]:
    """The JSON Schema of an argument's type, as `schema_of` has that of a result's."""
    return schema_of(annotation, _GIVEN)


def document(title: str, base: str, services: Iterable[dict[str, Any]], reports: bool) -> dict[str, Any]:
    """The document for services as `parse_description` has them, at a base path."""
    paths: dict[str, Any] = {
        "/services": {"get": _get("listServices", "The services", {"type": "array", "items": _LISTED})},
        "/services/{service}": {
            "get": {**_get("describeService", "A service and its methods", _DESCRIBED), "parameters": [_SERVICE]}
        },
    }
    for service in services:
        name = quote(service["name"], safe="")  # braces and slashes mean something in a path of OpenAPI
        for method in service["methods"]:
            paths[f"/services/{name}/{quote(method['name'])}"] = {"post": _operation(service["name"], method)}
        if reports:
            paths[f"/reports/{name}"] = {"get": _stream(service["name"])}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": {"Failure": _FAILURE}},
    }


def _get(name: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": summary, "content": content}, **_failures()},
    }


def _operation(service: str, method: dict[str, Any]) -> dict[str, Any]:
    doc, parameters = method["doc"], method["parameters"]
    operation: dict[str, Any] = {
        "operationId": f"{service}.{method['name']}",
        "tags": [service],
        "summary": doc.partition("\n")[0],
        "description": f"`{method['name']}{method['signature']}`\n\n{doc}".strip(),
        "responses": {
            "200": {
                "description": "What the method returned",
                "content": {"application/json": {"schema": schema_of(method["returns"])}},
            },
            **_failures(),
        },
    }
    needed = parameters is None or any(each["required"] for each in parameters)
    operation["requestBody"] = {
        "required": bool(needed and parameters),
        "content": {"application/json": {"schema": _body(parameters)}},
    }
    return operation


def _body(parameters: list[dict[str, Any]] | None) -> dict[str, Any]:
    """The schema of the arguments: an object of named ones, an array of them in their order, or either."""
    if parameters is None:
        return {"type": ["array", "object"]}
    needed = {each["kind"] for each in parameters if each["required"]}
    forms = [_named(parameters)] if "positional" not in needed else []
    forms += [_ordered(parameters)] if "keyword" not in needed else []
    return forms[0] if len(forms) == 1 else {"anyOf": forms} if forms else {"not": {}}


def _named(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    named = [each for each in parameters if each["kind"] in ("named", "keyword")]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {each["name"]: argument_schema_of(each["annotation"]) for each in named},
        "additionalProperties": any(each["kind"] == "keywords" for each in parameters),
    }
    required = [each["name"] for each in named if each["required"]]
    return {**schema, "required": required} if required else schema


def _ordered(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    ordered = [each for each in parameters if each["kind"] in ("positional", "named")]
    schema: dict[str, Any] = {"type": "array", "minItems": len([each for each in ordered if each["required"]])}
    if ordered:
        schema["prefixItems"] = [argument_schema_of(each["annotation"]) for each in ordered]
    more = [each for each in parameters if each["kind"] == "arguments"]
    rest = {"items": argument_schema_of(more[0]["annotation"])} if more else {"maxItems": len(ordered)}
    return {**schema, **rest}


def _stream(service: str) -> dict[str, Any]:
    pattern = {"name": "pattern", "in": "query", "schema": {"type": "string", "default": ">"}}
    return {
        "operationId": f"{service} reports",
        "tags": [service],
        "summary": f"The reports of {service}, as server-sent events, or over a WebSocket",
        "parameters": [pattern],
        "responses": {
            "200": {"description": "Reports as they come", "content": {"text/event-stream": {}}},
            **_failures(),
        },
    }


def _failures() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}, "text/plain": {}}
    statuses = sorted({*STATUS.values(), 401, 405, 408, 415, 421, 422, 429})
    return {str(status): {"description": "It failed", "content": content} for status in statuses}
