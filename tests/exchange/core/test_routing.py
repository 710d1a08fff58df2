"""The routing core, driven by hand-made frames: what it answers, whom it tells, and what it forgets."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exchange.core.limits import Limits
from exchange.core.records import Entry
from fireflyzmq.wire.binding import address_of
from fireflyzmq.wire.commands import (
    AWAIT,
    BY_ADDRESS,
    BY_GROUP,
    BY_MEMBER,
    BY_NAME,
    BY_REGISTRY,
    CLOSE,
    COMMAND_NAMES,
    CREDIT,
    ENVELOPE,
    ENVELOPE_COST,
    GOODBYE,
    HELLO,
    JOIN,
    LEAVE,
    MAX_CONTROL,
    MAX_FRAME,
    NO_SENDER,
    NO_TARGET,
    PUBLISH,
    QUEUE_FULL,
    REGISTER,
    STATE,
    TARGET_GONE,
    UNWATCH,
    WATCH,
    WELCOME,
    WINDOW,
    WITHDRAW,
)
from fireflyzmq.wire.frames import FIELDS, encode_control, envelope_head
from tests.exchange.core.hand import HELLO_1, IDENTITY, Core, HandPeer, entry, mentions, names, secret

SMALLEST_WINDOW = 2 * (MAX_FRAME + ENVELOPE_COST)


def refusal(core: Core, key: bytes) -> tuple[str, str]:
    """The code and the reason with which a peer was refused."""
    *_, (name, code, reason, details) = core.take(key)
    assert name == "REFUSED" and details == {"versions": [1]}
    assert key not in core.core.peers
    return code, reason


class Pair:
    """A caller and a service, with the exchange between them."""

    def __init__(self, core: Core | None = None, window: int = WINDOW, caller_window: int = WINDOW) -> None:
        self.core = core or Core()
        self.caller = self.core.peer(b"caller", caller_window)
        self.callee = self.core.peer(b"callee", window)
        self.caller_address = self.caller.register(1, "caller")
        self.address = self.callee.register(5, "math")

    def call(self, body: bytes = b"\x90") -> None:
        self.caller.envelope(1, self.callee.id, 5, body)

    def answer(self, body: bytes = b"\x90") -> None:
        self.callee.envelope(5, self.caller.id, 1, body)

    def touch(self) -> None:
        """Let an envelope go each way, and take what came."""
        self.call()
        self.answer()
        self.caller.take()
        self.callee.take()


# Hello.


def test_a_hello_is_answered_with_a_welcome() -> None:
    core = Core()
    core.now = 12.5
    core.send(b"one", encode_control(HELLO, HELLO_1))
    ((name, welcome),) = core.take(b"one")
    assert name == "WELCOME"
    assert welcome == {
        "version": 1,
        "peer": IDENTITY + b"\0\0\0\1",
        "exchange": IDENTITY.hex(),
        "now": 12.5,
        "window": core.core.limits.window,
        "message": core.core.limits.message,
        "calls": core.core.limits.calls_per_peer,
        "retained": core.core.limits.retained,
    }
    assert core.core.peers[b"one"].process == "test"


def test_each_peer_has_an_id_of_its_own() -> None:
    core = Core()
    ids = {core.peer(key).id for key in (b"one", b"two", b"three")}
    core.lose(b"one")
    ids.add(core.peer(b"one").id)
    assert len(ids) == 4 and all(len(each) == 8 and each != bytes(8) for each in ids)


@pytest.mark.parametrize("versions", [[], [2], [2, 3], [0], ["1"]])
def test_a_version_that_the_exchange_does_not_speak_is_refused_with_a_reason(versions: list[Any]) -> None:
    core = Core()
    core.send(b"one", encode_control(HELLO, {**HELLO_1, "versions": versions}))
    code, reason = refusal(core, b"one")
    assert (
        code == "version"
        and reason == f"this exchange speaks wire version 1, the peer {[v for v in versions if v != '1']}"
    )


def test_a_peer_that_speaks_several_versions_is_welcome_when_one_is_known() -> None:
    core = Core()
    core.send(b"one", encode_control(HELLO, {**HELLO_1, "versions": [3, 2, 1]}))
    assert core.take(b"one")[0][1]["version"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("versions", value) for value in (None, 1, "1", {})),
        *(("window", value) for value in (None, 0, -1, "1", 1.5, True)),
        *((field, value) for field in ("process", "library") for value in (None, 7, b"text", [])),
    ],
)
def test_what_is_wrong_with_a_hello_is_named(field: str, value: Any) -> None:
    core = Core()
    core.send(b"one", encode_control(HELLO, {**HELLO_1, field: value}))
    code, reason, *_ = refusal(core, b"one")
    assert code == "protocol" and reason.startswith(f"{field} of a hello is ")


@pytest.mark.parametrize(
    "hello",
    [
        {},
        {"versions": [1]},
        {"window": 1},
        {"versions": 1, "window": 1},
        {"versions": [1], "window": 0},
        {"versions": [1], "window": -1},
        {"versions": [1], "window": "1"},
        {"versions": [1], "window": 1.5},
    ],
)
def test_a_hello_without_versions_or_window_is_refused(hello: dict[str, Any]) -> None:
    core = Core()
    core.send(b"one", encode_control(HELLO, hello))
    assert refusal(core, b"one")[0] == "protocol"


DEEP = b"\x91" * 1000 + b"\xc0"


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (b"\x83\xa8versions\x91\x01\xa6window\x01\xa7process" + DEEP, "protocol"),
        (b"\x83\xa8versions\x91\x01\xa6window\x01\xa7process\x07", "protocol"),
        (b"\x82\xa8versions\x91\x01\xa6window\xc3", "protocol"),
        (b"\x82\xa8versions" + DEEP + b"\xa6window\x01", "version"),
    ],
    ids=["deep process", "process 7", "window true", "deep versions"],
)
def test_a_hello_of_other_types_is_refused(hello: bytes, code: str) -> None:
    core = Core()
    core.send(b"one", bytes((HELLO, 0x91)) + hello)
    assert refusal(core, b"one")[0] == code


def test_what_a_hello_says_that_is_not_known_is_ignored() -> None:
    core = Core()
    core.send(b"one", encode_control(HELLO, {**HELLO_1, "later": [1, {}]}, "another field"))
    assert names(core.take(b"one")) == ["WELCOME"]


@pytest.mark.parametrize("frame", [encode_control(GOODBYE, ""), encode_control(WELCOME, {}), b"\x00", b"\xff\xff"])
def test_who_says_anything_before_the_hello_is_refused(frame: bytes) -> None:
    core = Core()
    core.send(b"one", frame)
    code, reason = refusal(core, b"one")
    assert code == "protocol" and "hello comes first" in reason


def test_a_stranger_that_goes_on_without_hello_is_told_once() -> None:
    core = Core()
    for _ in range(5):
        core.send(b"one", encode_control(GOODBYE, ""))
    assert names(core.take(b"one")) == ["REFUSED"] and core.core.refusals == 5


def test_a_stranger_that_was_refused_and_has_been_a_peer_since_is_told_again() -> None:
    core = Core()
    core.send(b"one", encode_control(GOODBYE, ""))
    core.take(b"one")
    peer = core.peer(b"one")
    peer.say(GOODBYE, "")
    peer.say(GOODBYE, "")
    assert names(peer.take()) == ["GOODBYE", "REFUSED"]


def test_an_envelope_before_the_hello_is_refused() -> None:
    pair = Pair()
    pair.core.send(b"stranger", envelope_head(pair.callee.id, 5, 1), b"\x90")
    assert refusal(pair.core, b"stranger")[0] == "protocol"
    assert pair.callee.take() == []


def test_an_empty_message_means_nothing() -> None:
    core = Core()
    core.send(b"stranger", b"")
    assert core.take(b"stranger") == []
    peer = core.peer(b"one")
    core.send(b"one", b"")
    assert peer.take() == [] and b"one" in core.core.peers


def test_a_second_hello_is_refused() -> None:
    core = Core()
    core.peer(b"one")
    core.send(b"one", encode_control(HELLO, HELLO_1))
    code, reason = refusal(core, b"one")
    assert code == "protocol" and "HELLO" in reason


def test_more_peers_than_the_limit_are_refused_until_one_leaves() -> None:
    core = Core(peers=2)
    core.peer(b"one")
    core.peer(b"two")
    core.send(b"three", encode_control(HELLO, HELLO_1))
    assert refusal(core, b"three")[0] == "limit"
    core.lose(b"one")
    assert core.peer(b"three")


def test_refusals_are_counted() -> None:
    core = Core()
    core.send(b"one", b"\xff")
    core.send(b"two", b"\xff")
    assert core.core.refusals == 2


def test_a_window_holds_at_least_two_frames() -> None:
    with pytest.raises(ValueError, match="two frames"):
        Limits(window=SMALLEST_WINDOW - 1)
    assert Limits(window=SMALLEST_WINDOW)


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


@pytest.mark.parametrize(("group", "role"), [("", ""), ("a b", ""), ("red", "a b"), ("red", "*")])
def test_joining_under_an_illegal_name_is_rejected(group: str, role: str) -> None:
    core = Core()
    peer = core.peer(b"one")
    peer.register(1, "math")
    peer.take()
    peer.say(JOIN, 1, group, role, {})
    [(name, number, code, _, about)] = peer.take()
    assert (name, number, code, about) == ("REJECTED", 1, "group", group)
    assert core.core.directory.find(BY_NAME, "math")[0].groups == {}


def test_joining_a_group_too_many_is_rejected_but_a_new_role_is_not() -> None:
    peer = Core(groups_per_service=2).peer(b"one")
    peer.register(1, "math", {"red": "", "blue": ""})
    peer.say(JOIN, 1, "green", "", {})
    [(name, number, code, problem, group)] = peer.take()
    assert (name, number, code, group) == ("REJECTED", 1, "group", "green") and "at most 2 groups" in problem
    peer.say(JOIN, 1, "blue", "child", {})
    assert peer.state.services[1].groups == {"red": "", "blue": "child"}


# Envelopes.


def test_the_first_envelope_introduces_its_sender_and_the_next_does_not() -> None:
    pair = Pair()
    pair.call(b"one")
    pair.call(b"two")
    assert pair.callee.take() == [
        ("INTRODUCED", entry(pair.caller.id, 1, "caller", pair.caller_address, {})),
        ("ENVELOPE", pair.caller.id, 5, 1, b"one"),
        ("ENVELOPE", pair.caller.id, 5, 1, b"two"),
    ]
    pair.answer(b"three")
    assert pair.caller.take() == [
        ("INTRODUCED", entry(pair.callee.id, 5, "math", pair.address, {})),
        ("ENVELOPE", pair.callee.id, 1, 5, b"three"),
    ]


def test_a_sender_is_introduced_once_to_a_peer_whatever_services_it_calls_there() -> None:
    pair = Pair()
    pair.callee.register(6, "other")
    pair.call()
    pair.caller.envelope(1, pair.callee.id, 6)
    assert names(pair.callee.take()) == ["INTRODUCED", "ENVELOPE", "ENVELOPE"]


def test_a_sender_that_changes_its_groups_is_introduced_again() -> None:
    pair = Pair()
    pair.touch()
    pair.caller.say(JOIN, 1, "red", "child", {})
    introduced = entry(pair.caller.id, 1, "caller", pair.caller_address, {"red": "child"})
    pair.call()
    assert pair.callee.take() == [("INTRODUCED", introduced), ("ENVELOPE", pair.caller.id, 5, 1, b"\x90")]
    pair.call()
    assert names(pair.callee.take()) == ["ENVELOPE"]


@pytest.mark.parametrize("joiner", ["caller", "callee"])
def test_partners_hear_of_a_loss_after_a_change_of_groups(joiner: str) -> None:
    pair = Pair()
    pair.call()
    mover = pair.caller if joiner == "caller" else pair.callee
    mover.say(JOIN, 1 if joiner == "caller" else 5, "red", "", {})
    pair.callee.take()
    pair.core.lose(b"callee")
    assert ("GONE", pair.callee.id, 0, "lost") in pair.caller.take()


@pytest.mark.parametrize("joiner", ["caller", "callee"])
def test_a_service_hears_of_its_callers_loss_after_a_change_of_groups(joiner: str) -> None:
    pair = Pair()
    pair.call()
    mover = pair.caller if joiner == "caller" else pair.callee
    mover.say(JOIN, 1 if joiner == "caller" else 5, "red", "", {})
    pair.callee.take()
    pair.core.lose(b"caller")
    assert ("GONE", pair.caller.id, 0, "lost") in pair.callee.take()


def test_a_peer_reaches_a_service_of_its_own_through_the_exchange() -> None:
    core = Core()
    peer = core.peer(b"one")
    peer.register(1, "a")
    peer.register(2, "b")
    peer.envelope(1, peer.id, 2, b"hello")
    assert names(peer.take()) == ["INTRODUCED", "ENVELOPE"]


@pytest.mark.parametrize("reserved", [b"", b"\0", b"reserved for later"])
def test_bytes_behind_the_head_are_ignored_and_not_passed_on(reserved: bytes) -> None:
    pair = Pair()
    for _ in range(2):
        pair.core.send(b"caller", envelope_head(pair.callee.id, 5, 1) + reserved, b"body")
    assert [message[1:] for message in pair.callee.take()[1:]] == [(pair.caller.id, 5, 1, b"body")] * 2


def test_bytes_behind_the_head_make_no_routes_of_their_own() -> None:
    pair = Pair()
    for number in range(50):
        pair.core.send(b"caller", envelope_head(pair.callee.id, 5, 1) + b"%d" % number, b"body")
    assert len(pair.caller.state.routes) == 1


def test_a_body_is_never_looked_at() -> None:
    pair = Pair()
    for body in (b"", b"\xc1", b"\xdd\xff\xff\xff\xff", bytes(MAX_FRAME)):
        pair.call(body)
        assert pair.callee.take()[-1] == ("ENVELOPE", pair.caller.id, 5, 1, body)


def test_an_envelope_for_nobody_comes_back() -> None:
    pair = Pair()
    for to_peer, to in ((pair.callee.id, 6), (b"nobody!!", 5), (bytes(8), 5)):
        pair.caller.envelope(1, to_peer, to, b"body")
        assert pair.caller.take() == [("RETURNED", to_peer, to, 1, NO_TARGET, b"body")]
    assert pair.callee.take() == [] and pair.core.core.flow.returned == 3


def test_an_envelope_to_a_closed_service_comes_back() -> None:
    pair = Pair()
    pair.touch()
    pair.callee.say(CLOSE, 5, "done")
    pair.caller.take()
    pair.call(b"late")
    assert pair.caller.take() == [("RETURNED", pair.callee.id, 5, 1, NO_TARGET, b"late")]


def test_nobody_sends_in_the_name_of_a_service_that_is_not_its_own() -> None:
    pair = Pair()
    pair.caller.envelope(5, pair.callee.id, 5, b"forged")
    assert pair.caller.take() == [("RETURNED", pair.callee.id, 5, 5, NO_SENDER, b"forged")]
    assert pair.callee.take() == []


@pytest.mark.parametrize("frames", [1, 3])
def test_an_envelope_has_two_frames(frames: int) -> None:
    pair = Pair()
    for _ in range(2):
        pair.core.send(b"caller", *[envelope_head(pair.callee.id, 5, 1), b"body", b"more"][:frames])
    assert "two frames" in pair.core.take(b"caller")[0][2]


def test_a_body_over_the_limit_of_a_frame_is_refused() -> None:
    for touched in (False, True):
        pair = Pair()
        if touched:
            pair.touch()
        pair.call(bytes(MAX_FRAME + 1))
        code, reason = refusal(pair.core, b"caller")
        assert code == "protocol" and f"over the limit of {MAX_FRAME}" in reason
        assert "ENVELOPE" not in names(pair.callee.take())


def test_a_control_message_over_the_limit_is_refused() -> None:
    core = Core()
    core.peer(b"one").say(GOODBYE, "x" * MAX_CONTROL)
    assert "over the limit" in refusal(core, b"one")[1]


# Credit.


def test_a_sender_gets_its_credit_back_when_half_of_it_is_used() -> None:
    pair = Pair(Core(window=SMALLEST_WINDOW))
    pair.touch()
    spent = granted = 0
    for _ in range(50):
        pair.call(bytes(20_000))
        spent += 20_000 + ENVELOPE_COST
        granted += sum(message[1] for message in pair.caller.take() if message[0] == "CREDIT")
        assert SMALLEST_WINDOW // 2 <= pair.caller.state.allowance <= SMALLEST_WINDOW
        assert SMALLEST_WINDOW - spent + granted - ENVELOPE_COST - 1 == pair.caller.state.allowance
    assert granted > 0


def test_an_envelope_costs_its_body_and_128() -> None:
    pair = Pair()
    pair.touch()
    before = pair.callee.state.credit
    pair.call(b"12345")
    assert before - pair.callee.state.credit == 5 + ENVELOPE_COST


def test_without_credit_envelopes_wait_in_order_and_leave_when_credit_comes() -> None:
    pair = Pair(window=1000)
    for number in range(20):
        pair.call(b"%03d" % number + bytes(97))
    came = [message for message in pair.callee.take() if message[0] == "ENVELOPE"]
    assert 0 < len(came) < 20 and pair.callee.state.credit <= 0
    while pair.callee.state.queue:
        pair.callee.say(CREDIT, 100 + ENVELOPE_COST)
        arrived = pair.callee.take()
        assert len(arrived) == 1
        came += arrived
    assert [message[4][:3] for message in came] == [b"%03d" % number for number in range(20)]
    assert pair.callee.state.queued == 0


def test_nothing_overtakes_what_waits() -> None:
    pair = Pair(window=1000)
    pair.callee.say(WATCH, BY_NAME, "late")
    for _ in range(10):
        pair.call(bytes(100))
    third = pair.core.peer(b"third")
    third.register(1, "late")
    third.envelope(1, pair.callee.id, 5)
    pair.caller.say(CLOSE, 1, "done")
    pair.callee.take()
    came: list[str] = []
    while pair.callee.state.queue:
        pair.callee.say(CREDIT, 1000)
        came += names(pair.callee.take())
    assert came == ["ENVELOPE"] * (len(came) - 4) + ["PRESENT", "INTRODUCED", "ENVELOPE", "GONE"]


def test_credit_does_not_grow_beyond_the_window() -> None:
    pair = Pair(window=1000)
    pair.callee.say(CREDIT, 1 << 60)
    assert pair.callee.state.credit == 1000


def test_a_peers_window_counts_for_64_mib_at_most() -> None:
    assert Core().peer(b"one", 1 << 60).state.window == 16 * WINDOW


def test_the_queue_limit_does_not_narrow_a_peers_window() -> None:
    assert Core(queue=600_000).peer(b"one", 1_000_000).state.credit == 1_000_000


def test_control_messages_cost_no_credit() -> None:
    pair = Pair(window=1)
    pair.caller.say(WATCH, BY_REGISTRY, "")
    before = pair.caller.state.credit
    for number in range(10, 20):
        pair.callee.register(number, "math")
    assert pair.caller.state.credit == before


def test_what_finds_the_queue_full_comes_back() -> None:
    pair = Pair(Core(queue=1000), window=100)
    pair.call(bytes(100))
    bodies = [b"%d" % number + bytes(99) for number in range(6)]
    for body in bodies:
        pair.call(body)
    back = pair.caller.take()
    assert back == [("RETURNED", pair.callee.id, 5, 1, QUEUE_FULL, body) for body in bodies[4:]]
    assert pair.callee.state.queued <= 1000
    pair.callee.take()
    pair.callee.say(CREDIT, 1 << 40)
    pair.call(b"again")
    assert [message[4] for message in pair.callee.take()] == bodies[:1] or pair.callee.state.queue


def test_a_full_queue_of_one_peer_does_not_hold_up_another() -> None:
    pair = Pair(Core(queue=1000), window=100)
    third = pair.core.peer(b"third")
    third.register(1, "free")
    for _ in range(20):
        pair.call(bytes(100))
        pair.caller.say(CREDIT, 1000)
    assert "RETURNED" in names(pair.caller.take())
    pair.caller.envelope(1, third.id, 1, b"through")
    assert third.take()[-1][4] == b"through"


def test_a_peer_for_which_twice_the_queue_waits_is_cut_and_its_partners_are_told() -> None:
    core = Core(queue=1000)
    pair = Pair(core, window=100)
    pair.callee.say(WATCH, BY_REGISTRY, "")
    pair.call(bytes(100))
    pair.call(bytes(100))
    pair.caller.take()
    number = 100
    while b"callee" in core.core.peers and number < 200:
        pair.caller.say(REGISTER, number, secret(str(number)), "noise", {}, {})
        number += 1
    assert number < 200
    code, reason = refusal(core, b"callee")
    assert code == "overload" and "bytes wait" in reason
    told = [message for message in pair.caller.take() if message[0] in ("RETURNED", "GONE")]
    assert [message[0] for message in told] == ["RETURNED", "GONE"] and told[0][4] == TARGET_GONE


# Leaving.


def test_partners_are_told_after_a_peers_last_message() -> None:
    pair = Pair()
    pair.touch()
    pair.answer(b"last")
    pair.core.lose(b"callee", "lost")
    assert pair.caller.take() == [
        ("ENVELOPE", pair.callee.id, 1, 5, b"last"),
        ("GONE", pair.callee.id, 0, "lost"),
    ]


def test_partners_are_told_after_a_peers_last_message_though_it_waits() -> None:
    pair = Pair(caller_window=1)
    pair.touch()
    pair.answer(b"last")
    pair.core.lose(b"callee", "lost")
    assert pair.caller.take() == []
    pair.caller.say(CREDIT, 1000)
    assert names(pair.caller.take()) == ["ENVELOPE", "GONE"]


def test_strangers_are_not_told_when_a_peer_leaves() -> None:
    pair = Pair()
    third = pair.core.peer(b"third")
    third.register(1, "third")
    pair.touch()
    pair.core.lose(b"callee")
    assert third.take() == []


def test_what_still_waited_for_a_peer_that_left_comes_back() -> None:
    pair = Pair(window=100)
    for number in range(4):
        pair.call(b"%d" % number + bytes(100))
    came = [message[4][:1] for message in pair.callee.take() if message[0] == "ENVELOPE"]
    pair.core.lose(b"callee")
    back = pair.caller.take()
    assert names(back) == ["RETURNED"] * 3 + ["GONE"]
    assert {message[4] for message in back[:3]} == {TARGET_GONE}
    assert came + [message[5][:1] for message in back[:3]] == [b"0", b"1", b"2", b"3"]


def test_what_still_waited_for_a_service_that_closes_comes_back_and_the_rest_goes_on_waiting() -> None:
    pair = Pair(window=100)
    pair.callee.register(6, "other")
    for to in (5, 6, 5, 6):
        pair.caller.envelope(1, pair.callee.id, to, bytes(100))
    pair.callee.take()
    pair.callee.say(CLOSE, 5, "done")
    assert [(message[0], *message[2:5]) for message in pair.caller.take()] == [
        ("RETURNED", 5, 1, TARGET_GONE),
        ("GONE", 5, "done"),
    ]
    pair.callee.say(CREDIT, 100 + ENVELOPE_COST)
    pair.callee.say(CREDIT, 100 + ENVELOPE_COST)
    assert [message[2] for message in pair.callee.take()] == [6, 6] and pair.callee.state.queued == 0


def test_closing_one_service_tells_its_partners_and_leaves_the_others() -> None:
    pair = Pair()
    pair.callee.register(6, "other")
    pair.touch()
    pair.caller.envelope(1, pair.callee.id, 6)
    pair.callee.say(CLOSE, 5, "done")
    assert pair.caller.take() == [("GONE", pair.callee.id, 5, "done")]
    pair.caller.envelope(1, pair.callee.id, 6, b"other")
    assert pair.callee.take()[-1][4] == b"other"


def test_a_goodbye_is_a_leaving() -> None:
    pair = Pair()
    pair.touch()
    pair.caller.say(WATCH, BY_NAME, "math")
    pair.caller.take()
    pair.callee.say(GOODBYE, "bye")
    assert pair.caller.take() == [("ABSENT", pair.address, "goodbye"), ("GONE", pair.callee.id, 0, "goodbye")]
    assert pair.callee.take() == [("GOODBYE", "goodbye")] and b"callee" not in pair.core.core.peers


def test_losing_a_peer_twice_or_one_never_seen_does_nothing() -> None:
    pair = Pair()
    pair.touch()
    pair.core.lose(b"callee")
    pair.caller.take()
    pair.core.lose(b"callee")
    pair.core.lose(b"never seen")
    assert pair.core.inboxes == {}


def test_a_peer_that_is_refused_is_told_to_its_partners_as_kicked() -> None:
    pair = Pair()
    pair.touch()
    pair.core.send(b"callee", b"\xff")
    assert refusal(pair.core, b"callee")[0] == "protocol"
    assert pair.caller.take() == [("GONE", pair.callee.id, 0, "kicked")]


@pytest.mark.parametrize("way", ["lost", "goodbye", "refused"])
def test_no_table_mentions_a_peer_that_left(way: str) -> None:
    pair = Pair()
    pair.callee.register(6, "gate", {"red": "child"})
    pair.callee.register(7, "hidden", visible=False)
    pair.callee.say(WATCH, BY_NAME, "caller")
    pair.callee.say(WATCH, BY_REGISTRY, "")
    pair.touch()
    pair.caller.envelope(1, pair.callee.id, 6)
    pair.callee.envelope(7, pair.caller.id, 1)
    pair.callee.say(JOIN, 6, "blue", "", {})
    pair.callee.say(WITHDRAW, 6, "")
    former = pair.callee.state
    assert mentions(pair.core.core, former)
    pair.callee.go(way, 5)
    assert mentions(pair.core.core, former) == []
    pair.caller.say(GOODBYE, "")
    fresh = Core().core
    assert vars(pair.core.core.directory) == vars(fresh.directory)
    assert pair.core.core.peers == {} and pair.core.core._by_id == {}


# Garbage.

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | texts | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
fields: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(0, 6) | st.integers(0, (1 << 64) - 1),
    str: st.sampled_from(["", "math", "caller", "red", "exchange"]) | texts,
    bytes: st.just(secret("s")) | st.binary(max_size=20),
    bool: st.booleans(),
    list: st.lists(plain, max_size=3),
    dict: st.dictionaries(st.sampled_from(["red", "versions", "window", "unique"]) | texts, plain, max_size=3),
}


@st.composite
def control_frames(draw: st.DrawFn) -> bytes:
    """Control messages that are nearly right, of all commands."""
    command = draw(st.sampled_from(sorted(FIELDS)))
    written = [draw(fields[kind]) if draw(st.integers(0, 9)) else draw(plain) for kind in FIELDS[command]]
    frame = encode_control(command, *written, *draw(st.lists(plain, max_size=1)))
    return frame[: draw(st.integers(0, len(frame)))] if not draw(st.integers(0, 9)) else frame


PEER_IDS = [IDENTITY + bytes((0, 0, 0, number)) for number in range(5)]
heads = st.builds(
    envelope_head,
    st.sampled_from(PEER_IDS) | st.binary(min_size=8, max_size=8),
    st.integers(0, 7),
    st.integers(0, 7),
    st.sampled_from([ENVELOPE, ENVELOPE, ENVELOPE, 41]),
)
messages = (
    control_frames().map(lambda frame: [frame])
    | st.tuples(heads, st.binary(max_size=50)).map(list)
    | st.lists(st.binary(max_size=30) | control_frames() | heads, min_size=1, max_size=3)
)
hello_frame = encode_control(HELLO, HELLO_1)


@given(st.lists(st.tuples(st.sampled_from([b"stranger", b"garbler"]), messages), max_size=15))
@example([(b"stranger", [hello_frame]), (b"garbler", [hello_frame])])
def test_garbage_raises_nothing_and_touches_no_other_pair(garbage: list[tuple[bytes, list[bytes]]]) -> None:
    pair = Pair()
    pair.touch()
    garbler = pair.core.peer(b"garbler")
    garbler.register(1, "garbler", {"red": ""})
    for key, frames in garbage:
        pair.core.send(key, *frames)
    assert {b"caller", b"callee"} <= set(pair.core.core.peers)
    pair.caller.take()
    pair.callee.take()
    pair.call(b"request")
    assert pair.callee.take() == [("ENVELOPE", pair.caller.id, 5, 1, b"request")]
    pair.answer(b"response")
    assert pair.caller.take() == [("ENVELOPE", pair.callee.id, 1, 5, b"response")]
    assert [found.address for found in pair.core.core.directory.find(BY_ADDRESS, pair.address)] == [pair.address]
    for peer in list(pair.core.core.peers.values()):
        assert peer.credit <= peer.window and peer.allowance <= pair.core.core.limits.window
        if peer.key in (b"garbler", b"stranger"):
            pair.core.lose(peer.key)
            assert mentions(pair.core.core, peer) == []


@pytest.mark.parametrize("command", sorted(set(COMMAND_NAMES) - {HELLO, GOODBYE, ENVELOPE, PUBLISH, AWAIT}))
def test_a_command_that_is_not_for_a_peer_to_send_is_refused(command: int) -> None:
    core = Core()
    peer: HandPeer = core.peer(b"one")
    peer.register(1, "math")
    right = [
        {int: 1, str: "a", bytes: secret("s"), list: [], dict: {}, bool: True}[kind]
        for kind in FIELDS.get(command, ())
    ]
    peer.say(command, *right)
    refused = "REFUSED" in names(peer.take())
    assert refused is (command >= WELCOME)


def test_further_fields_of_a_message_are_ignored() -> None:
    core = Core()
    peer = core.peer(b"one")
    core.send(b"one", encode_control(REGISTER, 1, secret("s"), "math", {}, {"later": 1}, "later", [2]))
    core.send(b"one", encode_control(WATCH, BY_NAME, "math", {"later": 3}))
    assert names(peer.take()) == ["REGISTERED", "STATE"]


def test_an_answer_to_a_peer_is_msgpack_that_anybody_reads() -> None:
    core = Core()
    core.send(b"one", hello_frame)
    assert msgpack.unpackb(encode_control(HELLO, HELLO_1)[1:]) == [HELLO_1]


# Room, for those whose envelopes came back.


def room_of(pair: Pair) -> tuple[Any, ...]:
    return ("ROOM", pair.callee.id, 5, 1)


def test_who_asks_for_room_before_anything_came_back_is_told_at_once() -> None:
    pair = Pair(Core(queue=1000), window=100)
    pair.call(bytes(100))
    pair.call(bytes(500))
    pair.caller.take()
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    assert pair.caller.take() == [room_of(pair)]


def test_who_asks_for_room_after_something_came_back_is_told_when_half_of_the_queue_is_free() -> None:
    pair = Pair(Core(queue=1000), window=100)
    for _ in range(8):
        pair.call(bytes(100))
    assert "RETURNED" in names(pair.caller.take())
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    assert pair.caller.take() == []
    while pair.callee.state.queued > 500:
        assert pair.caller.take() == []
        pair.callee.say(CREDIT, 228)
    assert pair.caller.take() == [room_of(pair)]
    pair.callee.say(CREDIT, 10_000)
    assert pair.caller.take() == [], "it is said once"


def test_room_is_behind_all_that_came_back() -> None:
    pair = Pair(Core(queue=1000), window=100)
    for _ in range(8):
        pair.call(bytes(100))
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    for _ in range(10):
        pair.callee.say(CREDIT, 228)
    said = names(pair.caller.take())
    assert said.count("ROOM") == 1 and said.index("ROOM") > max(n for n, name in enumerate(said) if name == "RETURNED")


def test_who_asks_for_room_at_nobody_is_told_at_once() -> None:
    pair = Pair()
    pair.caller.say(AWAIT, pair.callee.id, 77, 1)
    pair.caller.say(AWAIT, bytes(8), 5, 1)
    assert pair.caller.take() == [("ROOM", pair.callee.id, 77, 1), ("ROOM", bytes(8), 5, 1)]


@pytest.mark.parametrize("fields", [(b"short", 5, 1), (bytes(8), 1 << 32, 1), (bytes(8), 5, 1 << 32)])
def test_an_await_that_names_nothing_is_refused(fields: tuple[Any, ...]) -> None:
    pair = Pair()
    pair.caller.say(AWAIT, *fields)
    assert "REFUSED" in names(pair.caller.take())


def test_nobody_is_told_of_room_at_a_service_that_has_gone() -> None:
    pair = Pair(Core(queue=1000), window=100)
    for _ in range(8):
        pair.call(bytes(100))
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    pair.caller.take()
    pair.callee.say(CLOSE, 5, "goodbye")
    assert "ROOM" not in names(pair.caller.take())
    assert not pair.callee.state.awaiting


def test_who_waits_for_room_is_forgotten_even_when_something_fails_on_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(Core(queue=1000), window=100)
    for _ in range(8):
        pair.call(bytes(100))
    pair.caller.say(AWAIT, pair.callee.id, 5, 1)
    assert pair.callee.state.awaiting
    monkeypatch.delattr(type(pair.core.core.registrar), "_drop")
    pair.core.lose(pair.caller.key)
    assert not pair.callee.state.awaiting


def test_many_that_wait_for_room_are_told_a_few_at_a_time_and_the_rest_a_little_later() -> None:
    core = Core(queue=8 << 20, window=1 << 20)
    target = core.peer(b"target", 16 << 20)
    target.register(5, "target")
    senders = [core.peer(b"sender %d" % number) for number in range(12)]
    for sender in senders:
        sender.register(1)
        for _ in range(5):
            for _ in range(4):
                sender.envelope(1, target.id, 5, bytes(200_000))
            core.send(sender.key, encode_control(CREDIT, 1 << 20))
        sender.take()
        sender.say(AWAIT, target.id, 5, 1)
        for other in senders:
            other.take()
    waiting = len(target.state.awaiting)
    assert waiting >= 6
    target.say(CREDIT, 16 << 20)
    told = ["ROOM" in names(sender.take()) for sender in senders].count(True)
    assert target.state.queued == 0 and told == 4 < waiting, "half of the queue, a window each"
    for _ in range(10):
        core.expire(0.06)
    told += ["ROOM" in names(sender.take()) for sender in senders].count(True)
    assert told == waiting and core.core.next_deadline() is None
