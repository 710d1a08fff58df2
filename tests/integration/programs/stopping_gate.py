"""A gate, whose child says "lost" when a client of the netport beside it has gone; it takes a while to note it."""

from __future__ import annotations

import asyncio

import fireflyzmq as netsvc

dispatcher = netsvc.Dispatcher()
netsvc.Exchange().connect()
gate = netsvc.Root("gate")


@gate.exportMethod
async def lost(session: str) -> str:
    """Save the player, asking the child that tells."""
    print("begun", session, flush=True)
    if gate.currentRequest().remaining > 0:
        await asyncio.sleep(0.3)
    print("noted", session, flush=True)
    return "noted"


async def announce() -> None:
    await gate.ready()
    print("ready", flush=True)


gate.scheduleAction(announce)
dispatcher.run()
