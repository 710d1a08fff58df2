"""Output: the lines of all processes of a cluster, in one stream, and in a file for each node that asks for one.

It knows lines and files. What steers a terminal does not get through, and no file grows without bound.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fireflyzmq.cluster.supervision import Instance

FILE_BYTES: Final = 16 << 20
KEPT_FILES: Final = 5
"""A log file that has grown to so many bytes is put aside, and so many are kept."""


class NodeLogs:
    """The log files of nodes. `{index}` in a file's name is the instance's number."""

    def __init__(self, folder: Path, complain: Callable[[str], None]) -> None:
        self._folder = folder
        self._complain = complain
        self._files: dict[Path, _LogFile] = {}

    def write(self, instance: Instance, line: str) -> None:
        """Append a line to the file of an instance, if it has one. A full disk is complained of once."""
        name = instance.spec.log_file
        if name is None:
            return
        path = self._folder / name.replace("{index}", str(instance.index))
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = _LogFile(path, self._complain)
        file.write(line)

    def close(self) -> None:
        """Close them all."""
        for file in self._files.values():
            file.close()


class _LogFile:
    """One file, which is put aside when it is long enough."""

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self._path = path
        self._complain = complain
        self._complained = False
        self._handler: logging.handlers.RotatingFileHandler | None = None

    def write(self, line: str) -> None:
        try:
            if self._handler is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._handler = logging.handlers.RotatingFileHandler(
                    self._path,
                    maxBytes=FILE_BYTES,
                    backupCount=KEPT_FILES,
                    encoding="utf-8",
                    errors="backslashreplace",
                )
                self._handler.handleError = self._failed  # type: ignore[method-assign]
            self._handler.emit(logging.LogRecord("node", logging.INFO, "", 0, line, None, None))
        except OSError as error:
            self._tell(str(error))

    def _failed(self, record: logging.LogRecord) -> None:
        self._tell(str(sys.exc_info()[1]))

    def _tell(self, problem: str) -> None:
        if not self._complained:
            self._complained = True
            self._complain(f"nothing can be written to {self._path}: {problem}")

    def close(self) -> None:
        if self._handler is not None:
            self._handler.close()
