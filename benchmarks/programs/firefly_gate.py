"""A fireflyzmq service that answers frames, or has the game answer them: `firefly_gate ADDRESS`.

Asked to push, it has the netport push one frame to all clients.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import fireflyzmq as netsvc
from benchmarks.programs.measure import answer_questions
from benchmarks.programs.net_frames import BODY, PUSH


class Gate(netsvc.Service):
    """Behind the netport."""

    def __init__(self) -> None:
        super().__init__("gate")
        self._game = self.serviceEndPoint("game", wait=10.0)
        self._net = self.serviceEndPoint("net1", wait=10.0)
        self.exportMethod(self.echo)
        self.exportMethod(self.play)

    def echo(self, session: str, body: bytes) -> bytes:
        """The body."""
        return body

    async def play(self, session: str, body: bytes) -> bytes:
        """What the game says."""
        answer: bytes = await self._game.play(session, body)
        return answer

    async def push(self, size: int, seconds: float) -> dict[str, Any]:
        """Have one frame pushed to all clients, and say when (s, `time.perf_counter`) that was asked for."""
        start = time.perf_counter()
        await self._net.push(PUSH, BODY, everyone=True)
        return {"start": start}


def main(address: str) -> None:
    """Serve until killed."""
    dispatcher = netsvc.Dispatcher()
    exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)
    exchange.connect(address)
    gate = Gate()

    async def serve() -> None:
        await gate.ready()
        await answer_questions({"push": gate.push})

    serving = dispatcher.loop.create_task(serve())
    dispatcher.run()
    serving.cancel()


if __name__ == "__main__":
    main(sys.argv[1])
