"""Functions that are decorated for roots and children, collected by the nodes that are made."""

from __future__ import annotations

import pytest

from fireflyzmq import Child, MethodUnavailable, Root, remoteserviceHandle, rootserviceHandle
from tests.api.places import Place

pytestmark = pytest.mark.usefixtures("no_handlers")


def test_decorated_functions_are_collected_when_the_nodes_are_made(place: Place) -> None:
    def for_children(a: int) -> int:
        return a + 1

    assert rootserviceHandle(for_children) is for_children

    @remoteserviceHandle("gate")
    def printOK_7(text: str) -> str:
        return text.upper()

    assert printOK_7("a") == "A"
    gate = place._make(Root, place._callers, "gate")
    game = place.server_of(Child, "game", root="gate")
    place.settle()

    assert place.run(game.callRemote("for_children", 1)) == 2
    assert place.run(gate.callChild("game", "printOK_7", "ok")) == "OK"
    assert place.run(gate.callChild("game", 7, "ok")) == "OK"
    assert isinstance(place.failure(place.endpoint("game").printOK_7("ok")), MethodUnavailable)


def test_functions_decorated_later_are_exported_at_once(place: Place) -> None:
    gate = place._make(Root, place._callers, "gate")
    game = place.server_of(Child, "game", root=["gate", "world"])
    stranger = place.server_of(Child, "stranger", root="world")
    place.settle()

    @rootserviceHandle
    async def later() -> str:
        return "later"

    @remoteserviceHandle("gate")
    def remote() -> str:
        return "remote"

    assert place.run(game.callRemote("later", root="gate")) == "later"
    assert place.run(gate.callChild("game", "remote")) == "remote"
    assert stranger.exportedMethods() == []


def test_closed_nodes_collect_nothing(place: Place) -> None:
    gate = place._make(Root, place._callers, "gate")
    game = place.server_of(Child, "game", root="gate")
    place.settle()
    gate.close()
    game.close()

    @rootserviceHandle
    @remoteserviceHandle("gate")
    def function() -> None:
        pass

    assert gate.exportedMethods() == game.exportedMethods() == []


def test_a_handle_for_an_illegal_root_is_refused() -> None:
    with pytest.raises((ValueError, TypeError)):
        remoteserviceHandle("two words")


def test_a_child_that_joins_a_root_later_offers_it_what_was_decorated(place: Place) -> None:
    gate = place._make(Root, place._callers, "gate")
    game = place.server_of(Child, "game", root="world")

    @remoteserviceHandle("gate")
    def remote() -> str:
        return "remote"

    game.joinRoot("gate")
    place.settle()

    assert place.run(gate.callChild("game", "remote")) == "remote"


def test_a_function_that_cannot_be_exported_is_refused_where_it_is_decorated(place: Place) -> None:
    with pytest.raises(ValueError, match="no name of its own"):
        rootserviceHandle(lambda: None)
    with pytest.raises(ValueError, match="no name of its own"):
        remoteserviceHandle("gate")(lambda: None)
    assert place.server_of(Root, "gate").serviceName() == "gate"
