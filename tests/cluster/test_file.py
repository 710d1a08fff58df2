"""A cluster's file: what it says, and that all that is wrong in it is told at once, with its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fireflyzmq.cluster.file import BadFile, read_cluster

GOOD = """
[exchange]
listen = ["tcp://127.0.0.1:11111"]
http = "127.0.0.1:11180"              # the console

[defaults]
log_level = "info"
restart = { attempts = 5, within = 60 }

[nodes.gate]
app = "game.gate"
root = true

[nodes.game]
app = "game.game"
child_of = ["gate"]
instances = 2
settings = { map = "plains" }

[nodes.net]
app = "game.net"
after = ["gate"]
netport = { port = 9000, connections = 1000 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the apps of a game."""
    (tmp_path / "game").mkdir()
    for name in ("__init__", "gate", "game", "net"):
        (tmp_path / "game" / f"{name}.py").write_text("raise RuntimeError('nobody runs this')")
    return tmp_path


def read(folder: Path, text: str, **environment: str) -> Any:
    path = folder / "cluster.toml"
    path.write_text(text)
    return read_cluster(path, environment)


def problems(folder: Path, text: str, **environment: str) -> dict[str, str]:
    with pytest.raises(BadFile) as caught:
        read(folder, text, **environment)
    return dict(caught.value.problems)


def test_a_file_says_the_exchange_the_defaults_and_the_nodes(folder: Path) -> None:
    cluster = read(folder, GOOD)
    assert (cluster.name, cluster.exchange.connects_to) == ("cluster", "tcp://127.0.0.1:11111")
    assert list(cluster.nodes) == ["gate", "game", "net"]
    gate, game, net = cluster.nodes.values()
    assert gate.root and gate.restart.attempts == 5 and gate.instances == 1
    assert (game.child_of, game.instances, game.settings) == (("gate",), 2, {"map": "plains"})
    assert (net.netport.port, net.netport.host, net.netport.limits) == (9000, "127.0.0.1", {"connections": 1000})
    assert cluster.stop_order() == [["net"], ["game"], ["gate"]]


def test_a_node_has_the_defaults_settings_and_environment_and_its_own(folder: Path) -> None:
    cluster = read(
        folder,
        """
        [defaults]
        settings = { map = "hills", speed = 2 }
        environment = { A = "1", B = "2" }
        memory = "64M"
        [nodes.game]
        app = "game.game"
        settings = { map = "plains" }
        environment = { B = "3" }
        """,
    )
    game = cluster.nodes["game"]
    assert game.settings == {"map": "plains", "speed": 2} and game.environment == {"A": "1", "B": "3"}
    assert game.memory == 64 << 20


def test_texts_have_what_the_environment_says(folder: Path) -> None:
    text = """
    [nodes.game]
    app = "game.game"
    settings = { home = "${HOME_OF_IT}/x", map = ["${MAP:-plains}"], price = "5 $$", none = "${EMPTY:-}" }
    """
    game = read(folder, text, HOME_OF_IT="/home").nodes["game"]
    assert game.settings == {"home": "/home/x", "map": ["plains"], "price": "5 $", "none": ""}
    assert list(problems(folder, text)) == ["nodes.game.settings.home"]


def test_all_that_is_wrong_is_told_at_once_with_what_would_be_right(folder: Path) -> None:
    found = problems(
        folder,
        """
        [exchang]
        [exchange]
        listen = ["tcp:/127.0.0.1:11111"]
        [nodes.gate]
        app = "game.gat"
        memory = "12 XB"
        [nodes.game]
        app = "game.game"
        child_of = ["gate", "gatee"]
        instances = "cpus"
        restart = { attempts = "five", withn = 60 }
        [nodes.net]
        after = ["gate", "nett"]
        netport = { port = 90000, connections = 0, conections = 3 }
        log_level = "loud"
        """,
    )
    told = {
        "exchang": "did you mean exchange?",
        "exchange.listen[0]": "cannot listen at 'tcp:/127.0.0.1:11111'",
        "nodes.gate.app": "there is no module game.gat",
        "nodes.gate.memory": "not a number of bytes",
        "nodes.game.instances": "expected a number or 'cpu'",
        "nodes.game.restart.attempts": "expected int",
        "nodes.game.restart.withn": "did you mean within?",
        "nodes.game.child_of": "there is no root 'gatee'",
        "nodes.net": "app is missing",
        "nodes.net.after": "there is no node 'nett'; did you mean net?",
        "nodes.net.netport.port": "expected int <= 65535; it is 90000",
        "nodes.net.netport.connections": "a number of 1 or more",
        "nodes.net.netport.conections": "did you mean connections?",
        "nodes.net.log_level": "'debug' or 'info'",
    }
    assert found.keys() == told.keys()
    for key, text in told.items():
        assert text in found[key], key


def test_a_child_of_a_node_that_is_no_root_is_told(folder: Path) -> None:
    text = GOOD.replace("root = true", "")
    assert problems(folder, text) == {"nodes.game.child_of": "there is no root 'gate'; it has no root = true"}


def test_nodes_that_wait_for_each_other_are_told(folder: Path) -> None:
    text = GOOD.replace("root = true", 'root = true\nafter = ["net"]')
    found = problems(folder, text)
    assert found == {"nodes.gate.after": "each waits for the next: gate - net - gate"}


@pytest.mark.parametrize(
    ("port", "key"),
    [(11111, "exchange.listen[0]"), (11180, "exchange.http"), (9001, "nodes.net.netport")],
)
def test_a_port_that_is_used_twice_is_told(folder: Path, port: int, key: str) -> None:
    """The instances of a node have ports one after the other."""
    text = GOOD.replace("connections = 1000", "connections = 5").replace('after = ["gate"]', "instances = 2")
    text += f'\n[nodes.web]\napp = "game.net"\nmetrics = {{ port = {port} }}\n'
    assert problems(folder, text) == {"nodes.web.metrics": f"port {port} is taken by {key}, too"}


@pytest.mark.parametrize("app", ["", "game.gate:", "game.gate:1x", "no such", "game.gate.deeper", "gamé.gate"])
def test_an_app_that_is_no_module_is_told_and_none_is_run(folder: Path, app: str) -> None:
    assert list(problems(folder, GOOD.replace('"game.gate"', repr(app)))) == ["nodes.gate.app"]


@pytest.mark.parametrize("text", ["[nodes", "nodes = 3", "[nodes]\ngate = 3", "\xff", 'exchange = "tcp://x"'])
def test_what_is_no_cluster_is_told(folder: Path, text: str) -> None:
    (folder / "cluster.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadFile, match=r"cluster\.toml: "):
        read_cluster(folder / "cluster.toml", {})


def test_a_file_that_is_not_there_is_an_error_of_the_system(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_cluster(folder / "none.toml", {})
