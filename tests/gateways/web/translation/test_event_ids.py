"""Event ids: what a client has had, and how much it missed, from an id that may be anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.gateways.web.translation.event_ids import Heard, is_event_id
from fireflyzmq.peer.subscriptions import Report
from fireflyzmq.wire.binding import Binding


def report(sequence: int, address: str = "a") -> Report:
    return Report(Binding("news", address, ()), "gold", None, 0, 0, sequence)


def heard_of(pattern: str, *reports: Report) -> Heard:
    """A new client that has heard these."""
    heard = Heard(pattern, None)
    for each in reports:
        heard.add(each)
    return heard


def test_who_comes_again_has_what_it_has_heard() -> None:
    told = heard_of("gold", report(3), report(7), report(2, "b")).id()
    assert is_event_id(told) and told.isascii() and "a:" not in told
    again = Heard("gold", told)
    assert [again.has(report(number)) for number in (1, 3, 7, 8)] == [True, True, True, False]
    assert [again.has(report(number, "b")) for number in (2, 3)] == [True, False]
    assert not again.has(report(1, "c"))
    assert again.id() == told


def test_an_id_of_another_pattern_says_nothing() -> None:
    assert not Heard("silver", heard_of("gold", report(3)).id()).has(report(1))


@pytest.mark.parametrize("lost", [0, 5, None])
def test_a_new_client_has_missed_what_its_stream_lost(lost: int | None) -> None:
    assert heard_of(">").missed(report(5), lost) == lost


def test_of_all_reports_the_numbers_say_how_many_were_missed() -> None:
    again = Heard(">", heard_of(">", report(3)).id())
    for number, missed in ((4, 0), (7, 2), (8, 0)):
        assert again.missed(report(number), None) == missed
        again.add(report(number))
    assert again.missed(report(5, "new"), 0) is None
    assert again.missed(report(1, "newer"), 0) == 0


def test_of_some_reports_it_is_not_known_how_many_were_missed() -> None:
    again = Heard("gold.*", heard_of("gold.*", report(3)).id())
    assert again.missed(report(4), 0) is None
    again.add(report(4))
    assert (again.missed(report(5), 0), again.missed(report(6), 2)) == (0, 2)
    assert again.missed(report(1, "new"), 0) is None


def test_what_was_sent_to_the_gateway_alone_has_no_number() -> None:
    again = Heard(">", heard_of(">", report(3)).id())
    alone = report(0)
    assert not again.has(alone) and again.missed(alone, 0) == 0
    again.add(alone)
    assert again.has(report(3))


def test_an_id_names_those_that_were_heard_last() -> None:
    heard = heard_of(">", *(report(1, f"{number}") for number in range(20)))
    assert is_event_id(heard.id()) and len(heard.id()) < 300
    again = Heard(">", heard.id())
    assert [again.has(report(1, f"{number}")) for number in range(20)] == [False] * 4 + [True] * 16


@pytest.mark.parametrize(
    "shown",
    [
        *("", "2", "-1", "fz1,", "fz1,a:1", "fz1 ", "fz2", "\u0661"),
        *(f"fz1,aaaaaaaaaaaa:{number}" for number in ("0", "-1", "1e9", "\u0661", "9" * 5000)),
        "fz1" + ",aaaaaaaaaaaa:1" * 17,
    ],
)
def test_what_is_no_id_is_of_no_publisher(shown: str) -> None:
    assert not is_event_id(shown)
    heard = Heard(">", shown)
    assert not heard.has(report(1))
    assert heard.id() == "fz1"


@given(st.text(max_size=300))
def test_any_text_may_be_shown(shown: str) -> None:
    heard = Heard(">", shown)
    heard.add(report(1))
    assert is_event_id(heard.id())
    assert heard.missed(report(3), 0) in (1, 0)
