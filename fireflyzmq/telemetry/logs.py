"""Logs: what is logged as one object of JSON a line, with the request that was being served. Pure.

{"time": "2026-01-31T12:00:00.123Z", "level": "ERROR", "logger": "fireflyzmq.peer.serving", "message": "...",
 "call": "1f0c9a2b:17", "service": "math", "method": "divide", "trace": "0af7651916cd43dd8448eb211c80319c",
 "exception": "Traceback ..."}
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from fireflyzmq.peer.records import Request, current_request

TEXT, JSON = "text", "json"
LOG_FORMATS: Final = (TEXT, JSON)

_TEXT_FORM: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_NOT_EXTRA: Final = {*vars(logging.makeLogRecord({})), "message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Writes a record as one line: an object of JSON in ASCII. What a record has `extra` becomes fields of their own.

    The request is the one that the record was logged for (`extra={"request": ...}`), otherwise the one that is being
    served where it is formatted: handlers that format elsewhere, such as those behind a queue, see none.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        request = getattr(record, "request", None)
        if not isinstance(request, Request):  # others have requests of their own
            request = current_request.get()
        if request is not None:
            fields |= {"call": request.id, "service": request.service.name, "method": request.method}
            fields |= {"trace": request.trace} if request.trace is not None else {}
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        extra = {
            name: value
            for name, value in vars(record).items()
            if name not in _NOT_EXTRA | {*fields} and not isinstance(value, Request)
        }
        try:
            return json.dumps(fields | extra, default=str, allow_nan=False)
        except Exception:  # a number that JSON lacks, keys that it does not know, or whatever a `__str__` raises
            return json.dumps(fields | {name: _said(value) for name, value in extra.items()})


def _said(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"


def log_to(stream: TextIO | None, level: int | str, form: str) -> logging.Handler:
    """Let the root logger write what is at least of a level to a stream (standard error), as TEXT or JSON.

    Handlers that it had before are taken from it. ValueError for what is no level or format.
    """
    if form not in LOG_FORMATS:
        raise ValueError(f"logs are {' or '.join(LOG_FORMATS)}, not {form!r}")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if form == JSON else logging.Formatter(_TEXT_FORM))
    logging.basicConfig(level=level.upper() if isinstance(level, str) else level, handlers=[handler], force=True)
    return handler


def logJson(stream: TextIO | None = None, level: int | str = "info") -> logging.Handler:
    """Let everything that is logged be a line of JSON in a stream (standard error); returns the handler."""
    return log_to(stream, level, JSON)
