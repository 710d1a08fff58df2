"""Traces as W3C writes them: which texts name one, and what is passed on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.wire.traceparent import bounded, child_of, new_traceparent, trace_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def entropy(size: int) -> bytes:
    return b"\x07" * size


@pytest.mark.parametrize("recorded", [False, True])
def test_a_new_trace_has_random_names(recorded: bool) -> None:
    made = new_traceparent(entropy, recorded)
    assert made == f"00-{'07' * 16}-{'07' * 8}-{'01' if recorded else '00'}" and trace_of(made) == "07" * 16


@pytest.mark.parametrize(
    "traceparent", [None, 7, "", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more"]
)
def test_what_names_no_trace_begins_one(traceparent: object) -> None:
    assert trace_of(traceparent) is None and child_of(traceparent, entropy) == new_traceparent(entropy)


def test_a_child_belongs_to_the_same_trace() -> None:
    assert child_of(f"cc-{TRACE}-{SPAN}-03-more", entropy) == f"00-{TRACE}-{'07' * 8}-01"


names = st.sampled_from(["traceparent", "tracestate", "baggage", "other"])


@given(st.dictionaries(names, st.text(max_size=5) | st.integers() | st.sampled_from(["x" * 10_000, "é" * 6000])))
def test_what_is_passed_on_are_texts_of_a_bearable_size(carrier: dict[str, Any]) -> None:
    kept = bounded(carrier)
    assert kept.items() <= carrier.items() and sum(len(value.encode()) for value in kept.values()) <= 10_240
    texts = {name: value for name, value in carrier.items() if isinstance(value, str)}
    if sum(len(value.encode()) for value in texts.values()) <= 10_240:
        assert kept == texts


def test_the_trace_goes_before_what_is_large() -> None:
    carrier = {"baggage": "x" * 10_240, "traceparent": f"00-{TRACE}-{SPAN}-01"}
    assert bounded(carrier) == {"traceparent": carrier["traceparent"]}
