"""The commands for people: they play against an exchange, or a peer, and tell of each case."""

from __future__ import annotations

import sys

import pytest

from fireflyzmq.testing import ExchangeProcess
from tests.conformance.__main__ import main

PROGRAM = [sys.executable, "-m", "tests.conformance.program"]


def test_an_exchange_is_played_against(capsys: pytest.CaptureFixture[str]) -> None:
    with ExchangeProcess() as exchange:
        assert main(["exchange", exchange.address]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "passed  call" in lines and all(line.startswith("passed  ") for line in lines)


def test_a_program_is_played_against(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "returned-no", "peer", "--role", "caller", "--", *PROGRAM]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == ["passed  returned-no-target", "passed  returned-no-sender"]


def test_a_program_that_does_nothing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "returned-no-target", "peer", "--", sys.executable, "-c", "pass"]) == 1
    assert capsys.readouterr().out.startswith("failed  returned-no-target: nobody came")
