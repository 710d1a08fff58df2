"""The routing core, driven by hand-made frames: where an envelope goes, and who hears that a peer has left."""

from __future__ import annotations

import msgpack
import pytest

from fireflyzmq.wire.commands import (
    AWAIT,
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
    MAX_CONTROL,
    MAX_FRAME,
    NO_SENDER,
    NO_TARGET,
    PUBLISH,
    REGISTER,
    TARGET_GONE,
    WATCH,
    WELCOME,
    WITHDRAW,
)
from fireflyzmq.wire.frames import FIELDS, encode_control, envelope_head
from tests.exchange.core.hand import HELLO_1, Core, HandPeer, Pair, entry, mentions, names, refusal, secret

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


hello_frame = encode_control(HELLO, HELLO_1)


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
