"""The commands, as processes, with a real exchange and a real service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from fireflyzmq.cli.main import COMMANDS, PROGRAMS
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.cli.conftest import Command
from tests.integration.starting import PROGRAMS as FOLDER
from tests.waiting import wait_until


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_call_prints_what_the_method_returns(command: Command) -> None:
    assert json.loads(said(command("call", "worker", "echo", '{"a": [1, null]}'))) == {"a": [1, None]}
    assert said(command("call", "worker", "echo", "plain")) == '"plain"\n'
    assert said(command("call", "worker", "echo", "value=3")) == "3\n"


def test_a_call_of_a_group_prints_each_members_outcome(command: Command) -> None:
    [outcome] = json.loads(said(command("call", "workers", "echo", "1", "--group")))
    assert (outcome["name"], outcome["value"]) == ("worker", 1)
    [outcome] = json.loads(said(command("call", "workers", "nothing", "--group")))
    assert "MethodUnavailable" in outcome["failure"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("call", "nobody", "echo"), "ServiceUnavailable"),
        (("call", "worker", "nothing"), "MethodUnavailable"),
        (("call", "worker", "echo", "1", "2"), "InvalidArguments"),
        (("call", "worker", "sleep", "60", "--timeout", "0.2"), "RequestTimeout"),
    ],
)
def test_a_call_that_fails_says_why_in_a_line(command: Command, words: tuple[str, ...], kind: str) -> None:
    done = command(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert kind in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("call", "worker"),
        ("nonsense",),
        ("call", "worker", "echo", "--gather", "2"),
        ("services", "--timeout", "-1"),
        ("ping", "--count", "0"),
    ],
)
def test_what_makes_no_sense_is_told_with_how_it_is_used(command: Command, words: tuple[str, ...]) -> None:
    done = command(*words)
    assert (done.returncode, done.stdout) == (2, "") and "Usage: fireflyzmq" in done.stderr


@pytest.mark.parametrize("words", [("services",), ("call", "worker", "echo", "1"), ("ping", "-c", "1")])
def test_without_an_exchange_the_status_says_so(command: Command, words: tuple[str, ...]) -> None:
    done = command(*words, "--exchange", "ipc:///nowhere/at/all", "--timeout", "0.3")
    assert done.returncode == 3 and "no exchange at ipc:///nowhere/at/all" in done.stderr
    assert done.stderr.count("\n") == 1


def test_services_are_listed_by_pattern_and_group(command: Command) -> None:
    assert [line.split()[0] for line in said(command("services")).splitlines()] == ["NAME", "exchange", "worker"]
    assert said(command("services", "w*r")).splitlines()[1].startswith("worker")
    [worker] = json.loads(said(command("services", "--group", "workers", "--json")))
    assert (worker["name"], worker["groups"]) == ("worker", ["workers"])
    assert said(command("services", "x*")).splitlines() == ["NAME  GROUPS  USER  PROCESS  ADDRESS"]


def test_groups_and_peers_are_listed(command: Command) -> None:
    assert said(command("groups")).split() == ["GROUP", "MEMBERS", "workers", "1"]
    peers = json.loads(said(command("peers", "--json")))
    assert sum(peer["services"] for peer in peers) >= 2
    assert "REPORTS QUEUED" in said(command("peers")).splitlines()[0]


def test_a_service_is_described_with_its_methods_and_its_instances(command: Command) -> None:
    shown = said(command("describe", "worker"))
    assert "block()" in shown and "    Keep the process busy for a while." in shown and "SERVED" in shown
    told = json.loads(said(command("describe", "worker", "--json")))
    assert [each["groups"] for each in told["instances"]] == [["workers"]]
    assert {"echo", "queue"} < {each["name"] for each in told["methods"]}


def test_ping_says_how_long_each_call_took(command: Command) -> None:
    lines = said(command("ping", "worker", "-c", "3", "-i", "0.01")).splitlines()
    assert [line.partition(" answers")[0] for line in lines[:3]] == ["1: worker", "2: worker", "3: worker"]
    assert lines[3].startswith("3 calls, 0 failed; least/median/most ")
    done = command("ping", "nobody", "-c", "2", "-i", "0.01", "--json")
    assert done.returncode == 1 and len(json.loads(done.stdout)["failures"]) == 2


def test_ping_ends_with_a_summary_when_it_is_interrupted(exchange: ExchangeProcess) -> None:
    with PythonProcess(["-m", "fireflyzmq", "ping", "-i", "0.01"], exchange.environment) as process:
        process.wait_for_line("3: exchange answers")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0 and " failed; least/median/most " in process.lines[-1]


def test_who_reads_no_more_ends_a_command_without_complaint(exchange: ExchangeProcess) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "fireflyzmq", "ping", "-i", "0.01"],
        env={**os.environ, **exchange.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("1: exchange")
        process.stdout.close()
        assert process.wait(20) == 0 and process.stderr.read() == ""


def test_the_help_names_every_command_and_each_has_an_example(command: Command) -> None:
    shown = said(command("--help"))
    for name in (*COMMANDS, *PROGRAMS):
        assert f"\n  {name} " in shown
    for name in COMMANDS:
        assert f"fireflyzmq {name}" in said(command(name, "--help")).splitlines()[-1]


def test_reports_are_published_and_shown(exchange: ExchangeProcess, command: Command) -> None:
    with PythonProcess(
        ["-m", "fireflyzmq", "publish", "prices", "gold.spot", '{"bid": 2}', "--keep"], exchange.environment
    ):
        shown = said(command("reports", "prices", "gold.*", "-c", "1"))
        assert shown.split(" ", 1)[1] == 'gold.spot {"bid": 2}\n'
        told = json.loads(said(command("reports", "prices", "-c", "1", "--json")))
        assert (told["subject"], told["content"]) == ("gold.spot", {"bid": 2})
    with PythonProcess(["-m", "fireflyzmq", "reports", "news", "--json"], exchange.environment) as process:
        wait_until(lambda: said(command("publish", "news", "soon", "now")) == "" and process.lines)
        assert json.loads(process.lines[0]) == {"subject": "soon", "content": "now", "lost": 0}
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


def test_who_comes_and_goes_is_told(exchange: ExchangeProcess) -> None:
    with PythonProcess(["-m", "fireflyzmq", "watch"], exchange.environment) as process:
        process.wait_for_line(" + worker ")
        process.wait_for_line(" in group workers")
        with PythonProcess([str(FOLDER / "worker.py"), "late"], exchange.environment) as late:
            process.wait_for_line(" + late ")
            late.kill()
        assert process.wait_for_line(" - late ").endswith(" in group workers (lost)")
        assert process.wait_for_line(" - late ").endswith(" (lost)")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


def test_without_the_extra_it_is_named_and_programs_run_all_the_same() -> None:
    program = "import sys; sys.modules['click'] = None; from fireflyzmq.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, "services"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "pip install 'fireflyzmq[cli]'" in done.stderr
    assert "exchange, gateway, console, user" in done.stderr
    done = subprocess.run(
        [sys.executable, "-c", program, "exchange", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout.startswith("fireflyzmq exchange ")


def test_a_shell_completes_the_names_that_are_there(command: Command) -> None:
    words = {"_FIREFLYZMQ_COMPLETE": "zsh_complete"}
    services = command(COMP_WORDS="fireflyzmq call w", COMP_CWORD="2", **words).stdout.split()
    assert "worker" in services and "exchange" not in services
    methods = command(COMP_WORDS="fireflyzmq call worker e", COMP_CWORD="3", **words).stdout
    assert "echo(value)" in methods and "queue" not in methods
