"""Write transcripts from what the exchange in memory says now: `python -m tests.conformance.record [NAME ...]`.

What the peers say stays as it is, and so does what is still said to them; the rest is put in, or taken out, for a
reader to judge in the difference. `--show NAME` prints a transcript as docs/protocol.md shows one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from tests.conformance.exchanges import InMemory
from tests.conformance.fill import written
from tests.conformance.messages import Frames, Message, fits, message_of, read_frames
from tests.conformance.transcript import frames_of
from tests.wire import notation

PATH = pathlib.Path(__file__).with_name("transcripts.json")
_TEXTS_FOR_PEOPLE = {"REFUSED": 1, "REJECTED": 2, "ENDED": 1, "GOODBYE": 0}
"""Which field of a message is worded as its writer likes."""

Step = dict[str, Any]


class Recorder:
    """The steps of one transcript, with what an exchange says in the place of what it should say."""

    def __init__(self, transcript: dict[str, Any]) -> None:
        self._transcript = transcript
        self._exchange = InMemory(transcript["limits"])
        self._heard: dict[str, list[Frames]] = {}

    def steps(self) -> list[Step]:
        """All steps. What nobody wrote stands behind what came before it, or at the end."""
        steps: list[Step] = []
        for step in self._transcript["steps"]:
            steps.extend(self._answer(step) if "to" in step else [self._do(step)])
        for peer in sorted(self._heard):
            steps.extend(step_of(peer, frames) for frames in self._news(peer))
        return steps

    def _do(self, step: Step) -> Step:
        if "from" in step:
            self._heard.setdefault(step["from"], [])
            for _ in range(step.get("times", 1)):
                self._exchange.say(step["from"], frames_of(step))
        elif "lost" in step:
            self._exchange.lose(step["lost"])
        elif "clock" in step:
            self._exchange.advance(notation.read(step["clock"]))
        else:
            self._exchange.restart(bytes.fromhex(step["restart"]))
            self._heard.clear()
        return step

    def _news(self, peer: str) -> list[Frames]:
        """What has come for a peer, and is in no step yet; the list is the one to take from."""
        news = self._heard.setdefault(peer, [])
        while (frames := self._exchange.hear(peer)) is not None:
            news.append(frames)
        return news

    def _answer(self, step: Step) -> list[Step]:
        """A step that is still right, with what came before it; none when it does not come any more."""
        news = self._news(step["to"])
        wanted = message_of(step)
        for position, frames in enumerate(news):
            if fits(wanted, read_frames(frames)):
                earlier = [step_of(step["to"], before) for before in news[:position]]
                del news[: position + 1]
                return [*earlier, step]
        return []


def step_of(peer: str, frames: Frames) -> Step:
    """A step in which an exchange says something."""
    message = read_frames(frames)
    fields = {key: _written(key, part) for key, part in message.items()}
    position = _TEXTS_FOR_PEOPLE.get(message["message"])
    if position is not None:
        fields["fields"][position] = {"any": "text"}
    return {"to": peer, **fields, "hex": [frame.hex() for frame in frames]}


def _written(key: str, part: Any) -> Any:
    return part.hex() if key in ("peer", "data") else notation.write(part)


# Showing.


def shown(transcript: dict[str, Any]) -> Iterator[str]:
    """The lines in which the document shows a transcript."""
    for step in transcript["steps"]:
        if "about" in step:
            yield f"# {step['about']}"
        way = f"{step['from']} > X" if "from" in step else f"X > {step['to']}"
        yield from _folded(f"{way}  {step['message']} {_said(message_of(step))}", "", " " * 7)
        for frame in step["hex"]:
            cuts = (2, 18, 26, 34) if step["message"] == "ENVELOPE" and len(frame) == 34 else range(8, len(frame), 8)
            yield from _folded(" ".join(_cut(frame, cuts)), " " * 4, " " * 6)


def _cut(text: str, cuts: Any) -> list[str]:
    edges = [0, *cuts, len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges) if start < end]


def _folded(text: str, first: str, rest: str) -> list[str]:
    """A long line in several, cut at spaces."""
    lines = [first]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > 117 and lines[-1].strip():
            lines.append(rest)
        lines[-1] += f"{word} "
    return [line.rstrip() for line in lines]


def _said(message: Message) -> str:
    if message["message"] != "ENVELOPE":
        return ", ".join(map(_plain, message["fields"]))
    items = [f"[{', '.join([_KINDS[item[0]], *map(_plain, item[1:])])}]" for item in message["items"]]
    place = f"peer {message['peer'].hex()}, to {message['service']}, sender {message['sender']}"
    return f"{place}: [{', '.join(items)}]"


_KINDS = {1: "REQUEST", 2: "RESPONSE", 3: "FAILURE", 4: "CANCEL", 5: "NOT_ACCEPTED", 6: "LOAD", 7: "PART"}


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_plain(key)}: {_plain(each)}' for key, each in value.items())}}}"
    return json.dumps(value) if isinstance(value, (str, int, float, type(None))) else '"..."'


def main() -> None:
    """Record the transcripts that are named, or all; or show one."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.record", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--show", action="store_true", help="print, and write nothing")
    options = parser.parse_args()
    content = notation.load(PATH)
    for transcript in content["transcripts"]:
        if not options.names or transcript["name"] in options.names:
            if options.show:
                print("\n".join(shown(transcript)))
            else:
                transcript["steps"] = Recorder(transcript).steps()
    if not options.show:
        PATH.write_text(written(content, "transcripts"), "utf-8")


if __name__ == "__main__":
    main()
