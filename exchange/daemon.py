"""The daemon: a server's loop in a process of its own, what tells it to stop, and the console beside it.

It knows signals, descriptors and child processes; not what the exchange does with messages, nor the command line.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

from .server import Server

logger = logging.getLogger("exchange")

CONSOLE_SECONDS = 3.0
"""How long the console may take to end."""

FAULT_PAUSE = 0.1
"""Seconds for which the loop does nothing after it has failed."""

LONGEST_POLL = 3600.0
"""Seconds after which the loop looks again at what is due."""


class StopFlag:
    """Set by SIGINT and SIGTERM; its descriptor wakes whoever polls it."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = number

    def fileno(self) -> int:
        """The descriptor that becomes readable when a signal has come."""
        return self._reader.fileno()

    def close(self) -> None:
        """Hear of signals no more, which then do nothing: the process is at its end."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self._reader.close()
        self._writer.close()


class ConsoleProcess:
    """`python -m fireflyzmq console` as a child: a peer like others, with an event loop, which the daemon has not.

    Its standard input is a pipe of which this process holds the other end. That closes however this process ends, and
    the child ends with it.
    """

    def __init__(self, listen: str, address: str, log_level: str, log_format: str) -> None:
        safe_path = ["-P"] if sys.flags.safe_path else []
        command = [sys.executable, *safe_path, "-m", "fireflyzmq", "console", "--end-with-input"]
        command += ["--listen", listen, "--exchange", reachable(address)]
        command += ["--log-level", log_level, "--log-format", log_format]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)

    def close(self) -> None:
        """End it, and wait until it has ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(CONSOLE_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("the console did not end, and is killed")
            self._process.kill()
            self._process.wait()


def reachable(address: str) -> str:
    """The address at which this host reaches a server that listens at all of its own."""
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def serve(server: Server, stop: StopFlag, busy_seconds: float) -> None:
    """Run a server until a signal comes. Polls rather than running an event loop: it saves 20 µs a wake-up.

    It sleeps when nothing has come for `busy_seconds`; until then it lets other processes have the CPU each time that
    it has found nothing.
    """
    socket_descriptor, monitor_descriptor = server.descriptors
    poller = select.poll()
    for descriptor in (socket_descriptor, monitor_descriptor, stop.fileno()):
        poller.register(descriptor, select.POLLIN)
    while stop.signal is None:
        try:
            if server.process():
                continue
            if server.clock() < server.heard_at + busy_seconds:
                os.sched_yield()
                continue
            for descriptor, _ in poller.poll(_poll_timeout(server)):
                if descriptor == monitor_descriptor:
                    server.process_monitor()
        except Exception:
            logger.exception("the exchange's loop failed, and goes on")
            time.sleep(FAULT_PAUSE)  # what stays wrong must not fill the log, or a core


def _poll_timeout(server: Server) -> int | None:
    """Milliseconds until there is something to do though nothing comes; None when there is nothing.

    `poll` takes a C int of them, and something may be due in months: then it looks again before.
    """
    due = server.next_deadline()
    return None if due is None else max(0, int(min(due - server.clock(), LONGEST_POLL) * 1000) + 1)
