"""The task that runs in a loop right now, for a hot path: `asyncio.current_task` is fast from Python 3.12 on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

running_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None] = asyncio.current_task
if sys.version_info < (3, 12):
    running_task = asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]
