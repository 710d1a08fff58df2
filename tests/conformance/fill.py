"""Write the bytes of transcript steps that have none: `python -m tests.conformance.fill`.

Steps are written by hand, with `message` and its fields; where something is left open, the bytes are an example.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

from tests.conformance.messages import NUMBERS, Open, message_of, write_frames
from tests.wire import notation

_EXAMPLES: dict[str, Any] = {"text": "an example", "bytes": b"", "integer": 1, "number": 1.0, "map": {}}


def filled(step: dict[str, Any]) -> dict[str, Any]:
    """A step with its number and its bytes; those that it has stay."""
    if "message" not in step or "hex" in step:
        return step
    message = _closed(message_of(step))
    return {**step, "octet": NUMBERS[step["message"]], "hex": [frame.hex() for frame in write_frames(message)]}


def _closed(part: Any) -> Any:
    """What is expected, with an example where something is left open."""
    if isinstance(part, Open):
        return _EXAMPLES.get(part.name)
    if isinstance(part, dict):
        return {key: _closed(each) for key, each in part.items()}
    return [_closed(each) for each in part] if isinstance(part, list) else part


def written(content: dict[str, Any], kind: str) -> str:
    """A file of transcripts or scripts as text: a line for each step."""
    cases = []
    for case in content[kind]:
        head = json.dumps({key: each for key, each in case.items() if key != "steps"})[:-1]
        steps = ",\n      ".join(json.dumps(step) for step in case["steps"])
        cases.append(f'    {head}, "steps": [\n      {steps}\n    ]}}')
    others = "".join(f'  "{key}": {json.dumps(each)},\n' for key, each in content.items() if key != kind)
    joined = ",\n".join(cases)
    return f'{{\n{others}  "{kind}": [\n{joined}\n  ]\n}}\n'


def main() -> None:
    """Fill transcripts.json."""
    path = pathlib.Path(__file__).with_name("transcripts.json")
    content = notation.load(path)
    for transcript in content["transcripts"]:
        transcript["steps"] = [filled(step) for step in transcript["steps"]]
    path.write_text(written(content, "transcripts"), "utf-8")


if __name__ == "__main__":
    main()
