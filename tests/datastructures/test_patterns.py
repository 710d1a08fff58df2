"""Subjects and patterns: which are legal, and the tree of patterns finds what the plain comparison matches."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fireflyzmq.datastructures.patterns import Patterns
from fireflyzmq.wire.commands import MAX_SUBJECT
from fireflyzmq.wire.names import matches, pattern_problem, subject_problem

LONGEST = "é" * (MAX_SUBJECT // 2)


@pytest.mark.parametrize(
    "subject", ["a", "metals.gold.spot", "1", "-", "a-b.c_d", "日本.東京", "#.$", LONGEST, "exchange"]
)
def test_a_legal_subject_is_a_legal_pattern_that_matches_itself_alone(subject: str) -> None:
    assert subject_problem(subject) is None and pattern_problem(subject) is None
    assert matches(subject, subject) and not matches(subject, subject + "x") and not matches(subject + ".x", subject)


@pytest.mark.parametrize(
    ("subject", "problem"),
    [
        ("", "empty token"),
        (".", "empty token"),
        (".a", "empty token"),
        ("a.", "empty token"),
        ("a..b", "empty token"),
        ("a b", "white space"),
        ("a\tb", "white space"),
        ("a\u2003b", "white space"),
        ("a\n", "white space"),
        ("a\0b", "do not print"),
        ("a\u200eb", "do not print"),
        ("\udc80", "do not print"),
        (LONGEST + "a", f"longer than {MAX_SUBJECT} bytes"),
        (b"bytes", "must be a str, not bytes"),
        (None, "must be a str, not NoneType"),
        (7, "must be a str, not int"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_subject_is_no_pattern_either_and_why_is_said(subject: object, problem: str) -> None:
    for said in (subject_problem(subject), pattern_problem(subject)):
        assert said is not None and problem in said and len(said) < 1200


@pytest.mark.parametrize(
    "pattern", ["*", ">", "*.*", "a.*", "*.a", "a.*.b", "a.>", "*.>", "a.*.>", LONGEST[:-1] + ".*"]
)
def test_a_pattern_has_wildcards_as_whole_tokens_and_a_subject_has_none(pattern: str) -> None:
    assert pattern_problem(pattern) is None
    assert "wildcard" in str(subject_problem(pattern)) or "longer" in str(subject_problem(pattern))


@pytest.mark.parametrize(
    "pattern", ["a*", "*a", "a.b*", "**", ">>", "a>", ">.a", "a.>.b", "*>", ">*", "a.*b.c", ">.>"]
)
def test_a_wildcard_in_a_token_or_in_front_of_others_is_refused(pattern: str) -> None:
    assert "whole token" in str(pattern_problem(pattern))


@pytest.mark.parametrize(
    ("pattern", "subject", "matched"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a", False),
        ("a.b", "a.b.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
        ("*.b", "a.c", False),
        ("*", "a", True),
        ("*", "a.b", False),
        (">", "a", True),
        (">", "a.b.c", True),
        ("a.>", "a", False),
        ("a.>", "a.b", True),
        ("a.>", "a.b.c.d", True),
        ("a.>", "b.a", False),
        ("a.*.>", "a.b", False),
        ("a.*.>", "a.b.c", True),
        ("A", "a", False),
    ],
)
def test_a_star_is_one_token_and_a_final_arrow_one_or_more(pattern: str, subject: str, matched: bool) -> None:
    assert matches(pattern, subject) is matched
    tree: Patterns[int] = Patterns()
    tree.add(pattern, 1)
    assert tree.find(subject) == ([1] if matched else [])


tokens = st.sampled_from(["a", "b", "c"])
subjects = st.lists(tokens, min_size=1, max_size=4).map(".".join)
patterns = st.builds(
    lambda front, rest: ".".join([*front, *rest]),
    st.lists(tokens | st.just("*"), max_size=3),
    st.sampled_from([[">"], ["*"], ["a"], ["b"]]),
)
pairs = st.tuples(patterns, st.integers(0, 3))


@given(st.lists(pairs, max_size=12), st.lists(pairs, max_size=6), subjects)
@example([("a.>", 0), ("a.*", 0), (">", 1)], [("a.>", 0)], "a.b")
def test_the_tree_finds_each_value_once_that_the_plain_comparison_matches(
    added: list[tuple[str, int]], removed: list[tuple[str, int]], subject: str
) -> None:
    tree: Patterns[int] = Patterns()
    there: set[tuple[str, int]] = set()
    for pattern, value in added:
        tree.add(pattern, value)
        there.add((pattern, value))
    for pattern, value in removed:
        tree.remove(pattern, value)
        there.discard((pattern, value))
    assert Counter(tree.find(subject)) == Counter({value for pattern, value in there if matches(pattern, subject)})
    assert Counter(tree.values()) == Counter({value for _, value in there}) and len(tree) == len(there)


@given(st.lists(pairs, max_size=12), st.randoms())
def test_a_tree_from_which_everything_was_removed_is_as_new(
    added: list[tuple[str, int]], order: random.Random
) -> None:
    tree: Patterns[int] = Patterns()
    for pattern, value in added:
        tree.add(pattern, value)
    order.shuffle(added)
    for pattern, value in added:
        tree.remove(pattern, value)
    assert len(tree) == 0 and tree.values() == tree.find("a.b") == []
    assert not (tree._root.next or tree._root.values or tree._root.rest)


@given(patterns, subjects)
def test_legal_patterns_and_subjects_are_what_these_tests_make(pattern: str, subject: str) -> None:
    assert pattern_problem(pattern) is None and subject_problem(subject) is None


@given(st.text())
@example("a.*.>")
def test_any_text_is_judged_without_an_error(text: str) -> None:
    if subject_problem(text) is None and "?" not in text:
        assert pattern_problem(text) is None and matches(text, text)


def test_values_are_found_in_a_fixed_order_of_their_coming() -> None:
    tree: Patterns[str] = Patterns()
    for value in ("c", "a", "b"):
        tree.add("x.*", value)
    assert tree.find("x.y") == tree.values() == ["c", "a", "b"]


@pytest.mark.parametrize("pattern", ["?", "a?", "a.?", "?.>", "gold.sp?t.*"])
def test_a_question_mark_in_a_pattern_is_refused_and_stands_for_itself_in_a_subject(pattern: str) -> None:
    assert "which stands for nothing" in str(pattern_problem(pattern))
    assert subject_problem(pattern.replace(".>", "").replace(".*", "")) is None
