"""The library as a program under test: `python -m tests.conformance.program tcp://host:port`.

It reads actions from standard input, one JSON object a line, and writes a line for each outcome, as README.md says:
the pattern for a program in another language.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import fireflyzmq as netsvc
from tests.wire import notation


class Program:
    """A peer, and services as they are wanted."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer
        self._services: dict[str, netsvc.Service] = {}
        self._calls: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Do what standard input says, until it ends."""
        loop = asyncio.get_running_loop()
        lines = asyncio.StreamReader(limit=1 << 24)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            action = json.loads(line)
            arguments = {key: notation.read(each) for key, each in action.items() if key != "do"}
            getattr(self, action["do"])(**arguments)

    def tell(self, **outcome: Any) -> None:
        """Write an outcome."""
        print(json.dumps({key: notation.write(each) for key, each in outcome.items()}), flush=True)

    # Actions.

    def serve(self, name: str) -> None:
        """Register a service with the four methods that scripts call."""
        service = self._services[name] = netsvc.Service(name)
        for method in (multiply, echo, wait, fail):
            service.exportMethod(method)

    def call(
        self,
        call: str,
        service: str,
        method: str,
        arguments: list[Any],
        keywords: dict[str, Any] | None = None,
        timeout: float = 20.0,
        oneway: bool = False,
    ) -> None:
        """Call a method by the name of its service; the outcome is told under the name `call`."""
        endpoint = self._peer.serviceEndPoint(service, timeout=timeout, oneway=oneway)
        for name in method.split("."):
            endpoint = getattr(endpoint, name)
        id = endpoint(*arguments, **(keywords or {}))
        if not oneway:
            self._calls[call] = id
            task = asyncio.create_task(self._wait_for(call, id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _wait_for(self, call: str, id: Any) -> None:
        try:
            self.tell(call=call, value=await id)
        except netsvc.Failure as failure:
            self.tell(call=call, failure=failure.kind)

    def cancel(self, call: str) -> None:
        """Cancel a call."""
        self._peer.cancelRequest(self._calls[call])

    def publish(self, publisher: str, subject: str, content: Any, life: float = 0) -> None:
        """Publish a report of a service; `life` as in the protocol."""
        self._services[publisher].publishReport(subject, content, life)

    def subscribe(self, publisher: str, pattern: str) -> None:
        """Subscribe to the reports of all services of a name."""
        self._peer.monitorReports(self._report, publisher, pattern, failure=lambda failure: self.tell(ended=True))

    def _report(self, report: netsvc.Report) -> None:
        lost = {} if report.lost is None else {"lost": report.lost}
        self.tell(report=report.subject, content=report.content, **lost)

    def stop(self) -> None:
        """Drain all services, then leave."""
        self._tasks.add(asyncio.create_task(self._drain()))

    async def _drain(self) -> None:
        await asyncio.gather(*(service.drain() for service in self._services.values()))
        await self._peer.leave()


def multiply(x: Any, y: Any) -> Any:
    """Answer the product."""
    return x * y


def echo(value: Any) -> Any:
    """Answer the argument."""
    return value


async def wait() -> None:
    """Do not answer."""
    await asyncio.Event().wait()


def fail(message: str) -> None:
    """Raise an exception."""
    raise ValueError(message)


async def main() -> None:
    """Connect to the address on the command line, and run."""
    await Program(await netsvc.connect(sys.argv[1], timeout=20)).run()


if __name__ == "__main__":
    asyncio.run(main())
