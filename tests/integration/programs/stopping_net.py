"""A netport beside a child, or in one class with it, whose hook tells the gate that a client has gone.

Arguments: "beside" or "both", and "def", "async" or "oneway".
"""

from __future__ import annotations

import sys
from typing import Any

import fireflyzmq as netsvc

layout, form = sys.argv[1:]
dispatcher = netsvc.Dispatcher()
netsvc.Exchange().connect()


def lost(node: netsvc.Child, session: Any) -> Any:
    """What the hook says."""
    if form == "def":
        node.monitorResponse(lambda value: print("answered", value, flush=True), node.callRemote("lost", session.id))
        return None
    if form == "oneway":
        node.callRemote("lost", session.id, oneway=True)
        return None
    return tell(node, session)


async def tell(node: netsvc.Child, session: Any) -> None:
    """The same, awaited, and a second call behind it."""
    print("answered", await node.callRemote("lost", session.id), flush=True)
    print("again", await node.callRemote("lost", session.id + " again"), flush=True)


class Beside(netsvc.NetPort):
    """A netport alone."""

    def doConnectionMade(self, session: Any) -> None:
        print("made", flush=True)

    def doConnectionLost(self, session: Any, reason: str) -> Any:
        return lost(node, session)


class Both(netsvc.NetPort, netsvc.Child):
    """What a net node of Firefly is."""

    def doConnectionMade(self, session: Any) -> None:
        print("made", flush=True)

    def doConnectionLost(self, session: Any, reason: str) -> Any:
        return lost(self, session)


net: netsvc.NetPort
node: netsvc.Child
if layout == "both":
    net = node = Both("net", root="gate")
else:
    net, node = Beside("port"), netsvc.Child("net", root="gate")


async def announce() -> None:
    await net.ready()
    await node.ready()
    print("ready", net.port, flush=True)


net.scheduleAction(announce)
dispatcher.run()
print("stopped", flush=True)
