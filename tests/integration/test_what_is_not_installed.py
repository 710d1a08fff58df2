"""What is asked for without the package that it needs says which extra brings that, in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

BARE = "import sys\nfor name in ('aiohttp', 'prometheus_client'): sys.modules[name] = None\n"
"""Stands in for an environment without them."""

USES = {
    "HttpDaemon": ("import fireflyzmq as netsvc; netsvc.HttpDaemon", "HttpDaemon", "aiohttp", "http"),
    "a name that is imported": ("from fireflyzmq import PlainGateway", "PlainGateway", "aiohttp", "http"),
    "MetricsCollector": (
        "from fireflyzmq import MetricsCollector",
        "MetricsCollector",
        "prometheus_client",
        "metrics",
    ),
    "a netport's WebSocket": (
        "import asyncio, fireflyzmq as netsvc\n"
        "async def main(): netsvc.NetPort('net', websocket=0)\n"
        "asyncio.run(main())",
        "a netport's WebSocket",
        "aiohttp",
        "http",
    ),
}


def error_of(program: str) -> str:
    """The last line that a program prints that fails in an environment without the optional packages."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BARE + program], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1, ended.stderr
    return ended.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("program, what, package, extra", USES.values(), ids=USES)
def test_what_needs_an_extra_names_it(program: str, what: str, package: str, extra: str) -> None:
    error = error_of(program)
    assert error.endswith(f"{what} needs {package}, which is not here: pip install 'fireflyzmq[{extra}]'"), error


def test_a_command_that_needs_an_extra_names_it() -> None:
    run = "import fireflyzmq.__main__ as main; sys.exit(main.main(['gateway', 'http', '--listen', '127.0.0.1:0']))"
    assert error_of(run) == "the gateway needs aiohttp, which is not here: pip install 'fireflyzmq[http]'"


def test_a_module_of_a_users_own_that_is_missing_is_no_extra() -> None:
    assert error_of("import fireflyzmq as netsvc; netsvc.nonsense").startswith("AttributeError")
