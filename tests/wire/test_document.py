"""docs/protocol.md says what the code says: numbers, fields, kinds and limits."""

from __future__ import annotations

import pathlib
import re

from fireflyzmq.errors import KINDS
from fireflyzmq.wire import codec, commands, items, reports
from fireflyzmq.wire.frames import FIELDS
from fireflyzmq.wire.parts import MAX_PARTS, UNFINISHED
from tests.conformance.record import shown
from tests.conformance.transcript import TRANSCRIPTS
from tests.conformance.vectors import VECTORS
from tests.wire import notation

DOCUMENT = (pathlib.Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
TYPES = {
    "integer": int,
    "text": str,
    "bytes": bytes,
    "8 bytes": bytes,
    "dictionary": dict,
    "array": list,
    "boolean": bool,
    "float": float,
    "any value": object,
}


def table(heading: str, which: int = 0) -> list[list[str]]:
    """The rows of a table behind a heading, of the first one unless told, without its own head."""
    begin = re.search(rf"^#+ (?:\d+\. )?{heading}\n", DOCUMENT, re.MULTILINE)
    assert begin is not None, heading
    tables = re.findall(r"(?:^\|.*\n)+", DOCUMENT[begin.end() :], re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[which].splitlines()[2:]]


def test_the_control_messages_have_their_numbers_and_fields() -> None:
    listed = {}
    for number, name, _, fields, _ in table("Control messages"):
        assert commands.COMMAND_NAMES[int(number)] == name
        listed[int(number)] = fields
    assert set(listed) == set(commands.COMMAND_NAMES)
    for command, kinds in FIELDS.items():
        written = re.sub(r"\([^)]*\)", "", listed[command])
        described = [re.match(r"8 bytes|\w+", field.split(":")[1].strip()) for field in written.split(",")]
        assert tuple(TYPES[each.group()] for each in described if each) == kinds


def test_the_items_have_their_numbers() -> None:
    rows = [row for row in table("Envelopes") if row[0]]
    listed = {name: int(number) for number, name, _, _ in rows}
    assert listed == {name: getattr(commands, name) for name in listed} and len(listed) == commands.PART
    assert all(row[2].startswith(f"{row[0]}, ") for row in rows)


Forms = dict[int, set[tuple[str, ...]]]
"""The elements behind the kind of each item, once for each way in which it may be written."""


def documented_forms() -> Forms:
    """What the document's table of items says; a row without a kind is another form of the item above it."""
    forms: Forms = {}
    kind = 0
    for number, _, written, _ in table("Envelopes"):
        kind = int(number or kind)
        forms.setdefault(kind, set()).add(tuple(written.split(", ")[1:]))
    return forms


def forms_in_code() -> Forms:
    """What `items.ELEMENTS` says; of a REQUEST the properties may be missing, and then the keywords too."""
    forms = {kind: {elements} for kind, elements in items.ELEMENTS.items()}
    for absent in ({"properties"}, {"keywords", "properties"}):
        forms[commands.REQUEST].add(tuple(each for each in items.REQUEST_ELEMENTS if each not in absent))
    return forms


def documented_types() -> dict[str, type]:
    """The type of each element as the document's second table has it; of any value `object`."""
    return {
        element: TYPES[kind.partition(" (")[0].partition(" of ")[0]]
        for names, kind, _ in table("Envelopes", 1)
        for element in names.split(", ")
    }


def test_the_items_have_the_same_elements_in_the_document_the_code_and_the_vectors() -> None:
    forms = forms_in_code()
    assert documented_forms() == forms
    said = [notation.read(item) for vector in VECTORS["bodies"] for item in vector["items"]]
    sizes = {kind: {len(item) - 1 for item in said if item[0] == kind} for kind in forms}
    assert sizes == {kind: set(map(len, written)) for kind, written in forms.items()}
    assert {item[0] for item in said} == set(forms)


def test_the_elements_of_the_vectors_items_have_the_types_of_the_document() -> None:
    types = documented_types()
    forms = {(kind, len(form)): form for kind, written in forms_in_code().items() for form in written}
    assert set(types) == {element for form in forms.values() for element in form}
    for item in [notation.read(item) for vector in VECTORS["bodies"] for item in vector["items"]]:
        form = forms[item[0], len(item) - 1]
        for element, value in zip(form, item[1:], strict=True):
            assert types[element] is object or type(value) is types[element], (element, item)


def test_the_elements_of_a_request_stand_where_the_code_looks_for_them() -> None:
    elements = ("kind", *items.REQUEST_ELEMENTS)
    for place in ("NUMBER", "METHOD", "ARGUMENTS", "KEYWORDS", "PROPERTIES", "DEADLINE"):
        assert elements[getattr(items, place)] == place.lower()
    assert len(elements) == items.WITH_PROPERTIES == items.WITH_KEYWORDS + 1


def test_the_items_are_told_at_the_head_of_their_module_as_they_are() -> None:
    told: Forms = {}
    kind = 0
    for name, written in re.findall(r"^    ([A-Z_]*) +(\w+(?:, \w+)*)", items.__doc__ or "", re.MULTILINE):
        kind = getattr(commands, name) if name else kind
        told.setdefault(kind, set()).add(tuple(written.split(", ")))
    assert told == forms_in_code()


def test_the_index_of_reports_has_its_elements() -> None:
    documented = {element: kind for element, kind, _ in table("PUBLISH")}
    assert tuple(documented) == reports.Index._fields and len(documented) == reports.ELEMENTS
    assert dict(re.findall(r"^    (\w+) +(\S.*?)  +", reports.__doc__ or "", re.MULTILINE)[1:]) == documented


def test_the_reasons_have_their_numbers() -> None:
    listed = {name: int(number) for number, name, _ in table("RETURNED")}
    assert listed == {name: getattr(commands, name) for name in listed} and len(listed) == commands.NO_SENDER


def test_no_command_has_a_reserved_number() -> None:
    ((first, last, second, end),) = re.findall(r"commands (\d+) to (\d+) and (\d+) to (\d+) for streams", DOCUMENT)
    for least, most in ((int(first), int(last)), (int(second), int(end))):
        assert not {number for number in commands.COMMAND_NAMES if least <= number <= most}


def test_the_extensions_have_their_numbers() -> None:
    numbers = {row[0] for row in table("Values")}
    assert {str(number) for number in range(codec.TUPLE, codec.BINDING + 1)} <= numbers
    assert f"0 to {codec.FIRST_LIBRARY_NUMBER - 1}" in numbers and f"{codec.BINDING + 1} to 127" in numbers


def test_the_failures_have_their_codes() -> None:
    listed = {row[0]: int(row[1]) for row in table("Failures")}
    assert listed == {name: kind.code for name, kind in KINDS.items()}


def test_the_limits_are_the_codes() -> None:
    rows = list(table("Limits"))
    limits = {row[0]: row[1] for row in rows}
    assert len(limits) == len(rows)
    assert limits["body of an envelope"] == f"{commands.MAX_FRAME} bytes"
    assert limits["control message from a peer"] == f"{commands.MAX_CONTROL} bytes"
    assert f"({commands.MAX_MESSAGE})" in limits["item, in one body or in parts"]
    assert limits["name of a service, group, role"] == f"{commands.MAX_NAME} bytes"
    assert limits["key of a watch"] == f"{3 * commands.MAX_NAME + 2} bytes"
    assert limits["key of a subscription"] == f"{commands.MAX_NAME} bytes"
    assert limits["subject, pattern"] == f"{commands.MAX_SUBJECT} bytes"
    assert limits["index and contents of one message of reports"] == f"{commands.MAX_FRAME} bytes together"
    assert limits["life of a report that is not kept for ever"] == f"{commands.MAX_TIMEOUT:.0f} s"
    assert f"({commands.SUBSCRIPTION_QUEUE})" in limits["reports that wait for a subscription"]
    assert f"({commands.MAX_WAITING_REPORTS})" in limits["reports that wait for a peer"]
    assert f"({commands.MAX_RETAINED})" in limits["reports that are kept for a peer"]
    assert limits["time to a request's deadline"] == f"{commands.MAX_TIMEOUT:.0f} s"
    assert limits["arrays and dictionaries in each other"].startswith(f"{commands.MAX_DEPTH} in an item")
    assert limits["keys of one hash"].startswith(f"{commands.MAX_EQUAL_HASHES} in a dictionary")
    assert limits["name of a method"] == f"{commands.MAX_NAME} bytes"
    assert limits["parts of an item"] == f"{MAX_PARTS}"
    assert f"({UNFINISHED})" in limits["unfinished items in parts"]
    assert f"({commands.MAX_ANSWERS})" in limits["answers that a peer keeps for callers that have no room"]
    assert (
        f"({commands.MAX_POSTPONED})" in limits["requests that a peer does not begin while their callers have no room"]
    )
    assert f"1 to {commands.MAX_NUMBER}" in limits["number of a call"]
    assert limits["extensions in each other"] == f"{commands.MAX_EXTENSIONS}"
    assert limits["groups of a service"] == f"{commands.MAX_GROUPS} by default"
    assert f"({commands.WINDOW})" in limits["window"]
    assert f"({16 * commands.WINDOW})" in limits["window of a peer"]
    assert f"and {commands.ENVELOPE_COST} more" in DOCUMENT
    assert f"Within {commands.GRACE:.0f} seconds after the first peer" in DOCUMENT


def test_the_kinds_of_watches_have_their_numbers() -> None:
    kinds = [int(kind) for kind, *_ in table("Watching")]
    assert kinds == [getattr(commands, f"BY_{word}") for word in ("NAME", "GROUP", "ADDRESS", "REGISTRY", "MEMBER")]


def test_the_policies_are_those_of_the_code() -> None:
    assert [policy.strip("`") for policy, _ in table("A slow subscriber")] == list(commands.POLICIES)
    options = {key.strip("`"): default.strip("`") for key, _, default, _ in table("SUBSCRIBE")}
    assert options == {"policy": commands.POLICIES[0], "limit": str(commands.SUBSCRIPTION_QUEUE)}


def test_the_session_in_bytes_is_the_transcript_that_is_played() -> None:
    """`python -m tests.conformance.record --show call` prints it."""
    _, _, rest = DOCUMENT.partition("One session in bytes\n")
    block = rest.split("```")[1].removeprefix("text\n")
    transcript = next(each for each in TRANSCRIPTS["transcripts"] if each["name"] == "call")
    assert block.splitlines() == list(shown(transcript))


def test_the_sections_are_counted_and_the_references_lead_to_sections() -> None:
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", DOCUMENT, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {int(number) for number in re.findall(r"section (\d+)", DOCUMENT)} <= set(numbers)
