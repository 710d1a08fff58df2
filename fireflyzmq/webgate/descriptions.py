"""Descriptions: what services answer to `system.describe`, checked, since they may answer anything. Pure."""

from __future__ import annotations

from typing import Any, Final

from fireflyzmq.webgate.rpc_errors import text_told
from fireflyzmq.webgate.schemas import Budget, take_schemas
from fireflyzmq.wire.names import method_problem

_KINDS: Final = frozenset({"positional", "named", "keyword", "arguments", "keywords"})


def parse_description(name: str, told: Any) -> dict[str, Any]:
    """What a service of this name tells clients of itself: its `name`, `groups` (a list), and `methods`.

    Each method has a `name`, `signature`, `parameters`, `definitions`, `returns` and `doc` as `Method.describe` has
    them, and each parameter a `schema`, None where arguments are not checked. Methods that are not for everybody are
    left out, and so is what makes no sense.
    """
    fields = told if isinstance(told, dict) else {}
    groups = fields.get("groups")
    methods = fields.get("methods")
    budget = Budget()
    offered = [_method(each, budget) for each in methods if _is_offered(each)] if isinstance(methods, list) else []
    named = [each for each in groups if isinstance(each, str)] if isinstance(groups, (dict, list)) else []
    return {
        "name": name,
        "groups": sorted(map(text_told, named)),
        "methods": list({method["name"]: method for method in offered}.values()),
    }


def _is_offered(told: Any) -> bool:
    return isinstance(told, dict) and method_problem(told.get("name")) is None and told.get("root") is None


def _method(told: dict[str, Any], budget: Budget) -> dict[str, Any]:
    parameters = _parameters(told.get("parameters"))
    checked = [each for each in parameters or () if "schema" in each]
    schemas, definitions = take_schemas([each["schema"] for each in checked], told.get("definitions"), budget)
    by_name = {each["name"]: schema for each, schema in zip(checked, schemas, strict=True)}
    return {
        "name": told["name"],
        "signature": _text(told, "signature") or "(...)",
        "parameters": parameters and [{**each, "schema": by_name.get(each["name"])} for each in parameters],
        "definitions": definitions,
        "returns": _text(told, "returns"),
        "doc": _text(told, "doc"),
    }


def _text(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    return text_told(value) if isinstance(value, str) else ""


def _parameters(told: Any) -> list[dict[str, Any]] | None:
    """The parameters of a method; None, which is any, when one of them makes no sense."""
    if not isinstance(told, list) or not all(_is_parameter(each) for each in told):
        return None
    names = {each["name"] for each in told}
    return told if len(names) == len(told) else None


def _is_parameter(told: Any) -> bool:
    return (
        isinstance(told, dict)
        and isinstance(told.get("name"), str)
        and told["name"].isidentifier()
        and isinstance(told.get("kind"), str)
        and told["kind"] in _KINDS
        and isinstance(told.get("required"), bool)
        and isinstance(told.get("annotation"), str)
    )
