"""Logging where nothing may be raised: a handler's fault must not be in the way of what is logged. Pure."""

from __future__ import annotations

import logging
from typing import Any


def log(logger: logging.Logger, level: int, message: str, *args: Any, **options: Any) -> None:
    """Log as `logger.log` does, and raise nothing."""
    try:
        logger.log(level, message, *args, stacklevel=2, **options)
    except Exception:  # there is no log to tell of it in
        return
