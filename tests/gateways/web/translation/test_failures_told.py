"""What clients of HTTP are told of failures: a status, when to try again, and what it was."""

from __future__ import annotations

import pytest

from fireflyzmq.errors import ExchangeLost, Failure, MethodUnavailable, Overloaded
from fireflyzmq.gateways.web.translation.failures import STATUS, headers_of, status_of, told


def test_what_is_failed_on_purpose_was_understood_and_refused() -> None:
    assert status_of(Failure(7, "no money")) == 422
    assert status_of(MethodUnavailable()) == STATUS["MethodUnavailable"] != 422


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (Overloaded("full", {"retry_after": 2.1}), "3"),
        (Overloaded("full"), "1"),
        (ExchangeLost(), "1"),
        (Failure(7), None),
    ],
)
def test_when_to_try_again_is_told_in_whole_seconds(failure: Failure, seconds: str | None) -> None:
    assert headers_of(failure).get("Retry-After") == seconds


def test_a_failure_is_told_with_its_five_fields() -> None:
    failure = Failure(7, "no money", {"need": 5}, "shop")
    assert told(failure) == {
        "kind": "Failure",
        "code": 7,
        "description": "no money",
        "origin": "shop",
        "details": {"need": 5},
    }
