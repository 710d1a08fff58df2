"""The directory: what finds an entry, and who hears of it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core.directory import Directory
from exchange.core.records import Entry, Peer
from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_NAME, BY_REGISTRY


class Somebody:
    """Stands for a peer: the directory asks it nothing but its id."""

    id = b"firepeer"


def entry(address: str = "a1", name: str = "math", groups: dict[str, str] | None = None, listed: bool = True) -> Entry:
    made = Entry(cast(Any, Somebody()), 1, address, name, groups or {})
    made.listed = listed
    return made


def test_a_listed_entry_is_found_by_name_group_address_and_in_the_registry() -> None:
    directory = Directory()
    math = entry(groups={"red": "", "blue": "child"})
    directory.add(math)
    for watch in ((BY_NAME, "math"), (BY_GROUP, "red"), (BY_GROUP, "blue"), (BY_ADDRESS, "a1"), (BY_REGISTRY, "")):
        assert directory.find(*watch) == [math]
    assert directory.find(BY_NAME, "red") == directory.find(BY_GROUP, "green") == []
    assert directory.at("a1") is math and directory.at("a2") is None


def test_an_unlisted_entry_is_found_by_address_alone() -> None:
    directory = Directory()
    hidden = entry(groups={"red": ""}, listed=False)
    directory.add(hidden)
    assert directory.find(BY_ADDRESS, "a1") == [hidden]
    assert directory.find(BY_NAME, "math") == directory.find(BY_GROUP, "red") == directory.find(BY_REGISTRY, "") == []


def test_a_nameless_entry_has_no_name_to_be_found_by() -> None:
    directory = Directory()
    directory.add(entry(name=""))
    assert directory.find(BY_NAME, "") == [] and len(directory.find(BY_REGISTRY, "")) == 1


def test_entries_are_found_in_the_order_of_their_coming() -> None:
    directory = Directory()
    entries = [entry(address) for address in ("c", "a", "b")]
    for each in entries:
        directory.add(each)
    assert directory.find(BY_NAME, "math") == entries


def test_the_keys_are_those_that_find_something() -> None:
    directory = Directory()
    math, gate = entry("a1"), entry("a2", "gate", {"red": ""})
    directory.add(math)
    directory.add(gate)
    assert directory.keys(BY_NAME) == ["math", "gate"] and directory.keys(BY_GROUP) == ["red"]
    directory.remove(math)
    assert directory.keys(BY_NAME) == ["gate"] and directory.keys(BY_ADDRESS) == ["a2"]


def test_removing_an_entry_leaves_a_newer_one_of_its_address() -> None:
    directory = Directory()
    former, newer = entry("a1"), entry("a1")
    directory.add(former)
    directory.add(newer)
    directory.remove(former)
    assert directory.at("a1") is newer


@pytest.mark.parametrize(
    ("watch", "interested"),
    [
        ((BY_NAME, "math"), True),
        ((BY_GROUP, "red"), True),
        ((BY_ADDRESS, "a1"), True),
        ((BY_REGISTRY, ""), True),
        ((BY_NAME, "red"), False),
        ((BY_GROUP, "math"), False),
        ((BY_ADDRESS, "a2"), False),
    ],
)
def test_who_watches_what_an_entry_answers_to_is_interested(watch: tuple[int, str], interested: bool) -> None:
    directory = Directory()
    directory.watch(b"watcher", watch)
    assert directory.interested(entry(groups={"red": ""})) == ({b"watcher"} if interested else set())


def test_who_watches_no_more_is_not_interested() -> None:
    directory = Directory()
    for key in (b"one", b"two"):
        directory.watch(key, (BY_NAME, "math"))
    directory.unwatch(b"one", (BY_NAME, "math"))
    directory.unwatch(b"one", (BY_NAME, "math"))
    directory.unwatch(b"one", (BY_NAME, "never watched"))
    assert directory.interested(entry()) == {b"two"}


def test_an_entry_on_the_wire_has_seven_fields() -> None:
    assert entry(groups={"red": "child"}).to_fields() == [b"firepeer", 1, "math", "a1", {"red": "child"}, None, True]


entries = st.builds(
    entry,
    st.sampled_from(["a1", "a2", "a3"]),
    st.sampled_from(["", "math", "gate"]),
    st.dictionaries(st.sampled_from(["red", "blue"]), st.just("")),
    st.booleans(),
)


@given(st.lists(entries, max_size=8))
def test_what_was_added_and_removed_leaves_nothing_behind(added: list[Entry]) -> None:
    directory = Directory()
    for each in added:
        directory.add(each)
        assert directory.at(each.address) is each
    for each in added:
        directory.remove(each)
    assert not any(directory.keys(kind) for kind in (BY_NAME, BY_GROUP, BY_ADDRESS, BY_REGISTRY))


@given(st.lists(st.tuples(st.sampled_from([b"one", b"two"]), st.sampled_from([BY_NAME, BY_GROUP])), max_size=8))
def test_watches_that_ended_leave_nothing_behind(watches: list[tuple[bytes, int]]) -> None:
    directory = Directory()
    for key, kind in watches:
        directory.watch(key, (kind, "math"))
    for key, kind in watches:
        directory.unwatch(key, (kind, "math"))
    assert vars(directory) == vars(Directory())


def test_what_is_purged_is_found_nowhere_whatever_it_was_in() -> None:
    """Its name and groups are others by now than those under which it was put in."""
    directory = Directory()
    entry = Entry(Peer(b"key", bytes(8), "", 1, 1, 0.0), 1, "0" * 32, "math", {"red": ""})
    entry.listed = True
    directory.add(entry)
    entry.name, entry.groups = "other", {}
    directory.purge(entry)
    assert not directory.find(BY_NAME, "math") and not directory.find(BY_GROUP, "red")
    assert directory.at(entry.address) is None and not directory._found
