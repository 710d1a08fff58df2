"""Descriptions: what services answer to `system.describe`, checked, since they may answer anything. Pure."""

from __future__ import annotations

from typing import Any, Final

from fireflyzmq.gateways.web.translation.rpc_errors import text_told
from fireflyzmq.gateways.web.translation.schemas import Budget, take_schemas
from fireflyzmq.wire.names import method_problem

_KINDS: Final = frozenset({"positional", "named", "keyword", "arguments", "keywords"})


_TEXTS: Final = ("signature", "returns", "doc")

UNDESCRIBED: Final[dict[str, Any]] = {"groups": {}, "methods": []}
"""What stands for the description of a service that has no `system.describe`, as those in other languages may."""


def parse_description(name: str, told: Any, with_roots: bool = False) -> dict[str, Any]:
    """What a service of this name tells clients of itself: its `name`, `groups` (a list), and `methods`.

    Each method has a `name`, `signature`, `parameters`, `definitions`, `returns` and `doc` as `Method.describe` has
    them, and each parameter a `schema`, None where arguments are not checked. Those that are offered to a root alone
    are there only `with_roots`, and then each has its `root` (None: offered to all). What makes no sense is left out,
    and told of as the description's `problem`, which is not there otherwise.
    """
    fields = told if isinstance(told, dict) else {}
    groups, methods = fields.get("groups"), fields.get("methods")
    budget = Budget()
    legal = [each for each in methods if _is_method(each)] if isinstance(methods, list) else []
    offered = {each["name"]: each for each in legal if with_roots or each.get("root") is None}
    named = [each for each in groups if isinstance(each, str)] if isinstance(groups, (dict, list)) else []
    described = {
        "name": name,
        "groups": sorted(map(text_told, named)),
        "methods": [
            _method(each, budget) | ({"root": each.get("root")} if with_roots else {}) for each in offered.values()
        ],
    }
    problem = _problem(told)
    return described if problem is None else {**described, "problem": problem}


def _problem(told: Any) -> str | None:
    """What makes no sense in what a service tells of itself, or None."""
    if not isinstance(told, dict):
        return "what the service says of itself makes no sense: it is no dictionary"
    if not isinstance(told.get("methods"), list):
        return "what the service says of itself makes no sense: its methods are no list"
    odd = sum(not _makes_sense(each) for each in told["methods"])
    return f"what the service says of {odd} of its methods makes no sense" if odd else None


def _is_method(told: Any) -> bool:
    return isinstance(told, dict) and method_problem(told.get("name")) is None and _is_text(told.get("root"))


def _makes_sense(told: Any) -> bool:
    """Whether nothing of a method has to be left out."""
    if not _is_method(told) or not all(_is_text(told.get(key)) for key in _TEXTS):
        return False
    return told.get("parameters") is None or _parameters(told["parameters"]) is not None


def _is_text(told: Any) -> bool:
    """Whether something is a text, or left out."""
    return told is None or isinstance(told, str)


def _method(told: dict[str, Any], budget: Budget) -> dict[str, Any]:
    signature, returns, doc = (_text(told, key) for key in _TEXTS)
    parameters = _parameters(told.get("parameters"))
    checked = [each for each in parameters or () if "schema" in each]
    schemas, definitions = take_schemas([each["schema"] for each in checked], told.get("definitions"), budget)
    by_name = {each["name"]: schema for each, schema in zip(checked, schemas, strict=True)}
    return {
        "name": told["name"],
        "signature": signature or "(...)",
        "parameters": parameters and [{**each, "schema": by_name.get(each["name"])} for each in parameters],
        "definitions": definitions,
        "returns": returns,
        "doc": doc,
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
