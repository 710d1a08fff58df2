"""Faults of the exchange's own: what one reaction fails on costs the peer that it was for, and nobody else."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import exchange
from fireflyzmq.wire.commands import (
    ANNOUNCE,
    BY_GROUP,
    BY_NAME,
    CLOSE,
    CREDIT,
    EXPIRE,
    GOODBYE,
    JOIN,
    LEAVE,
    REGISTER,
    SUBSCRIBE,
    UNSUBSCRIBE,
    UNWATCH,
    WATCH,
    WITHDRAW,
)
from fireflyzmq.wire.frames import encode_control, envelope_head, join_items
from tests.exchange.core.hand import Core, HandPeer, mentions, secret

MOST_STEPS = 200
"""More functions than any reaction of these tests calls."""


class Fault(Exception):
    """Raised in the middle of a reaction."""


class Failing:
    """Lets the so-manieth function raise that the exchange's modules call under a core's `receive`."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.where = ""
        self.forgetting = False

    def __enter__(self) -> Failing:
        sys.setprofile(self._event)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(HOME) or code.co_name in UNBREAKABLE:
            return
        self.step -= 1
        if self.step == 0:
            sys.setprofile(None)
            self.where = code.co_qualname
            outer: FrameType | None = frame
            while outer is not None:
                self.forgetting = self.forgetting or outer.f_code.co_name == "_remove"
                outer = outer.f_back
            raise Fault(code.co_qualname)


HOME = str(Path(exchange.__file__).parent)
UNBREAKABLE = ("receive", "_receive_slow", "_take", "_refuse", "_remove", "guarded")
"""What deals with a fault, and fails itself no more than Python does."""


class Scene:
    """A pair in touch, and a peer that has a bit of everything: it is the one in whose reactions something fails."""

    def __init__(self) -> None:
        self.core = Core()
        self.caller, self.callee, self.faulty = (self.core.peer(key) for key in (b"caller", b"callee", b"faulty"))
        self.caller.register(1, "caller")
        self.callee.register(5, "math", {"red": "child"})
        self.caller.say(WATCH, BY_NAME, "math")
        self.caller.say(WATCH, BY_GROUP, "red")
        self.caller.subscribe(1, "faulty")
        self.faulty.register(1, "faulty", {"red": "child", "blue": "child"}, sole=["blue"])
        self.faulty.register(2, "hidden", visible=False)
        self.faulty.register(3, "alone", unique=True)
        self.faulty.say(WATCH, BY_NAME, "math")
        self.faulty.subscribe(7, "math")
        self.faulty.publish(1, ("kept", 1), lives=[60.0])
        self.faulty.envelope(1, self.callee.id, 5)
        self.caller.envelope(1, self.callee.id, 5)
        self.callee.envelope(5, self.caller.id, 1)
        for peer in (self.caller, self.callee, self.faulty):
            peer.take()

    def check_others(self) -> None:
        """The pair is as it was: found, in touch, in its group."""
        assert {b"caller", b"callee"} <= set(self.core.core.peers)
        assert [entry.peer.key for entry in self.core.core.directory.find(BY_NAME, "math")] == [b"callee"]
        assert b"callee" in [entry.peer.key for entry in self.core.core.directory.find(BY_GROUP, "red")]
        self.caller.take()
        self.callee.take()
        self.caller.envelope(1, self.callee.id, 5, b"\x91\x01")
        assert self.callee.take() == [("ENVELOPE", self.caller.id, 5, 1, b"\x91\x01")]
        self.callee.envelope(5, self.caller.id, 1, b"\x91\x02")
        assert self.caller.take() == [("ENVELOPE", self.callee.id, 1, 5, b"\x91\x02")]


REACTIONS = {
    "register": [encode_control(REGISTER, 9, secret("9"), "new", {"red": "child"}, {"unique": True, "notices": True})],
    "move": [encode_control(REGISTER, 9, secret(f"{b'faulty'!r} 1"), "faulty", {"blue": "child"}, {})],
    "announce": [encode_control(ANNOUNCE, 2)],
    "withdraw": [encode_control(WITHDRAW, 1, "drained")],
    "close": [encode_control(CLOSE, 1, "goodbye")],
    "join": [encode_control(JOIN, 1, "green", "child", {"sole": True})],
    "leave": [encode_control(LEAVE, 1, "blue")],
    "watch": [encode_control(WATCH, BY_GROUP, "red")],
    "unwatch": [encode_control(UNWATCH, BY_NAME, "math")],
    "subscribe": [encode_control(SUBSCRIBE, 8, 1, BY_NAME, "math", ">", {})],
    "unsubscribe": [encode_control(UNSUBSCRIBE, 7)],
    "expire": [encode_control(EXPIRE, 1, ["kept"])],
    "credit": [encode_control(CREDIT, 1000)],
    "goodbye": [encode_control(GOODBYE, "goodbye")],
    "envelope": [envelope_head(b"fire\0\0\0\1", 1, 1), join_items([])],
}


@pytest.mark.parametrize("reaction", REACTIONS)
def test_wherever_a_reaction_fails_it_costs_its_own_peer_alone(
    reaction: str, caplog: pytest.LogCaptureFixture
) -> None:
    failed = 0
    for step in range(1, MOST_STEPS):
        scene = Scene()
        state = scene.faulty.state
        caplog.clear()
        with Failing(step) as failing:
            scene.core.send(b"faulty", *REACTIONS[reaction])
        if not failing.where:
            break
        failed += 1
        told = [record for record in caplog.records if record.exc_info]
        assert told, f"{failing.where} was not logged"
        scene.check_others()
        if reaction != "goodbye":
            answers = scene.faulty.take()
            assert any(answer[:2] == ("REFUSED", "fault") for answer in answers) or b"faulty" in scene.core.core.peers
        scene.core.lose(b"faulty")
        assert b"faulty" not in scene.core.core.peers, failing.where
        if not failing.forgetting:
            assert mentions(scene.core.core, state) == [], failing.where
    assert 0 < failed < MOST_STEPS - 1


def test_a_reaction_that_fails_is_logged_with_its_kind_and_its_peer(caplog: pytest.LogCaptureFixture) -> None:
    core = Core()
    peer = core.peer(b"one")
    peer.register(1, "math")

    def fail(*args: Any) -> None:
        raise Fault("join")

    core.core._commands[JOIN] = fail
    peer.say(JOIN, 1, "red", "", {})
    ((name, code, reason, _),) = peer.take()
    assert (name, code) == ("REFUSED", "fault") and "JOIN" in reason and "Fault" not in reason
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "JOIN" in record.getMessage() and "one" in record.getMessage()
    assert core.core.peers == {} and core.core.directory.find(BY_NAME, "math") == []


def test_what_is_due_fails_without_keeping_what_else_is_due(caplog: pytest.LogCaptureFixture) -> None:
    core = Core()
    peer: HandPeer = core.peer(b"one")
    peer.register(1, "math")
    peer.publish(1, ("kept", 1), lives=[1.0])

    def fail(now: float) -> None:
        raise Fault("expire")

    core.core.membership.expire = fail  # type: ignore[method-assign]
    core.expire(2.0)
    assert peer.account.retained == 0
    assert any(record.exc_info and record.levelno == logging.ERROR for record in caplog.records)
