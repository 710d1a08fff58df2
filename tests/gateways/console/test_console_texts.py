"""What the console shows of values as texts, whatever they are."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq.gateways.console.texts import readable


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({1: 0}, "{1: 0}"),
        (10**6000, "that cannot be shown: ValueError"),
        ({1: [10**6000]}, "that cannot be shown: ValueError"),
        (float("nan"), "nan"),
        ("x", '"x"'),
    ],
    ids=["keys", "integer", "inner integer", "no number", "text"],
)
def test_every_value_has_a_text(value: Any, text: str) -> None:
    assert text in readable(value)
