"""Pushes to many: each client gets each push once and in order, a portion of them in a turn."""

from __future__ import annotations

import pytest

from fireflyzmq.errors import Overloaded
from fireflyzmq.gateways.netport.audience import Audience
from fireflyzmq.gateways.netport.codecs.firefly import FireflyCodec
from fireflyzmq.gateways.netport.pushing import Pushing
from tests.gateways.netport.fakes import FakeClients, FakeTransport
from tests.gateways.netport.streams import read

CODEC = FireflyCodec()
A_TURN = 500


class Crowd:
    """So many clients of a netport that pushes."""

    def __init__(self, count: int) -> None:
        self.clients = FakeClients(CODEC)
        self.audience = Audience(lambda: 0.0)
        self.clients.on_end = self.audience.remove
        self.pushing = Pushing(CODEC, self.audience, self.clients.call_later)
        self.transports: list[FakeTransport] = []
        for number in range(count):
            session, transport = self.clients.session(id=f"net/{number}")
            self.audience.add(session)
            self.transports.append(transport)

    def push(self, body: bytes) -> int:
        """Push to everyone."""
        return self.pushing.push(9, body, everyone=True)

    def got(self) -> list[list[bytes]]:
        """What each client got."""
        self.clients.turn()
        return [[body for _, body, _ in read(CODEC.decoder(100), each.writes)] for each in self.transports]


def test_a_few_get_a_push_at_once() -> None:
    crowd = Crowd(A_TURN)
    assert crowd.push(b"now") == A_TURN
    assert crowd.got() == [[b"now"]] * A_TURN and crowd.clients.due() == []


def test_many_get_pushes_in_portions_and_each_all_of_them_in_order() -> None:
    crowd = Crowd(3 * A_TURN)
    for body in (b"a", b"b"):
        assert crowd.push(body) == 3 * A_TURN
    assert crowd.got() == [[b"a"]] * A_TURN + [[]] * 2 * A_TURN
    turns = 0
    while crowd.clients.due():
        crowd.clients.next_turn()
        turns += 1
    assert crowd.got() == [[b"a", b"b"]] * 3 * A_TURN and turns == 6, "the last finds nobody left"


def test_a_push_to_one_does_not_overtake_those_to_many() -> None:
    crowd = Crowd(A_TURN + 1)
    crowd.push(b"all")
    assert crowd.pushing.push(9, b"one", f"net/{A_TURN}") == 1
    crowd.clients.next_turn()
    assert crowd.got()[-1] == [b"all", b"one"]


def test_what_waits_is_written_when_the_netport_ends() -> None:
    crowd = Crowd(2 * A_TURN)
    crowd.push(b"a")
    crowd.push(b"b")
    crowd.pushing.finish()
    assert crowd.got() == [[b"a", b"b"]] * 2 * A_TURN


def test_who_has_ended_meanwhile_gets_nothing_more() -> None:
    crowd = Crowd(A_TURN + 1)
    crowd.push(b"a")
    crowd.audience.by_id[f"net/{A_TURN}"].end("closed")
    crowd.clients.next_turn()
    assert crowd.got()[-1] == []


def test_no_more_pushes_to_many_wait_than_may() -> None:
    crowd = Crowd(A_TURN + 1)
    for _ in range(1_000):
        crowd.push(b"x")
    with pytest.raises(Overloaded):
        crowd.push(b"one too many")


def test_what_does_not_go_into_a_frame_is_pushed_to_nobody() -> None:
    crowd = Crowd(1)
    with pytest.raises(ValueError):
        crowd.pushing.push("no number", b"x", everyone=True)
    with pytest.raises(TypeError):
        crowd.pushing.push(9, object(), everyone=True)
    assert crowd.got() == [[]]
