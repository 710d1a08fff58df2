"""Values as JSON (RFC 8259), strictly: what is ambiguous is refused on the way in and never said on the way out.

    null, booleans, text, lists     as they are
    integers                        as they are, of any size; who reads numbers as doubles loses digits beyond 2**53
    floats                          as they are; NaN and the infinities are refused both ways
    bytes                           a text, base64
    datetime                        a text, ISO 8601, with its offset from UTC if it has one
    the rest                        as `plain_values` says

Nothing turns back: what was bytes, a date or a set is a text or an array to whoever gets it, here and there.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
from typing import Any, Final

from fireflyzmq.gateways.web.translation.plain_values import MAX_DEPTH, Leaves, Unsayable, plain

_surrogate = re.compile(r"\\u[dD][89a-fA-F]")


class BadJson(ValueError):
    """Bytes are no JSON that is taken here; the text says why."""


def dumps(value: Any) -> bytes:
    """A value as JSON in UTF-8, without white space between; Unsayable when there is none."""
    try:
        text = json.dumps(plain(value, _LEAVES), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Unsayable("a text holds half of a surrogate pair") from error
    except Unsayable:
        raise
    except ValueError as error:  # NaN, or an integer of more digits than Python writes
        raise Unsayable(str(error)) from error


def loads(data: bytes) -> Any:
    """The value that JSON in UTF-8 (with a byte order mark, or without) says; BadJson when it is not taken.

    Not taken are: what is no JSON, keys that stand twice in an object, numbers beyond Python's floats and integers of
    more than 4300 digits, halves of surrogate pairs, and arrays and objects more than MAX_DEPTH deep.
    """
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite_float)
    except UnicodeDecodeError as error:
        raise BadJson(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise BadJson(_TOO_DEEP) from error
    except ValueError as error:
        raise BadJson(str(error)) from error
    if _is_too_deep(value):
        raise BadJson(_TOO_DEEP)
    if _surrogate.search(text):
        _check_pairs(value)
    return value


_TOO_DEEP: Final = f"values stand in each other more than {MAX_DEPTH} deep"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadJson("a key stands twice in an object")
    return value


def _refuse_constant(name: str) -> Any:
    raise BadJson(f"{name} is no number of JSON")


def _finite_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BadJson("a number is beyond what floats hold")
    return number


def _is_too_deep(value: Any) -> bool:
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        inside = (each.values() if isinstance(each, dict) else each for each in level)
        level = [inner for values in inside for inner in values if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _check_pairs(value: Any) -> None:
    """Escapes may spell halves of surrogate pairs, which no UTF-8 can say."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadJson("a text holds half of a surrogate pair") from error


def _as_it_is(value: Any) -> Any:
    return value


_LEAVES: Final[Leaves] = {
    str: _as_it_is,
    int: _as_it_is,
    float: _as_it_is,
    bool: _as_it_is,
    type(None): _as_it_is,
    bytes: lambda value: base64.b64encode(value).decode("ascii"),
    datetime.datetime: datetime.datetime.isoformat,
}
