"""fireflyzmq services in one group: `firefly_members ADDRESS FIRST COUNT`."""

from __future__ import annotations

import asyncio
import sys

import fireflyzmq as netsvc
from benchmarks.programs.measure import run, say


class Member(netsvc.Service):
    """A member of the group `members`, which answers with its number and what it was asked."""

    def __init__(self, number: int, exchange: netsvc.Exchange) -> None:
        super().__init__(f"member{number}", exchange=exchange)
        self.number = number
        self.joinGroup("members")
        self.exportMethod(self.work)

    def work(self, question: int) -> list[int]:
        """Number and question."""
        return [self.number, question]


async def main(address: str, first: int, count: int) -> None:
    """Serve until killed."""
    exchange = netsvc.Exchange()
    exchange.connect(address)
    members = [Member(number, exchange) for number in range(first, first + count)]
    await asyncio.gather(*[member.ready() for member in members])
    say({"ready": ["work"]})
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
