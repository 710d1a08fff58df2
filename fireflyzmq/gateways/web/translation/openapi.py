"""OpenAPI: a document of what a plain gateway offers, made of what services say of their methods. Pure.

Source: OpenAPI Specification 3.1.0, https://spec.openapis.org/oas/v3.1.0.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from fireflyzmq._version import VERSION
from fireflyzmq.gateways.web.translation.failures import STATUS
from fireflyzmq.gateways.web.translation.rpc_errors import text_told
from fireflyzmq.gateways.web.translation.schemas import references, renamed

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9._-]")

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
_DESCRIBED["properties"]["problem"] = {
    **_TEXT,
    "description": "What makes no sense in what the service says of itself",
}


class _Components:
    """The schemas that others refer to by name, of all services: equal ones of one service once."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {"Failure": _FAILURE}
        self._names: dict[tuple[str, str, Any], str] = {}

    def add(self, service: str, definitions: Mapping[str, Any]) -> Callable[[str], str]:
        """Put a method's definitions into the document; returns what says where one of a name stands there."""
        keys = {name: (service, name, closure) for name, closure in _closures(definitions).items()}
        new = [name for name, key in keys.items() if key not in self._names]
        for name in new:
            self._names[keys[name]] = self._take_name(f"{service}.{name}")

        def place(name: str) -> str:
            return f"#/components/schemas/{self._names[keys[name]]}"

        for name in new:
            self.schemas[self._names[keys[name]]] = renamed(definitions[name], place)
        return place

    def _take_name(self, wanted: str) -> str:
        """A name of the letters that components may have, which none has yet."""
        plain = _NOT_IN_NAMES.sub("_", wanted)
        names = itertools.chain([plain], (f"{plain}_{number}" for number in itertools.count(2)))
        name = next(each for each in names if each not in self.schemas)
        self.schemas[name] = {}
        return name


def _closures(definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Of each definition what it is, with all that it refers to: the same for the same ones."""
    texts = {name: json.dumps(each, sort_keys=True) for name, each in definitions.items()}
    needed = {name: set(references(each)) for name, each in definitions.items()}
    closures = {}
    for name in definitions:
        found, waiting = set(), [name]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += needed[each]
        closures[name] = tuple((each, texts[each]) for each in sorted(found))
    return closures


def document(title: str, base: str, services: Iterable[dict[str, Any]], reports: bool) -> dict[str, Any]:
    """The document for services as `parse_description` has them, at a base path.

    Arguments have the types that their service checks, and none where nobody does.
    """
    components = _Components()
    paths: dict[str, Any] = {
        "/services": {"get": _get("listServices", "The services", {"type": "array", "items": _LISTED})},
        "/services/{service}": {
            "get": {**_get("describeService", "A service and its methods", _DESCRIBED), "parameters": [_SERVICE]}
        },
    }
    for service in services:
        name = quote(service["name"], safe="")  # braces and slashes mean something in a path of OpenAPI
        for method in service["methods"]:
            paths[f"/services/{name}/{quote(method['name'])}"] = {
                "post": _operation(service["name"], method, components)
            }
        if reports:
            paths[f"/reports/{name}"] = {"get": _stream(service["name"])}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {"schemas": components.schemas},
    }


def _get(name: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": summary, "content": content}, **_failures()},
    }


def _operation(service: str, method: dict[str, Any], components: _Components) -> dict[str, Any]:
    doc, parameters = method["doc"], method["parameters"]
    operation: dict[str, Any] = {
        "operationId": f"{service}.{method['name']}",
        "tags": [service],
        "summary": doc.partition("\n")[0],
        "description": f"`{method['name']}{method['signature']}`\n\n{doc}".strip(),
        "responses": {
            "200": {
                "description": _noted("What the method returned", method["returns"]),
                "content": {"application/json": {"schema": {}}},
            },
            **_failures(),
        },
    }
    needed = parameters is None or any(each["required"] for each in parameters)
    if parameters is not None:
        place = components.add(service, method["definitions"])
        parameters = [{**each, "shown": _argument(each, place)} for each in parameters]
    operation["requestBody"] = {
        "required": bool(needed and parameters),
        "content": {"application/json": {"schema": _body(parameters)}},
    }
    return operation


def _argument(parameter: dict[str, Any], place: Callable[[str], str]) -> dict[str, Any]:
    """The schema of a parameter's arguments: what is checked of them, and otherwise a note of what is meant."""
    if parameter["schema"] is not None:
        schema: dict[str, Any] = renamed(parameter["schema"], place)
        return schema
    note = _noted("", parameter["annotation"])
    return {"description": note} if note else {}


def _noted(text: str, annotation: str) -> str:
    """A text with the type that a method's source says, which nobody checks."""
    return f"{text}{text and ': '}`{text_told(annotation)}`, which is not checked" if annotation else text


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
    more = [each for each in parameters if each["kind"] == "keywords"]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {each["name"]: each["shown"] for each in named},
        "additionalProperties": more[0]["shown"] if more else False,
    }
    required = [each["name"] for each in named if each["required"]]
    return {**schema, "required": required} if required else schema


def _ordered(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    ordered = [each for each in parameters if each["kind"] in ("positional", "named")]
    schema: dict[str, Any] = {"type": "array", "minItems": len([each for each in ordered if each["required"]])}
    if ordered:
        schema["prefixItems"] = [each["shown"] for each in ordered]
    more = [each for each in parameters if each["kind"] == "arguments"]
    rest = {"items": more[0]["shown"]} if more else {"maxItems": len(ordered)}
    return {**schema, **rest}


def _stream(service: str) -> dict[str, Any]:
    pattern = {"name": "pattern", "in": "query", "schema": {"type": "string", "default": ">"}}
    return {
        "operationId": f"{service} reports",
        "tags": [service],
        "summary": f"The reports of {service}, as server-sent events, or over a WebSocket",
        "parameters": [pattern, {"name": "Last-Event-ID", "in": "header", "schema": _TEXT}],
        "responses": {
            "200": {"description": "Reports as they come", "content": {"text/event-stream": {}}},
            **_failures(),
        },
    }


def _failures() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}, "text/plain": {}}
    statuses = sorted({*STATUS.values(), 401, 405, 408, 415, 421, 422, 429})
    return {str(status): {"description": "It failed", "content": content} for status in statuses}
