"""Mutants of messages, sent to both sides in memory: `python -m tests.conformance.mutations SEED`.

It ends with an exception when one makes either side raise, or leaves something behind. It is a program of its own, as
other threads of a process would be taken for growth.
"""

from __future__ import annotations

import gc
import logging
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator

from exchange.core.limits import Limits
from exchange.core.routing import RoutingCore
from fireflyzmq.wire.commands import HELLO, INTRODUCED, WINDOW
from fireflyzmq.wire.frames import encode_control
from tests.conformance.library import LibraryInMemory
from tests.conformance.messages import Frames
from tests.conformance.script import CALLER, SCRIPTS, Player
from tests.conformance.transcript import TRANSCRIPTS, frames_of
from tests.conformance.vectors import VECTORS
from tests.wire import notation

ROUND = 4000
"""Mutants of one round."""

GROWTH = 300_000
"""Bytes that a round may leave behind, when one before it has filled what is filled once."""

GREETING = {"name": "greeting", "steps": [{"expect": {"message": "SUBSCRIBE"}}]}

LONGEST_MUTATED = 1024
"""Longer frames are left out: the bytes that decide are few, and would hardly be hit."""

INTERESTING = bytes.fromhex("00017f80818f90919fa0bfc0c1c2c4c7cacbcccfd0d3d4d8d9dbdcdddedfff")
"""First octets of the forms of msgpack, and others at the edges."""


def seeds(direction: str) -> list[Frames]:
    """The messages of the transcripts in one direction (`from` or `to` a peer), and those of the vectors."""
    found = [frames_of(step) for each in TRANSCRIPTS["transcripts"] for step in each["steps"] if direction in step]
    found += [[notation.octets(vector["hex"])] for vector in VECTORS["control_messages"]]
    kind = "published" if direction == "from" else "reports"
    found += [[bytes.fromhex(frame) for frame in vector["frames"]] for vector in VECTORS[kind]]
    if direction == "from":
        vectors = [*VECTORS["refusals"], *VECTORS["taken_without_complaint"]]
        found += [[notation.octets(frame) for frame in vector["frames"]] for vector in vectors]
    values = [notation.octets(vector["hex"]) for vector in (*VECTORS["values"], *VECTORS["refused_values"])]
    head = bytes.fromhex("10" + CALLER[0]["bytes"] + "0000000100000003")
    found += [
        [head, b"\xdd\0\0\0\1\x95\x01\x07\xa4echo\x91" + value + bytes.fromhex("cb4090180000000000")]
        for value in values
    ]
    found += [[head, b"\xdd\0\0\0\1\x93\x02\x07" + value] for value in values]
    found += [[head, notation.octets(body)] for vector in VECTORS["served"] for body in vector["bodies"]]
    return [frames for frames in found if sum(map(len, frames)) <= LONGEST_MUTATED]


def mutants(found: list[Frames], chance: random.Random) -> Iterator[Frames]:
    """Messages with a few changes: octets changed, put in, taken out and repeated, frames too."""
    while True:
        frames = list(chance.choice(found))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            position = chance.randrange(len(frames))
            frames[position] = changed(frames[position], chance)
        if chance.random() < 0.05:
            frames.insert(chance.randrange(len(frames) + 1), chance.choice(chance.choice(found)))
        if len(frames) > 1 and chance.random() < 0.05:
            del frames[chance.randrange(len(frames))]
        yield frames


def changed(frame: bytes, chance: random.Random) -> bytes:
    """A frame with one change."""
    start = chance.randrange(len(frame) + 1)
    end = min(len(frame), start + chance.choice((0, 1, 1, 2, 4, 9)))
    new = chance.choice(
        (
            bytes((chance.choice(INTERESTING),)),
            bytes((chance.randrange(256),)),
            chance.randbytes(end - start),
            frame[start:end] * 2,
            b"",
            bytes((frame[start] ^ 1 << chance.randrange(8),)) if start < len(frame) else b"\0",
        )
    )
    return frame[:start] + new + frame[max(end, start + (len(new) == 1)) :]


def growth_of(play: Callable[[], None]) -> int:
    """How many bytes a round leaves behind that the first has not."""
    play()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        play()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def mutate_for_the_exchange(seed: int) -> None:
    """Send an exchange mutants, and look at what is left of them."""
    chance = random.Random(seed)
    core = RoutingCore(b"fire", Limits(queue=100_000, reports=100_000))
    stream = mutants(seeds("from"), chance)
    hello = [encode_control(HELLO, {"versions": [1], "window": WINDOW})]

    def play() -> None:
        for count in range(ROUND):
            key = b"P%d" % (count % 3)
            if key not in core.peers:
                core.receive(key, hello, 1000.0)
            for other, frames in core.receive(key, next(stream), 1000.0 + count / 1000):
                assert other in (b"P0", b"P1", b"P2") and all(type(frame) is bytes for frame in frames)
        core.expire(1e9)
        for other in list(core.peers):
            core.gone(other, "lost")

    assert growth_of(play) < GROWTH
    assert not core.peers and len(core.directory) == 0


def mutate_for_the_library(seed: int) -> None:
    """Send a session mutants, and see that it works afterwards."""
    chance = random.Random(seed)
    library = LibraryInMemory()
    for _ in range(10):  # the reports of the vectors are for number 9 and 10
        library.do({"do": "subscribe", "publisher": "market", "pattern": ">"})
    stream = mutants(seeds("to"), chance)
    Player(GREETING, library).play()

    def play() -> None:
        for count in range(ROUND):
            if count % 10 == 0:
                library.send([encode_control(INTRODUCED, notation.read(CALLER))])
            library.send(next(stream))
            while library.receive() is not None:
                pass
            while library.outcome() is not None:
                pass
        library.cut()
        Player(GREETING, library).play()
        library.later(5.0)  # what was there before may come back until then

    assert growth_of(play) < GROWTH
    for name in ("call", "serve", "publish"):
        library.cut()
        script = next(script for script in SCRIPTS["scripts"] if script["name"] == name)
        Player({**script, "steps": [*GREETING["steps"], *script["steps"]]}, library).play()


def main() -> None:
    """Run both with the seed of the command line."""
    logging.disable(logging.CRITICAL)
    seed = int(sys.argv[1])
    mutate_for_the_exchange(seed)
    mutate_for_the_library(seed)


if __name__ == "__main__":
    main()
