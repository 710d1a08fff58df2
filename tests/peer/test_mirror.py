"""What a peer makes of what the exchange says of a service, without a machine."""

from __future__ import annotations

import pytest

from fireflyzmq.peer.local import LocalService, SilentOwner
from fireflyzmq.peer.mirror import Mirror
from fireflyzmq.peer.presence import Presence, Status
from fireflyzmq.peer.records import Instance, Target
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS, BY_GROUP, BY_MEMBER, BY_NAME, BY_REGISTRY

ADDRESS = f"{1:032x}"


class Watched:
    """A mirror with some targets, and what those who subscribed to them have been told, in order."""

    def __init__(self, *watched: tuple[int, str]) -> None:
        self.told: list[tuple[str, str | None, str]] = []
        self.mirror = Mirror(lambda target: None)
        self.targets = [self.mirror.add(kind, key, known=True) for kind, key in watched]
        for target in self.targets:
            self.observe(target)

    def observe(self, target: Target) -> None:
        def tell(binding: Binding, group: str | None, status: Status) -> None:
            self.told.append((target.key, group, status.reason if status else "came"))

        target.presences.append(Presence(target, tell))

    def present(self, peer: bytes, groups: dict[str, str], listed: bool = True) -> Instance:
        """Let the exchange say that the service is there, at a peer and in groups."""
        instance = Instance(peer, 1, Binding("math", ADDRESS, tuple(sorted(groups))), groups, listed)
        self.mirror.present(instance)
        return instance

    def take(self) -> list[tuple[str, str | None, str]]:
        told, self.told = self.told, []
        return told


def test_a_service_that_is_elsewhere_leaves_and_joins_where_it_was_not_and_stays_where_it_was() -> None:
    watched = Watched((BY_NAME, "math"), (BY_ADDRESS, ADDRESS), (BY_GROUP, "red"), (BY_MEMBER, "blue child"))
    by_name, by_address, red, blue = watched.targets
    former = watched.present(b"former--", {"red": ""})
    assert watched.take() == [(ADDRESS, None, "came"), ("math", None, "came"), ("red", None, "came")]

    instance = watched.present(b"latter--", {"blue": "child"})
    assert watched.take() == [("red", None, "left"), ("blue child", None, "came")]
    assert [target.ready for target in (by_name, by_address, red, blue)] == [[instance], [instance], [], [instance]]
    assert watched.mirror.instance(ADDRESS) is instance and not former.placed


def test_the_registry_is_told_of_the_groups_alone_when_a_service_is_elsewhere() -> None:
    watched = Watched((BY_REGISTRY, ""))
    watched.present(b"former--", {"red": ""})
    watched.take()
    watched.present(b"latter--", {"blue": ""})
    assert watched.take() == [("", "red", "left"), ("", "blue", "came")]


def test_a_service_that_is_hidden_elsewhere_is_found_by_its_address_alone() -> None:
    watched = Watched((BY_NAME, "math"), (BY_ADDRESS, ADDRESS))
    watched.present(b"former--", {})
    watched.take()
    instance = watched.present(b"latter--", {}, listed=False)
    assert watched.take() == [("math", None, "left")]
    assert [target.ready for target in watched.targets] == [[], [instance]]


def local(name: str = "near") -> LocalService:
    return LocalService(1, name, SilentOwner(), bytes(16))


def test_what_is_watched_twice_is_one_target() -> None:
    watched = Watched((BY_NAME, "math"))
    assert watched.mirror.add(BY_NAME, "math", known=False) is watched.targets[0]


def test_what_nothing_watches_any_more_is_forgotten() -> None:
    watched = Watched((BY_NAME, "math"), (BY_GROUP, "red"))
    instance = watched.present(b"peer----", {"red": ""})
    for target, known in zip(watched.targets, (instance, None), strict=True):
        watched.mirror.drop(target)
        assert watched.mirror.instance(ADDRESS) is known
    assert not instance.placed and watched.mirror.targets() == []


def test_a_local_service_is_there_whatever_watches_it() -> None:
    watched = Watched((BY_NAME, "near"))
    service = local()
    watched.mirror.show(service)
    watched.mirror.drop(watched.targets[0])
    address = service.binding.address
    assert watched.mirror.instance(address) is not None
    for _ in range(2):
        watched.mirror.remove_local(address, "goodbye")
    assert watched.mirror.instance(address) is None


def test_what_the_exchange_says_of_a_local_service_is_known_better_here() -> None:
    watched = Watched((BY_NAME, "near"))
    service = local()
    watched.mirror.show(service)
    elsewhere = Instance(b"peer----", 1, service.binding, {}, True)
    watched.mirror.present(elsewhere)
    assert [instance.local for instance in watched.targets[0].ready] == [True]


def test_who_is_not_in_the_answer_to_a_watch_is_lost() -> None:
    watched = Watched((BY_NAME, "math"), (BY_GROUP, "red"))
    instance = watched.present(b"peer----", {"red": ""})
    watched.take()
    watched.mirror.state(BY_NAME, "math", [], last=True, keep_missing=False)
    assert watched.take() == [("math", None, "lost")] and watched.mirror.instance(ADDRESS) is instance
    watched.mirror.state(BY_GROUP, "red", [], last=True, keep_missing=False)
    assert watched.take() == [("red", None, "lost")] and watched.mirror.instance(ADDRESS) is None
    watched.mirror.state(BY_NAME, "unwatched", [instance], last=True, keep_missing=False)
    assert watched.mirror.instance(ADDRESS) is None


@pytest.mark.parametrize("reason", ["lost", "moved"])
def test_who_is_lost_while_an_exchange_comes_back_may_come_back_as_well(reason: str) -> None:
    watched = Watched((BY_NAME, "math"))
    watched.mirror.lost()
    watched.present(b"peer----", {})
    watched.take()
    watched.mirror.absent(ADDRESS, reason)
    (target,) = watched.targets
    assert watched.take() == [] and target.ready == [] and list(target.unconfirmed) == [ADDRESS]
    watched.present(b"other---", {})
    assert watched.take() == [] and len(target.ready) == 1 and not target.unconfirmed


def test_who_is_lost_while_an_exchange_comes_back_is_told_to_be_when_that_is_over() -> None:
    watched = Watched((BY_NAME, "math"))
    watched.mirror.lost()
    watched.present(b"peer----", {})
    watched.mirror.absent(ADDRESS, "lost")
    watched.take()
    watched.mirror.confirm()
    assert watched.take() == [("math", None, "lost")]


def test_who_has_left_while_the_connection_was_lost_is_told_to_have() -> None:
    watched = Watched((BY_NAME, "math"), (BY_GROUP, "red"))
    watched.present(b"peer----", {})
    watched.mirror.lost()
    watched.take()
    watched.mirror.absent(ADDRESS, "drained")
    assert watched.take() == [("math", None, "drained")] and not watched.targets[0].unconfirmed


def test_who_was_never_told_to_be_there_is_not_told_to_be_gone() -> None:
    watched = Watched((BY_NAME, "math"))
    instance = watched.present(b"peer----", {})
    watched.targets[0].presences.clear()
    watched.observe(watched.targets[0])
    watched.take()
    watched.mirror.absent(instance.binding.address, "goodbye")
    assert watched.take() == []


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (Status(0), "SERVICE_AVAILABLE"),
        (Status(1), "SERVICE_WITHDRAWN"),
        (Status(1, "lost"), "SERVICE_WITHDRAWN (lost)"),
    ],
)
def test_a_status_shows_its_name_and_its_reason(status: Status, shown: str) -> None:
    assert repr(status) == shown
