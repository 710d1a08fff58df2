"""Programs under test: a process behind a real ROUTER socket, told what to do through its standard input."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

import zmq

from fireflyzmq.wire.commands import HEARTBEAT_SECONDS, HEARTBEATS_MISSED
from tests.conformance.messages import Frames
from tests.wire import notation

PATIENCE_MS = 10_000
"""How long what is played against, ours or not, may take to say something."""

QUIET_MS = 150
_STEP_MS = 10


class ProgramUnderTest:
    """A program that connects to the address behind its command, and an exchange's socket that it finds there."""

    def __init__(self, command: Sequence[str]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._listen("tcp://127.0.0.1:0")
        self.address = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._key = b""
        self._outcomes: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [*command, self.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _listen(self, address: str) -> zmq.Socket[bytes]:
        router = self._context.socket(zmq.ROUTER)
        beat = int(HEARTBEAT_SECONDS * 1000)
        options = {
            zmq.LINGER: 0,
            zmq.SNDHWM: 0,
            zmq.RCVHWM: 0,
            zmq.HEARTBEAT_IVL: beat,
            zmq.HEARTBEAT_TIMEOUT: HEARTBEATS_MISSED * beat,
            zmq.HEARTBEAT_TTL: HEARTBEATS_MISSED * beat,
        }
        for option, value in options.items():
            router.setsockopt(option, value)
        for _ in range(PATIENCE_MS // _STEP_MS):
            try:
                router.bind(address)
            except zmq.ZMQError as error:  # a socket that was closed leaves its address a little later
                if error.errno != zmq.EADDRINUSE:
                    raise
                time.sleep(_STEP_MS / 1000)
            else:
                return router
        raise OSError(f"{address} stays in use")

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._outcomes.put({key: notation.read(each) for key, each in json.loads(line).items()})

    # What the player asks.

    def do(self, action: dict[str, Any]) -> None:
        """Write an action."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(action) + "\n")

    def outcome(self) -> dict[str, Any] | None:
        """The next outcome; None when a message comes first, or nothing at all."""
        for _ in range(PATIENCE_MS // _STEP_MS):
            told = self.told()
            if told is not None or self._router.poll(_STEP_MS) or self._process.poll() is not None:
                return told
        return None

    def told(self) -> dict[str, Any] | None:
        """An outcome that is there now."""
        return None if self._outcomes.empty() else self._outcomes.get()

    def send(self, frames: Frames) -> None:
        """Send a message."""
        self._router.send_multipart([self._key, *frames])

    def receive(self) -> Frames | None:
        """The next message but empty ones; who speaks first, on a new socket, is the peer."""
        while self._arrives():
            key, *frames = self._router.recv_multipart()
            self._key = self._key or key
            if key == self._key and frames != [b""]:
                return frames
        return None

    def _arrives(self) -> bool:
        """Whether a message comes; a program that has ended says no more."""
        for _ in range(PATIENCE_MS // _STEP_MS):
            if self._router.poll(_STEP_MS):
                return True
            if self._process.poll() is not None:
                return bool(self._router.poll(QUIET_MS))
        return False

    def quiet(self) -> bool:
        """Whether nothing comes for a while."""
        return not self._router.poll(QUIET_MS)

    def later(self, seconds: float) -> None:
        """Nothing: what is expected next is waited for."""

    def cut(self) -> None:
        """Close the socket, and listen at the same address again."""
        self._router.close()
        self._router = self._listen(self.address)
        self._key = b""

    def close(self) -> None:
        """Kill the program, and close what belongs to it."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join()
        self._router.close()
        self._context.destroy(linger=0)

    def __enter__(self) -> ProgramUnderTest:
        return self

    def __exit__(self, *how: object) -> None:
        self.close()
