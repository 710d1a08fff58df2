"""What waits for credit: whatever is raised in the middle, what waits is found again, and nothing spins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fireflyzmq.peer.flow import Frames, Lane, Outgoing, Parts

LAST: Frames = (b"close",)


class Wire:
    """Takes messages; raises, once, in the middle of the one that it is to fail on."""

    def __init__(self, fails_on: bytes = b"") -> None:
        self.sent: list[bytes] = []
        self._fails_on = fails_on

    def send(self, frames: Frames) -> None:
        if frames[0] == self._fails_on:
            self._fails_on = b""
            raise KeyboardInterrupt
        self.sent.append(frames[0])


def envelopes(count: int) -> Iterator[Frames]:
    return ((b"part", bytes(1000)) for _ in range(count))


def test_an_item_that_is_handed_on_leaves_at_no_pace() -> None:
    wire = Wire()
    outgoing = Outgoing(wire.send)
    outgoing.grant(1 << 20)
    lane = Lane()
    outgoing.post_parts(lane, Parts(-1, bytes(5000), envelopes(5), lambda: None, allowance=1500))
    assert wire.sent == [b"part"] * 2
    outgoing.finish(Lane(), outgoing.drop(lane), LAST)
    assert wire.sent == [b"part"] * 5 + [b"close"] and outgoing.queued == 0


@pytest.mark.parametrize("way", ["grant", "press"])
def test_what_waits_behind_a_message_that_was_broken_off_leaves_all_the_same(way: str) -> None:
    wire = Wire(fails_on=b"b")
    outgoing = Outgoing(wire.send)
    lane, other = Lane(), Lane()
    for name in (b"a", b"b", b"c"):
        outgoing.post(lane, (name,), 1, name != b"c")  # a report in parts
    outgoing.post(other, (b"x",), 1, True)
    outgoing.post(other, (b"y",), 1, False)
    with pytest.raises(KeyboardInterrupt):
        outgoing.grant(1000) if way == "grant" else outgoing.press()
    outgoing.post(lane, (b"d",), 1)
    outgoing.grant(1000)
    assert sorted(wire.sent) == [b"a", b"c", b"d", b"x", b"y"] and outgoing.queued == 0
