"""Roots and children in processes of their own: who is told of whom, who has a name, and what restarts change."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import Client, MethodUnavailable, NotAuthorised
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.integration.starting import PROGRAMS, Start
from tests.waiting import wait_until


def hooks(root: PythonProcess) -> list[str]:
    """What the hooks of a root have heard, without the times."""
    return [line.split(" after ")[0] for line in root.lines if line.startswith(("connect ", "gone "))]


def wait_for_children(client: Client, root: str, names: list[str]) -> None:
    """Wait until a root has these children."""
    wait_until(lambda: client.serviceEndPoint(root, wait=10.0).names() == names)


def wait_for_services(client: Client, name: str, count: int) -> None:
    """Wait until the exchange has so many services of a name, those that wait for a place too."""
    wait_until(lambda: len(client.serviceEndPoint("exchange", wait=10.0).services(name)) == count)


def test_a_root_and_its_child_call_each_other(exchange: ExchangeProcess, start_program: Start) -> None:
    root = start_program("node.py", "root", "gate")
    child = start_program("node.py", "child", "game1", "gate")
    root.wait_for_line(f"connect game1: {child.process.pid}")
    with Client(exchange.address) as client:
        gate, game = client.serviceEndPoint("gate"), client.serviceEndPoint("game1")
        assert gate.ask("game1", "who") == child.process.pid
        assert game.ask("gate", "who") == root.process.pid
        assert game.ask("gate", "back", "ä€𝄞") == "ä€𝄞ä€𝄞"
        assert gate.ask_all("who") == [child.process.pid]
        nothing: tuple[Any, ...] = (0, "", False, [])
        for value in nothing:
            assert gate.ask("game1", "double", value) == 2 * value
        assert game.anybody() == child.process.pid
        with pytest.raises((MethodUnavailable, NotAuthorised)):
            game.who()


def test_a_child_that_starts_before_its_root_and_the_exchange_is_found(exchange: ExchangeProcess) -> None:
    exchange.kill()
    program = str(PROGRAMS / "node.py")
    with PythonProcess([program, "child", "game1", "gate"], exchange.environment) as child:
        child.wait_for_line("no exchange at")
        exchange.restart()
        child.wait_for_line("ready")
        with PythonProcess([program, "root", "gate"], exchange.environment) as root:
            root.wait_for_line(f"connect game1: {child.process.pid}")
            with Client(exchange.address) as client:
                assert client.serviceEndPoint("game1").ask("gate", "who") == root.process.pid
            assert hooks(root) == [f"connect game1: {child.process.pid}"]


def test_a_killed_child_is_told_of_once_and_after_the_directory_has_changed(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    root = start_program("node.py", "root", "gate")
    told = []
    for _ in range(5):
        child = start_program("node.py", "child", "game1", "gate")
        told += [f"connect game1: {child.process.pid}", "gone game1 lost: ServiceUnavailable"]
        root.wait_for_line(told[-2])
        child.process.kill()
        line = root.wait_for_line("gone game1 lost: ServiceUnavailable after ")
        assert int(line.split()[-1]) < 100
    assert hooks(root) == told


def test_a_child_that_stops_is_drained_and_one_that_is_dropped_may_come_back(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    root = start_program("node.py", "root", "gate")
    child = start_program("node.py", "child", "game1", "gate")
    with Client(exchange.address) as client:
        assert client.serviceEndPoint("gate").drop("game1") == 1
        child.wait_for_line("dropped by gate: dropped")
        root.wait_for_line("gone game1 dropped: ")
        root.wait_for_line(f"connect game1: {child.process.pid}")
        child.process.terminate()
        root.wait_for_line("gone game1 drained: ServiceUnavailable")
        assert child.wait() == 0


def test_a_second_child_of_a_name_waits_and_takes_over(exchange: ExchangeProcess, start_program: Start) -> None:
    root = start_program("node.py", "root", "gate")
    first = start_program("node.py", "child", "game1", "gate")
    second = start_program("node.py", "child", "game1", "gate", ready="refused: the place of 'game1'")
    with Client(exchange.address) as client:
        gate = client.serviceEndPoint("gate")
        assert {gate.ask("game1", "who") for _ in range(10)} == {first.process.pid}
        assert gate.ask_all("who") == [first.process.pid]
        first.kill()
        second.wait_for_line("ready")
        root.wait_for_line(f"connect game1: {second.process.pid}")
        assert gate.ask("game1", "who") == second.process.pid


def test_instances_of_a_child_share_its_name(exchange: ExchangeProcess, start_program: Start) -> None:
    start_program("node.py", "root", "gate")
    twins = [start_program("node.py", "child", "game1", "gate", "instances") for _ in range(2)]
    alone = start_program("node.py", "child", "game1", "gate", ready="refused: ")
    pids = {twin.process.pid for twin in twins}
    with Client(exchange.address) as client:
        wait_for_children(client, "gate", ["game1", "game1"])
        gate = client.serviceEndPoint("gate")
        wait_until(lambda: {gate.ask("game1", "who") for _ in range(10)} == pids)
        assert set(gate.ask_all("who")) == pids
        twins[0].kill()
        wait_for_children(client, "gate", ["game1"])
        assert gate.ask("game1", "who") == twins[1].process.pid
        twins[1].kill()
        alone.wait_for_line("ready")
        assert gate.ask("game1", "who") == alone.process.pid


def test_a_child_of_two_roots_offers_each_its_own(exchange: ExchangeProcess, start_program: Start) -> None:
    roots = [start_program("node.py", "root", name) for name in ("gate", "lobby")]
    child = start_program("node.py", "child", "game1", "gate", "root=lobby")
    with Client(exchange.address) as client:
        for root, name in zip(roots, ("gate", "lobby"), strict=True):
            assert client.serviceEndPoint(name).ask("game1", "who") == child.process.pid
            assert client.serviceEndPoint("game1").ask(name, "who") == root.process.pid
        roots[0].kill()
        assert client.serviceEndPoint("lobby").ask("game1", "who") == child.process.pid


def test_a_restart_of_the_exchange_calls_no_hook_for_those_who_come_back(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    root = start_program("node.py", "root", "gate")
    stays = [start_program("node.py", "child", f"game{number}", "gate") for number in range(3)]
    goes = start_program("node.py", "child", "goes", "gate")
    with Client(exchange.address) as client:
        wait_for_children(client, "gate", ["game0", "game1", "game2", "goes"])
        for _ in range(3):
            exchange.restart()
            wait_for_children(client, "gate", ["game0", "game1", "game2", "goes"])
        connected = hooks(root)
        assert len(connected) == 4 and all(line.startswith("connect ") for line in connected)
        exchange.kill()
        goes.kill()
        exchange.restart()
        root.wait_for_line("gone goes lost: ServiceUnavailable")  # when the time to come back is over
        assert hooks(root) == [*connected, "gone goes lost: ServiceUnavailable"]
        for number, child in enumerate(stays):
            assert client.serviceEndPoint("gate", wait=10.0).ask(f"game{number}", "who") == child.process.pid


def test_who_waits_for_a_name_does_not_overtake_while_the_exchange_restarts(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    """The one that has the name is the last to come back."""
    root = start_program("node.py", "root", "gate")
    first = start_program("node.py", "child", "game1", "gate")
    start_program("node.py", "child", "game1", "gate", ready="refused: ")
    with Client(exchange.address) as client:
        wait_for_children(client, "gate", ["game1"])
        first.freeze()
        exchange.restart()
        wait_for_services(client, "game1", 1)
        first.thaw()
        wait_for_services(client, "game1", 2)
        assert client.serviceEndPoint("gate", wait=10.0).ask("game1", "who") == first.process.pid
        assert hooks(root) == [f"connect game1: {first.process.pid}"]


def test_who_waits_for_a_name_has_it_when_its_holder_dies_with_the_exchange(
    exchange: ExchangeProcess, start_program: Start
) -> None:
    root = start_program("node.py", "root", "gate")
    first = start_program("node.py", "child", "game1", "gate")
    second = start_program("node.py", "child", "game1", "gate", ready="refused: ")
    exchange.kill()
    first.kill()
    exchange.restart()
    second.wait_for_line("ready")
    wait_until(lambda: len(hooks(root)) >= 3)
    told = hooks(root)
    assert told[0] == f"connect game1: {first.process.pid}"
    assert [line.split(":")[0] for line in sorted(told[1:])] == ["connect game1", "gone game1 lost"]
    with Client(exchange.address) as client:
        assert client.serviceEndPoint("gate").ask("game1", "who") == second.process.pid
