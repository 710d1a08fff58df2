"""Groups in the exchange: roles, places that only one may have and those who wait for them, who is put out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    LEAVE,
    REGISTER,
    WATCH,
    WITHDRAW,
)
from tests.drawing import examples
from tests.exchange.core.hand import Core, HandPeer, entry, mentions, names, secret

SOLE = {"sole": True}
PLACE = BY_MEMBER, "red child math"


class Place:
    """Some peers with a service each, number 1, all of one name, which want the same place in the group `red`."""

    def __init__(self, *keys: str, **limits: Any) -> None:
        self.core = Core(**limits)
        self.peers = {key: self.core.peer(key.encode()) for key in keys}
        for peer in self.peers.values():
            peer.register(1, "math")

    def __getitem__(self, key: str) -> HandPeer:
        return self.peers[key]

    def join(self, key: str, role: str = "child", **options: Any) -> list[tuple[Any, ...]]:
        """Let one ask for the place, alone if not said otherwise; returns what it is told."""
        self[key].say(JOIN, 1, "red", role, {**SOLE, **options})
        return self[key].take()

    @property
    def holders(self) -> list[str]:
        """Who has the place."""
        keys = [found.peer.key for found in self.core.core.directory.find(*PLACE)]
        return [key.decode() for key in keys if isinstance(key, bytes)]


def waits(number: int = 1, group: str = "red") -> tuple[str, int, str, str]:
    return "REJECTED", number, "member", group


def rejections(messages: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What was rejected, without the reasons that are for people."""
    return [(name, number, code, group) for name, number, code, _, group in messages]


# Roles.


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


@pytest.mark.parametrize("role", ["", "child"])
def test_a_peer_is_told_that_its_service_is_in_the_group(role: str) -> None:
    place = Place("one")
    assert place.join("one", role, sole=False) == [("JOINED", 1, "red", role)]
    assert place["one"].state.services[1].groups == {"red": role}


def test_a_registration_in_groups_is_told_of_those_under_a_role() -> None:
    core = Core()
    peer = core.peer(b"one")
    peer.say(REGISTER, 1, secret("s"), "math", {"red": "child", "blue": "", "green": "root"}, {})
    assert names(peer.take()) == ["REGISTERED", "JOINED", "JOINED"]


def test_members_under_a_role_are_found_by_it_and_by_their_name() -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    math = entry(peer.id, 1, "math", peer.register(1, "math", {"red": "child"}), {"red": "child"})
    peer.register(2, "gate", {"red": "root"})
    peer.register(3, "plain", {"red": ""})
    for key, found in (
        ("red child", [math]),
        ("red child math", [math]),
        ("red child gate", []),
        ("blue child", []),
    ):
        watcher.say(WATCH, BY_MEMBER, key)
        assert watcher.take() == [("STATE", BY_MEMBER, key, found, True)]


def test_a_nameless_member_is_found_under_its_role() -> None:
    core = Core()
    peer = core.peer(b"peer")
    peer.register(1, "", {"red": "child"})
    assert len(core.core.directory.find(BY_MEMBER, "red child")) == 1
    assert len(core.core.directory.find(BY_MEMBER, "red child ")) == 1


@pytest.mark.parametrize("key", ["red child", "red child math"])
def test_who_watches_a_role_hears_who_takes_and_who_gives_it_up(key: str) -> None:
    place = Place("watcher", "one")
    watcher = place["watcher"]
    watcher.say(WATCH, BY_MEMBER, key)
    watcher.take()
    place.join("one", "root")
    assert watcher.take() == []
    place.join("one", "child")
    ((name, fields, reason),) = watcher.take()
    assert (name, fields[4], reason) == ("PRESENT", {"red": "child"}, "")
    place["one"].say(LEAVE, 1, "red")
    ((name, fields, reason),) = watcher.take()
    assert (name, fields[4], reason) == ("PRESENT", {}, "left")


# Places.


def test_a_place_that_is_taken_is_waited_for_and_had_when_it_is_free() -> None:
    place = Place("watcher", "one", "two")
    place["watcher"].say(WATCH, *PLACE)
    place["watcher"].take()
    assert place.join("one") == [("JOINED", 1, "red", "child")]
    told = place.join("two")
    assert rejections(told) == [waits()] and "taken by one" in told[0][3]
    assert place.holders == ["one"] and place["two"].state.services[1].groups == {}
    place["one"].say(LEAVE, 1, "red")
    assert place.holders == ["two"] and place["two"].take() == [("JOINED", 1, "red", "child")]
    assert [(message[1][0], message[1][4]) for message in place["watcher"].take()] == [
        (place["one"].id, {"red": "child"}),
        (place["one"].id, {}),
        (place["two"].id, {"red": "child"}),
    ]


@pytest.mark.parametrize("way", ["leave", "another role", "no role", "withdraw", "close", "lost", "moved", "refused"])
def test_a_place_becomes_free_however_its_holder_goes(way: str) -> None:
    place = Place("one", "two")
    place.join("one")
    place.join("two")
    one = place["one"]
    if way == "leave":
        one.say(LEAVE, 1, "red")
    elif way == "another role":
        assert place.join("one", "root") == [("JOINED", 1, "red", "root")]
    elif way == "no role":
        assert place.join("one", "") == [("JOINED", 1, "red", "")]
    elif way == "moved":
        place["two"].say(REGISTER, 2, secret(f"{b'one'!r} 1"), "gate", {}, {})
    else:
        one.go(way, 1)
    assert place.holders == ["two"] and ("JOINED", 1, "red", "child") in place["two"].take()


def test_a_place_stays_with_an_address_that_moves() -> None:
    place = Place("one", "two", "three")
    for key in place.peers:
        place.join(key)
    again = place.core.peer(b"again")
    again.say(REGISTER, 1, secret(f"{b'one'!r} 1"), "math", {"red": "child"}, {"sole": ["red"]})
    assert names(again.take()) == ["REGISTERED", "JOINED"]
    assert place.holders == ["again"] and "JOINED" not in names(place["two"].take())
    again.say(LEAVE, 1, "red")
    assert place.holders == ["two"] and names(place["two"].take()) == ["JOINED"]


def test_a_place_that_an_address_shares_after_it_moved_is_had_by_those_that_waited() -> None:
    place = Place("one", "two", "three")
    place.join("one")
    place.join("two", sole=False)
    again = place.core.peer(b"again")
    again.say(REGISTER, 1, secret(f"{b'one'!r} 1"), "math", {"red": "child"}, {})
    assert place.holders == ["again", "two"] and names(place["two"].take()) == ["JOINED"]


def test_an_address_that_moves_while_it_waits_waits_on() -> None:
    place = Place("one", "two")
    for key in place.peers:
        place.join(key)
    again = place.core.peer(b"again")
    again.say(REGISTER, 1, secret(f"{b'two'!r} 1"), "math", {"red": "child"}, {"sole": ["red"], "standby": ["red"]})
    assert rejections(again.take()[1:]) == [waits()] and place.holders == ["one"]
    place.core.lose(b"one")
    assert place.holders == ["again"]


def test_places_are_given_in_the_order_of_asking() -> None:
    place = Place("one", "two", "three", "four")
    for key in place.peers:
        place.join(key)
    assert rejections(place.join("two")) == [waits()]  # anew, so behind the others
    for holder in ("one", "three", "four"):
        assert place.holders == [holder]
        place.core.lose(holder.encode())
    assert place.holders == ["two"]


@pytest.mark.parametrize("way", ["leave", "close", "withdraw", "lost", "another role", "expelled"])
def test_who_waits_no_longer_is_given_nothing(way: str) -> None:
    place = Place("one", "two", "three")
    for key in place.peers:
        place.join(key)
    two = place["two"]
    two.take()
    if way == "leave":
        two.say(LEAVE, 1, "red")
    elif way == "another role":
        place.join("two", "root")
    elif way == "expelled":
        place["one"].register(2, "red")
        place["one"].say(EXPEL, 2, two.state.services[1].address, "dropped")
        assert two.take() == [("EXPELLED", 1, "red", "dropped")]
    else:
        two.go(way, 1)
    place["one"].say(LEAVE, 1, "red")
    assert place.holders == ["three"] and "JOINED" not in names(two.take())


def test_a_place_is_one_of_a_name_a_role_and_a_group() -> None:
    place = Place("one")
    other = place.core.peer(b"other")
    other.register(1, "gate")
    other.register(2, "math")
    place.join("one")
    other.say(JOIN, 1, "red", "child", SOLE)
    other.say(JOIN, 2, "red", "root", SOLE)
    other.say(JOIN, 2, "blue", "child", SOLE)
    assert other.take() == [
        ("JOINED", 1, "red", "child"),
        ("JOINED", 2, "red", "root"),
        ("JOINED", 2, "blue", "child"),
    ]


def test_without_a_role_nobody_waits() -> None:
    place = Place("one", "two")
    assert names(place.join("one", "")) == names(place.join("two", "")) == ["JOINED"]
    assert len(place.core.core.directory.find(BY_GROUP, "red")) == 2


def test_those_who_share_share_a_place_and_wait_for_one_who_does_not() -> None:
    place = Place("one", "two", "three", "four")
    assert names(place.join("one", sole=False)) == names(place.join("two", sole=False)) == ["JOINED"]
    assert rejections(place.join("three")) == [waits()]
    assert names(place.join("four", sole=False)) == ["JOINED"]
    for key in ("one", "two", "four"):
        assert place["three"].take() == []
        place[key].say(LEAVE, 1, "red")
    assert place.holders == ["three"] and names(place["three"].take()) == ["JOINED"]
    assert rejections(place.join("one", sole=False)) == [waits()]


def test_all_who_share_have_a_place_together_when_it_becomes_free() -> None:
    place = Place("one", "two", "three")
    place.join("one")
    place.join("two", sole=False)
    place.join("three", sole=False)
    place.core.lose(b"one")
    assert place.holders == ["two", "three"]


def test_who_shares_its_place_from_now_on_lets_those_in_that_waited() -> None:
    place = Place("one", "two")
    place.join("one")
    place.join("two", sole=False)
    assert place.join("one", sole=False) == [("JOINED", 1, "red", "child")]
    assert place["two"].take() == [("JOINED", 1, "red", "child")]


def test_who_wants_a_shared_place_alone_leaves_it_and_waits() -> None:
    place = Place("one", "two")
    place.join("one", sole=False)
    place.join("two", sole=False)
    assert rejections(place.join("one")) == [waits()] and place.holders == ["two"]
    place["two"].say(LEAVE, 1, "red")
    assert place.holders == ["one"]


def test_who_changes_to_a_role_that_is_taken_leaves_the_group_and_waits() -> None:
    place = Place("one", "two")
    place.join("one")
    place.join("two", "root")
    assert rejections(place.join("two", "child")) == [waits()]
    assert place["two"].state.services[1].groups == {} and place["two"].state.services[1].waits == {"red": "child"}
    assert place.core.core.directory.find(BY_GROUP, "red") == [place["one"].state.services[1]]


def test_joining_anew_what_one_has_changes_nothing_for_others() -> None:
    place = Place("watcher", "one", "two")
    place["watcher"].say(WATCH, BY_GROUP, "red")
    place.join("one")
    place.join("two")
    place["watcher"].take()
    assert place.join("one") == [("JOINED", 1, "red", "child")]
    assert place["watcher"].take() == place["two"].take() == [] and place.holders == ["one"]


def test_a_registration_waits_for_its_places_and_has_the_others() -> None:
    place = Place("one")
    two = place.core.peer(b"two")
    place.join("one")
    wanted = {"red": "child", "blue": "child", "green": ""}
    two.say(REGISTER, 1, secret("two"), "math", wanted, {"sole": ["red", "blue"]})
    registered, joined, *rejected = two.take()
    assert registered[0] == "REGISTERED" and joined == ("JOINED", 1, "blue", "child")
    assert rejections(rejected) == [waits()]
    assert two.state.services[1].groups == {"blue": "child", "green": ""}
    place.core.lose(b"one")
    assert two.take() == [("JOINED", 1, "red", "child")]
    assert two.state.services[1].groups == wanted


@pytest.mark.parametrize("nonsense", [True, "red", {"red": True}, None, 7, ["blue"], ["red", 7], [None]])
@pytest.mark.parametrize("option", ["sole", "standby"])
def test_a_registration_whose_groups_make_no_sense_is_rejected_with_the_option_named(
    option: str, nonsense: Any
) -> None:
    core = Core()
    peer = core.peer(b"one")
    peer.say(REGISTER, 1, secret("s"), "math", {"red": "child"}, {option: nonsense})
    ((name, number, code, problem, group),) = peer.take()
    assert (name, number, code, group) == ("REJECTED", 1, "illegal", "")
    assert option in problem and "array of texts" in problem
    options: dict[str, Any] = {option: ["red"]}
    peer.register(1, "math", {"red": "child"}, **options)


NO_BOOLEANS: list[Any] = [None, 0, 1, "yes", "", b"", [], {}, 1.0]


@pytest.mark.parametrize("nonsense", NO_BOOLEANS, ids=repr)
@pytest.mark.parametrize("option", ["visible", "unique", "notices", "waiting"])
def test_a_registration_with_an_option_that_is_no_boolean_is_rejected(option: str, nonsense: Any) -> None:
    core = Core()
    peer = core.peer(b"one")
    peer.say(REGISTER, 1, secret("s"), "math", {}, {option: nonsense})
    ((name, number, code, problem, _),) = peer.take()
    assert (name, number, code) == ("REJECTED", 1, "illegal") and option in problem and "boolean" in problem
    assert core.core.directory.find(BY_NAME, "math") == [] and peer.state.services == {}


@pytest.mark.parametrize("nonsense", NO_BOOLEANS, ids=repr)
@pytest.mark.parametrize("option", ["sole", "standby"])
def test_to_join_with_an_option_that_is_no_boolean_is_rejected(option: str, nonsense: Any) -> None:
    place = Place("one")
    place.join("one", "root", sole=False)
    place["one"].say(JOIN, 1, "red", "child", {option: nonsense})
    ((name, number, code, problem, group),) = place["one"].take()
    assert (name, number, code, group) == ("REJECTED", 1, "group", "red") and option in problem
    assert place["one"].state.services[1].groups == {"red": "root"}, "it is as it was"


def test_a_group_that_is_waited_for_counts_among_the_groups_and_may_be_asked_for_again() -> None:
    place = Place("one", "two", groups_per_service=2)
    place.join("one")
    two = place["two"]
    two.say(JOIN, 1, "blue", "", {})
    two.take()
    assert rejections(place.join("two")) == [waits()]
    two.say(JOIN, 1, "green", "", {})
    assert rejections(two.take()) == [("REJECTED", 1, "group", "green")]
    assert rejections(place.join("two")) == [waits()]
    assert place.join("two", "root") == [("JOINED", 1, "red", "root")]


def test_partners_hear_of_a_place_that_a_service_has_got() -> None:
    place = Place("one", "two")
    place.join("one")
    place.join("two")
    place["two"].envelope(1, place["one"].id, 1)
    place["one"].take()
    place["one"].say(LEAVE, 1, "red")
    introduced = [message for message in place["one"].take() if message[0] == "INTRODUCED"]
    assert [message[1][4] for message in introduced] == [{"red": "child"}]


def test_what_a_peer_that_goes_had_is_given_to_no_other_service_of_it() -> None:
    place = Place("watcher", "one", "two")
    place["watcher"].say(WATCH, BY_GROUP, "red")
    one = place["one"]
    place.join("one")
    for number in (2, 3):
        one.register(number, "math")
        one.say(JOIN, number, "red", "child", SOLE)
    place.join("two")
    one.take()
    place["watcher"].take()
    place.core.lose(b"one")
    assert one.take() == [] and place.holders == ["two"]
    assert [(message[0], message[1][0]) for message in place["watcher"].take() if message[0] == "PRESENT"] == [
        ("PRESENT", place["two"].id)
    ]


def test_a_hidden_service_has_its_place_though_nobody_finds_it() -> None:
    place = Place("one")
    hidden = place.core.peer(b"hidden")
    hidden.register(1, "math", visible=False)
    hidden.say(JOIN, 1, "red", "child", SOLE)
    assert hidden.take() == [("JOINED", 1, "red", "child")] and place.holders == []
    assert rejections(place.join("one")) == [waits()]


# Put out.


def test_a_service_puts_a_member_out_of_the_group_of_its_name() -> None:
    place = Place("watcher", "one", "two")
    place["watcher"].say(WATCH, BY_GROUP, "red")
    place.join("one")
    place.join("two")
    place["watcher"].take()
    root = place.core.peer(b"root")
    root.register(7, "red")
    address = place["one"].state.services[1].address
    root.say(EXPEL, 7, address, "dropped")
    assert place["one"].take() == [("EXPELLED", 1, "red", "dropped")] and root.take() == []
    assert place.holders == ["two"]
    gone, taken = place["watcher"].take()
    assert gone == ("PRESENT", entry(place["one"].id, 1, "math", address, {}), "dropped")
    assert taken[1][4] == {"red": "child"} and taken[2] == ""
    assert rejections(place.join("one")) == [waits()]


@pytest.mark.parametrize("who", ["another name", "nameless", "not there", "refused its name"])
def test_nobody_else_puts_a_member_out(who: str) -> None:
    place = Place("one")
    place.join("one")
    root = place.core.peer(b"root")
    if who == "another name":
        root.register(7, "blue")
    elif who == "nameless":
        root.register(7, "")
    elif who == "refused its name":
        place.core.peer(b"other").register(1, "red", unique=True)
        root.say(REGISTER, 7, secret("root"), "red", {}, {})
        assert root.take()[0][2] == "taken"
    root.say(EXPEL, 7, place["one"].state.services[1].address, "dropped")
    assert place["one"].take() == root.take() == [] and place.holders == ["one"]


def test_putting_somebody_out_who_is_not_in_says_nothing() -> None:
    place = Place("one")
    root = place.core.peer(b"root")
    root.register(7, "red")
    for address in (place["one"].state.services[1].address, "nobody's", ""):
        root.say(EXPEL, 7, address, "dropped")
    assert place["one"].take() == root.take() == []


# After a restart.


def back_after_a_restart(place: Place, key: str, standby: bool = False, **options: Any) -> list[tuple[Any, ...]]:
    """Somebody registers again who wanted the place, and perhaps waited for it; returns what it is told of it."""
    peer = place.peers[key] = place.core.peer(key.encode())
    options = {"sole": ["red"], "standby": ["red"] if standby else [], **options}
    peer.say(REGISTER, 1, secret(key), "math", {"red": "child"}, options)
    return peer.take()[1:]


def test_who_had_a_place_before_a_restart_has_it_after_though_the_other_comes_first() -> None:
    place = Place()
    (told,) = back_after_a_restart(place, "waited", standby=True)
    assert rejections([told]) == [waits()] and "kept for who had it before" in told[3]
    assert back_after_a_restart(place, "had") == [("JOINED", 1, "red", "child")]
    place.core.expire(GRACE + 0.1)
    assert place.holders == ["had"] and place["waited"].take() == []
    place.core.lose(b"had")
    assert place.holders == ["waited"]


def test_who_waited_has_the_place_when_its_holder_does_not_come_back_in_time() -> None:
    place = Place()
    back_after_a_restart(place, "waited", standby=True)
    assert place.core.core.next_deadline() == pytest.approx(GRACE)
    place.core.expire(GRACE - 0.1)
    assert place.holders == []
    place.core.expire(0.2)
    assert place.holders == ["waited"] and place["waited"].take() == [("JOINED", 1, "red", "child")]
    assert place.core.core.next_deadline() is None
    assert rejections(back_after_a_restart(place, "had")) == [waits()]


def test_several_who_waited_have_the_place_in_their_order() -> None:
    place = Place()
    for key in ("first", "second"):
        back_after_a_restart(place, key, standby=True)
    place.core.expire(GRACE + 0.1)
    assert place.holders == ["first"]
    place.core.lose(b"first")
    assert place.holders == ["second"]


@pytest.mark.parametrize("way", ["lost", "leave"])
def test_one_who_waited_and_goes_does_not_let_another_in_too_early(way: str) -> None:
    place = Place()
    for key in ("first", "second"):
        back_after_a_restart(place, key, standby=True)
    if way == "lost":
        place.core.lose(b"first")
    else:
        place["first"].say(LEAVE, 1, "red")
    assert place.holders == []
    assert names(back_after_a_restart(place, "had")) == ["JOINED"]


def test_who_had_the_place_and_leaves_it_in_time_makes_room_at_once() -> None:
    place = Place()
    back_after_a_restart(place, "waited", standby=True)
    back_after_a_restart(place, "had")
    place["had"].say(LEAVE, 1, "red")
    assert place.holders == ["waited"]


def test_the_time_to_come_back_begins_with_the_first_peer_and_once() -> None:
    core = Core(operator=b"operator")
    core.peer(b"operator")
    core.now = 100.0
    place = Place()
    place.core = core
    back_after_a_restart(place, "waited", standby=True)
    core.expire(GRACE - 0.1)
    assert place.holders == []
    core.peer(b"late")
    core.expire(0.2)
    assert place.holders == ["waited"]


def test_later_waiting_before_means_nothing() -> None:
    place = Place()
    place.core.peer(b"first")
    place.core.expire(GRACE + 0.1)
    assert back_after_a_restart(place, "waited", standby=True) == [("JOINED", 1, "red", "child")]


def test_a_group_joined_by_itself_may_have_been_waited_for_too() -> None:
    place = Place("one")
    assert rejections(place.join("one", standby=True)) == [waits()]
    place.core.expire(GRACE + 0.1)
    assert place.holders == ["one"]


def test_nobody_waiting_nothing_is_due() -> None:
    place = Place("one")
    assert place.core.core.next_deadline() is None
    place.join("one")
    assert place.core.core.next_deadline() is None


# Announced.


def test_a_hidden_service_is_found_when_it_is_announced() -> None:
    core = Core()
    watcher, peer = core.peer(b"watcher"), core.peer(b"peer")
    address = peer.register(1, "math", {"red": "child"}, visible=False)
    for kind, key in ((BY_NAME, "math"), (BY_GROUP, "red"), PLACE, (BY_REGISTRY, ""), (BY_ADDRESS, address)):
        watcher.say(WATCH, kind, key)
    watcher.take()
    peer.say(ANNOUNCE, 1)
    assert watcher.take() == [("PRESENT", entry(peer.id, 1, "math", address, {"red": "child"}), "")]
    peer.say(ANNOUNCE, 1)
    assert watcher.take() == peer.take() == []
    assert len(core.core.directory.find(BY_NAME, "math")) == len(core.core.directory.find(*PLACE)) == 1


def test_announcing_who_is_not_hidden_or_not_there_changes_nothing() -> None:
    core = Core()
    peer = core.peer(b"peer")
    peer.register(1, "math")
    peer.say(ANNOUNCE, 1)
    peer.say(ANNOUNCE, 2)
    assert peer.take() == [] and len(core.core.directory.find(BY_NAME, "math")) == 1


def test_a_hidden_service_whose_name_is_taken_meanwhile_waits_for_it() -> None:
    core = Core()
    one, two = core.peer(b"one"), core.peer(b"two")
    address = one.register(1, "math", visible=False)
    two.register(1, "math", unique=True)
    one.say(ANNOUNCE, 1)
    ((name, number, code, _, group),) = one.take()
    assert (name, number, code, group) == ("REJECTED", 1, "taken", "")
    assert [found.peer.key for found in core.core.directory.find(BY_NAME, "math")] == [b"two"]
    core.lose(b"two")
    assert one.take() == [("REGISTERED", 1, address)]
    assert [found.peer.key for found in core.core.directory.find(BY_NAME, "math")] == [b"one"]


def test_a_hidden_service_asks_for_its_name_when_it_is_announced() -> None:
    core = Core()
    one, two = core.peer(b"one"), core.peer(b"two")
    two.register(1, "math", unique=True)
    one.register(1, "math", {"red": ""}, visible=False)
    for _ in range(2):
        one.say(ANNOUNCE, 1)
        assert rejections(one.take()) == [("REJECTED", 1, "taken", "")]
    assert core.core.directory.find(BY_GROUP, "red") == [] and len(core.core.directory.find(BY_REGISTRY, "")) == 1


def test_a_withdrawn_service_that_is_announced_is_still_not_found() -> None:
    core = Core()
    peer = core.peer(b"peer")
    peer.register(1, "math", visible=False)
    peer.say(WITHDRAW, 1, "")
    peer.say(ANNOUNCE, 1)
    assert core.core.directory.find(BY_NAME, "math") == core.core.directory.find(BY_REGISTRY, "") == []


# What is left behind.


@pytest.mark.parametrize("way", ["lost", "refused"])
def test_no_table_mentions_a_peer_that_had_places_and_waited_for_others(way: str) -> None:
    place = Place("one", "two")
    place.join("one")
    place.join("two")
    place["two"].say(JOIN, 1, "blue", "child", SOLE)
    place["one"].say(JOIN, 1, "blue", "child", SOLE)
    former = place["one"].state
    if way == "lost":
        place.core.lose(b"one")
    else:
        place.core.send(b"one", b"\xff")
    assert mentions(place.core.core, former) == []
    place.core.lose(b"two")
    claims = place.core.core.membership._claims
    assert claims.waiting == {} and not claims._held
    assert vars(place.core.core.directory) == vars(Core().core.directory)


peers_and_numbers = st.tuples(st.sampled_from([b"one", b"two", b"three"]), st.integers(1, 3))
roles = st.sampled_from(["", "child", "root"])
groups = st.sampled_from(["math", "blue"])
options = st.fixed_dictionaries({}, optional={"sole": st.booleans(), "standby": st.booleans()})
steps = st.one_of(
    st.tuples(st.just(JOIN), peers_and_numbers, groups, roles, options),
    st.tuples(st.just(LEAVE), peers_and_numbers, groups),
    st.tuples(st.just(WITHDRAW), peers_and_numbers, st.just("")),
    st.tuples(st.just(CLOSE), peers_and_numbers, st.just("")),
    st.tuples(st.just(REGISTER), peers_and_numbers, st.dictionaries(groups, roles), st.booleans()),
    st.tuples(st.just(EXPEL), peers_and_numbers, peers_and_numbers),
    st.tuples(st.sampled_from(["lose", "expire"]), peers_and_numbers),
)


@given(st.lists(steps, max_size=40))
@settings(max_examples=examples(200), deadline=None)
def test_whatever_happens_each_place_is_had_by_one_or_shared_and_each_peer_knows(said: list[Any]) -> None:
    core = Core()
    peers = {key: core.peer(key) for key in (b"one", b"two", b"three")}
    known: dict[tuple[bytes, int], dict[str, str]] = {}

    def learn() -> None:
        for key, peer in peers.items():
            for message in peer.take():
                if message[0] == "JOINED":
                    known[key, message[1]][message[2]] = message[3]
                elif message[0] == "EXPELLED" or message[:1] + message[2:3] == ("REJECTED", "member"):
                    known[key, message[1]].pop(message[4 if message[0] == "REJECTED" else 2], None)

    for command, (key, number), *fields in said:
        peer = peers[key]
        if command == "lose":
            core.lose(key)
            peers[key] = core.peer(key)
            known = {place: groups for place, groups in known.items() if place[0] != key}
        elif command == "expire":
            core.expire(1.0)
        elif command == REGISTER:
            wanted, sole = fields
            if number not in peer.state.services:
                known[key, number] = {group: role for group, role in wanted.items() if not role}
                options = {"sole": list(wanted) if sole else []}
                peer.say(REGISTER, number, secret(f"{key!r} {number}"), "math", wanted, options)
        elif command == EXPEL:
            ((other, member),) = fields
            known_there = peers[other].state.services.get(member)
            if known_there is not None and number in peer.state.services:
                peer.say(EXPEL, number, known_there.address, "dropped")
        else:
            if command in (JOIN, LEAVE) and (key, number) in known:
                known[key, number].pop(fields[0], None)
            peer.say(command, number, *fields)
            if command == CLOSE:
                known.pop((key, number), None)
        learn()
        directory = core.core.directory
        claims = core.core.membership._claims
        for each in core.core.peers.values():
            for service in each.services.values():
                assert isinstance(each.key, bytes) and service.groups == known[each.key, service.number]
                assert not set(service.groups) & set(service.waits)
        for place in directory.keys(BY_MEMBER):
            held = claims._held.get(place, {})
            if place.count(" ") == 2:
                assert {found.address for found in directory.find(BY_MEMBER, place)} == {
                    holder.address for holder in held
                }
            assert len(held) <= 1 or not any(held.values())
