"""Complaints: what the clients of a netport cause in its log. What they cause too often is only counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

_MOST_A_SECOND: Final = 10
"""Lines that clients can cause in the log in a second."""


class Complaints:
    """The complaints of one netport; `clock` gives seconds."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._quiet_until = 0.0
        self._said = self._unsaid = 0

    def complain(self, text: str, *args: object, error: BaseException | None = None) -> None:
        """Log what a client has caused, as `logging` does, with the traceback of an `error`."""
        now = self._clock()
        if now >= self._quiet_until:
            if self._unsaid:
                logger.warning("netport %s: %d more warnings were left out", self._name, self._unsaid)
            self._quiet_until, self._said, self._unsaid = now + 1.0, 0, 0
        self._said += 1
        if self._said <= _MOST_A_SECOND:
            logger.warning(f"netport %s: {text}", self._name, *args, exc_info=error)
        else:
            self._unsaid += 1
