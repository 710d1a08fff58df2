"""The exchange as a daemon: its command line, where it listens, and its end."""

from __future__ import annotations

import pathlib
import re
import signal
import subprocess
import sys

import pytest

from fireflyzmq import Client, ExchangeLost, MessageTooLarge
from fireflyzmq.testing import ExchangeProcess, PythonProcess


def run_daemon(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a daemon that is to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "exchange", *arguments], capture_output=True, text=True, timeout=20, check=False
    )


def test_help_names_the_options() -> None:
    result = run_daemon("--help")

    assert result.returncode == 0
    assert "--listen" in result.stdout
    assert "11111" in result.stdout


def test_an_unknown_option_is_refused() -> None:
    result = run_daemon("--nonsense")

    assert result.returncode == 2
    assert "--nonsense" in result.stderr


def test_port_zero_prints_the_port_that_it_became() -> None:
    with ExchangeProcess() as process:
        (address,) = process.addresses
        assert re.fullmatch(r"tcp://127\.0\.0\.1:[1-9]\d+", address)
        with Client(address) as client:
            assert client.serviceEndPoint("exchange").ping() == "pong"


def test_a_daemon_listens_at_several_addresses_at_once(tmp_path: pathlib.Path) -> None:
    listen = ["tcp://127.0.0.1:0", "tcp://127.0.0.1:0", f"ipc://{tmp_path}/x"]
    with ExchangeProcess(listen) as process:
        assert len(set(process.addresses)) == 3
        assert process.addresses[2] == listen[2]
        clients = [Client(address) for address in process.addresses]
        for client in clients:
            for other in clients:
                other.exportMethod(lambda: "called", "f")
                assert client.serviceEndPoint(other.serviceBinding()).f() == "called"
        for client in clients:
            client.close()


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with ExchangeProcess() as process:
        result = run_daemon("--listen", process.address)

    assert result.returncode == 1
    assert process.address in result.stderr
    assert "in use" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_path_that_is_taken_is_a_clear_error(tmp_path: pathlib.Path) -> None:
    address = f"ipc://{tmp_path}/x"
    with ExchangeProcess([address]) as process:
        result = run_daemon("--listen", address)
        assert result.returncode == 1
        assert "in use" in result.stderr
        with Client(process.address) as client:
            assert client.serviceEndPoint("exchange").ping() == "pong"


def test_a_path_left_behind_by_a_killed_daemon_is_used_again(tmp_path: pathlib.Path) -> None:
    with ExchangeProcess([f"ipc://{tmp_path}/x"]) as process:
        process.restart()
        with Client(process.address) as client:
            assert client.serviceEndPoint("exchange").ping() == "pong"


@pytest.mark.parametrize("address", ["nonsense", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:port", "http://x:1"])
def test_an_illegal_address_is_a_clear_error(address: str) -> None:
    result = run_daemon("--listen", address)

    assert result.returncode == 1
    assert address in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda signum: signum.name)
def test_a_signal_ends_the_daemon_cleanly(signum: signal.Signals) -> None:
    with ExchangeProcess() as process:
        process.send_signal(signum)

        assert process.wait() == 0
        assert not any("Traceback" in line for line in process.lines)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda signum: signum.name)
def test_a_signal_ends_a_daemon_that_has_peers(signum: signal.Signals) -> None:
    with ExchangeProcess() as process, Client(process.address) as client:
        assert client.serviceEndPoint("exchange").ping() == "pong"
        process.send_signal(signum)

        assert process.wait() == 0


def test_the_installed_command_is_the_same_program() -> None:
    with PythonProcess(
        ["-c", "from exchange.__main__ import main; main(['--listen', 'tcp://127.0.0.1:0'])"]
    ) as process:
        address = process.wait_for_line("exchange listens at ").split()[-1]
        with Client(address) as client:
            assert client.serviceEndPoint("exchange").ping() == "pong"


def test_limits_of_the_command_line_hold() -> None:
    arguments = ["--max-message", "64K", "--max-calls-per-peer", "2", "--max-peers", "1"]
    with ExchangeProcess(options=arguments) as process:
        (address,) = process.addresses
        with Client(address) as client:
            client.exportMethod(len, "size")
            endpoint = client.serviceEndPoint(client.serviceBinding())
            assert endpoint.size(bytes(60_000)) == 60_000
            with pytest.raises(MessageTooLarge):
                endpoint.size(bytes(70_000))
            with pytest.raises(ExchangeLost, match="takes 1 peers"):
                Client(address, timeout=1)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_daemon_whose_warnings_are_errors_ends_without_one(signum: int) -> None:
    with PythonProcess(["-W", "error", "-X", "dev", "-m", "exchange", "--listen", "tcp://127.0.0.1:0"]) as process:
        with Client(process.wait_for_line("exchange listens at ").split()[-1]) as client:
            assert client.serviceEndPoint("exchange").ping() == "pong"
        process.send_signal(signum)
        assert process.wait() == 0
    assert [line for line in process.lines if "Warning" in line or "Traceback" in line] == []
