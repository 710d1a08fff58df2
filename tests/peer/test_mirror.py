"""What a peer makes of what the exchange says of a service, without a machine."""

from __future__ import annotations

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
