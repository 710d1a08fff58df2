"""Follow one call through the code: which functions hand it on, in which files, on its way there and back.

    python docs/trace.py

Everything runs in this one process, over real sockets: an exchange, a service and a caller, each with a connection of
its own. A function is on the way when it was running as the call's bytes were handed over: put on a channel, sent,
routed, given to the method, told to whoever awaits. What those functions call beside it (clocks, tables, codecs) and
the event loops that call the first of them are not. docs/architecture.md shows what this prints; a test holds both.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import FrameType

import fireflyzmq as netsvc

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (str(ROOT / "exchange"), str(ROOT / "fireflyzmq"))
EVENT_LOOP = "EmbeddedExchange._drive"
"""What stands in this process for the daemon's loop."""

HAND_OVERS = {
    "Channels.append",
    "Link.send",
    "RoutingCore.receive",
    "Server._transmit",
    "Serving._run",
    "ResponseId.finished",
}

Step = tuple[str, str]
"""A file's path in the project, and a function's qualified name."""


def running(frame: FrameType | None) -> list[FrameType]:
    """The frames of the project's functions that are running, the outermost first."""
    frames: list[FrameType] = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGES):
            frames.insert(0, frame)
        frame = frame.f_back
    return frames


def step_of(frame: FrameType) -> Step:
    """The function of a frame."""
    return str(Path(frame.f_code.co_filename).relative_to(ROOT)), frame.f_code.co_qualname


def follow() -> tuple[list[Step], list[Step]]:
    """Make one call and return the steps of its two ways: to the method, and back to who awaits it."""
    there: list[Step] = []
    back: list[Step] = []
    way = there
    behind: list[FrameType] = []  # what ran the method belongs to the way there

    def record(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_qualname in HAND_OVERS:
            for each in running(frame):
                step = step_of(each)
                if each not in behind and step not in way and step[1] != EVENT_LOOP:
                    way.append(step)

    def multiply(x: int, y: int) -> int:
        nonlocal way
        way = back
        behind.extend(running(sys._getframe()))
        return x * y

    async def main() -> None:
        server = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
        address = server.listen(0)
        async with netsvc.connect(address) as serving, netsvc.connect(address) as calling:
            serving.exportMethod(multiply)
            endpoint = calling.serviceEndPoint(serving.serviceBinding(), wait=5)
            await endpoint.multiply(1, 1)  # the first call opens the channel and the route
            await asyncio.sleep(0)  # what was awaited went on inside the answer; begin anew
            nonlocal way
            way = there
            back.clear()
            behind.clear()
            sys.setprofile(record)
            try:
                await endpoint.multiply(6, 7)
            finally:
                sys.setprofile(None)
        server.close()

    asyncio.run(main())
    return there, back


def show(title: str, way: list[Step]) -> None:
    """Print one way."""
    files = {file for file, _ in way}
    print(f"{title}: {len(way)} functions in {len(files)} files")
    for number, (file, function) in enumerate(way, 1):
        print(f"  {number:2} {file:33} {function}")


if __name__ == "__main__":
    there, back = follow()
    show("there", there)
    show("back", back)
