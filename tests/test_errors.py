"""Failures: kinds and codes as documented, and nothing is lost on the wire or in a copy."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq import errors
from fireflyzmq.errors import KINDS, ORIGIN, Failure, Overloaded, failure_from_fields, failure_to_fields

CODES = {
    "ServiceUnavailable": 46,
    "RequestTimeout": 47,
    "ResponseEncoding": 52,
    "RequestDecoding": 54,
    "MethodUnavailable": 55,
    "InvalidArguments": 56,
    "ApplicationFailure": 57,
    "ServiceWithdrawn": 57,
    "RequestEncoding": 60,
    "Overloaded": 61,
    "NotAuthorised": 62,
    "MessageTooLarge": 63,
    "RequestCancelled": 64,
    "ExchangeLost": 65,
    "RegistrationRefused": 66,
    "ResponseLost": 67,
}
kinds = st.sampled_from(sorted(CODES))
texts = st.text(max_size=20)
details = st.none() | st.integers() | texts | st.dictionaries(texts, st.integers(), max_size=3)


def everything(failure: Failure) -> tuple[Any, ...]:
    return (
        type(failure),
        failure_to_fields(failure),
        failure.service,
        failure.method,
        failure.id,
    )


def test_the_kinds_have_the_documented_codes() -> None:
    assert {name: kind.code for name, kind in KINDS.items()} == CODES


@pytest.mark.parametrize("name", sorted(CODES))
def test_a_kind_is_its_classs_name(name: str) -> None:
    kind = getattr(errors, name)
    assert KINDS[name] is kind and issubclass(kind, Failure)
    failure = kind()
    assert failure.kind == name and failure.code == CODES[name] and failure.origin == ORIGIN
    assert failure.description == kind.default_description


def test_the_docstring_lists_every_kind_with_its_code() -> None:
    lines = [line.split() for line in (errors.__doc__ or "").splitlines()]
    listed = {line[1]: int(line[2]) for line in lines if len(line) > 2 and line[0] in ("|-", "'-")}
    assert listed == CODES


def test_an_application_fails_its_caller_with_a_code_of_its_own() -> None:
    failure = Failure(1001, "no such account", {"account": 7})
    assert (failure.kind, failure.code, failure.origin) == ("Failure", 1001, "")
    with pytest.raises(Failure, match="no such account"):
        raise failure


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (Failure(), "Failure [Failure 0]"),
        (Failure(7, "no money"), "no money [Failure 7]"),
        (Failure(7, "no money", {"short": 3}), "no money ({'short': 3}) [Failure 7]"),
        (Failure(7, "no money", 0), "no money (0) [Failure 7]"),
        (errors.RequestTimeout(), "Request Timeout [RequestTimeout 47]"),
        (errors.RequestTimeout("no answer"), "no answer [RequestTimeout 47]"),
    ],
)
def test_a_failure_prints_what_it_knows(failure: Failure, text: str) -> None:
    assert str(failure) == text
    failure.service, failure.method = "bank", "withdraw"
    assert str(failure) == f"bank.withdraw: {text}"


def test_a_failure_shows_kind_code_and_description() -> None:
    assert repr(errors.ServiceWithdrawn("gone")) == "<ServiceWithdrawn 57 'gone'>"


@given(kinds, texts, details, texts)
def test_a_librarys_failure_arrives_as_itself(kind: str, description: str, detail: Any, origin: str) -> None:
    failure = KINDS[kind](description, detail, origin)
    arrived = failure_from_fields(*failure_to_fields(failure))
    assert everything(arrived) == everything(failure)


@given(st.integers(), texts, details, texts)
def test_an_applications_failure_arrives_as_itself(code: int, description: str, detail: Any, origin: str) -> None:
    failure = Failure(code, description, detail, origin)
    assert everything(failure_from_fields(*failure_to_fields(failure))) == everything(failure)


def test_a_failure_of_an_unknown_kind_arrives_as_a_plain_one_with_its_code() -> None:
    class NoMoney(Failure):
        pass

    fields = failure_to_fields(NoMoney(7, "no money"))
    assert fields[0] == "NoMoney"
    arrived = failure_from_fields(*fields)
    assert type(arrived) is Failure and (arrived.code, arrived.description) == (7, "no money")


@pytest.mark.parametrize("name", ["Failure", *sorted(CODES)])
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_is_the_same_failure(name: str, way: Any) -> None:
    failure = failure_from_fields(name, 7, "why", "math", {"retry_after": 2})
    failure.service, failure.method, failure.id = "math", "multiply", 42
    copied = way(failure)
    assert copied is not failure and everything(copied) == everything(failure) and str(copied) == str(failure)


@pytest.mark.parametrize(
    ("detail", "seconds"),
    [({"retry_after": 2}, 2.0), ({"retry_after": 0.5}, 0.5), ({}, 0.1), (None, 0.1), ({"retry_after": "soon"}, 0.1)],
)
def test_overload_says_when_to_try_again(detail: Any, seconds: float) -> None:
    assert Overloaded("full", detail).retry_after == seconds


class Silent:
    """What has no text."""

    def __str__(self) -> str:
        raise RuntimeError


class Odd(Failure):
    """A program's failure that has made something else of the attributes."""

    kind = 7  # type: ignore[assignment]

    @property
    def origin(self) -> str:
        raise RuntimeError

    @origin.setter
    def origin(self, value: str) -> None:
        pass


def test_whatever_a_program_made_of_a_failure_it_can_be_sent() -> None:
    failure = Odd(7, details=[1])
    failure.description = Silent()  # type: ignore[assignment]
    fields = failure_to_fields(failure)
    assert fields == ["Odd", 7, "<Silent whose text cannot be had: RuntimeError>", "None", [1]]
    assert errors.counted_kind(failure) == "Failure"
