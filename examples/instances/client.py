import asyncio
import collections

import fireflyzmq as netsvc


async def who_answers(endpoint: netsvc.Endpoint, calls: int) -> str:
    """Call one after the other, and count the answers of each instance."""
    counts = collections.Counter([await endpoint.work() for _ in range(calls)])
    return ", ".join(f"{label} {counts[label]}" for label in sorted(counts))


async def main() -> None:
    async with netsvc.connect() as peer:
        instances = await peer.lookup("worker", timeout=5)
        print(len(instances), "instances")

        in_turn = peer.serviceEndPoint("worker", balance="round-robin")
        print("round-robin:", await who_answers(in_turn, 3 * len(instances)))

        # One instance is kept busy, so calls go to those that have less to do.
        busy = peer.serviceEndPoint(instances[0])
        print("busy:", await busy.work())
        long_call = busy.work(60)
        idlest = peer.serviceEndPoint("worker", balance="least-pending")
        print("least-pending:", await who_answers(idlest, 30))
        peer.cancelRequest(long_call)
        peer.ignoreResponse(long_call)

        # All calls with one key go to one instance, whoever makes them.
        for player in ("ada", "bob", "cleo"):
            print(f"key {player}:", await who_answers(peer.serviceEndPoint("worker", key=player), 5))


asyncio.run(main())
