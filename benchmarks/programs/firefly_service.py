"""A fireflyzmq service with one plain method, in a process with a Dispatcher: `firefly_service ADDRESS [OPTION ...]`.

With the option `metrics` it serves them, and says at which port; with `freeze` garbage collections leave out what was
loaded.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

import fireflyzmq as netsvc
from benchmarks.programs.measure import say


class Math(netsvc.Service):
    """Multiplies."""

    def __init__(self) -> None:
        super().__init__("math")
        self.exportMethod(self.multiply)

    def multiply(self, x: int, y: int) -> int:
        """The product."""
        return x * y


async def announce(service: netsvc.Service, what: str) -> None:
    """Tell the harness that the exchange knows the service."""
    await service.ready()
    say({"ready": [what]})


def main(address: str, options: Sequence[str]) -> None:
    """Serve until killed."""
    dispatcher = netsvc.Dispatcher()
    exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)
    exchange.connect(address)
    what = str(netsvc.serveMetrics().port()) if "metrics" in options else "multiply"
    if "freeze" in options:
        gc.freeze()
    service = Math()
    service.joinGroup("web-services")
    announcing = dispatcher.loop.create_task(announce(service, what))
    dispatcher.run()
    announcing.cancel()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
