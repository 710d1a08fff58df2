"""Services register and go, and those who watch hear of it."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.records import Entry
from fireflyzmq.wire.binding import address_of
from fireflyzmq.wire.commands import (
    BY_ADDRESS,
    BY_GROUP,
    BY_MEMBER,
    BY_NAME,
    BY_REGISTRY,
    CLOSE,
    JOIN,
    LEAVE,
    MAX_FRAME,
    REGISTER,
    STATE,
    UNWATCH,
    WATCH,
    WITHDRAW,
)
from fireflyzmq.wire.frames import encode_control
from tests.exchange.core.hand import Core, Pair, entry, names, refusal, secret

# Registration.


def test_a_registration_is_answered_with_the_address_that_the_secret_proves() -> None:
    peer = Core().peer(b"one")
    assert peer.register(1, "math", seed="s") == address_of(secret("s"))


@pytest.mark.parametrize(
    ("number", "proof", "name", "groups", "problem"),
    [
        (0, b"0" * 16, "math", {}, "number 0"),
        (1 << 32, b"0" * 16, "math", {}, "out of range"),
        (1, b"0" * 15, "math", {}, "16 bytes"),
        (1, b"", "math", {}, "16 bytes"),
        (1, b"0" * 16, "two words", {}, "white space"),
        (1, b"0" * 16, "a.*", {}, "wildcard"),
        (1, b"0" * 16, "x" * 201, {}, "200 bytes"),
        (1, b"0" * 16, "exchange", {}, "exchange's own"),
        (1, b"0" * 16, "math", {"": ""}, "group name"),
        (1, b"0" * 16, "math", {7: ""}, "group name"),
        (1, b"0" * 16, "math", {"red": "a b"}, "role"),
        (1, b"0" * 16, "math", {"red": None}, "role"),
        (1, b"0" * 16, "math", {str(group): "" for group in range(5)}, "at most 4 groups"),
    ],
)
def test_an_illegal_registration_is_rejected_and_the_peer_stays(
    number: int, proof: bytes, name: str, groups: dict[Any, Any], problem: str
) -> None:
    core = Core(groups_per_service=4)
    peer = core.peer(b"one")
    peer.say(REGISTER, number, proof, name, groups, {})
    ((answer, about, code, reason, group),) = peer.take()
    assert (answer, about, code, group) == ("REJECTED", number, "illegal", "") and problem in reason
    assert peer.state.services == {} and core.core.directory.keys(BY_ADDRESS) == []
    peer.register(2, "legal")


def test_a_number_in_use_is_rejected_and_the_first_service_stays() -> None:
    peer = Core().peer(b"one")
    address = peer.register(1, "math")
    peer.say(REGISTER, 1, secret("other"), "other", {}, {})
    assert peer.take()[0][:3] == ("REJECTED", 1, "illegal")
    assert peer.state.services[1].address == address


def test_more_services_than_the_limit_are_rejected() -> None:
    peer = Core(services_per_peer=2).peer(b"one")
    peer.register(1)
    peer.register(2)
    peer.say(REGISTER, 3, secret("3"), "", {}, {})
    assert peer.take()[0][:3] == ("REJECTED", 3, "illegal")


def test_only_the_operator_registers_the_exchanges_own_name() -> None:
    core = Core(operator=b"operator")
    assert core.peer(b"operator").register(1, "exchange")


def test_services_share_a_name_unless_one_wants_it_alone() -> None:
    core = Core()
    one, two, three = core.peer(b"one"), core.peer(b"two"), core.peer(b"three")
    one.register(1, "math")
    two.register(1, "math")
    three.say(REGISTER, 1, secret("3"), "math", {}, {"unique": True})
    ((answer, number, code, reason, group),) = three.take()
    assert (answer, number, code, group) == ("REJECTED", 1, "taken", "") and "'math'" in reason
    assert len(core.core.directory.find(BY_NAME, "math")) == 2


def test_nobody_joins_a_name_that_somebody_wants_alone() -> None:
    core = Core()
    one, two = core.peer(b"one"), core.peer(b"two")
    one.register(1, "math", unique=True)
    two.say(REGISTER, 1, secret("2"), "math", {}, {})
    assert two.take()[0][:3] == ("REJECTED", 1, "taken")
    one.say(CLOSE, 1, "")
    assert two.take() == [("REGISTERED", 1, address_of(secret("2")))]
    two.register(2, "math")


def test_a_service_rejected_as_taken_is_reached_by_its_address_alone() -> None:
    core = Core()
    one, two = core.peer(b"one"), core.peer(b"two")
    one.register(1, "math", unique=True)
    two.say(REGISTER, 1, secret("2"), "math", {"red": ""}, {})
    two.take()
    assert len(core.core.directory.find(BY_NAME, "math")) == 1 and core.core.directory.find(BY_GROUP, "red") == []
    one.say(WATCH, BY_ADDRESS, address_of(secret("2")))
    assert one.take() == [
        (
            "STATE",
            BY_ADDRESS,
            address_of(secret("2")),
            [entry(two.id, 1, "", address_of(secret("2")), {"red": ""}, False)],
            True,
        )
    ]
    one.envelope(1, two.id, 1)
    assert names(two.take()) == ["INTRODUCED", "ENVELOPE"]


def test_unique_means_nothing_for_services_without_a_name() -> None:
    peer = Core().peer(b"one")
    peer.register(1, "", unique=True)
    peer.register(2, "", unique=True)


def test_the_same_secret_takes_the_address_over() -> None:
    pair = Pair()
    pair.touch()
    pair.caller.say(WATCH, BY_NAME, "math")
    pair.caller.take()
    third = pair.core.peer(b"third")
    third.say(REGISTER, 9, secret(f"{b'callee'!r} 5"), "math", {}, {})
    assert third.take() == [("REGISTERED", 9, pair.address)]
    assert pair.caller.take() == [
        ("ABSENT", pair.address, "moved"),
        ("GONE", pair.callee.id, 5, "moved"),
        ("PRESENT", entry(third.id, 9, "math", pair.address, {}), ""),
    ]
    assert pair.callee.state.services == {}
    assert [found.peer.key for found in pair.core.core.directory.find(BY_NAME, "math")] == [b"third"]


def test_a_registration_that_is_read_late_takes_no_address_over_from_a_newer_connection() -> None:
    core = Core()
    watcher, old, new = core.peer(b"watcher"), core.peer(b"old"), core.peer(b"new")
    watcher.say(WATCH, BY_NAME, "math")
    address = new.register(1, "math", seed="s")
    old.say(REGISTER, 1, secret("s"), "math", {}, {})
    ((name, number, code, reason, _),) = old.take()
    assert (name, number, code) == ("REJECTED", 1, "illegal") and "newer" in reason
    core.lose(b"old")
    assert names(watcher.take()) == ["STATE", "PRESENT"] and new.state.services[1].address == address
    assert [found.peer.key for found in core.core.directory.find(BY_NAME, "math")] == [b"new"]


def test_a_hidden_service_is_not_found_but_reached() -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    watcher.register(1)
    watcher.say(WATCH, BY_REGISTRY, "")
    watcher.take()
    peer.register(1, "hidden", {"red": ""}, visible=False)
    assert watcher.take() == [] and core.core.directory.find(BY_NAME, "hidden") == []
    watcher.envelope(1, peer.id, 1)
    assert names(peer.take()) == ["INTRODUCED", "ENVELOPE"]


# Watching.


def test_a_watch_is_answered_with_what_is_there_now() -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    address = peer.register(7, "math", {"red": "child"})
    there = [entry(peer.id, 7, "math", address, {"red": "child"})]
    for kind, key, found in (
        (BY_NAME, "math", there),
        (BY_NAME, "red", []),
        (BY_GROUP, "red", there),
        (BY_ADDRESS, address, there),
        (BY_REGISTRY, "", there),
    ):
        watcher.say(WATCH, kind, key)
        assert watcher.take() == [("STATE", kind, key, found, True)]


@pytest.mark.parametrize(
    ("count", "groups", "chunks"), [(0, 0, 1), (1, 100, 1), (200, 0, 1), (1000, 0, 4), (40, 90, 11)]
)
def test_a_long_state_comes_in_chunks_of_which_the_last_says_so(count: int, groups: int, chunks: int) -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    membership = {f"{'g' * 190}{group}": "" for group in range(groups)}
    addresses = [peer.register(number, "math", membership) for number in range(1, count + 1)]
    watcher.say(WATCH, BY_NAME, "math")
    states = watcher.take()
    assert all(len(encode_control(STATE, *state[1:])) < MAX_FRAME for state in states)
    assert len(states) == chunks
    assert [state[4] for state in states] == [False] * (len(states) - 1) + [True]
    assert [fields[3] for state in states for fields in state[3]] == addresses


@pytest.mark.parametrize(
    ("kind", "key"), [(BY_NAME, "math"), (BY_GROUP, "red"), (BY_REGISTRY, ""), (BY_ADDRESS, address_of(secret("s")))]
)
def test_watchers_hear_of_who_comes_and_goes(kind: int, key: str) -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    watcher.say(WATCH, kind, key)
    watcher.take()
    address = peer.register(1, "math", {"red": ""}, seed="s")
    assert watcher.take() == [("PRESENT", entry(peer.id, 1, "math", address, {"red": ""}), "")]
    peer.say(CLOSE, 1, "done")
    assert watcher.take() == [("ABSENT", address, "done")]
    peer.register(1, "other", seed="other")
    assert [message[0] for message in watcher.take()] == (["PRESENT"] if kind == BY_REGISTRY else [])


def test_a_watcher_hears_once_of_what_it_watches_twice_over() -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    for kind, key in ((BY_NAME, "math"), (BY_GROUP, "red"), (BY_REGISTRY, "")):
        watcher.say(WATCH, kind, key)
    watcher.take()
    peer.register(1, "math", {"red": ""})
    assert names(watcher.take()) == ["PRESENT"]
    core.lose(b"peer")
    assert names(watcher.take()) == ["ABSENT"]


def test_who_watches_no_more_hears_no_more() -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    watcher.say(WATCH, BY_NAME, "math")
    watcher.say(UNWATCH, BY_NAME, "math")
    watcher.take()
    peer.register(1, "math")
    assert watcher.take() == [] and watcher.state.watches == set()


def test_joining_and_leaving_groups_tells_who_watched_before_or_watches_now() -> None:
    core = Core()
    red, blue, named, peer = (core.peer(key) for key in (b"red", b"blue", b"named", b"peer"))
    red.say(WATCH, BY_GROUP, "red")
    blue.say(WATCH, BY_GROUP, "blue")
    named.say(WATCH, BY_NAME, "math")
    address = peer.register(1, "math", {"red": ""})
    for watcher in (red, blue, named):
        watcher.take()
    peer.say(JOIN, 1, "blue", "child", {})
    both = ("PRESENT", entry(peer.id, 1, "math", address, {"red": "", "blue": "child"}), "")
    assert red.take() == blue.take() == named.take() == [both]
    peer.say(LEAVE, 1, "red")
    one = ("PRESENT", entry(peer.id, 1, "math", address, {"blue": "child"}), "left")
    assert red.take() == blue.take() == named.take() == [one]
    peer.say(LEAVE, 1, "blue")
    assert names(red.take()) == [] and names(blue.take()) == names(named.take()) == ["PRESENT"]


def test_a_withdrawn_service_is_absent_and_still_answers() -> None:
    pair = Pair()
    pair.touch()
    pair.caller.say(WATCH, BY_NAME, "math")
    pair.caller.take()
    pair.callee.say(WITHDRAW, 5, "draining")
    assert pair.caller.take() == [("ABSENT", pair.address, "draining")]
    pair.call(b"still reached")
    pair.answer(b"still answering")
    assert pair.callee.take() == [("ENVELOPE", pair.caller.id, 5, 1, b"still reached")]
    assert pair.caller.take() == [("ENVELOPE", pair.callee.id, 1, 5, b"still answering")]
    pair.callee.say(CLOSE, 5, "done")
    assert pair.caller.take() == [("GONE", pair.callee.id, 5, "done")]


def test_a_withdrawn_service_is_not_found_by_its_address_any_more() -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    address = peer.register(1, "math")
    peer.say(WITHDRAW, 1, "draining")
    watcher.say(WATCH, BY_ADDRESS, address)
    assert watcher.take() == [("STATE", BY_ADDRESS, address, [], True)]


def test_who_watches_a_hidden_services_address_hears_that_it_went() -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    address = peer.register(1, "hidden", visible=False)
    watcher.say(WATCH, BY_ADDRESS, address)
    watcher.take()
    peer.say(CLOSE, 1, "done")
    assert watcher.take() == [("ABSENT", address, "done")]


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        (WATCH, (0, "")),
        (WATCH, (6, "")),
        (WATCH, (1 << 40, "")),
        (WATCH, (BY_NAME, "x" * 603)),
        (WATCH, (BY_MEMBER, "é" * 302)),
        (WATCH, (BY_REGISTRY, "math")),
        (WATCH, (BY_NAME, "")),
        (WATCH, (BY_NAME, "two words")),
        (WATCH, (BY_NAME, "math*")),
        (WATCH, (BY_GROUP, "")),
        (WATCH, (BY_GROUP, "x" * 201)),
        (WATCH, (BY_MEMBER, "")),
        (WATCH, (BY_MEMBER, "red")),
        (WATCH, (BY_MEMBER, "red ")),
        (WATCH, (BY_MEMBER, "red  math")),
        (WATCH, (BY_MEMBER, " child")),
        (WATCH, (BY_MEMBER, "red child math more")),
    ],
)
def test_an_unknown_watch_is_refused(command: int, fields: tuple[Any, ...]) -> None:
    core = Core()
    core.peer(b"one").say(command, *fields)
    assert refusal(core, b"one")[0] == "protocol"


def test_more_watches_than_the_limit_are_refused() -> None:
    core = Core(watches_per_peer=2)
    peer = core.peer(b"one")
    for key in ("a", "b", "c"):
        peer.say(WATCH, BY_NAME, key)
    assert refusal(core, b"one")[0] == "protocol"
    assert core.core.directory.interested(_entry("a")) == set()


def _entry(name: str) -> Entry:
    made = Entry(None, 1, "address", name, {})  # type: ignore[arg-type]
    made.listed = True
    return made


@pytest.mark.parametrize(
    ("command", "fields"), [(WITHDRAW, (1, "")), (CLOSE, (1, "")), (JOIN, (1, "red", "", {})), (LEAVE, (1, "red"))]
)
def test_a_command_about_a_service_that_is_not_there_changes_nothing(command: int, fields: tuple[Any, ...]) -> None:
    core = Core()
    peer = core.peer(b"one")
    peer.say(command, *fields)
    assert peer.take() == [] and b"one" in core.core.peers and len(core.core.directory) == 0
