"""What the console's tests share: a console in a process of its own, and a plain HTTP client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, Self
from urllib.parse import urlsplit

from fireflyzmq.testing import PythonProcess
from tests.waiting import PATIENCE, wait_until

MARKET = pathlib.Path(__file__).parent / "market.py"

StartMarket = Callable[..., PythonProcess]


class ConsoleProcess(PythonProcess):
    """`python -m fireflyzmq console` at a free port; `url` says where."""

    def __init__(self, exchange: str, *options: str, listen: str = "127.0.0.1:0") -> None:
        super().__init__(["-m", "fireflyzmq", "console", "--listen", listen, "--exchange", exchange, *options])
        self.url = self.wait_for_line("console at ").split()[-1]

    def __enter__(self) -> Self:
        return self


class Web:
    """An HTTP client for one address."""

    def __init__(self, url: str, **headers: str) -> None:
        self.host = urlsplit(url).netloc
        self.headers = headers

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """One request: status, headers, body."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        with contextlib.closing(connection):
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            content_type = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, sent, {**content_type, **self.headers, **headers})
            response = connection.getresponse()
            return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()

    def get(self, path: str) -> Any:
        """The JSON at a path; it must be there."""
        status, _, body = self.ask("GET", path)
        assert status == 200, (status, body)
        return json.loads(body)

    def get_when(self, path: str, holds: Callable[[Any], object]) -> Any:
        """The JSON at a path, as soon as that holds of it."""

        def look() -> Any:
            said = self.get(path)
            return said if holds(said) else None

        return wait_until(look)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of a POST."""
        status, _, answer = self.ask("POST", path, body)
        return status, json.loads(answer)

    @contextlib.contextmanager
    def events(self, path: str) -> Iterator[Iterator[Any]]:
        """The data of server-sent events."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=self.headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()

            def read() -> Iterator[Any]:
                while line := response.readline():
                    if line.startswith(b"data: "):
                        yield json.loads(line[6:])

            yield read()
