"""Claims: what only one may have goes to one at a time, and those who wait for it have it in their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fireflyzmq.datastructures.claims import Claims


def claims(*held: tuple[str, bool]) -> Claims[str]:
    """Claims of the key `place`, one after another."""
    made: Claims[str] = Claims()
    for claimant, sole in held:
        made.claim("place", claimant, sole)
    return made


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [(False, False, True), (True, False, False), (False, True, False), (True, True, False)],
)
def test_a_place_is_shared_when_nobody_wants_it_alone(first: bool, second: bool, both: bool) -> None:
    made = claims(("one", first))
    assert made.claim("place", "two", second) is both
    assert made.holders("place") == (["one", "two"] if both else ["one"])
    assert made.waiting.keys() == (set() if both else {"place"})


def test_keys_are_apart() -> None:
    made = claims(("one", True))
    assert made.claim("other", "two", True) and made.claim("other place", "one", True)
    assert made.holders("other") == ["two"] and made.holders("nobody's") == []


def test_the_longest_waiting_has_the_place_next() -> None:
    made = claims(("one", True), ("two", True), ("three", True))
    made.withdraw("place", "one")
    assert made.next("place") == ["two"] and made.next("place") == []
    made.withdraw("place", "two")
    assert made.next("place") == ["three"] and not made.waiting


def test_all_who_share_have_the_place_together() -> None:
    made = claims(("one", True), ("two", False), ("three", False), ("four", True), ("five", False))
    made.withdraw("place", "one")
    assert made.next("place") == ["two", "three"]  # and who wants it alone holds up those behind
    assert made.holders("place") == ["two", "three"] and list(made.waiting) == ["place"]


def test_who_claims_anew_claims_last() -> None:
    made = claims(("one", True), ("two", True), ("three", True))
    made.claim("place", "two", True)
    made.withdraw("place", "one")
    assert made.next("place") == ["three"]


def test_who_has_the_place_may_share_it_from_now_on() -> None:
    made = claims(("one", True), ("two", False))
    assert made.claim("place", "one", False)
    assert made.next("place") == ["two"] and made.holders("place") == ["one", "two"]


def test_who_shares_the_place_waits_when_it_wants_it_alone() -> None:
    made = claims(("one", False), ("two", False))
    assert not made.claim("place", "one", True)
    assert made.holders("place") == ["two"]


def test_who_is_not_admitted_waits_though_the_place_is_free() -> None:
    made: Claims[str] = Claims()
    assert not made.claim("place", "one", True, admit=False)
    assert made.holders("place") == [] and made.next("place") == ["one"]


def test_who_holds_a_place_is_told_from_who_waits_for_it() -> None:
    made = claims(("one", True), ("two", True))
    assert made.holds("place", "one") and not made.holds("place", "two") and not made.holds("other", "one")


def test_withdrawing_what_one_has_not_changes_nothing() -> None:
    made = claims(("one", True))
    made.withdraw("place", "two")
    made.withdraw("other", "one")
    assert made.holders("place") == ["one"]


@given(st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("abc"), st.booleans(), st.booleans())))
def test_claims_that_are_withdrawn_leave_nothing_behind(said: list[tuple[str, str, bool, bool]]) -> None:
    made: Claims[str] = Claims()
    for key, claimant, sole, admit in said:
        made.claim(key, claimant, sole, admit)
    for key, claimant, _, _ in said:
        made.withdraw(key, claimant)
    assert vars(made) == vars(Claims())


class Places(RuleBasedStateMachine):
    """Claims against a list of who asked in which order, `next` being asked after each change."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: Claims[str] = Claims()
        self.wishes: dict[str, bool] = {}

    @rule(who=st.sampled_from("abcdef"), sole=st.booleans())
    def claim(self, who: str, sole: bool) -> None:
        has = self.claims.claim("place", who, sole)
        self.claims.next("place")
        assert has is (who in self.claims.holders("place"))
        self.wishes.pop(who, None)
        self.wishes[who] = sole

    @rule(who=st.sampled_from("abcdef"))
    def withdraw(self, who: str) -> None:
        self.claims.withdraw("place", who)
        admitted = self.claims.next("place")
        self.wishes.pop(who, None)
        waiting = [each for each in self.wishes if each in admitted]
        assert admitted == waiting

    @invariant()
    def nobody_has_the_place_with_one_who_has_it_alone(self) -> None:
        holders = self.claims.holders("place")
        assert len(holders) <= 1 or not any(self.wishes[holder] for holder in holders)

    @invariant()
    def nobody_waits_for_a_place_that_is_free(self) -> None:
        assert bool(self.claims.holders("place")) is bool(self.wishes)

    @invariant()
    def the_first_who_waits_may_not_have_it(self) -> None:
        holders = self.claims.holders("place")
        waiting = [who for who in self.wishes if who not in holders]
        if waiting:
            assert self.wishes[waiting[0]] or any(self.wishes[holder] for holder in holders)
        assert list(self.claims.waiting) == (["place"] if waiting else [])


TestPlaces = Places.TestCase
