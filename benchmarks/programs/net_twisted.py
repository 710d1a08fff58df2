"""Firefly's shape on Twisted: `net_twisted game`, `net_twisted gate GAME_PORT`, `net_twisted net GATE_PORT`.

The net process has the clients' connections, answers one command itself, and takes the others to the gate by one
remote call of Perspective Broker; the gate answers, or calls the game process in turn. What Firefly does besides is
left out (lookups by name, a thread's hop for each answer), so that it is the shape that is measured. Reactor: epoll,
Twisted's default on Linux.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.spread import pb

from benchmarks.programs.descriptors import raise_descriptors
from benchmarks.programs.measure import say
from benchmarks.programs.net_frames import BACK, ECHO, SERVICE, encode_frame, parse_frames

REMOTE_METHODS: Final = {SERVICE: "echo", BACK: "play"}
"""What the gate is called for each command."""


def stop(failure: Failure) -> None:
    """End the process, which the harness reports: nothing here may fail."""
    failure.printTraceback(sys.stderr)
    reactor.stop()


class Client(Protocol):
    """One client's connection."""

    factory: Net

    def connectionMade(self) -> None:
        """Let answers leave at once, as uvloop does."""
        self._rest = b""
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """Answer each frame, or have it answered."""
        frames, self._rest = parse_frames(self._rest + data if self._rest else data)
        for command, body in frames:
            if command == ECHO:
                self.transport.write(encode_frame(command, body))
            else:
                answer = self.factory.gate.callRemote(REMOTE_METHODS[command], id(self), body)
                answer.addCallback(self._answer, command).addErrback(stop)

    def _answer(self, body: bytes, command: int) -> None:
        self.transport.write(encode_frame(command, body))


class Net(Factory):
    """Makes clients' connections; `gate` is the gate's root object, once it is known."""

    protocol = Client
    gate: Any = None


class Game(pb.Root):
    """The game process."""

    def remote_play(self, session: int, body: bytes) -> bytes:
        """Answers."""
        return body


class Gate(pb.Root):
    """The gate process; `game` is the game's root object."""

    def __init__(self, game: Any) -> None:
        self._game = game

    def remote_echo(self, session: int, body: bytes) -> bytes:
        """Answers."""
        return body

    def remote_play(self, session: int, body: bytes) -> Deferred[bytes]:
        """Has the game answer."""
        return self._game.callRemote("play", session, body)


class Broker(pb.Broker):
    """Perspective Broker without Nagle's algorithm, which would hold back calls that follow each other."""

    def connectionMade(self) -> None:
        """Let calls leave at once."""
        self.transport.setTcpNoDelay(True)
        super().connectionMade()


class ServerFactory(pb.PBServerFactory):
    """Serves one root object."""

    protocol = Broker


class ClientFactory(pb.PBClientFactory):
    """Gets a root object."""

    protocol = Broker


def listen(factory: Factory) -> None:
    """Say where this process is."""
    port = reactor.listenTCP(0, factory, backlog=4096, interface="127.0.0.1")
    say({"ready": [str(port.getHost().port)]})


def serve(root: pb.Root) -> None:
    """Serve a root object."""
    listen(ServerFactory(root))


def connect(port: str, found: Callable[[Any], None]) -> None:
    """Get another process's root object."""
    factory = ClientFactory()
    reactor.connectTCP("127.0.0.1", int(port), factory)
    factory.getRootObject().addCallback(found).addErrback(stop)


def game() -> None:
    """Serve the game."""
    serve(Game())


def gate(port: str) -> None:
    """Serve the gate, once it has the game."""
    connect(port, lambda game: serve(Gate(game)))


def net(port: str) -> None:
    """Serve clients, once there is the gate."""
    raise_descriptors()
    factory = Net()

    def found(gate: Any) -> None:
        factory.gate = gate
        listen(factory)

    connect(port, found)


_ROLES: Final[dict[str, Callable[..., None]]] = {"game": game, "gate": gate, "net": net}

if __name__ == "__main__":
    _ROLES[sys.argv[1]](*sys.argv[2:])
    reactor.run()
