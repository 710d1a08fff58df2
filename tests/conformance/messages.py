"""Messages as transcripts and scripts write them: an object of named fields for the frames of the wire, and back.

It knows layouts, and what is left open in what is expected; not who sends what, or when.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack

from fireflyzmq.wire import codec, commands
from fireflyzmq.wire.frames import (
    FIELDS,
    HEAD_SIZE,
    encode_control,
    envelope_head,
    item_slices,
    join_items,
    parse_control,
    parse_head,
    parse_publish_head,
    parse_reports_head,
    publish_head,
    reports_head,
)
from tests.wire import notation

Frames = list[bytes]
Message = dict[str, Any]
"""`message` (the command's name), `octet` (its number), and the fields: notation when written, values when read."""

NUMBERS: Final = {name: number for number, name in commands.COMMAND_NAMES.items()}
REASONS: Final = {getattr(commands, name): name for name in ("NO_TARGET", "TARGET_GONE", "QUEUE_FULL", "NO_SENDER")}
_MAX_CONTROL: Final = 1 << 20


class Open:
    """A place in what is expected where anything of a type may stand; what stands there may be known by a name."""

    TYPES: Final[dict[str, type | tuple[type, ...]]] = {
        "anything": object,
        "text": str,
        "bytes": bytes,
        "integer": int,
        "number": (int, float),
        "map": dict,
    }

    def __init__(self, name: str, known_as: str | None = None) -> None:
        self.name = name
        self.type = self.TYPES[name]
        self.known_as = known_as

    def takes(self, value: Any) -> bool:
        """Whether a value may stand here."""
        return isinstance(value, self.type)

    def __repr__(self) -> str:
        return f"<any {self.name}>"


def expected(written: Any, known: dict[str, Any] | None = None) -> Any:
    """What is expected, as values; `Open` stands in it for `any`, and for a `var` that is not known yet.

    `negative` stands for the negative of a number that is known.
    """
    if isinstance(written, list):
        return [expected(each, known) for each in written]
    if isinstance(written, dict):
        ((form, content),) = written.items()
        if form == "any":
            return Open(content)
        if form == "map":
            return {notation.read(key): expected(value, known) for key, value in content}
        if known is not None and form == "var":
            return known[content] if content in known else Open("anything", content)
        if known is not None and form == "negative":
            return -known[content]
    return notation.read(written)


def learn(wanted: Any, value: Any, known: dict[str, Any]) -> None:
    """Note what stands where something was expected under a name."""
    if isinstance(wanted, Open):
        if wanted.known_as is not None:
            known[wanted.known_as] = value
    elif isinstance(wanted, list):
        for each, part in zip(wanted, value, strict=True):
            learn(each, part, known)
    elif isinstance(wanted, dict):
        for key, each in wanted.items():
            learn(each, value[key], known)


def fits(wanted: Any, value: Any) -> bool:
    """Whether a value is what `expected` asks for: the same, types and order included, but for what is open."""
    if isinstance(wanted, Open):
        return wanted.takes(value)
    if isinstance(wanted, list):
        return type(value) is list and len(wanted) == len(value) and all(map(fits, wanted, value))
    if isinstance(wanted, dict):
        return type(value) is dict and wanted.keys() == value.keys() and all(fits(wanted[k], value[k]) for k in wanted)
    return notation.same(wanted, value)


def is_open(wanted: Any) -> bool:
    """Whether something is left open in what is expected."""
    if isinstance(wanted, dict):
        return any(map(is_open, wanted.values()))
    return isinstance(wanted, Open) or (isinstance(wanted, list) and any(map(is_open, wanted)))


# Reading.


def read_frames(frames: Frames) -> Message:
    """What frames of the wire say, by name. ProtocolError, ValueError or KeyError when they make no sense."""
    if not frames[0]:
        return {"message": "empty", "octet": None}
    command = frames[0][0]
    message = {"message": commands.COMMAND_NAMES[command], "octet": command}
    if command in FIELDS:
        return {**message, "fields": parse_control(frames[0], _MAX_CONTROL)}
    if command in (commands.ENVELOPE, commands.RETURNED):
        peer, service, sender = parse_head(frames[0])
        message |= {"peer": peer, "service": service, "sender": sender}
        if command == commands.RETURNED:
            message["reason"] = REASONS[frames[0][HEAD_SIZE]]
        return {**message, "items": [codec.decode(item) for item in item_slices(frames[1])]}
    if command == commands.PUBLISH:
        return {**message, "number": parse_publish_head(frames[0]), **_read_reports(frames)}
    peer, number, subscription, lost = parse_reports_head(frames[0])
    message |= {"peer": peer, "number": number, "subscription": subscription, "lost": lost}
    return {**message, **_read_reports(frames)}


def _read_reports(frames: Frames) -> Message:
    index = msgpack.unpackb(frames[1])
    if len(index) > 4 and index[4] is not None:
        return {"index": index, "data": frames[2]}
    return {"index": index, "contents": [codec.decode(content) for content in item_slices(frames[2])]}


# Writing.

_OCTETS: Final = ("peer", "data")
_NOT_SAID: Final = ("from", "to", "times", "about", "hex")


def message_of(written: dict[str, Any], known: dict[str, Any] | None = None) -> Message:
    """The message that a step writes or expects, with `Open` where it leaves something open."""
    parts = {key: part for key, part in written.items() if key not in _NOT_SAID}
    return {
        key: notation.octets(part) if key in _OCTETS and not isinstance(part, dict) else expected(part, known)
        for key, part in parts.items()
    }


def write_frames(message: Message) -> Frames:
    """The frames of a message in which nothing is open, in the forms that docs/protocol.md recommends."""
    command = NUMBERS[message["message"]]
    if command in FIELDS:
        return [encode_control(command, *message["fields"])]
    if command in (commands.ENVELOPE, commands.RETURNED):
        head = envelope_head(message["peer"], message["service"], message["sender"], command)
        if command == commands.RETURNED:
            head += bytes((getattr(commands, message["reason"]),))
        return [head, join_items([codec.encode(item) for item in message["items"]])]
    head = (
        publish_head(message["number"])
        if command == commands.PUBLISH
        else reports_head(message["peer"], message["number"], message["subscription"], message["lost"])
    )
    contents = message.get("data")
    if contents is None:
        contents = join_items([codec.encode(content) for content in message["contents"]])
    return [head, msgpack.packb(message["index"]), contents]
