"""How a connection becomes a peer of the exchange, and who does not."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.limits import Limits
from fireflyzmq.wire.commands import (
    ENVELOPE_COST,
    GOODBYE,
    HELLO,
    MAX_FRAME,
    REGISTER,
    WELCOME,
)
from fireflyzmq.wire.frames import encode_control, envelope_head
from tests.exchange.core.hand import HELLO_1, IDENTITY, Core, Pair, names, refusal, secret

SMALLEST_WINDOW = 2 * (MAX_FRAME + ENVELOPE_COST)


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


NO_TEXTS: list[Any] = [None, 7, b"text", []]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("versions", None),
        ("versions", 1),
        ("versions", "1"),
        ("versions", {}),
        *(("window", value) for value in (None, 0, -1, "1", 1.5, True)),
        *(("process", value) for value in NO_TEXTS),
        *(("library", value) for value in NO_TEXTS),
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


def test_who_is_refused_again_and_again_is_told_once_until_too_many_others_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exchange.core.routing._REFUSED_KEYS", 3)
    core = Core()
    for _ in range(2):
        core.send(b"one", b"\xff")
    assert len(core.take(b"one")) == 1
    for key in (b"two", b"three", b"four"):
        core.send(key, b"\xff")
    core.send(b"one", b"\xff")
    assert len(core.take(b"one")) == 1 and len(core.core._refused) <= 3


def test_no_more_names_of_those_that_have_left_are_remembered_than_is_bearable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exchange.core.routing._REFUSED_KEYS", 3)
    core = Core()
    for number in range(10):
        core.peer(b"peer %d" % number).go("lost", 0)
    assert core.core.peers == {} and len(core.core._left) <= 3


def test_a_name_over_the_exchanges_own_limit_is_said_to_be_too_long() -> None:
    core = Core(name=5)
    peer = core.peer(b"peer")
    peer.say(REGISTER, 1, secret("one"), "toolong", {}, {})
    ((name, number, code, problem, _),) = peer.take()
    assert (name, number, code) == ("REJECTED", 1, "illegal") and "longer than 5 bytes" in problem
