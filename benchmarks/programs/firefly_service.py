"""A fireflyzmq service with one plain method, in a process with a Dispatcher: `firefly_service ADDRESS`."""

from __future__ import annotations

import sys

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


async def announce(service: netsvc.Service) -> None:
    """Tell the harness that the exchange knows the service."""
    await service.ready()
    say({"ready": ["multiply"]})


def main(address: str) -> None:
    """Serve until killed."""
    dispatcher = netsvc.Dispatcher()
    exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)
    exchange.connect(address)
    announcing = dispatcher.loop.create_task(announce(Math()))
    dispatcher.run()
    announcing.cancel()


if __name__ == "__main__":
    main(sys.argv[1])
