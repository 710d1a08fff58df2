import json
import socket
import struct
import sys
from typing import Any

HEADER = struct.Struct(">4sBIII")  # magic, protocol version, server version, length, command
MAGIC = bytes([78, 37, 38, 48])
ERROR = 0xFFFFFFFF


class Client:
    """A game client as one is written in any language: a socket, and frames packed by hand."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.stream = self.socket.makefile("rb")

    def send(self, command: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.socket.sendall(HEADER.pack(MAGIC, 9, 0, 4 + len(data), command) + data)

    def read(self) -> tuple[int, Any] | None:
        """The next frame's command and body; None when the connection was closed."""
        header = self.stream.read(HEADER.size)
        if not header:
            return None
        _, _, _, length, command = HEADER.unpack(header)
        return command, json.loads(self.stream.read(length - 4))

    def read_until(self, wanted: int | None) -> Any:
        """Read and print what is pushed, up to a frame of one command; returns its body."""
        while frame := self.read():
            command, body = frame
            if command >= 300:
                show(command, body)
            if command == wanted:
                return body
            if command == ERROR and body["command"] == wanted:
                raise SystemExit(f"failed: {body['description']}")
        return None

    def ask(self, command: int, **body: object) -> Any:
        self.send(command, body)
        answer = self.read_until(command)
        if answer is None:
            raise SystemExit("the connection was closed")
        return answer


def show(command: int, body: Any) -> None:
    if command == 301:
        print(f"push: {body['user']} is at {body['place']}", flush=True)
    elif command == 302:
        print(f"push: {body['user']} says: {body['text']}", flush=True)
    elif command == 900:
        print(f"push: {body['text']}", flush=True)


def play(port: int, user: str, password: str) -> None:
    client = Client(port)
    player = client.ask(101, user=user, password=password)
    print(f"{user} is on {player['node']}, at {player['place']} after {player['moves']} moves", flush=True)
    for steps in (1, 2, 3):
        player = client.ask(201, steps=steps)
        print(f"{steps} step{'s' * (steps > 1)}: at {player['place']} after {player['moves']} moves", flush=True)
    print("on this node:", client.ask(202), flush=True)
    client.ask(203, text="hello")
    client.ask(102, text="is anybody there?")
    client.send(103, {})
    client.read_until(None)
    print("the gate has closed the connection", flush=True)


if __name__ == "__main__":
    play(int(sys.argv[1]), *sys.argv[2:])
