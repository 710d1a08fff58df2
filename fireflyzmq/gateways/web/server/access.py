"""Access: a line in the log for each request over HTTP, as text and as fields for JSON. It knows nothing of gateways.

Nothing secret is in it: no header, no body, and of the address that was asked for the path alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import logging
from time import perf_counter
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from fireflyzmq.conventions.safe_log import log

logger = logging.getLogger("fireflyzmq.webgate.access")

_LONGEST: Final = 500


@dataclasses.dataclass(slots=True, eq=False)
class Access:
    """What is to be logged of a request: when it began, who was authenticated, the status that its answer began with
    (None: it has not begun), and how many bytes a WebSocket has sent. An event loop's time may be too coarse.

    What a request has begun may keep its context for long, so this lets go of the request once that is logged.
    """

    http: web.BaseRequest | None
    began: float
    user: str = ""
    status: int | None = None
    sent: int = 0

    def log(self) -> None:
        """Log the request, once."""
        http, self.http = self.http, None
        if http is None:
            return
        seconds = perf_counter() - self.began
        fields: dict[str, Any] = {
            "remote": http.remote or "",
            "user": escaped(self.user),
            "method": escaped(http.method),
            "path": escaped(http.rel_url.raw_path),
            "status": self.status,
            "bytes": http.writer.output_size + self.sent,
            "seconds": round(seconds, 6),
        }
        shown = [fields[name] or "-" for name in ("remote", "user", "method", "path", "status")]
        log(logger, logging.INFO, '%s %s "%s %s" %s %d %.6f', *shown, fields["bytes"], seconds, extra=fields)


_current: contextvars.ContextVar[Access | None] = contextvars.ContextVar("access", default=None)


def begin_access(http: web.Request) -> None:
    """Log this task's request when the task ends: how it ended is known then, though its client has gone midway."""
    access = Access(http, perf_counter())
    _current.set(access)
    task = asyncio.current_task()
    assert task is not None
    task.add_done_callback(lambda _: access.log())


def note_access(*, user: str = "", status: int | None = None, sent: int = 0) -> None:
    """Note something of this task's request, if it is logged."""
    access = _current.get()
    if access is not None:
        access.user = user or access.user
        access.status = status or access.status
        access.sent += sent


class AccessLog(AbstractAccessLogger):
    """Logs what aiohttp alone has answered: what was no HTTP, so that there was no request to begin with."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log a request that has its response; `time` is how long it took (s)."""
        if _current.get() is None:
            Access(request, perf_counter() - time, status=response.status).log()


def escaped(text: str) -> str:
    """A text of a client's, of some length at most, in characters of ASCII that neither move nor end anything."""
    plain = text[:_LONGEST].encode("unicode_escape").decode("ascii")
    return plain.replace('"', '\\"').replace(" ", "\\x20")
