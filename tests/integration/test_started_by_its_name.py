"""The exchange is started whatever the search path holds, and `python -m exchange` says when it runs another."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import subprocess
import sys

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import PythonProcess

COMMAND = "python -m fireflyzmq exchange"
LISTEN = ("--listen", "tcp://127.0.0.1:0")
ENTRY = (
    "import sys\nfrom importlib.metadata import entry_points\n"
    "entry = entry_points(group='console_scripts')['fireflyzmq-exchange']\nsys.exit(entry.load()())"
)
"""What the script `fireflyzmq-exchange` does."""

STARTS = {
    COMMAND: ("-m", "fireflyzmq", "exchange"),
    "fireflyzmq-exchange": ("-c", ENTRY),
}


@pytest.fixture(params=["exchange.py", "exchange/__main__.py"])
def shadow(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    """A program that has the exchange's name and uses the library."""
    program: pathlib.Path = tmp_path / request.param
    program.parent.mkdir(exist_ok=True)
    (program.parent / "__init__.py").touch()
    program.write_text("import fireflyzmq\nfireflyzmq.Failure\nprint('mine')\n")
    return program


def run(*arguments: str, folder: pathlib.Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with warnings as errors, until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("start", STARTS)
def test_the_exchange_is_found_whatever_the_search_path_holds(
    shadow: pathlib.Path, tmp_path: pathlib.Path, start: str
) -> None:
    with PythonProcess([*STARTS[start], *LISTEN], {"PYTHONPATH": str(tmp_path)}) as process:
        address = process.wait_for_line("exchange listens at").split()[-1]
        with netsvc.Client(address) as client:
            assert client.serviceEndPoint("exchange").ping() == "pong"
        process.process.terminate()
        assert process.wait() == 0


@pytest.mark.parametrize("start", STARTS)
def test_its_texts_say_the_command_that_was_used(shadow: pathlib.Path, tmp_path: pathlib.Path, start: str) -> None:
    there = {"PYTHONPATH": str(tmp_path)}
    said = run(*STARTS[start], "--help", folder=tmp_path, env=there)
    assert said.stdout.startswith(f"usage: {start} ["), said
    refused = run(*STARTS[start], "--nonsense", folder=tmp_path, env=there)
    assert (refused.returncode, f"{start}: error:" in refused.stderr) == (2, True)
    version = run(*STARTS[start], "--version", folder=tmp_path, env=there)
    assert version.stdout == f"fireflyzmq exchange {netsvc.__version__}\n"


def test_the_installed_command_is_the_librarys() -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="fireflyzmq-exchange")
    assert entry.module == "fireflyzmq.__main__"


def test_the_exchange_is_among_the_commands(tmp_path: pathlib.Path) -> None:
    said = run("-m", "fireflyzmq", "--help", folder=tmp_path)
    assert "exchange" in said.stdout and "gateway" in said.stdout


def test_the_daemon_loads_no_event_loop(tmp_path: pathlib.Path) -> None:
    program = (
        "import sys\nfrom fireflyzmq.__main__ import main\n"
        "try:\n    main(['exchange', '--version'])\n"
        "finally:\n    print(sorted({'asyncio', 'ssl', 'aiohttp', 'uvloop'} & set(sys.modules)))"
    )
    assert run("-c", program, folder=tmp_path).stdout.splitlines()[-1] == "[]"


def test_another_program_that_runs_in_its_place_is_told_of(shadow: pathlib.Path, tmp_path: pathlib.Path) -> None:
    ran = run("-m", "exchange", folder=tmp_path)

    assert (ran.returncode, ran.stdout) == (0, "mine\n")
    assert ran.stderr == f"fireflyzmq: `python -m exchange` runs {shadow} here; `{COMMAND}` starts the exchange\n"


def test_a_program_of_ones_own_that_has_the_name_is_told_nothing(shadow: pathlib.Path, tmp_path: pathlib.Path) -> None:
    where = shadow.parent if shadow.name == "__main__.py" else shadow
    for arguments in ([str(shadow)], [str(where)], ["-c", "import exchange, fireflyzmq; print('mine')"]):
        ran = run(*arguments, folder=tmp_path)
        assert (ran.returncode, ran.stderr) == (0, ""), arguments
        assert ran.stdout.endswith("mine\n")


def test_the_processes_of_such_a_program_are_told_nothing_more(tmp_path: pathlib.Path) -> None:
    (tmp_path / "exchange.py").write_text(
        "import multiprocessing, sys\n"
        "def work():\n    import fireflyzmq\n    print('worked', flush=True)\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    process.start(); process.join()\n"
    )
    ran = run("-m", "exchange", folder=tmp_path)
    assert (ran.stdout, ran.stderr) == ("worked\n", "")


def test_the_exchange_itself_is_told_nothing(tmp_path: pathlib.Path) -> None:
    ran = run("-m", "exchange", "--help", folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("usage: python -m exchange [")


def test_a_program_without_a_standard_error_runs(tmp_path: pathlib.Path) -> None:
    (tmp_path / "exchange.py").write_text("import sys\nsys.stderr = None\nimport fireflyzmq\nprint('mine')\n")
    assert run("-m", "exchange", folder=tmp_path).stdout == "mine\n"
