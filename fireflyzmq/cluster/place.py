"""Place: where a running cluster can be reached on its host, by its own user alone, and that it runs only once.

It knows files and their rights. A cluster is told apart by the path of its file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

_ROOT: Final = "fireflyzmq"


class Taken(Exception):
    """The cluster of a file runs already; `pid` is its supervisor's process, 0 where that is not known."""

    def __init__(self, file: Path, pid: int) -> None:
        super().__init__(f"the cluster of {file} runs already, in process {pid}")
        self.pid = pid


class Place:
    """A folder of a cluster's own, which its user alone may enter. OSError when it cannot be had, or others may."""

    def __init__(self, file: Path) -> None:
        self._file = file.resolve()
        named = hashlib.sha256(os.fsencode(self._file)).hexdigest()[:16]
        self.folder = _root() / named
        self._lock: int | None = None

    @property
    def address(self) -> str:
        """Where the cluster's master listens."""
        return f"ipc://{self.folder}/master"

    def take(self) -> None:
        """Be the one supervisor of the file, for as long as this process lives. Taken when there is one."""
        _own(self.folder.parent)
        _own(self.folder)
        self._lock = os.open(self.folder / "pid", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            written = os.read(self._lock, 32).decode("ascii", "replace").strip()
            os.close(self._lock)
            self._lock = None
            raise Taken(self._file, int(written) if written.isdecimal() else 0) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode("ascii"), 0)

    def leave(self) -> None:
        """Let another one be it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _root() -> Path:
    """The folder of all clusters of this user."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / _ROOT if runtime else Path("/tmp") / f"{_ROOT}-{os.getuid()}"


def _own(folder: Path) -> None:
    """Make a folder that its user alone may enter. PermissionError for one that is another's, or open to others."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    if found.st_mode & 0o077:
        raise PermissionError(f"others may enter {folder}: chmod 700 {folder}")
