"""The game of examples/game, as its readers run it: every node a process, clients on plain sockets."""

import contextlib
import json
import shlex
import signal
import socket
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.test_examples import EXAMPLES, example, output_of, printed_in, stop
from tests.waiting import PATIENCE, wait_until

HEADER = struct.Struct(">4sBIII")
ERROR = 0xFFFFFFFF


class Player:
    """A game client. What is pushed to it is kept in `pushes`, as command and body."""

    def __init__(self, net: PythonProcess, user: str = "") -> None:
        port = next(line.split()[-1] for line in net.lines if "listens at port" in line)
        self.socket = socket.create_connection(("127.0.0.1", int(port)), PATIENCE)
        self.stream = self.socket.makefile("rb")
        self.pushes: list[tuple[int, Any]] = []
        self.at: dict[str, Any] = self.ask(101, user=user, password="secret") if user else {}

    def send(self, command: int, **body: Any) -> None:
        data = json.dumps(body).encode()
        self.socket.sendall(HEADER.pack(b"N%&0", 9, 0, 4 + len(data), command) + data)

    def read(self) -> tuple[int, Any] | None:
        header = self.stream.read(HEADER.size)
        if not header:
            return None
        *_, length, command = HEADER.unpack(header)
        frame = command, json.loads(self.stream.read(length - 4))
        if 300 <= command < ERROR:
            self.pushes.append(frame)
        return frame

    def answer(self, command: int) -> Any:
        """The answer to a request that was sent; AssertionError for one that failed."""
        while frame := self.read():
            assert frame[0] != ERROR, frame[1]["description"]
            if frame[0] == command:
                return frame[1]
        raise AssertionError(f"the connection was closed after {self.pushes}")

    def ask(self, command: int, **body: Any) -> Any:
        self.send(command, **body)
        return self.answer(command)

    def failure_of(self, command: int, **body: Any) -> str:
        """Why a request fails."""
        self.send(command, **body)
        while frame := self.read():
            if frame[0] == ERROR:
                assert frame[1]["command"] == command
                return str(frame[1]["description"])
        raise AssertionError(f"the connection was closed after {self.pushes}")

    def wait_for_push(self, command: int, body: Any) -> None:
        """Read on until something was pushed."""
        while (command, body) not in self.pushes:
            assert self.read() is not None, self.pushes

    def wait_for_end(self) -> None:
        """Read on until the connection is closed."""
        while self.read():
            pass

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Game:
    """The nodes of a game by their names."""

    def __init__(self, exchange: ExchangeProcess, folder: Path) -> None:
        self.exchange = exchange
        self.folder = folder
        self.file = folder / "game.sqlite"
        self.nodes: dict[str, PythonProcess] = {}

    def __getitem__(self, name: str) -> PythonProcess:
        return self.nodes[name]

    def start(self, name: str, program: str, *arguments: str, **changes: str) -> PythonProcess:
        """Start a node; with `changes`, from its program with one text in the place of another."""
        path = EXAMPLES / "game" / program
        if changes:
            text = path.read_text(encoding="utf-8")
            assert changes["old"] in text
            path = self.folder / program
            path.write_text(text.replace(changes["old"], changes["new"]), encoding="utf-8")
        self.nodes[name] = PythonProcess([str(path), *arguments], self.exchange.environment)
        return self.nodes[name]

    def start_database(self, **changes: str) -> None:
        self.start("database", "database.py", f"sqlite:///{self.file}", **changes)
        self.wait_for_service("database")

    def start_gate(self) -> None:
        self.start("gate", "gate.py")
        self.wait_for_service("gate")

    def start_game(self, name: str) -> None:
        self.start(name, "game.py", name)
        self["gate"].wait_for_line(f"gate: {name} comes")

    def start_net(self, name: str, **changes: str) -> PythonProcess:
        net = self.start(name, "net.py", name, "0", **changes)
        net.wait_for_line("listens at port")
        self.wait_for_service(name)
        return net

    def wait_for_service(self, name: str) -> None:
        with netsvc.Client(self.exchange.address) as client:
            assert client.lookup(name, timeout=PATIENCE)

    def written(self) -> dict[str, tuple[int, int]]:
        """What is in the database's file: place and moves of each player."""
        with contextlib.closing(sqlite3.connect(self.file)) as connection:
            return {
                name: (place, moves)
                for name, place, moves in connection.execute("SELECT name, place, moves FROM players")
            }

    def stop(self, *names: str) -> None:
        for name in names:
            stop(self.nodes[name], signal.SIGTERM)

    def kill(self) -> None:
        for process in self.nodes.values():
            process.kill()


@pytest.fixture
def exchange() -> Iterator[ExchangeProcess]:
    with ExchangeProcess() as process:
        yield process


@pytest.fixture
def empty(exchange: ExchangeProcess, tmp_path: Path) -> Iterator[Game]:
    """A game of which nothing runs."""
    game = Game(exchange, tmp_path)
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(game.kill)
        yield game


@pytest.fixture
def game(empty: Game) -> Game:
    """A game of a database, a gate, one netport and two game nodes; all are ready."""
    empty.start_database()
    empty.start_gate()
    empty.start_game("game1")
    empty.start_game("game2")
    empty.start_net("net1")
    return empty


def run_client(game: Game, user: str, password: str = "secret") -> PythonProcess:
    port = game["net1"].lines[0].split()[-1]
    return example(game.exchange, "game/client.py", port, user, password)


def test_the_scripted_client_prints_what_the_readme_shows_and_goes_on_from_there(game: Game) -> None:
    shown = printed_in("game", "push: welcome to net1")
    assert output_of(run_client(game, "ada")) == shown
    game["game1"].wait_for_line("game1: ada goes")
    game["database"].wait_for_line("database: ada written, at 6 after 3 moves")
    again = output_of(run_client(game, "ada"))
    assert again[1] == "ada is on game1, at 6 after 3 moves"
    assert again[7] == "3 steps: at 12 after 6 moves"
    game["game1"].wait_for_line("game1: ada goes")
    game["gate"].wait_for_line("gate: ada has left")
    game["gate"].wait_for_line("gate: ada has left")
    game.stop("net1", "game1", "game2", "gate", "database")
    assert game.written() == {"ada": (12, 6)}
    said = [line for name in ("net1", "gate", "game1", "database") for line in game[name].lines]
    for line in printed_in("game", "net1: listens"):
        assert line.replace("11009", game["net1"].lines[0].split()[-1]) in said


def test_a_wrong_password_and_a_foolish_name_are_refused_and_the_client_stays(game: Game) -> None:
    with Player(game["net1"], "ada"), Player(game["net1"]) as stranger:
        assert stranger.failure_of(101, user="ada", password="guess") == "wrong password"
        assert stranger.failure_of(101, user="a b", password="x") == "a name has 1 to 20 letters and digits"
        assert stranger.failure_of(101) == "Application Failure"
        assert stranger.failure_of(102, text="hello") == "log in first"
        assert stranger.failure_of(201, steps=1) == "this session has no 'game' yet"
        assert stranger.ask(101, user="bob", password="x")["place"] == 0
        assert stranger.failure_of(101, user="bob", password="x") == "this session has logged in already"
        assert stranger.failure_of(201, steps=10**30) == "1 to 9 steps"
        assert stranger.failure_of(299) == "Method Unavailable"
        assert stranger.ask(201, steps=1) == {"place": 1, "moves": 1}


def test_nobody_but_the_gate_lets_players_into_a_game_node(game: Game) -> None:
    with netsvc.Client(game.exchange.address) as stranger, pytest.raises(netsvc.MethodUnavailable):
        stranger.serviceEndPoint("game1", wait=5).enter("net1/1", "ada")


def test_players_of_a_killed_game_node_play_on_on_another_from_what_was_saved(game: Game) -> None:
    with Player(game["net1"], "ada") as ada, Player(game["net1"], "bob") as bob:
        assert (ada.at["node"], bob.at["node"]) == ("game1", "game2")
        assert ada.ask(201, steps=5) == {"place": 5, "moves": 1}
        game["database"].wait_for_line("database: ada written, at 5 after 1 moves")
        game["game1"].kill()
        game["gate"].wait_for_line("gate: ada plays on on game2")
        assert ada.ask(201, steps=2) == {"place": 7, "moves": 2}
        bob.wait_for_push(301, {"user": "ada", "place": 7})
        assert bob.ask(202) == {"ada": 7, "bob": 0}
    game["game2"].wait_for_line("game2: ada goes")
    game.start_game("game1")
    with Player(game["net1"], "ada") as ada:
        assert (ada.at["place"], ada.at["moves"]) == (7, 2)


def test_what_a_client_asks_of_a_dying_game_node_fails_and_what_it_sends_behind_that_is_answered(game: Game) -> None:
    with Player(game["net1"], "ada") as ada, netsvc.Client(game.exchange.address) as client:
        net = client.serviceEndPoint("net1")
        game["game1"].process.send_signal(signal.SIGSTOP)
        ada.send(201, steps=1)
        ada.send(202)
        wait_until(lambda: net.stats()["requests"])
        game["game1"].kill()
        command, body = ada.read() or (0, {})
        assert (command, body["command"], body["kind"]) == (ERROR, 201, "ServiceWithdrawn")
        assert ada.answer(202) == {"ada": 0}


def test_players_of_a_game_node_that_is_stopped_play_on_on_another_and_nothing_is_lost(game: Game) -> None:
    with Player(game["net1"], "ada") as ada, Player(game["net1"], "bob"):
        for _ in range(3):
            ada.ask(201, steps=2)
        stop(game["game1"], signal.SIGTERM)
        game["gate"].wait_for_line("gate: ada plays on on game2")
        assert ada.ask(201, steps=1) == {"place": 7, "moves": 4}


def test_a_game_node_that_was_frozen_does_not_spoil_what_was_played_on_elsewhere(game: Game) -> None:
    with Player(game["net1"], "ada") as ada:
        ada.ask(201, steps=5)
        game["game1"].process.send_signal(signal.SIGSTOP)
        game["gate"].wait_for_line("gate: ada plays on on game2")
        at = ada.ask(201, steps=1)
        game["game1"].process.send_signal(signal.SIGCONT)
        game["gate"].wait_for_line("gate: game1 comes")
        assert ada.ask(201, steps=1) == {"place": at["place"] + 1, "moves": at["moves"] + 1}
        game["game1"].wait_for_line("game1: ada goes")
    game["game2"].wait_for_line("game2: ada goes")
    game.stop("game1", "game2", "database")
    assert game.written() == {"ada": (at["place"] + 1, at["moves"] + 1)}


def test_a_second_netport_and_a_third_game_node_join_while_the_game_runs(game: Game) -> None:
    with Player(game["net1"], "ada") as ada, Player(game["net1"], "bob") as bob:
        net2 = game.start_net("net2")
        game.start_game("game3")
        with Player(net2, "cleo") as cleo:
            assert cleo.at["node"] == "game3"
            cleo.ask(102, text="hello")
            for player in (ada, bob, cleo):
                player.wait_for_push(900, {"text": "cleo shouts: hello"})
            ada.ask(203, text="welcome")
            for player in (ada, bob, cleo):
                player.wait_for_push(302, {"user": "ada", "text": "welcome"})
            assert cleo.ask(201, steps=1) == {"place": 1, "moves": 1}
            cleo.wait_for_push(301, {"user": "cleo", "place": 1})
            assert [body for command, body in ada.pushes if command == 301] == []


def test_two_sessions_of_a_player_play_one_state_and_get_the_same_pushes(game: Game) -> None:
    net2 = game.start_net("net2")
    with Player(game["net1"], "ada") as first:
        with Player(net2, "ada") as second:
            assert first.at["node"] == second.at["node"] == "game1"
            assert first.ask(201, steps=1) == {"place": 1, "moves": 1}
            assert second.ask(201, steps=1) == {"place": 2, "moves": 2}
            for place in (1, 2):
                first.wait_for_push(301, {"user": "ada", "place": place})
                second.wait_for_push(301, {"user": "ada", "place": place})
            game["game1"].kill()
            assert (
                sorted(game["gate"].wait_for_line("plays on") for _ in range(2)) == ["gate: ada plays on on game2"] * 2
            )
            at = first.ask(201, steps=1)
            assert second.ask(202) == {"ada": at["place"]}
        net2.wait_for_line("net2: ada goes")
        assert first.ask(201, steps=1)["place"] == at["place"] + 1
    game["game2"].wait_for_line("game2: ada goes")
    assert game["game2"].lines == ["game2: ada comes", "game2: ada goes"]


def test_with_one_session_per_user_the_second_ends_the_first(game: Game) -> None:
    net2 = game.start_net("net2", old="ordered=True", new="ordered=True, onePerUser=True")
    with Player(net2, "ada") as first:
        first.ask(201, steps=1)
        with Player(net2, "ada") as second:
            first.wait_for_end()
            net2.wait_for_line("net2: ada goes (replaced)")
            assert second.ask(201, steps=1) == {"place": 2, "moves": 2}
    assert game["game1"].lines.count("game1: ada comes") == 1


def test_an_operator_kicks_a_player(game: Game) -> None:
    (command,) = printed_in("game", "python -c ")
    _, _, code = shlex.split(command)
    with Player(game["net1"], "ada") as ada:
        assert output_of(PythonProcess(["-c", code], game.exchange.environment)) == []
        ada.wait_for_end()
        assert ada.pushes[-1] == (900, {"text": "the gate has put you out"})
        game["net1"].wait_for_line("net1: ada goes (kicked)")
        game["game1"].wait_for_line("game1: ada goes")


def test_a_database_that_is_stopped_has_written_all_that_it_was_given(empty: Game) -> None:
    empty.start_database(old="WRITE_SECONDS = 1", new="WRITE_SECONDS = 3600")
    empty.start_gate()
    empty.start_game("game1")
    net = empty.start_net("net1")
    with contextlib.ExitStack() as stack:
        for number in range(1, 21):
            player = stack.enter_context(Player(net, f"player{number}"))
            player.ask(201, steps=number % 9 + 1)
    for _ in range(20):
        empty["game1"].wait_for_line("goes")
    assert set(empty.written().values()) == {(0, 0)}
    empty.stop("database")
    assert empty.written() == {f"player{number}": (number % 9 + 1, 1) for number in range(1, 21)}


def test_a_game_node_keeps_what_it_cannot_save_until_the_database_is_back(empty: Game) -> None:
    empty.start_database()
    empty.start_gate()
    empty.start("game1", "game.py", "game1", old="wait=10", new="wait=0.1")
    empty["gate"].wait_for_line("gate: game1 comes")
    with Player(empty.start_net("net1"), "ada") as ada:
        empty.stop("database")
        ada.ask(201, steps=3)
        empty["game1"].wait_for_line("game1: not saved: database.save: nobody offers 'database'")
        empty.start_database()
        empty["database"].wait_for_line("database: ada written, at 3 after 1 moves")
        assert ada.ask(201, steps=3) == {"place": 6, "moves": 2}


def test_a_player_who_has_left_is_put_anew_on_the_node_with_the_fewest(game: Game) -> None:
    with Player(game["net1"], "ada") as ada:
        assert ada.at["node"] == "game1"
    game["gate"].wait_for_line("gate: ada has left")
    with Player(game["net1"], "bob") as bob, Player(game["net1"], "ada") as ada:
        assert (bob.at["node"], ada.at["node"]) == ("game1", "game2")


def test_players_play_on_without_the_gate_and_it_knows_them_when_it_is_started_again(game: Game) -> None:
    with Player(game["net1"], "ada") as ada:
        game["gate"].kill()
        assert ada.ask(201, steps=1) == {"place": 1, "moves": 1}
        game.start_gate()
        game["gate"].wait_for_line("comes")
        game["gate"].wait_for_line("comes")
        assert ada.ask(102, text="here again") == {}
        with Player(game["net1"], "ada") as second:
            assert second.at["node"] == "game1"
        stop(game["game1"], signal.SIGTERM)
        game["gate"].wait_for_line("gate: ada plays on on game2")
        assert ada.ask(201, steps=1) == {"place": 2, "moves": 2}


def test_a_netport_that_is_stopped_says_goodbye_and_its_players_are_saved(game: Game) -> None:
    with Player(game["net1"], "ada") as ada:
        ada.ask(201, steps=4)
        game.stop("net1")
        ada.wait_for_end()
        assert ada.pushes[-1] == (900, {"text": "net1 stops"})
    game["game1"].wait_for_line("game1: ada goes")
    game.stop("database")
    assert game.written() == {"ada": (4, 1)}


def test_players_of_a_netport_that_is_killed_are_saved(game: Game) -> None:
    with Player(game["net1"], "ada") as ada:
        ada.ask(201, steps=4)
        game["net1"].kill()
        game["game1"].wait_for_line("game1: ada goes")
    game.stop("database")
    assert game.written() == {"ada": (4, 1)}
    net2 = game.start_net("net2")
    game.start_database()
    with Player(net2, "ada") as ada:
        assert ada.at == {"node": "game1", "place": 4, "moves": 1}
