"""The gateway that the command line starts, services in other processes, and the standard library's clients."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from xmlrpc.client import Fault, ProtocolError, ServerProxy

import pytest

from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.waiting import wait_until

WORKER = str(pathlib.Path(__file__).parent / "worker.py")


class Site:
    """An exchange, a gateway and workers, each in a process of its own."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.exchange = stack.enter_context(ExchangeProcess())

    def gateway(self, *options: str) -> Gateway:
        """A gateway that serves."""
        command = ["-m", "fireflyzmq", "gateway", "http", "--group", "web-services", "--listen", "127.0.0.1:0"]
        process = self._stack.enter_context(PythonProcess([*command, *options], self.exchange.environment))
        gateway = Gateway(process)
        wait_until(lambda: gateway.ask("GET", "/services")[0] in (200, 401))
        return gateway

    def worker(self, name: str, gateway: Gateway | None = None) -> PythonProcess:
        """A worker, shown by a gateway."""
        instances = gateway.instances(name) if gateway is not None else 0
        process = self._stack.enter_context(PythonProcess([WORKER, name], self.exchange.environment))
        process.wait_for_line("ready")
        if gateway is not None:
            wait_until(lambda: gateway.instances(name) == instances + 1)
        return process


class Gateway:
    """A gateway's process and what it answers."""

    def __init__(self, process: PythonProcess) -> None:
        self.process = process
        self.url = process.wait_for_line("gateway listens at ").split()[-1]
        self.port = int(self.url.rpartition(":")[2])
        self.context: ssl.SSLContext | None = None

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """The status, and the body: JSON where it is."""
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=20, context=self.context) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def call(self, service: str, method: str, *args: Any) -> Any:
        """A call by JSON-RPC: the result; AssertionError with the error."""
        status, response = self.ask(
            "POST", f"/jsonrpc/{service}", {"jsonrpc": "2.0", "method": method, "params": args, "id": 1}
        )
        assert status == 200, response
        assert "error" not in response, response
        return response["result"]

    def xmlrpc(self, service: str) -> ServerProxy:
        """The standard library's client."""
        return ServerProxy(f"{self.url}/xmlrpc/{service}", allow_none=True, context=self.context)

    def instances(self, name: str) -> int:
        """How many instances of a service it shows."""
        status, services = self.ask("GET", "/services")
        return sum(service["instances"] for service in services if service["name"] == name) if status == 200 else 0


@pytest.fixture
def site() -> Iterator[Site]:
    """Processes, which are killed at the end."""
    with contextlib.ExitStack() as stack:
        yield Site(stack)


@pytest.fixture
def background() -> Iterator[concurrent.futures.Executor]:
    """Threads for clients that wait."""
    with concurrent.futures.ThreadPoolExecutor(40) as executor:
        yield executor


def test_all_protocols_reach_a_service_in_another_process(site: Site) -> None:
    gateway = site.gateway()
    worker = site.worker("math", gateway)
    with gateway.xmlrpc("math") as math:
        assert math.who() == worker.process.pid
        methods: Any = math.system.listMethods()
        assert "who" in methods
        with pytest.raises(Fault) as caught:
            math.who(1)
        assert caught.value.faultCode == 56
    assert gateway.call("math", "who") == worker.process.pid
    assert gateway.ask("POST", "/services/math/who") == (200, worker.process.pid)
    assert gateway.ask("GET", "/services") == (200, [{"name": "math", "instances": 1}])
    assert "/services/math/who" in gateway.ask("GET", "/openapi.json")[1]["paths"]


def test_a_service_that_is_killed_or_leaves_is_not_there(site: Site) -> None:
    gateway = site.gateway()
    dying, leaving = site.worker("dying", gateway), site.worker("leaving", gateway)
    dying.kill()
    wait_until(lambda: gateway.instances("dying") == 0)
    assert gateway.ask("POST", "/services/dying/who")[0] == 404
    with gateway.xmlrpc("dying") as proxy, pytest.raises(ProtocolError) as caught:
        proxy.who()
    assert caught.value.errcode == 404
    assert gateway.call("leaving", "who") == leaving.process.pid
    gateway.call("leaving", "leave")
    wait_until(lambda: gateway.instances("leaving") == 0)
    assert gateway.ask("POST", "/services/leaving/who") == gateway.ask("POST", "/services/absent/who")
    assert leaving.process.poll() is None


def test_when_one_of_two_is_killed_what_it_ran_fails_and_the_other_goes_on(
    site: Site, background: concurrent.futures.Executor
) -> None:
    gateway = site.gateway()
    first, second = site.worker("math", gateway), site.worker("math", gateway)
    assert {gateway.call("math", "who") for _ in range(40)} == {first.process.pid, second.process.pid}
    asking: list[concurrent.futures.Future[tuple[int, Any]]] = []
    while len(asking) < 6 or not ("begun" in first.lines and "begun" in second.lines):  # each goes to either
        asking.append(background.submit(gateway.ask, "POST", "/services/math/sleep", [2]))
        wait_until(lambda: first.lines.count("begun") + second.lines.count("begun") == len(asking))
    ran = first.lines.count("begun")
    first.kill()
    outcomes = [each.result(20) for each in asking]
    assert [status for status, _ in outcomes].count(502) == ran
    assert [value for status, value in outcomes if status == 200] == [second.process.pid] * (len(asking) - ran)
    assert second.lines.count("begun") == len(asking) - ran
    assert {gateway.call("math", "who") for _ in range(10)} == {second.process.pid}


def test_a_client_that_hangs_up_cancels_its_call_in_the_other_process(site: Site) -> None:
    gateway = site.gateway()
    worker = site.worker("math", gateway)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", gateway.port)) as connection:
        connection.request("POST", "/services/math/sleep", "[30]")
        worker.wait_for_line("begun")
    worker.wait_for_line("cancelled")


def test_a_deadline_holds_though_the_service_is_frozen(site: Site) -> None:
    gateway = site.gateway()
    worker = site.worker("math", gateway)
    worker.freeze()
    begun = time.monotonic()
    assert gateway.ask("POST", "/services/math/who?timeout=0.3")[0] == 504
    assert 0.2 < time.monotonic() - begun < 5
    worker.thaw()
    assert gateway.call("math", "who") == worker.process.pid


def test_reports_are_heard_from_the_kept_one_on_over_a_restart_of_the_publisher(site: Site) -> None:
    gateway = site.gateway()
    worker = site.worker("news", gateway)
    gateway.call("news", "publish", "first")
    with urllib.request.urlopen(f"{gateway.url}/reports/news", timeout=20) as stream:

        def heard() -> Any:
            line = b""
            while not line.startswith(b"data: "):
                line = stream.readline()
            return json.loads(line.removeprefix(b"data: "))["content"]

        assert heard() == "first"
        gateway.call("news", "publish", "second")
        assert heard() == "second"
        worker.kill()
        wait_until(lambda: gateway.instances("news") == 0)
        site.worker("news", gateway)
        gateway.call("news", "publish", "third")
        assert heard() == "third"


def test_the_gateway_outlives_its_exchange(site: Site) -> None:
    gateway = site.gateway()
    worker = site.worker("math", gateway)
    assert gateway.call("math", "who") == worker.process.pid
    site.exchange.kill()
    gateway.process.wait_for_line("lost the exchange")
    assert gateway.ask("POST", "/services/math/who")[0] == 503
    site.exchange.restart()
    wait_until(lambda: gateway.ask("POST", "/services/math/who")[0] == 200)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_it_finish_and_end_with_0(
    site: Site, signum: signal.Signals, background: concurrent.futures.Executor
) -> None:
    gateway = site.gateway()
    worker = site.worker("math", gateway)
    asking = background.submit(gateway.ask, "POST", "/services/math/sleep", [0.5])
    worker.wait_for_line("begun")
    gateway.process.send_signal(signum)
    gateway.process.wait_for_line("draining")
    assert asking.result(20) == (200, worker.process.pid)
    assert gateway.process.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.port))
    assert not [line for line in gateway.process.lines if "Traceback" in line or "ERROR" in line]


def test_a_signal_ends_it_at_once_though_somebody_listens_to_reports(site: Site) -> None:
    gateway = site.gateway()
    site.worker("news", gateway)
    with urllib.request.urlopen(f"{gateway.url}/reports/news", timeout=20) as stream:
        begun = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert stream.read().startswith(b": here\n")
        assert gateway.process.wait() == 0
        assert time.monotonic() - begun < 5


def test_users_certificate_and_names_are_options(
    site: Site, tmp_path: pathlib.Path, certificate: tuple[pathlib.Path, pathlib.Path], client_context: ssl.SSLContext
) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "fireflyzmq", "user", "grace", "--token"], check=True, capture_output=True, text=True
    )
    token = made.stderr.removeprefix("token: ").strip()
    users = tmp_path / "users"
    users.write_text(made.stdout)
    files = ["--users", str(users), "--certificate", str(certificate[0]), "--key", str(certificate[1])]
    gateway_process = ["--host", "127.0.0.1", "--origin", "https://app.example.com", *files]
    command = ["-m", "fireflyzmq", "gateway", "http", "--listen", "127.0.0.1:0", *gateway_process]
    with PythonProcess(command, site.exchange.environment) as process:
        gateway = Gateway(process)
        gateway.context = client_context
        assert gateway.url.startswith("https://")
        authorised = {"Authorization": f"Bearer {token}"}
        site.worker("who")
        wait_until(lambda: gateway.ask("POST", "/services/who/user", **authorised) == (200, "grace"))
        assert gateway.ask("POST", "/services/who/user")[0] == 401
        wrong = {"Authorization": "Basic " + base64.b64encode(b"grace:x").decode()}
        assert gateway.ask("POST", "/services/who/user", **wrong)[0] == 401
        assert gateway.ask("GET", "/services", Host="localhost", **authorised)[0] == 421
        assert gateway.ask("GET", "/services", Origin="https://evil.example.com", **authorised)[0] == 403
        assert gateway.ask("GET", "/services", Origin="https://app.example.com", **authorised)[0] == 200


@pytest.mark.parametrize(
    "options",
    [
        ["--listen", "127.0.0.1:none"],
        ["--listen", "127.0.0.1:99999"],
        ["--users", "/nowhere/at/all"],
        ["--certificate", "/nowhere/at/all"],
        ["--group", "a b"],
    ],
)
def test_options_that_cannot_be_end_it_with_a_line(options: list[str]) -> None:
    command = [sys.executable, "-m", "fireflyzmq", "gateway", "http", "--listen", "127.0.0.1:0", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_ends_it_with_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "fireflyzmq", "gateway", "http"]
        listen = ["--listen", f"127.0.0.1:{taken.getsockname()[1]}"]
        ended = subprocess.run([*command, *listen], capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, "in use" in ended.stderr, "Traceback" in ended.stderr) == (1, True, False)


def test_a_user_that_cannot_be_is_refused() -> None:
    command = [sys.executable, "-m", "fireflyzmq", "user", "a b", "--token"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout, "Traceback" in ended.stderr) == (1, "", False)
