"""A cluster of real processes: it starts, works, loses nodes, and stops, however its supervisor ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import PythonProcess
from tests.waiting import PATIENCE, wait_until

CLUSTER = """
[exchange]
listen = ["ipc://{folder}/exchange"]
[defaults]
restart = {{ attempts = 3, within = 30, pause = 0.1 }}
[nodes.gate]
app = "game.gate"
root = true
[nodes.game]
app = "game.game"
child_of = ["gate"]
instances = 2
settings = {{ map = "plains" }}
[nodes.net]
app = "game.net"
after = ["gate"]
netport = {{ port = 0 }}
"""
GATE = """
import os, time
import fireflyzmq as netsvc

node = netsvc.node()

@netsvc.rootserviceHandle
def hello(name):
    return f"hello {name}"

@netsvc.rootserviceHandle
def hang():
    time.sleep(3600)

@node.onStart
async def begin():
    print("gate begins", os.getpid(), flush=True)

@node.onStop
async def end():
    print("gate ends", flush=True)
"""
GAME = """
import os
import fireflyzmq as netsvc

node = netsvc.node()

@node.onStart
async def begin():
    print("game", node.index, node.settings["map"], await node.roots["gate"].hello("game"), os.getpid(), flush=True)

"""
NET = """
import os
import fireflyzmq as netsvc

node = netsvc.node()
print("net", node.netport.port > 0, (node.netport or node.http) is not None, os.getpid(), flush=True)
"""


class Running:
    """`fireflyzmq run` on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "game").mkdir()
        for name, text in {"__init__": "", "gate": GATE, "game": GAME, "net": NET}.items():
            (folder / "game" / f"{name}.py").write_text(text)
        self.write(CLUSTER.format(folder=folder))

    def write(self, text: str) -> None:
        (self.folder / "cluster.toml").write_text(text)

    def start(self, *words: str) -> PythonProcess:
        return PythonProcess(["-m", "fireflyzmq", "run", str(self.folder / "cluster.toml"), *words])

    def steer(self, *words: str, status: int = 0) -> str:
        """What a command says of the cluster that runs."""
        done = subprocess.run(
            [sys.executable, "-m", "fireflyzmq", *words, "--file", str(self.folder / "cluster.toml")],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    def whole(self, process: PythonProcess) -> None:
        """Wait until the exchange and all four instances are ready."""
        wait_until(lambda: len({line for line in process.lines if line.endswith(" is ready")}) == 5)

    def begun(self, process: PythonProcess) -> list[int]:
        """The ids of nodes' processes, as these have said them."""
        begins = ("gate begins", "| game 0 ", "| game 1 ", "| net True")
        return [int(line.split()[-1]) for line in process.lines if any(text in line for text in begins)]


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """A game's folder, short enough for the name of a socket."""
    return Running(tmp_path)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_cluster_starts_from_one_file_and_stops_in_order(running: Running) -> None:
    with running.start() as process:
        running.whole(process)
        pids = running.begun(process)
        assert all("plains hello game" in line for line in process.lines if "| game " in line)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        ends = [
            line.split()[2] for line in process.lines if line.startswith("run ") and " stopped (exit status 0)" in line
        ]
        assert ends[0] == "net" and sorted(ends[1:3]) == ["game.0", "game.1"] and ends[3:] == ["gate", "exchange"]
        assert any(line.endswith("| gate ends") for line in process.lines)
        assert not any(map(alive, pids)) and not any("Traceback" in line for line in process.lines)


def test_a_node_that_is_killed_is_started_again(running: Running) -> None:
    with running.start() as process:
        running.whole(process)
        [first] = [line for line in process.lines if "gate begins" in line]
        os.kill(int(first.split()[-1]), signal.SIGKILL)
        process.wait_for_line("gate ended (killed by SIGKILL); it is started again in 0.1 s")
        wait_until(lambda: len([line for line in process.lines if "gate begins" in line]) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_no_process_outlives_a_supervisor_that_is_killed(running: Running) -> None:
    with running.start() as process:
        running.whole(process)
        pids = running.begun(process)
        with netsvc.Client(f"ipc://{running.folder}/exchange") as client:
            exchange = client.serviceEndPoint("exchange").services("exchange")[0]["process"]
        pids.append(int(exchange.rpartition(":")[2]))
        assert len(pids) == 5 and all(map(alive, pids))
        process.kill()
        wait_until(lambda: not any(map(alive, pids)))


def test_a_node_whose_app_raises_is_given_up_with_its_traceback_and_the_others_stop_when_the_file_says_so(
    running: Running,
) -> None:
    (running.folder / "game" / "net.py").write_text("1 / 0")
    running.write('[cluster]\non_failure = "stop"\n' + CLUSTER.format(folder=running.folder))
    with running.start() as process:
        assert process.wait() == 1
        assert any("ZeroDivisionError: division by zero" in line for line in process.lines)
        assert any("net failed (exit status 1): it has ended 3 times within 30 s" in line for line in process.lines)
        assert any("exchange stopped (exit status 0)" in line for line in process.lines)


def test_a_node_that_hangs_is_named_says_where_and_is_started_again(running: Running) -> None:
    running.write(CLUSTER.format(folder=running.folder).replace("[defaults]", "[defaults]\nhang = 1.0"))
    with running.start() as process:
        running.whole(process)
        with netsvc.Client(f"ipc://{running.folder}/exchange") as client:
            client.serviceEndPoint("gate", oneway=True).hang()
        process.wait_for_line("gate hangs: its loop has not answered for 1 s")
        process.wait_for_line('gate.py", line 13 in hang')
        process.wait_for_line("gate ended (it hung); it is started again in 0.1 s")
        wait_until(lambda: [line.endswith("| gate is ready") for line in process.lines].count(True) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_a_node_may_serve_http_and_metrics(running: Running) -> None:
    (running.folder / "game" / "net.py").write_text(NET.replace("node.netport.port > 0", "node.http.port()"))
    text = CLUSTER.format(folder=running.folder).replace(
        "netport = { port = 0 }", "http = { port = 0, group = 'gate' }"
    )
    running.write(text + "metrics = { port = 0 }\n")
    with running.start() as process:
        port = int(process.wait_for_line("| net ").split()[3])
        running.whole(process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/services", timeout=PATIENCE) as response:
            assert json.load(response) == [{"name": "game", "instances": 2}]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


def test_a_cluster_that_runs_is_seen_and_steered_from_elsewhere(running: Running) -> None:
    with running.start() as process:
        running.whole(process)

        def states() -> dict[str, tuple[str, int]]:
            return {
                each["name"]: (each["state"], each["restarts"])
                for each in json.loads(running.steer("status", "--json"))
            }

        assert states() == dict.fromkeys(("exchange", "gate", "game.0", "game.1", "net"), ("ready", 0))
        running.steer("restart", "game", "--rolling")
        wait_until(lambda: states()["game.1"] == states()["game.0"] == ("ready", 1))
        running.steer("scale", "game", "3")
        wait_until(lambda: states().get("game.2") == ("ready", 0))
        running.steer("stop", "net")
        wait_until(lambda: states()["net"] == ("idle", 0))
        running.steer("start", "net")
        wait_until(lambda: states()["net"] == ("ready", 1))
        assert "game.2" in running.steer("status")
        assert "there is no node 'nett'; there are exchange, gate, game, net" in running.steer(
            "start", "nett", status=1
        )
        running.steer("stop")
        assert process.wait() == 0
    assert "does not run on this host" in running.steer("status", status=1)


def test_a_second_supervisor_of_the_same_file_is_refused_and_one_after_a_kill_is_not(running: Running) -> None:
    with running.start() as process:
        running.whole(process)
        with running.start() as second:
            assert second.wait() == 1
            assert second.lines[-1].endswith(f"runs already, in process {process.process.pid}")
        pids = running.begun(process)
        process.kill()
        wait_until(lambda: not any(map(alive, pids)))
    with running.start() as process:
        running.whole(process)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


@pytest.mark.parametrize("words", [("--check",), ()])
def test_what_is_wrong_in_the_file_is_told_and_nothing_is_started(running: Running, words: tuple[str, ...]) -> None:
    running.write(CLUSTER.format(folder=running.folder).replace("root = true", "rot = true"))
    with running.start(*words) as process:
        assert process.wait() == 1
        assert any("nodes.gate.rot: there is no such key; did you mean root?" in line for line in process.lines)
        assert any("there is no root 'gate'; it has no root = true" in line for line in process.lines)


def test_check_says_that_nothing_is_wrong(running: Running) -> None:
    with running.start("--check") as process:
        assert process.wait() == 0 and process.lines == [f"{running.folder}/cluster.toml: 3 nodes, nothing is wrong"]
