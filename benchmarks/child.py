"""Child: a process that the benchmarks start, talk to in lines of JSON, and surely end."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

START_SECONDS = 20.0
"""How long a process may take to say that it is there, or to answer."""

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when the harness is gone, even when that was killed (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A process with its standard input and output in pipes. Leaving the `with` statement kills it.

    RuntimeError, with what it wrote to standard error, when it ends or says nothing for too long.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._buffer = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def read_line(self, timeout: float = START_SECONDS) -> str:
        """The next line of standard output."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        due = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([descriptor], [], [], max(0.0, due - time.monotonic()))
            data = os.read(descriptor, 65536) if readable else b""
            if not data:
                raise RuntimeError(self._describe("ended" if readable else f"said nothing for {timeout:g} s"))
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def ask(self, question: dict[str, Any]) -> None:
        """Send one line of JSON; `answer` gets what it says to that."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self, timeout: float = START_SECONDS) -> dict[str, Any]:
        """One line of JSON from the process."""
        answer: dict[str, Any] = json.loads(self.read_line(timeout))
        return answer

    def cpu_seconds(self) -> float | None:
        """CPU time of all its threads so far, user and system; None where the system does not tell (not Linux)."""
        if sys.platform != "linux":
            return None
        # The id of another process's CPU clock, as clock_getcpuclockid(3) makes it: /proc/<pid>/stat has the same
        # sum, but in ticks of 10 ms.
        return time.clock_gettime(~self.pid << 3 | 2)

    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def _describe(self, problem: str) -> str:
        self._errors.seek(0)
        errors = self._errors.read().decode(errors="replace").strip()
        return f"{' '.join(self._command[1:4])} {problem}" + (f":\n{errors[-2000:]}" if errors else "")

    def check(self) -> None:
        """RuntimeError when the process has ended."""
        if not self.running():
            raise RuntimeError(self._describe("ended"))

    def stop(self) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._errors.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module in this interpreter."""
    return [sys.executable, "-u", "-m", module, *arguments]
