"""A TCP relay between a peer and the exchange, which can be slow, silent, or cut."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from types import TracebackType

CHUNK = 16 * 1024


class Relay:
    """Forwards connections to `target` ("tcp://host:port"), at most `rate` bytes a second each way (None: no limit).

    `freeze()` forwards nothing more and closes nothing, as a cable that was pulled; `cut()` closes all connections.
    """

    def __init__(self, target: str, rate: float | None = None) -> None:
        host, _, port = target.removeprefix("tcp://").rpartition(":")
        self._target = (host, int(port))
        self._rate = rate
        self._flows = threading.Event()
        self._flows.set()
        self._stopping = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._others: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where peers connect in the place of the target."""
        return f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def freeze(self) -> None:
        """Forward nothing from now on."""
        self._flows.clear()

    def thaw(self) -> None:
        """Forward again."""
        self._flows.set()

    def cut(self) -> None:
        """Close all connections; new ones are taken."""
        with self._lock:
            for each in list(self._others):
                self._drop(each)

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept()
                elif self._flows.is_set():
                    with self._lock:
                        self._forward(key.fileobj)  # type: ignore[arg-type]
            self._flows.wait()

    def _accept(self) -> None:
        incoming, _ = self._listener.accept()
        try:
            outgoing = socket.create_connection(self._target, timeout=5)
        except OSError:
            incoming.close()
            return
        with self._lock:
            for one, other in ((incoming, outgoing), (outgoing, incoming)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._rate is not None:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
                self._others[one] = other
                self._selector.register(one, selectors.EVENT_READ)

    def _forward(self, source: socket.socket) -> None:
        other = self._others.get(source)
        if other is None:
            return
        try:
            data = source.recv(CHUNK)
            if data:
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(source)
        elif self._rate is not None:
            time.sleep(len(data) / self._rate)

    def _drop(self, one: socket.socket) -> None:
        other = self._others.pop(one, None)
        for each in (one, other):
            if each is not None:
                self._others.pop(each, None)
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(each)
                each.close()

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._flows.set()
        self._thread.join(10)
        self.cut()
        self._selector.close()
        self._listener.close()
