"""A node in a process of its own: `node.py root NAME`, or `node.py child NAME ROOT [OPTION ...]`.

Options of a child: `instances`, and `root=NAME` for a further root. A root prints what its hooks hear, and what a call
made there comes to.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import fireflyzmq as netsvc


class Gate(netsvc.Root):
    """Calls the child that its hooks are told of."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.exportMethod(os.getpid, "who")
        self.exportMethod(self.ask)
        self.exportMethod(self.ask_all)
        self.exportMethod(self.names)
        self.exportMethod(self.dropChild, "drop")
        self.exportMethod(self.back)

    def doChildConnect(self, name: str, binding: netsvc.Binding) -> None:
        """Say what a call of the new child comes to."""
        self.monitorResponse(lambda value: print(f"connect {name}: {value}"), self.callChild(binding, "who"))

    def doChildLostConnect(self, name: str, reason: str) -> None:
        """Say what a call of the lost child comes to, and how many milliseconds that takes."""
        began = time.monotonic()

        def failed(failure: netsvc.Failure) -> None:
            print(f"gone {name} {reason}: {failure.kind} after {1000 * (time.monotonic() - began):.0f}")

        self.monitorResponse(
            lambda value: print(f"gone {name} {reason}: {value}"), self.callChild(name, "who"), failure=failed
        )

    async def ask(self, name: str, method: str, *args: Any) -> Any:
        """Call a child."""
        return await getattr(self.child(name, wait=10.0), method)(*args)

    async def ask_all(self, method: str) -> list[Any]:
        """Call all children."""
        return list((await self.callChildren(method)).values())

    def names(self) -> list[str]:
        """The names of the children."""
        return sorted(binding.name for binding in self.children())

    async def back(self, value: Any) -> Any:
        """Answer with what the calling child makes of a value."""
        return await self.callChild(self.currentRequest().sender, "double", value)


class Game(netsvc.Child):
    """Offers methods to its root alone, and one to everybody."""

    def __init__(self, name: str, roots: list[str], instances: bool) -> None:
        super().__init__(name, root=roots, instances=instances)
        for root in roots:
            self.exportMethod(os.getpid, "who", root=root)
            self.exportMethod(lambda value: 2 * value, "double", root=root)
        self.exportMethod(self.ask)
        self.exportMethod(os.getpid, "anybody")

    async def ask(self, root: str, method: str, *args: Any) -> Any:
        """Call a root."""
        return await getattr(self.root(root, wait=10.0), method)(*args)

    def registrationFailed(self, failure: netsvc.RegistrationRefused) -> None:
        """Say why."""
        print(f"refused: {failure.description}")

    def droppedByRoot(self, root: str, reason: str) -> None:
        """Say so, and come back at once."""
        print(f"dropped by {root}: {reason}")
        self.joinRoot(root)


def main() -> None:
    """Run until stopped."""
    kind, name, *options = sys.argv[1:]
    dispatcher = netsvc.Dispatcher()
    netsvc.Exchange().connect()
    roots = [option.removeprefix("root=") for option in options if option != "instances"]
    node = Gate(name) if kind == "root" else Game(name, roots, "instances" in options)

    async def announce() -> None:
        await node.ready()
        print("ready")

    node.scheduleAction(announce)
    dispatcher.run()


main()
