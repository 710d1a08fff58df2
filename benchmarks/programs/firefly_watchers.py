"""fireflyzmq peers that watch the registry, or a group: `firefly_watchers ADDRESS PEERS GROUP` ("" for the registry).

Asked about so many services that come, or go, they answer when each peer has been told of each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import fireflyzmq as netsvc
from benchmarks.programs.measure import answer_questions, run


class Watchers:
    """What the peers of this process have been told: each service comes once and then goes once, by its own wish."""

    def __init__(self) -> None:
        self.told = {"come": 0, "go": 0}
        self.asked = {"come": 0, "go": 0}
        self.wrong = 0
        self.peers: list[netsvc.Service] = []
        self._told = asyncio.Event()

    def watch(self, peer: netsvc.Service, group: str) -> None:
        """Let a peer watch."""
        present: set[str] = set()

        def changed(binding: netsvc.Binding, status: netsvc.Status) -> None:
            before = len(present)
            if status == netsvc.SERVICE_AVAILABLE:
                present.add(binding.address)
                self._tell("come", right=len(present) == before + 1)
            else:
                present.discard(binding.address)
                self._tell("go", right=len(present) == before - 1 and status.reason == "goodbye")

        def registry_changed(binding: netsvc.Binding, group: str | None, status: netsvc.Status) -> None:
            if binding.name.startswith("churn"):
                changed(binding, status)

        if group:
            peer.subscribeServiceGroup(changed, group)
        else:
            peer.subscribeRegistry(registry_changed)
        self.peers.append(peer)

    def _tell(self, what: str, right: bool) -> None:
        self.told[what] += 1
        self.wrong += not right
        if self.told[what] == self.asked[what]:
            self._told.set()

    async def _wait(self, what: str, size: int) -> dict[str, Any]:
        self.asked[what] += size * len(self.peers)
        self._told.clear()
        if self.told[what] != self.asked[what]:
            await self._told.wait()
        return {"events": size * len(self.peers), "wrong": self.wrong}

    async def come(self, size: int, seconds: float) -> dict[str, Any]:
        """Wait until all peers have been told that so many services have come."""
        return await self._wait("come", size)

    async def go(self, size: int, seconds: float) -> dict[str, Any]:
        """Wait until all peers have been told that so many services have gone."""
        return await self._wait("go", size)


async def main(address: str, peers: int, group: str) -> None:
    """Watch, and answer questions."""
    watchers = Watchers()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(peers):
            watchers.watch(await stack.enter_async_context(netsvc.connect(address)), group)
        for peer in watchers.peers:  # so that the exchange has read what went before
            await peer.serviceEndPoint("exchange", wait=10.0).ping()
        await answer_questions({"come": watchers.come, "go": watchers.go})


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
