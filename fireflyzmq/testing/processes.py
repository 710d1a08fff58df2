"""Real processes for tests: an exchange on a free port, and Python programs beside it.

Each waits for what a process prints, never for a time to pass.
"""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

from fireflyzmq.api.exchange import ADDRESS_VARIABLE

START_SECONDS = 20.0
"""How long a process may take to print what is waited for."""


class PythonProcess:
    """A Python program in a process of its own, whose output can be waited for.

    `arguments` are those of the interpreter: a script's path, or `-m` and a module. `env` is added to this process's
    environment. Leaving the `with` statement kills it.
    """

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._arguments = [sys.executable, "-u", *arguments]
        self._env = {**os.environ, **(env or {})}
        self.lines: list[str] = []
        self._unread: collections.deque[str] = collections.deque()
        self._news = threading.Condition()
        self.start()

    def start(self) -> None:
        """Start the process (again)."""
        self.process = subprocess.Popen(
            self._arguments, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._unread.append(self.lines[-1])
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for_line(self, text: str, timeout: float = START_SECONDS) -> str:
        """The next line of output or log that has `text` in it.

        AssertionError, with all that was printed, when the process ends without it or `timeout` seconds pass.
        """
        with self._news:
            found: list[str] = []

            def ready() -> bool:
                while self._unread:
                    line = self._unread.popleft()
                    if text in line:
                        found.append(line)
                        return True
                return self._ended

            self._news.wait_for(ready, timeout)
        if not found:
            raise AssertionError(f"no line with {text!r}; printed so far:\n" + "\n".join(self.lines))
        return found[0]

    def wait(self, timeout: float = START_SECONDS) -> int:
        """Wait for the process to end by itself; returns its exit status (negative: the signal that ended it)."""
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status

    def send_signal(self, signum: int) -> None:
        """Send the process a signal."""
        self.process.send_signal(signum)

    def kill(self) -> None:
        """Kill the process (SIGKILL) and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._reader.join()

    def freeze(self) -> None:
        """Stop the process where it is (SIGSTOP): it lives, and does nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> PythonProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class ExchangeProcess(PythonProcess):
    """A real exchange in a process of its own, by default on a free port of this host; `address` says where."""

    def __init__(self, listen: Iterable[str] = ("tcp://127.0.0.1:0",), options: Iterable[str] = ()) -> None:
        self._options = list(options)
        self.addresses: list[str] = []
        self._listen(list(listen))
        super().__init__(self._arguments_for())
        self._read_addresses()

    def _listen(self, addresses: list[str]) -> None:
        self._listens = addresses

    def _arguments_for(self) -> list[str]:
        listens = [word for address in self._listens for word in ("--listen", address)]
        return ["-P", "-m", "fireflyzmq", "exchange", *listens, *self._options]

    def _read_addresses(self) -> None:
        self.addresses = [self.wait_for_line("exchange listens at ").split()[-1] for _ in self._listens]

    @property
    def address(self) -> str:
        """Where it listens: what `connect`, `Client` and `Exchange.connect` take."""
        return self.addresses[0]

    @property
    def environment(self) -> dict[str, str]:
        """What lets another process find this exchange without being told an address."""
        return {ADDRESS_VARIABLE: self.address}

    def restart(self) -> None:
        """Kill it and start it again at the same addresses."""
        self.kill()
        self._listen(self.addresses)
        self._arguments = [sys.executable, "-u", *self._arguments_for()]
        self.start()
        self._read_addresses()

    def __enter__(self) -> ExchangeProcess:
        return self
