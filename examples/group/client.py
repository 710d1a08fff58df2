import asyncio
import os
import signal

import fireflyzmq as netsvc


async def members(peer: netsvc.Service, group: str, count: int) -> None:
    """Wait until a group has so many members."""
    events = peer.subscribeServiceGroup(None, group)
    there: set[netsvc.Binding] = set()
    async for binding, status in events:
        if status == netsvc.SERVICE_AVAILABLE:
            there.add(binding)
        else:
            there.discard(binding)
        if len(there) == count:
            break
    events.close()


async def main() -> None:
    async with netsvc.connect() as peer:
        await members(peer, "workers", 5)
        workers = peer.groupEndPoint("workers")
        answers = await workers.pid()
        pids = {binding.name: pid for binding, pid in answers.items() if not isinstance(pid, netsvc.Failure)}
        print(len(pids), "workers", flush=True)

        call = workers.count_primes(10_000)
        async for binding, outcome in call:
            if isinstance(outcome, netsvc.Failure):
                print(f"{binding.name}: {outcome.kind}", flush=True)
            else:
                print(f"{binding.name}: {outcome} primes", flush=True)
            if "worker5" in pids:
                os.kill(pids.pop("worker5"), signal.SIGKILL)
                print("killed worker5", flush=True)

        whole = await call
        counts = [outcome for outcome in whole.values() if not isinstance(outcome, netsvc.Failure)]
        failures = len(whole) - len(counts)
        print(f"the whole: {len(counts)} answers, {failures} failure, {sum(counts)} primes", flush=True)

        asked = len(peer.lookupServiceGroup("workers"))
        first = await peer.groupEndPoint("workers", gather="first").count_primes(100)
        print(f"the first of {asked} to answer:", *(binding.name for binding in first), flush=True)


asyncio.run(main())
