"""Texts: values as people read them on the page. Pure."""

from __future__ import annotations

import json
import pprint
from typing import Any, Final

from fireflyzmq.gateways.web.translation import json_values
from fireflyzmq.wire.texts import shown

_LONGEST: Final = 200_000


def readable(value: Any) -> str:
    """A value as people read it: JSON, or what Python writes when JSON cannot say it."""
    try:
        text = json.dumps(json.loads(json_values.dumps(value)), indent=2, ensure_ascii=False)
    except ValueError:
        text = _in_python(value)
    left = len(text) - _LONGEST
    return text if left <= 0 else f"{text[:_LONGEST]}\n... and {left} characters more"


def _in_python(value: Any) -> str:
    """What Python writes, or that it cannot: an integer of more than some thousand digits, say."""
    try:
        return pprint.pformat(value, width=100, sort_dicts=False)
    except Exception:
        return shown(value)
