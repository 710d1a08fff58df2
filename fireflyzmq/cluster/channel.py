"""Channel: what a node's process says to its supervisor, as lines of JSON on a socket that only these two have.

It says that it is ready, and that its loop answers (`beat`). When one of the two is gone, the other sees the socket's
end, however that one ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

VARIABLE: Final = "FIREFLYZMQ_NODE"
"""The environment variable with what a node's process is to be, as JSON; `channel` is its descriptor."""

_MOST: Final = 1 << 20
"""Bytes of a line; a longer one is no message of ours."""


class Lines:
    """Bytes as they come, cut into messages; ValueError for what is none."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that are whole now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MOST:
            raise ValueError("a line without an end")
        messages = [json.loads(line) for line in lines]
        if not all(isinstance(message, dict) for message in messages):
            raise ValueError("a line that is no message")
        return messages


def line_of(message: dict[str, Any]) -> bytes:
    """A message as it travels."""
    return json.dumps(message).encode() + b"\n"


class NodeEnd:
    """A node's end. It is read in a thread of its own: a loop that hangs is not to hide the other's end."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)

    def listen(self, gone: Callable[[], None]) -> None:
        """Call `gone`, in a thread, when the supervisor is gone."""
        threading.Thread(target=self._read, args=(gone,), name="the supervisor's end", daemon=True).start()

    def _read(self, gone: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            while self._socket.recv(65536):
                pass
        gone()

    def say(self, message: dict[str, Any]) -> None:
        """Tell the supervisor; nobody hears it who is gone."""
        with contextlib.suppress(OSError):
            self._socket.sendall(line_of(message))


def end_of_environment() -> tuple[dict[str, Any], NodeEnd]:
    """What this process is to be, and its end of the channel. RuntimeError in one that no supervisor has started."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        raise RuntimeError("this is what `fireflyzmq run` starts for each node; it is not started by hand")
    said: dict[str, Any] = json.loads(text)
    return said, NodeEnd(said["channel"])
