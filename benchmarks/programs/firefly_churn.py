"""fireflyzmq services that come and go, all at once: `firefly_churn ADDRESS FIRST GROUP` ("" for none)."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import fireflyzmq as netsvc
from benchmarks.programs.measure import answer_questions, run


async def main(address: str, first: int, group: str) -> None:
    """Let services come and go as asked."""
    async with netsvc.connect(address) as peer:
        services: list[netsvc.Service] = []

        async def come(size: int, seconds: float) -> dict[str, Any]:
            for number in range(first, first + size):
                service = netsvc.Service(f"churn{number}", exchange=peer)
                if group:
                    service.joinGroup(group)
                services.append(service)
            await asyncio.gather(*[service.ready() for service in services])
            return {}

        async def go(size: int, seconds: float) -> dict[str, Any]:
            for service in services:
                service.close()
            services.clear()
            return {}

        await answer_questions({"come": come, "go": go})


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
