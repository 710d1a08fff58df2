"""The daemon's command line: its options, and what is wrong with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from exchange.__main__ import parse_arguments
from exchange.core.limits import Limits


def test_each_limit_is_an_option_of_the_daemon() -> None:
    chosen: dict[str, Any] = {
        "peers": 5,
        "services_per_peer": 6,
        "groups_per_service": 7,
        "watches_per_peer": 8,
        "calls_per_peer": 9,
        "name": 10,
        "message": 1 << 20,
        "window": 1 << 20,
        "queue": 2 << 20,
        "subscriptions_per_peer": 11,
        "reports": 3 << 20,
        "retained": 4 << 20,
        "hello": 1.5,
        "heartbeat": 2.0,
    }
    assert set(chosen) == {field.name for field in dataclasses.fields(Limits)}
    arguments = []
    for name, value in chosen.items():
        option = f"--{name}-seconds" if isinstance(value, float) else f"--max-{name.replace('_', '-')}"
        arguments += [option, str(value)]
    assert parse_arguments(arguments).limits == Limits(**chosen)
    assert parse_arguments([]).limits == Limits()


@pytest.mark.parametrize("text", ["-1", "1e3", "9" * 400, "soon"])
def test_a_time_to_look_that_makes_no_sense_ends_the_daemon(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--busy-poll-microseconds", text])
    assert "busy-poll" in capsys.readouterr().err


def test_a_limit_that_makes_no_sense_ends_the_daemon_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--max-window", "1K"])
    assert "two frames" in capsys.readouterr().err
