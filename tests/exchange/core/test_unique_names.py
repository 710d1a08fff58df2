"""Names that somebody wants alone: who has one, who waits for it, and what being listed under it entitles to."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq.wire.binding import address_of
from fireflyzmq.wire.commands import (
    ANNOUNCE,
    BY_ADDRESS,
    BY_GROUP,
    BY_MEMBER,
    BY_NAME,
    BY_REGISTRY,
    CLOSE,
    EXPEL,
    GRACE,
    JOIN,
    REGISTER,
    WATCH,
    WITHDRAW,
)
from fireflyzmq.wire.frames import encode_control
from tests.drawing import examples
from tests.exchange.core.hand import Core, HandPeer, mentions, secret

TAKEN = ("REJECTED", 1, "taken", "")


def short(messages: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What came, without the reasons that are for people."""
    return [message[:3] + message[4:] if message[0] == "REJECTED" else message for message in messages]


def ask(peer: HandPeer, name: str = "math", groups: dict[str, str] | None = None, **options: Any) -> list[Any]:
    """Register number 1 for a name, alone unless said otherwise; returns what comes."""
    peer.say(REGISTER, 1, secret(repr(peer.key)), name, groups or {}, {"unique": True, **options})
    return short(peer.take())


def registered(peer: HandPeer) -> tuple[Any, ...]:
    return "REGISTERED", 1, address_of(secret(repr(peer.key)))


class Crowd:
    """Peers of an exchange that want one name."""

    def __init__(self, *keys: str) -> None:
        self.core = Core()
        self.peers = {key: self.core.peer(key.encode()) for key in keys}

    def __getitem__(self, key: str) -> HandPeer:
        return self.peers[key]

    @property
    def holders(self) -> list[str]:
        return [str(found.peer.process) for found in self.core.core.directory.find(BY_NAME, "math")]

    def restart(self) -> None:
        """The exchange is another one, which knows nobody."""
        self.core = Core()
        self.peers = {}

    def back(self, key: str, **options: Any) -> list[Any]:
        self.peers[key] = self.core.peer(key.encode())
        return ask(self.peers[key], **options)


@pytest.mark.parametrize("way", ["close", "withdraw", "lost", "goodbye", "refused"])
def test_a_name_is_waited_for_and_had_however_its_holder_goes(way: str) -> None:
    crowd = Crowd("one", "two", "three")
    assert ask(crowd["one"]) == [registered(crowd["one"])]
    assert ask(crowd["two"]) == [TAKEN] and ask(crowd["three"]) == [TAKEN]
    crowd["one"].go(way, 1, "drained")
    assert crowd.holders == ["two"]
    assert crowd["two"].take() == [registered(crowd["two"])] and crowd["three"].take() == []
    crowd["two"].say(CLOSE, 1, "")
    assert crowd.holders == ["three"] and crowd["three"].take() == [registered(crowd["three"])]


def test_who_waits_is_told_by_whom_the_name_is_had_and_is_seen_by_its_address_alone() -> None:
    crowd = Crowd("watcher", "one", "two")
    ask(crowd["one"])
    crowd["two"].say(REGISTER, 1, secret("two"), "math", {"red": ""}, {"unique": True})
    ((_, _, _, problem, _),) = crowd["two"].take()
    assert "'math'" in problem and "one" in problem
    watcher = crowd["watcher"]
    for kind, key in (
        (BY_NAME, "math"),
        (BY_GROUP, "red"),
        (BY_REGISTRY, ""),
        (BY_ADDRESS, address_of(secret("two"))),
    ):
        watcher.say(WATCH, kind, key)
    by_name, by_group, registry, by_address = watcher.take()
    assert len(by_name[3]) == len(registry[3]) == 1 and by_group[3] == []
    assert by_address[3][0][2] == "" and by_address[3][0][6] is False
    crowd["one"].say(CLOSE, 1, "")
    gone, present = watcher.take()
    assert gone[0] == "ABSENT"
    assert present[0] == "PRESENT" and present[1][2:5] == ["math", address_of(secret("two")), {"red": ""}]
    assert present[1][6] is True


def test_who_shares_waits_for_who_does_not_and_they_have_it_together() -> None:
    crowd = Crowd("one", "two", "three")
    ask(crowd["one"])
    assert ask(crowd["two"], unique=False) == ask(crowd["three"], unique=False) == [TAKEN]
    crowd["one"].say(CLOSE, 1, "")
    assert crowd.holders == ["two", "three"]
    crowd["one"].register(2, "other")
    crowd.core.lose(b"one")
    assert crowd.back("one") == [TAKEN]
    crowd.core.lose(b"two")
    assert crowd.holders == ["three"]
    crowd.core.lose(b"three")
    assert crowd.holders == ["one"]


def test_two_services_of_one_peer_wait_for_each_other_as_those_of_two_do() -> None:
    crowd = Crowd("one", "two")
    one = crowd["one"]
    ask(one)
    one.say(REGISTER, 2, secret("second"), "math", {}, {"unique": True})
    assert short(one.take()) == [("REJECTED", 2, "taken", "")]
    assert ask(crowd["two"]) == [TAKEN]
    one.say(CLOSE, 1, "")
    assert one.take() == [("REGISTERED", 2, address_of(secret("second")))] and crowd.holders == ["one"]
    crowd.core.lose(b"one")
    assert crowd.holders == ["two"]


def test_what_a_peer_that_goes_had_is_given_to_no_other_service_of_it() -> None:
    crowd = Crowd("watcher", "one")
    ask(crowd["one"])
    crowd["one"].say(REGISTER, 2, secret("second"), "math", {}, {"unique": True})
    crowd["watcher"].say(WATCH, BY_NAME, "math")
    crowd["watcher"].take()
    crowd.core.lose(b"one")
    assert [message[0] for message in crowd["watcher"].take()] == ["ABSENT"]


def test_a_name_stays_with_an_address_that_moves() -> None:
    crowd = Crowd("one", "two")
    ask(crowd["one"])
    ask(crowd["two"])
    again = crowd.core.peer(b"again")
    again.say(REGISTER, 7, secret(repr(b"one")), "math", {}, {"unique": True})
    assert again.take() == [("REGISTERED", 7, address_of(secret(repr(b"one"))))]
    assert crowd["two"].take() == [] and crowd.holders == ["again"]
    once_more = crowd.core.peer(b"once more")  # without its wish to be the only one
    once_more.say(REGISTER, 7, secret(repr(b"one")), "other", {}, {})
    assert crowd["two"].take() == [registered(crowd["two"])]


def test_who_asks_anew_asks_behind_the_others() -> None:
    crowd = Crowd("one", "two", "three")
    for peer in crowd.peers.values():
        ask(peer)
    crowd["two"].say(ANNOUNCE, 1)
    assert short(crowd["two"].take()) == [TAKEN]
    crowd["one"].say(CLOSE, 1, "")
    assert crowd.holders == ["three"]


# Restarts.


def test_the_holder_keeps_its_name_over_restarts_whoever_comes_first() -> None:
    crowd = Crowd("holder", "first", "second")
    for peer in crowd.peers.values():
        ask(peer)
    for _ in range(30):
        crowd.restart()
        assert crowd.back("second", waiting=True) == [TAKEN]
        crowd.core.expire(GRACE / 2)
        assert crowd.holders == []
        assert crowd.back("holder") == [registered(crowd["holder"])]
        assert crowd.back("first", waiting=True) == [TAKEN]
        crowd.core.expire(GRACE)
        assert crowd.holders == ["holder"] and crowd["first"].take() == crowd["second"].take() == []
    crowd.core.lose(b"holder")
    assert crowd.holders == ["second"]


def test_a_name_whose_holder_does_not_come_back_in_time_goes_to_who_has_waited_longest() -> None:
    crowd = Crowd()
    for key in ("one", "two"):
        assert crowd.back(key, waiting=True) == [TAKEN]
    assert crowd.core.core.next_deadline() == pytest.approx(GRACE)
    crowd.core.expire(GRACE - 0.1)
    assert crowd.holders == []
    crowd.core.expire(0.2)
    assert crowd.holders == ["one"] and crowd["one"].take() == [registered(crowd["one"])]
    assert crowd.back("holder") == [TAKEN]


def test_to_announce_itself_lets_nobody_overtake_who_may_come_back() -> None:
    crowd = Crowd()
    crowd.back("one", waiting=True)
    crowd["one"].say(ANNOUNCE, 1)
    assert short(crowd["one"].take()) == [TAKEN]
    assert crowd.back("holder") == [registered(crowd["holder"])]


@pytest.mark.parametrize("late", [0.0, 0.2, 3.0, 6.0])
def test_after_the_time_to_come_back_having_waited_means_nothing(late: float) -> None:
    """By the time itself: the exchange's own look at the clock comes only when somebody waits."""
    core = Core()
    core.peer(b"first")
    core.now += GRACE + late
    peer = core.peer(b"late")
    peer.say(
        REGISTER, 1, secret("s"), "math", {"red": "child"}, {"waiting": True, "standby": ["red"], "sole": ["red"]}
    )
    assert [message[0] for message in peer.take()] == ["REGISTERED", "JOINED"]


# Names and places.


def test_who_waits_for_its_name_waits_for_its_places_and_has_both_together() -> None:
    crowd = Crowd("one", "two")
    ask(crowd["one"])
    told = ask(crowd["two"], groups={"red": "child", "blue": ""}, sole=["red"])
    assert told == [TAKEN, ("REJECTED", 1, "member", "red")]
    crowd["two"].say(JOIN, 1, "green", "child", {"sole": True})
    assert short(crowd["two"].take()) == [("REJECTED", 1, "member", "green")]
    crowd["one"].say(JOIN, 1, "red", "child", {"sole": True})
    assert crowd["one"].take() == [("JOINED", 1, "red", "child")]
    crowd.core.lose(b"one")
    joined = [("JOINED", 1, "red", "child"), ("JOINED", 1, "green", "child")]
    assert crowd["two"].take() == [registered(crowd["two"]), *joined]
    assert crowd["two"].state.services[1].groups == {"red": "child", "green": "child", "blue": ""}


def test_a_hidden_service_that_waits_for_its_name_gives_the_places_up_that_it_had_under_it() -> None:
    crowd = Crowd("hidden", "one")
    hidden = crowd["hidden"]
    ask(hidden, groups={"red": "child"}, sole=["red"], visible=False)
    assert ask(crowd["one"], groups={"red": "child"}, sole=["red"])[1:] == [("REJECTED", 1, "member", "red")]
    hidden.say(ANNOUNCE, 1)
    assert short(hidden.take()) == [TAKEN, ("REJECTED", 1, "member", "red")]
    assert crowd["one"].take() == [("JOINED", 1, "red", "child")]
    crowd["one"].say(CLOSE, 1, "")
    assert hidden.take() == [registered(hidden), ("JOINED", 1, "red", "child")]


# Rights.


@pytest.mark.parametrize("kind", ["hidden", "refused", "withdrawn", "withdrawn alone", "announced"])
def test_only_who_is_listed_under_a_name_puts_members_out_of_its_group(kind: str) -> None:
    crowd = Crowd("impostor", "gate", "child")
    impostor, child = crowd["impostor"], crowd["child"]
    child.register(1, "game", {"gate": "child"})
    if kind != "refused":
        impostor.register(1, "gate", visible=kind.startswith("withdrawn"))
    if kind.startswith("withdrawn"):
        impostor.say(WITHDRAW, 1, "")
    if kind != "withdrawn alone":
        crowd["gate"].register(1, "gate", unique=True)
    if kind == "refused":
        impostor.say(REGISTER, 1, secret("impostor"), "gate", {}, {})
    if kind == "announced":
        impostor.say(ANNOUNCE, 1)
    impostor.say(EXPEL, 1, child.state.services[1].address, "begone")
    assert child.take() == [] and child.state.services[1].groups == {"gate": "child"}
    if kind != "withdrawn alone":
        crowd["gate"].say(EXPEL, 1, child.state.services[1].address, "begone")
        assert child.take() == [("EXPELLED", 1, "gate", "begone")]


def introduced(peer: HandPeer) -> list[tuple[str, bool]]:
    """The names under which somebody was introduced, and whether as listed."""
    return [(message[1][2], message[1][6]) for message in peer.take() if message[0] == "INTRODUCED"]


def test_who_knows_a_service_hears_when_it_is_listed_and_when_its_name_is_anothers() -> None:
    crowd = Crowd("caller", "callee", "other")
    caller, callee, other = crowd["caller"], crowd["callee"], crowd["other"]
    callee.register(5, "game")
    caller.register(1, "gate", visible=False, unique=True)
    caller.envelope(1, callee.id, 5)
    assert introduced(callee) == [("gate", False)]
    caller.say(ANNOUNCE, 1)
    assert introduced(callee) == [("gate", True)]
    caller.say(WITHDRAW, 1, "drained")
    assert introduced(callee) == [], "it finishes what it has begun"
    other.register(1, "gate", unique=True)
    assert introduced(callee) == [("gate", False)]


def test_who_is_withdrawn_while_others_have_its_name_has_its_rights_no_more() -> None:
    crowd = Crowd("caller", "callee", "other")
    caller, callee = crowd["caller"], crowd["callee"]
    callee.register(5, "game")
    caller.register(1, "gate")
    crowd["other"].register(1, "gate")
    caller.envelope(1, callee.id, 5)
    assert introduced(callee) == [("gate", True)]
    caller.say(WITHDRAW, 1, "drained")
    assert introduced(callee) == [("gate", False)]


def test_of_many_that_share_a_name_one_that_ends_is_not_introduced_anew() -> None:
    crowd = Crowd("caller", "callee", "other")
    caller, callee = crowd["caller"], crowd["callee"]
    callee.register(5, "game")
    for peer in (caller, crowd["other"]):
        peer.register(1, "gate")
    caller.envelope(1, callee.id, 5)
    callee.take()
    crowd.core.lose(b"caller")
    assert [message[0] for message in callee.take()] == ["GONE"]


def test_who_has_its_name_at_last_is_shown_once_with_all_its_groups() -> None:
    crowd = Crowd("watcher", "one", "two")
    ask(crowd["one"])
    ask(crowd["two"], groups={"red": "child", "blue": "child", "green": ""})
    crowd["watcher"].say(WATCH, BY_ADDRESS, crowd["two"].state.services[1].address)
    crowd["watcher"].take()
    crowd.core.lose(b"one")
    ((name, fields, _),) = crowd["watcher"].take()
    assert name == "PRESENT" and fields[4] == {"red": "child", "blue": "child", "green": ""}


def test_who_waits_for_a_name_is_introduced_without_it_until_it_has_it() -> None:
    crowd = Crowd("caller", "callee", "holder")
    caller, callee = crowd["caller"], crowd["callee"]
    callee.register(5, "game")
    ask(crowd["holder"])
    ask(caller)
    caller.envelope(1, callee.id, 5)
    assert introduced(callee) == [("", False)]
    crowd.core.lose(b"holder")
    assert introduced(callee) == [("math", True)]


# What a peer is told.


def test_what_is_read_of_a_peer_that_has_left_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    crowd = Crowd("one", "two")
    one, two = crowd["one"], crowd["two"]
    one.register(1, "caller")
    two.register(1, "math")
    crowd.core.lose(b"one")
    caplog.clear()
    one.envelope(1, two.id, 1)
    one.say(CLOSE, 1, "")
    ((name, code, *_),) = one.take()
    assert (name, code) == ("REFUSED", "protocol"), "once"
    (record,) = [record for record in caplog.records if "refused" in record.getMessage()]
    assert record.levelno == logging.DEBUG and "one" in record.getMessage()
    crowd.core.send(b"stranger", encode_control(CLOSE, 1, ""))
    assert caplog.records[-1].levelno == logging.WARNING


# Whatever happens.

KEYS = [b"one", b"two", b"three"]
NUMBERS = st.integers(1, 2)
steps = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(KEYS), NUMBERS, st.booleans(), st.booleans(), st.booleans()),
    st.tuples(st.sampled_from(["announce", "withdraw", "close"]), st.sampled_from(KEYS), NUMBERS),
    st.tuples(st.sampled_from(["lose", "time"]), st.sampled_from(KEYS)),
)


@given(st.lists(steps, max_size=40))
@settings(max_examples=examples(200), deadline=None)
def test_whatever_happens_each_name_is_had_by_one_or_shared_and_each_peer_knows(said: list[Any]) -> None:
    crowd = Crowd(*(key.decode() for key in KEYS))
    core, peers = crowd.core, {key: crowd[key.decode()] for key in KEYS}
    named: dict[tuple[bytes, int], bool] = {}
    for what, key, *more in said:
        peer = peers[key]
        if what == "register" and more[0] not in peer.state.services:
            number, unique, visible, waiting = more
            options = {"unique": unique, "visible": visible, "waiting": waiting}
            peer.say(REGISTER, number, secret(f"{key!r} {number}"), "math", {"red": "child"}, options)
        elif what in ("announce", "withdraw"):
            peer.say(*((ANNOUNCE, more[0]) if what == "announce" else (WITHDRAW, more[0], "")))
        elif what == "close":
            peer.say(CLOSE, more[0], "")
            named.pop((key, more[0]), None)
        elif what == "lose":
            former = peer.state
            core.lose(key)
            assert mentions(core.core, former) == []
            peers[key] = core.peer(key)
            named = {place: known for place, known in named.items() if place[0] != key}
        elif what == "time":
            core.expire(GRACE / 2)
        for each, other in peers.items():
            for message in other.take():
                if message[0] in ("REGISTERED", "REJECTED") and (message[0] == "REGISTERED" or message[2] == "taken"):
                    named[each, message[1]] = message[0] == "REGISTERED"
        check(core, named)


def check(core: Core, named: dict[tuple[bytes, int], bool]) -> None:
    """Each peer knows whether its services have the name; who has it alone is alone; nobody waits for what is free."""
    services = [service for peer in core.core.peers.values() for service in peer.services.values()]
    listed = core.core.directory.find(BY_NAME, "math")
    assert {id(entry) for entry in listed} == {id(service) for service in services if service.listed}
    assert len(listed) <= 1 or not any(entry.unique for entry in listed)
    for service in services:
        known = named[service.peer.key, service.number]  # type: ignore[index]
        if not service.withdrawn:
            assert known is (not service.waiting)
            assert service.listed is (service.visible and known)
            assert service.name == ("math" if known else "")
    waiting = [service for service in services if service.waiting]
    if waiting and not listed:
        assert core.core.membership.next_deadline() is not None
    members = core.core.directory.find(BY_MEMBER, "red child math")
    assert [entry for entry in members if not entry.listed] == []
