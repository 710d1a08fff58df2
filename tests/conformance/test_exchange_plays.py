"""Exchanges are played: the transcripts, and single messages, in memory and against a process behind real sockets."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fireflyzmq.testing import ExchangeProcess
from fireflyzmq.wire.commands import COMMAND_NAMES
from fireflyzmq.wire.frames import HEAD_SIZE, encode_control
from tests.conformance.exchanges import InMemory, OverSockets
from tests.conformance.fill import filled, written
from tests.conformance.messages import NUMBERS, Frames, fits, is_open, message_of, read_frames, write_frames
from tests.conformance.record import Recorder
from tests.conformance.transcript import TRANSCRIPTS, ExchangeUnderTest, frames_of, play
from tests.conformance.vectors import VECTORS, every
from tests.wire import notation

Start = Callable[[dict[str, Any]], ExchangeUnderTest]

BY_NAME = {transcript["name"]: transcript for transcript in TRANSCRIPTS["transcripts"]}
each_transcript = pytest.mark.parametrize("transcript", BY_NAME.values(), ids=BY_NAME.keys())
over_all_ways = [name for name, transcript in BY_NAME.items() if transcript.get("only") != "memory"]


@pytest.fixture
def over_sockets() -> Iterator[Start]:
    """Start an exchange process with some limits."""
    opened: list[OverSockets] = []
    processes: list[ExchangeProcess] = []

    def start(limits: dict[str, Any]) -> OverSockets:
        options = [word for name, value in limits.items() for word in (f"--max-{name.replace('_', '-')}", str(value))]
        process = ExchangeProcess(options=options)
        processes.append(process)

        def restarted() -> str:
            process.restart()
            return process.address

        opened.append(OverSockets(process.address, restarted))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
    for process in processes:
        process.kill()


@each_transcript
def test_an_exchange_in_memory_says_what_the_transcript_says(transcript: dict[str, Any]) -> None:
    play(transcript, InMemory(transcript["limits"]))


@pytest.mark.parametrize("name", over_all_ways)
def test_an_exchange_behind_sockets_says_what_the_transcript_says(name: str, over_sockets: Start) -> None:
    transcript = BY_NAME[name]
    play(transcript, over_sockets(transcript["limits"]))


@each_transcript
def test_the_fields_and_the_bytes_of_a_transcript_say_the_same(transcript: dict[str, Any]) -> None:
    for step in transcript["steps"]:
        if "message" not in step:
            continue
        message, frames = message_of(step), frames_of(step)
        assert step["octet"] == NUMBERS[step["message"]] == frames[0][0]
        assert fits(message, read_frames(frames)), step
        plain = step["message"] != "ENVELOPE" or len(frames[0]) == 17
        assert not plain or is_open(message) or write_frames(message) == frames, step


# Single messages.


def greeted(exchange: ExchangeUnderTest, window: int = 4 << 20, registered: bool = False) -> None:
    """Let peer P be welcome, with service 1 if it is to be registered."""
    exchange.say("P", [encode_control(NUMBERS["HELLO"], {"versions": [1], "window": window})])
    assert named(exchange.hear("P")) == "WELCOME"
    if registered:
        exchange.say("P", [encode_control(NUMBERS["REGISTER"], 1, bytes(16), "math", {}, {})])
        assert named(exchange.hear("P")) == "REGISTERED"


def named(frames: Frames | None) -> str:
    """What a message is called."""
    return "nothing" if frames is None else COMMAND_NAMES[frames[0][0]]


def refused_as_written(exchange: ExchangeUnderTest, vector: dict[str, Any]) -> None:
    """Play a vector of `refusals`."""
    if vector["hello"]:
        greeted(exchange, registered=vector.get("registered", False))
    exchange.say("P", [notation.octets(frame) for frame in vector["frames"]])
    answer = exchange.hear("P")
    assert answer is not None
    message = read_frames(answer)
    assert message["message"] == "REFUSED" and message["fields"][0] == vector["code"], message
    assert isinstance(message["fields"][1], str) and message["fields"][2]["versions"] == [1]


@every("refusals")
def test_an_exchange_refuses_a_peer_for_what_the_vector_says(vector: dict[str, Any]) -> None:
    exchange = InMemory({})
    refused_as_written(exchange, vector)
    assert not exchange.core.peers


def taken_as_written(exchange: ExchangeUnderTest, vector: dict[str, Any]) -> None:
    """Play a vector of `taken_without_complaint`."""
    greeted(exchange, registered=True)
    exchange.say("P", [notation.octets(frame) for frame in vector["frames"]])
    if "answer" in vector:
        assert named(exchange.hear("P")) == vector["answer"]
    assert exchange.settled({"P"}) == []


@every("taken_without_complaint")
def test_an_exchange_takes_what_the_vector_says_without_complaint(vector: dict[str, Any]) -> None:
    exchange = InMemory({})
    taken_as_written(exchange, vector)
    assert exchange.core.peers


def test_an_exchange_behind_sockets_refuses_and_takes_as_the_vectors_say(over_sockets: Start) -> None:
    process = over_sockets({})
    assert isinstance(process, OverSockets)
    for vector in VECTORS["refusals"]:
        refused_as_written(process, vector)
        process.lose("P")
    for vector in VECTORS["taken_without_complaint"]:
        taken_as_written(process, vector)
        process.lose("P")


# The players themselves.


def test_what_differs_from_a_transcript_is_noticed() -> None:
    transcript = BY_NAME["call"]
    steps = transcript["steps"]
    answer = next(number for number, step in enumerate(steps) if step.get("message") == "REGISTERED")
    wrong = [*steps[:answer], {**steps[answer], "fields": [2, "0" * 32]}, *steps[answer + 1 :]]
    for changed in (wrong, [*steps[:answer], *steps[answer + 1 :]], steps[:-1], [*steps, steps[-1]]):
        with pytest.raises(AssertionError):
            play({**transcript, "steps": changed}, InMemory({}))


def test_the_transcripts_have_every_message_of_the_protocol() -> None:
    said = {step["message"] for each in BY_NAME.values() for step in each["steps"] if "message" in step}
    assert NUMBERS.keys() == said


@each_transcript
def test_the_bytes_of_a_step_can_be_filled_in(transcript: dict[str, Any]) -> None:
    for step in transcript["steps"]:
        bare = {key: each for key, each in step.items() if key not in ("hex", "octet")}
        reserved = step.get("message") == "ENVELOPE" and len(step["hex"][0]) > 2 * HEAD_SIZE
        if "message" in step and not reserved:
            done = filled(bare)
            assert done["octet"] == step["octet"]
            assert is_open(message_of(step)) or frames_of(done) == frames_of(step)
        assert filled(step) is step


@pytest.mark.parametrize("kind", ["transcripts", "scripts"])
def test_the_files_are_written_a_step_a_line(kind: str) -> None:
    path = pathlib.Path(__file__).with_name(f"{kind}.json")
    assert written(notation.load(path), kind) == path.read_text("utf-8")


@each_transcript
def test_a_transcript_is_recorded_as_it_stands(transcript: dict[str, Any]) -> None:
    assert Recorder(transcript).steps() == transcript["steps"]


def test_what_is_recorded_is_put_in_and_taken_out() -> None:
    transcript = BY_NAME["call"]
    answers = [step for step in transcript["steps"] if "to" in step]
    without = [step for step in transcript["steps"] if step not in answers[2:4]]
    wrong = {"to": "C", "message": "ABSENT", "octet": 38, "fields": ["0" * 32, "lost"], "hex": []}
    steps = Recorder({**transcript, "steps": [*without, wrong]}).steps()
    play({**transcript, "steps": steps}, InMemory({}))
    assert wrong not in steps and len(steps) == len(transcript["steps"])
