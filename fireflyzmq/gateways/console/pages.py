"""Pages: the files that the browser gets, and the headers that keep it from taking anything from elsewhere."""

from __future__ import annotations

import hashlib
import pathlib
from typing import Final

from aiohttp import web

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every answer of the console carries (CSP level 3): nothing but its own files runs, and no page frames it."""

_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


class Pages:
    """The files of a folder by name, read once."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix in _TYPES:
                body = path.read_bytes()
                self._files[path.name] = body, _TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:16]}"'

    def response(self, http: web.Request, name: str) -> web.Response:
        """A file; 304 when the browser has it; HTTPNotFound for one that is not there."""
        if (name or "index.html") not in self._files:
            raise web.HTTPNotFound(text="nothing is here\n", headers=HEADERS)
        body, content_type, tag = self._files[name or "index.html"]
        headers = {**HEADERS, "ETag": tag, "Cache-Control": "no-cache"}
        if tag in http.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)
