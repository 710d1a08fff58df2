"""Who is meant: a netport's sessions by id, user and channel, without sockets, loop and clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fireflyzmq.gateways.netport.audience import Audience
from fireflyzmq.gateways.netport.session import SessionCore
from tests.gateways.netport.fakes import FakeClients


class Hall:
    """An audience, whose sessions leave it when they end; the time of day is what the test says."""

    def __init__(self, one_per_user: bool = False) -> None:
        self.now = 1000.0
        self.displaced: list[tuple[str, SessionCore]] = []
        self.clients = FakeClients()
        tell: Callable[[str, SessionCore], None] = lambda *event: self.displaced.append(event)  # noqa: E731
        self.audience = Audience(lambda: self.now, tell if one_per_user else None)
        self.clients.on_end = self.audience.remove

    def enter(self, id: str) -> SessionCore:
        session, _ = self.clients.session(id=id)
        self.audience.add(session)
        return session

    def ids(self, **meant: object) -> list[str]:
        """The ids of who is meant."""
        said = {"sessions": (), "user": None, "channel": None, "everyone": False, **meant}
        return [session.id for session in self.audience.targets(**said)]  # type: ignore[arg-type]


def test_sessions_are_meant_by_id_user_and_channel_each_of_them_once() -> None:
    hall = Hall()
    one, two, three = map(hall.enter, ("net/1", "net/2", "net/3"))
    assert hall.audience.bind(one, "ann") and hall.audience.bind(two, "ann")
    assert hall.audience.join(two, "lobby") and hall.audience.join(three, "lobby")
    assert hall.ids(sessions="net/3") == ["net/3"]
    assert hall.ids(sessions=[one.shown, two, "net/1", "net/9"]) == ["net/1", "net/2"]
    assert hall.ids(user="ann") == ["net/1", "net/2"]
    assert hall.ids(sessions=["net/3"], user="ann", channel="lobby") == ["net/3", "net/1", "net/2"]
    assert hall.ids(everyone=True) == ["net/1", "net/2", "net/3"]
    assert hall.ids() == hall.ids(user="nobody", channel="empty") == []


def test_who_has_ended_is_meant_by_nothing_any_more() -> None:
    hall = Hall()
    session = hall.enter("net/1")
    hall.audience.bind(session, "ann")
    hall.audience.join(session, "lobby")
    session.end("closed")
    assert hall.ids(sessions=["net/1", session], user="ann", channel="lobby") == hall.ids(everyone=True) == []
    assert hall.audience.counts() == {"sessions": 0, "users": 0, "channels": 0}
    assert not hall.audience.bind(session, "ann") and not hall.audience.join(session, "lobby")
    assert hall.audience.counts() == {"sessions": 0, "users": 0, "channels": 0}


def test_a_channel_is_left_once() -> None:
    hall = Hall()
    session = hall.enter("net/1")
    hall.audience.join(session, "lobby")
    assert hall.audience.leave(session, "lobby") and not hall.audience.leave(session, "lobby")
    assert hall.ids(channel="lobby") == []


def test_a_session_is_in_so_many_channels_at_most() -> None:
    hall = Hall()
    session = hall.enter("net/1")
    for number in range(1_000):
        assert hall.audience.join(session, f"channel{number}")
    with pytest.raises(ValueError):
        hall.audience.join(session, "one-more")
    assert hall.audience.join(session, "channel7"), "it is in that one already"


def test_a_user_who_comes_again_closes_the_earlier_session_and_others_hear_of_it() -> None:
    hall = Hall(one_per_user=True)
    first, second, other = map(hall.enter, ("net/1", "net/2", "net/3"))
    hall.audience.bind(other, "bob")
    hall.audience.bind(first, "ann")
    hall.audience.bind(second, "ann")
    assert first.reason == "replaced" and not second.closed and not other.closed
    assert hall.displaced == [("bob", other), ("ann", first), ("ann", second)]
    assert hall.audience.of_user("ann") == [second]


def test_the_later_session_stays_though_the_clock_was_set_back() -> None:
    hall = Hall(one_per_user=True)
    first, second = hall.enter("net/1"), hall.enter("net/2")
    hall.audience.bind(first, "ann")
    hall.now -= 3600
    hall.audience.bind(second, "ann")
    assert first.reason == "replaced" and hall.audience.of_user("ann") == [second]


def test_a_session_that_was_bound_after_the_one_that_displaces_stays() -> None:
    hall = Hall(one_per_user=True)
    session = hall.enter("net1/5")
    hall.audience.bind(session, "ann")
    hall.audience.displace("ann", session.bound_at - 1, "net2/1")
    hall.audience.displace("ann", session.bound_at, "net1/4")
    hall.audience.displace("bob", session.bound_at + 1, "net2/1")
    assert not session.closed
    hall.audience.displace("ann", session.bound_at, "net1/6")
    assert session.reason == "replaced"


def test_a_user_may_have_several_sessions_and_a_session_one_user() -> None:
    hall = Hall()
    one, two = hall.enter("net/1"), hall.enter("net/2")
    hall.audience.bind(one, "ann")
    hall.audience.bind(two, "ann")
    hall.audience.bind(one, "bob")
    assert hall.ids(user="ann") == ["net/2"] and hall.ids(user="bob") == ["net/1"]
    assert hall.audience.counts()["users"] == 2
