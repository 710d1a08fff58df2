"""A fireflyzmq netport: `firefly_netport ADDRESS`. Asked to push, it pushes one frame to all clients.

Its limits are such that none is met: what is measured are frames, not how clients are held back. All connections may
come from one address, and there is no limit (0) to how much they send and how long they are silent.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Final

import fireflyzmq as netsvc
from benchmarks.programs.descriptors import raise_descriptors
from benchmarks.programs.measure import answer_questions
from benchmarks.programs.net_frames import BACK, BODY, ECHO, MAGIC, PUSH, SERVICE, VERSION

LIMITS: Final = netsvc.NetLimits(
    connections=20_000,
    connections_per_address=20_000,
    idle_seconds=0.0,
    first_frame_seconds=0.0,
    frames_per_second=0.0,
    bytes_per_second=0.0,
)


def main(address: str) -> None:
    """Serve clients until killed."""
    raise_descriptors()
    dispatcher = netsvc.Dispatcher()
    exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)
    exchange.connect(address)
    codec = netsvc.FireflyCodec(magic=MAGIC, version=VERSION)
    net = netsvc.NetPort("net1", 0, codec=codec, limits=LIMITS)

    @net.exportCommand(ECHO)
    def echo(session: Any, body: bytes) -> bytes:
        return body

    net.forward(SERVICE, "gate", "echo")
    net.forward(BACK, "gate", "play")

    async def push(size: int, seconds: float) -> dict[str, Any]:
        start = time.perf_counter()
        net.push(PUSH, BODY, everyone=True)
        return {"start": start}

    async def serve() -> None:
        await net.ready()
        await answer_questions({"push": push}, [str(net.port)])

    serving = dispatcher.loop.create_task(serve())
    dispatcher.run()
    serving.cancel()


if __name__ == "__main__":
    main(sys.argv[1])
