"""A fireflyzmq service behind the gate: `firefly_game ADDRESS`."""

from __future__ import annotations

import sys

import fireflyzmq as netsvc
from benchmarks.programs.firefly_service import announce


class Game(netsvc.Service):
    """Answers the gate."""

    def __init__(self) -> None:
        super().__init__("game")
        self.exportMethod(self.play)

    def play(self, session: str, body: bytes) -> bytes:
        """The body."""
        return body


def main(address: str) -> None:
    """Serve until killed."""
    dispatcher = netsvc.Dispatcher()
    exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)
    exchange.connect(address)
    announcing = dispatcher.loop.create_task(announce(Game(), "game"))
    dispatcher.run()
    announcing.cancel()


if __name__ == "__main__":
    main(sys.argv[1])
