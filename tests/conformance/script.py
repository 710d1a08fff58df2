"""Scripts: an exchange that is played, step by step, against a peer under test.

The player answers by itself what an exchange always answers (HELLO, REGISTER, JOIN, WATCH, GOODBYE, credit), and
keeps account of credit and parts; a script says what else it sends, what the peer's program is told to do, and what
must come of it. It does not know what the peer is written in (`PeerUnderTest`).
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, Protocol

from fireflyzmq.wire import codec, commands
from fireflyzmq.wire.binding import address_of
from fireflyzmq.wire.frames import encode_control, join_items
from tests.conformance.messages import Frames, Message, expected, fits, learn, message_of, read_frames, write_frames
from tests.conformance.transcript import CLOCK
from tests.wire import notation

SCRIPTS: dict[str, Any] = notation.load(pathlib.Path(__file__).with_name("scripts.json"))
PEER_ID = b"fire\0\0\0\1"
"""The id of the peer under test; each connection of a script has it."""

LONGEST = 1000
"""Messages that are waited for at the most before something that is expected."""

_MEANT_FOR_OTHERS = ("REQUEST", "RESPONSE", "FAILURE", "NOT_ACCEPTED", "PUBLISH")
"""What must not be said without being expected. Control messages, cancellations and loads cost nobody anything."""

_EXPECTED_ELEMENTS = 7


class PeerUnderTest(Protocol):
    """A peer, with a program around it that does what it is told, and tells what comes of that."""

    def do(self, action: dict[str, Any]) -> None:
        """Let the program do something; README.md lists what."""

    def outcome(self) -> dict[str, Any] | None:
        """What the program tells next; None when a message comes first, or nothing at all."""

    def told(self) -> dict[str, Any] | None:
        """What the program has told already; None when that is nothing."""

    def send(self, frames: Frames) -> None:
        """Send the peer a message of the exchange."""

    def receive(self) -> Frames | None:
        """The next message of the peer; None when none comes."""

    def quiet(self) -> bool:
        """Whether nothing more comes of what the peer has been sent."""

    def later(self, seconds: float) -> None:
        """Let time pass."""

    def cut(self) -> None:
        """Lose the connection."""


class Said(AssertionError):
    """The peer under test has not said what it should, or something that it should not."""


class Player:
    """One script, played against one peer."""

    def __init__(self, script: dict[str, Any], peer: PeerUnderTest) -> None:
        self._script = script
        self._peer = peer
        self._known: dict[str, Any] = {"peer": PEER_ID}
        self._said: list[Message] = []
        self._told: list[dict[str, Any]] = []
        self._parts: dict[tuple[bytes, int, int], tuple[int, list[bytes]]] = {}
        self._credit = 0
        self._window = 0
        self._steps: dict[str, Callable[[Any], None]] = {
            "do": self._do,
            "send": self._send,
            "expect": self._expect,
            "outcome": self._outcome,
            "nothing": self._nothing,
            "later": lambda seconds: self._peer.later(notation.read(seconds)),
            "cut": lambda _: self._cut(),
        }

    def play(self) -> None:
        """Greet the peer and take the steps. `Said` when it does not keep to them, or says more at the end."""
        self._greet()
        for number, step in enumerate(self._script["steps"]):
            ((kind, content),) = ((kind, each) for kind, each in step.items() if kind != "about")
            try:
                self._steps[kind](content)
            except AssertionError as error:
                where = f"step {number} of {self._script['name']!r}, {str(step)[:300]}"
                raise Said(f"{error}; at {where}") from error
        self._take_all()
        left = [said for said in self._said if said["message"] in _MEANT_FOR_OTHERS]
        left += self._told
        while (told := self._peer.told()) is not None:
            left.append(told)
        if left:
            raise Said(f"{self._script['name']!r} is over, and more was said: {str(left)[:500]}")

    # The connection.

    def _greet(self) -> None:
        frames = self._peer.receive()
        assert frames is not None, "nobody came"
        hello = read_frames(frames)
        assert hello["message"] == "HELLO" and len(frames) == 1, f"HELLO comes first, not {hello}"
        (fields,) = hello["fields"]
        assert 1 in fields["versions"] and type(fields["window"]) is int and fields["window"] > 0, fields
        self._window = fields["window"]
        welcome: dict[str, Any] = {
            "version": 1,
            "peer": PEER_ID,
            "exchange": "66697265",
            "now": CLOCK,
            "window": commands.WINDOW,
        }
        welcome |= {"message": commands.MAX_MESSAGE, "calls": 1000, "retained": commands.MAX_RETAINED}
        welcome |= notation.read(self._script.get("welcome", {"map": []}))
        self._credit = welcome["window"]
        self._peer.send([encode_control(commands.WELCOME, welcome)])

    def _cut(self) -> None:
        """Lose the connection, and welcome the peer again: it has a new one, on which everything begins anew."""
        self._take_all()
        self._said.clear()
        self._parts.clear()
        self._peer.cut()
        self._greet()

    # What the peer says.

    def _take_all(self) -> None:
        while not self._peer.quiet():
            self._take()

    def _take(self) -> bool:
        """Take one more message; False when none comes."""
        frames = self._peer.receive()
        if frames is None:
            return False
        message = read_frames(frames)
        name = message["message"]
        if name in ("ENVELOPE", "PUBLISH"):
            assert self._credit > 0, f"{name} was sent without credit"
            cost = sum(map(len, frames[1:])) + commands.ENVELOPE_COST
            assert cost <= commands.MAX_FRAME + commands.ENVELOPE_COST, f"{name} is over the limit of one message"
            self._credit -= cost
            if self._script.get("credit") != "by hand":
                self._grant(cost)
        if name == "ENVELOPE":
            self._take_items(message)
        else:
            self._said.append(message)
            self._react(name, message.get("fields", ()))
        return True

    def _grant(self, credit: int) -> None:
        self._credit += credit
        self._peer.send([encode_control(commands.CREDIT, credit)])

    def _take_items(self, envelope: Message) -> None:
        """Note each item by itself, one in parts when it is whole, a request with all of its elements."""
        place = {key: envelope[key] for key in ("peer", "service", "sender")}
        for item in envelope["items"]:
            if item[0] == commands.PART:
                self._take_part(place, *item[1:])
            else:
                self._note_item(place, item)

    def _note_item(self, place: Message, item: list[Any], parts: int = 0) -> None:
        name = {number: name for name, number in _ITEMS.items()}[item[0]]
        if item[0] == commands.REQUEST and len(item) < _EXPECTED_ELEMENTS:
            none: list[Any] = [{}, {}]
            keywords, properties, *_ = [*item[4:-1], *none]
            item = [*item[:4], keywords, properties, item[-1]]
        self._said.append({"message": name, "item": item, **place, **({"parts": parts} if parts else {})})

    def _take_part(self, place: Message, number: int, index: int, last: bool, data: bytes) -> None:
        key = (place["peer"], place["service"], place["sender"])
        if index == 0:
            self._parts[key] = number, []
        begun, joined = self._parts[key]
        assert (number, index) == (begun, len(joined)), "the parts of one item come in order and unmixed"
        joined.append(data)
        if last:
            del self._parts[key]
            item = codec.decode(b"".join(joined))
            wanted = number if item[0] == commands.REQUEST else -number
            assert wanted == item[1] or item[1] == 0, (
                "the parts of an item have its number, those of an answer -number"
            )
            self._note_item(place, item, len(joined))

    def _react(self, name: str, fields: Any) -> None:
        """Answer as an exchange does."""
        if name == "REGISTER":
            number, secret, service, groups, _ = fields
            self._known |= {f"service {service}": number, f"address {service}": address_of(secret)}
            self._control("REGISTERED", number, address_of(secret))
            for group, role in groups.items():
                if role:
                    self._control("JOINED", number, group, role)
        elif name == "JOIN":
            self._control("JOINED", *fields[:3])
        elif name == "WATCH":
            entries = [entry for entry in self._entries() if _shows(entry, *fields)]
            self._control("STATE", *fields, entries, True)
        elif name == "GOODBYE":
            self._control("GOODBYE", "goodbye")

    def _entries(self) -> list[list[Any]]:
        return [notation.read(entry) for entry in self._script.get("directory", [])]

    def _control(self, name: str, *fields: Any) -> None:
        self._peer.send([encode_control(getattr(commands, name), *fields)])

    # Steps.

    def _do(self, action: dict[str, Any]) -> None:
        self._peer.do(action)

    def _send(self, written: dict[str, Any]) -> None:
        """Send a message, `times` over if it says so; an item in `parts` is one message for each part."""
        if written.get("message") == "CREDIT":
            self._credit += written["fields"][0]
        plain = {key: each for key, each in written.items() if key not in ("times", "parts")}
        bodies = self._bodies(written)
        for _ in range(written.get("times", 1)):
            for body in bodies:
                self._peer.send(self._frames(plain, body))

    def _bodies(self, written: dict[str, Any]) -> list[bytes | None]:
        """The bodies of the envelopes that a step sends; None for a message that is none."""
        if "parts" in written:
            number, item, plan = (written["parts"][key] for key in ("number", "item", "plan"))
            packed = self._pack(item)
            named = expected(number, self._known)
            parts = [[commands.PART, named, index, last, packed[start:end]] for index, last, start, end in plan]
            return [join_items([codec.encode(part)]) for part in parts]
        if "body" in written:
            return [notation.octets(written["body"])]
        if "items" in written:
            return [join_items([self._pack(item) for item in written["items"]])]
        return [None]

    def _pack(self, item: Any) -> bytes:
        """An item; `packed` are bytes that need not make sense, with the numbers of calls among them."""
        if isinstance(item, dict) and "packed" in item:
            pieces = [bytes.fromhex(each) if isinstance(each, str) else self._pack(each) for each in item["packed"]]
            return b"".join(pieces)
        return codec.encode(expected(item, self._known))

    def _frames(self, written: dict[str, Any], body: bytes | None) -> Frames:
        """The frames of a message: as they are written (`hex`), or made of its fields."""
        if "hex" in written:
            return [notation.octets(frame) for frame in written["hex"]]
        further = notation.octets(written.get("reserved", ""))
        fields = {key: part for key, part in written.items() if key not in ("reserved", "body", "items")}
        message = message_of(fields, self._known)
        head, *rest = write_frames(message if body is None else {**message, "items": []})
        return [head + further, *(rest if body is None else [body])]

    def _expect(self, written: dict[str, Any]) -> None:
        """Wait for a message or an item that is as it is written, and look into those that have come before."""
        for _ in range(LONGEST):
            for position, said in enumerate(self._said):
                if self._is_it(written, said):
                    del self._said[position]
                    return
            if not self._take():
                break
        raise AssertionError(f"it has not come; what has: {str(self._said)[:3000]}")

    def _is_it(self, written: dict[str, Any], said: Message) -> bool:
        """Whether a message is what is expected; if so, what stands where a name is given is known from now on."""
        wanted = message_of(written, self._known)
        if not (wanted.keys() <= said.keys() and all(fits(wanted[key], said[key]) for key in wanted)):
            return False
        for key, each in wanted.items():
            learn(each, said[key], self._known)
        return True

    def _nothing(self, written: dict[str, Any]) -> None:
        """Nothing like this has come, nor comes now."""
        self._take_all()
        found = [said for said in self._said if self._is_it(written, said)]
        assert not found, f"{found} came"

    def _outcome(self, written: dict[str, Any]) -> None:
        """Wait until the program tells this."""
        wanted = {key: expected(part, self._known) for key, part in written.items()}
        while True:
            for position, told in enumerate(self._told):
                if wanted.keys() == told.keys() and all(fits(wanted[key], told[key]) for key in wanted):
                    del self._told[position]
                    return
            told_next = self._next_outcome()
            assert told_next is not None, f"it was not told; what was: {self._told}"
            self._told.append(told_next)

    def _next_outcome(self) -> dict[str, Any] | None:
        """What the program tells next, while what the peer says meanwhile is taken and answered."""
        told = self._peer.outcome()
        while told is None and self._take():
            told = self._peer.outcome()
        return told


_ITEMS = {
    name: getattr(commands, name)
    for name in ("REQUEST", "RESPONSE", "FAILURE", "CANCEL", "NOT_ACCEPTED", "LOAD", "PART")
}


def _shows(entry: list[Any], kind: int, key: str) -> bool:
    """Whether a watch shows an entry of the directory."""
    _, _, name, address, groups, _, listed = entry
    if kind == commands.BY_ADDRESS:
        return bool(key == address)
    members = {f"{group} {role}" for group, role in groups.items() if role}
    keys = {
        commands.BY_NAME: {name} - {""},
        commands.BY_GROUP: set(groups),
        commands.BY_REGISTRY: {""},
        commands.BY_MEMBER: members | {f"{member} {name}" for member in members},
    }
    return bool(listed and key in keys[kind])


CALLER: list[Any] = [{"bytes": "6669726500000007"}, 3, "", "0123456789abcdef0123456789abcdef", {"map": []}, None, True]
"""Who sends the bodies of the vectors: its directory entry."""


def script_of(vector: dict[str, Any]) -> dict[str, Any]:
    """The script that plays a vector of `served`: a service math gets the bodies, and answers in any order."""
    place = {"peer": CALLER[0]["bytes"], "service": {"var": "service math"}, "sender": CALLER[1]}
    bodies = [{"send": {"message": "ENVELOPE", **place, "body": body}} for body in vector["bodies"]]
    names = {number: name for name, number in _ITEMS.items()}
    answers = [{"expect": {"message": names[answer[0]], "item": answer}} for answer in vector["answers"]]
    begin = [
        {"do": {"do": "serve", "name": "math"}},
        {"expect": {"message": "REGISTER", "fields": [{"any": "integer"}, {"any": "bytes"}, "math", *_TWO_MAPS]}},
        {"send": {"message": "INTRODUCED", "fields": [CALLER]}},
    ]
    return {"name": vector["description"], "role": "service", "steps": [*begin, *bodies, *answers]}


_TWO_MAPS = [{"any": "map"}, {"any": "map"}]
