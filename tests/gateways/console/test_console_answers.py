"""The console over HTTP: what it tells of an exchange, and whom."""

from __future__ import annotations

import base64
import json
import pathlib
import socket
import struct
import subprocess
import sys
import time
import zlib
from typing import Any

import pytest

import fireflyzmq
from fireflyzmq import Client
from fireflyzmq.gateways.web.server.credentials import password_line, token_line
from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.gateways.console.looking import ConsoleProcess, StartMarket, Web
from tests.gateways.console.market import HOSTILE
from tests.waiting import wait_until

PACKAGE = pathlib.Path(fireflyzmq.__file__).parent


def call(web: Web, method: str, *args: Any, service: str = "market", **kwargs: Any) -> tuple[int, Any]:
    return web.post("/api/call", {"service": service, "method": method, "args": args, "kwargs": kwargs})


# The page.


def test_the_page_and_its_files_come_with_a_strict_policy(web: Web) -> None:
    for path in (
        "/",
        "/index.html",
        "/main.js",
        "/console.css",
        "/icon.svg",
        "/api/state",
        "/nothing",
        "/api/nothing",
    ):
        _, headers, _ = web.ask("GET", path)
        assert headers["content-security-policy"].startswith("default-src 'self';"), path
        assert headers["x-content-type-options"] == "nosniff"
    assert web.ask("GET", "/")[1]["content-type"] == "text/html; charset=utf-8"
    assert web.ask("GET", "/main.js")[1]["content-type"] == "text/javascript; charset=utf-8"


def test_the_page_takes_nothing_from_elsewhere_and_parses_no_html(web: Web) -> None:
    folder = PACKAGE / "gateways" / "console" / "static"
    for path in folder.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        for word in (
            "http:",
            "https:",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "style=",
        ):
            assert word not in text, (path.name, word)


def test_a_file_that_has_not_changed_is_not_sent_again(web: Web) -> None:
    tag = web.ask("GET", "/main.js")[1]["etag"]
    assert web.ask("GET", "/main.js", **{"If-None-Match": tag})[0] == 304


@pytest.mark.parametrize(
    "path", ["/../setup.cfg", "/static/main.js", "/%2e%2e/gateway.py", "/gateway.py", "/api", "/api/"]
)
def test_nothing_else_is_there(web: Web, path: str) -> None:
    assert web.ask("GET", path)[0] == 404


def test_each_path_has_its_methods(web: Web) -> None:
    for method, path in (("POST", "/"), ("GET", "/api/call"), ("POST", "/api/state"), ("DELETE", "/api/service")):
        status, headers, _ = web.ask(method, path, {})
        assert (status, "allow" in headers) == (405, True)


def test_the_files_are_in_the_package() -> None:
    configuration = (PACKAGE.parent / "setup.cfg").read_text("utf-8")
    assert "fireflyzmq.gateways.console = static/*" in configuration


# The state.


def test_the_state_tells_what_is_there(web: Web, start_market: StartMarket) -> None:
    start_market()
    state = web.get_when("/api/state", lambda state: state["connected"] and "market" in state["services"])
    (entry,) = state["services"]["market"]
    assert entry["groups"] == ["shop"] and len(entry["address"]) == 32
    assert state["groups"] == {"netports": ["market-door"], "shop": ["market"]}
    assert set(state["services"]) == {"exchange", "market", "market-door"}
    assert {peer["id"] for peer in state["peers"]} >= {entry["peer"]}
    assert [netport["name"] for netport in state["netports"]] == ["market-door"]


def test_the_directory_is_sent_only_when_it_has_changed(web: Web, start_market: StartMarket) -> None:
    start_market()
    state = web.get_when("/api/state?with=directory", lambda state: state["connected"])
    path = "/api/state?with=directory&known="
    assert "services" not in web.get(path + state["revision"])
    start_market("second")
    changed = web.get_when(path + state["revision"], lambda state: state.get("services"))
    assert "second" in changed["services"]


def test_netports_show_their_sessions(web: Web, start_market: StartMarket) -> None:
    door = int(start_market().lines[-1].split()[1])
    with socket.create_connection(("127.0.0.1", door)) as client:
        state = web.get_when(
            "/api/state?with=netports", lambda state: state.get("netports") and state["netports"][0]["sessions"]
        )
        (netport,) = state["netports"]
        (session,) = netport["sessions"]
        port = client.getsockname()[1]
        assert (session["id"].split("/")[0], session["address"]) == ("market-door", f"127.0.0.1:{port}")
    assert web.get("/api/state?with=netports&user=nobody")["netports"][0]["sessions"] == []


def test_a_service_tells_of_its_instances_methods_and_failures(web: Web, start_market: StartMarket) -> None:
    start_market()
    start_market("other")
    wait_until(lambda: call(web, "fail", "on purpose")[0] == 500)
    service = web.get_when("/api/service?name=market", lambda service: service["instances"][0]["failures"])
    methods = {method["name"]: method for method in service["description"]["methods"]}
    assert methods["place"]["signature"].startswith("(item: ") and methods["place"]["doc"]
    (instance,) = service["instances"]
    assert instance["failures"][-1]["description"] == "ValueError: on purpose"
    assert instance["statistics"]["failed"] >= 1 and instance["kinds"] == {"ApplicationFailure": 1}
    assert web.ask("GET", "/api/service?name=nobody")[0] == 404


def test_what_the_console_asks_itself_is_not_shown_as_calls(web: Web, start_market: StartMarket) -> None:
    start_market()
    ask = {"names": ["market", "exchange", "nobody"]}
    wait_until(lambda: web.post("/api/statistics", ask)[1].get("market", {}).get("calls_per_second") is not None)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        _, heard = web.post("/api/statistics", ask)
        assert (heard["market"]["served"], heard["market"]["calls_per_second"]) == (0, 0)
        assert heard["market"]["median"] is None and "nobody" not in heard
        time.sleep(0.2)


def test_calls_are_counted(web: Web, start_market: StartMarket) -> None:
    start_market()
    ask = {"names": ["market"]}
    wait_until(lambda: web.post("/api/statistics", ask)[1].get("market", {}).get("sampled"))
    for _ in range(20):
        call(web, "place", "lamp")

    def counted() -> bool:
        heard = web.post("/api/statistics", ask)[1]["market"]
        return heard["served"] == 20 and heard["median"] is not None

    wait_until(counted)


# Calls.


def test_a_call_gives_its_value(web: Web, start_market: StartMarket) -> None:
    start_market()
    assert call(web, "place", "lamp", note="red") == (200, {"value": {"item": "lamp", "count": 1, "note": "red"}})
    big = 2**60 + 1
    assert call(web, "echo", big, [None, 1.5], a={"b": "ü"})[1] == {"value": [[big, [None, 1.5]], {"a": {"b": "ü"}}]}


def test_a_call_gives_its_failure(web: Web, start_market: StartMarket) -> None:
    start_market()
    status, answer = call(web, "fail", "on purpose")
    assert (status, answer["error"]["kind"]) == (500, "ApplicationFailure")
    assert answer["error"]["description"] == "ValueError: on purpose"
    assert call(web, "nothing")[1]["error"]["kind"] == "MethodUnavailable"
    assert call(web, "place")[1]["error"]["kind"] == "InvalidArguments"
    assert call(web, "place", service="nobody")[1]["error"]["kind"] == "ServiceUnavailable"
    assert call(web, "strange")[1]["error"]["kind"] == "ResponseEncoding"


@pytest.mark.parametrize("method", ["system.describe", "system.report", "_hidden", "a._b", ""])
def test_what_is_reserved_is_not_called(web: Web, start_market: StartMarket, method: str) -> None:
    start_market()
    assert call(web, method)[1]["error"]["kind"] == "MethodUnavailable"


def test_people_get_a_value_as_text_whatever_it_is(web: Web, start_market: StartMarket) -> None:
    start_market()
    body = {"service": "market", "method": "strange"}
    assert web.post("/api/call?text", body) == (200, {"text": "{1: 0}"})
    text = web.post("/api/call?text", {"service": "market", "method": "place", "args": ["<b>"]})[1]["text"]
    assert json.loads(text)["item"] == "<b>" and text.count("\n") == 4


def test_one_instance_may_be_chosen(web: Web, start_market: StartMarket) -> None:
    for _ in range(2):
        start_market("twin")
    state = web.get_when("/api/state", lambda state: len(state["services"].get("twin", [])) == 2)
    entries = state["services"]["twin"]
    body = {"service": "twin", "method": "echo", "address": entries[0]["address"]}
    for _ in range(5):
        assert web.post("/api/call", body)[0] == 200
    shown = web.get("/api/service?name=twin&describe=0")

    def served() -> list[int]:
        web.get("/api/service?name=twin&describe=0")
        shown = web.get("/api/service?name=twin&describe=0")["instances"]
        return [each["statistics"]["served"] for each in shown if each["address"] == entries[0]["address"]]

    assert len(shown["instances"]) == 2
    wait_until(lambda: served() == [5])
    assert web.post("/api/call", {**body, "address": "0" * 32})[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"1", {"service": 1, "method": "f"}, {"service": "market"}, {"method": "f", "service": None},
        {"service": "market", "method": "echo", "args": {"a": 1}},
        {"service": "market", "method": "echo", "kwargs": [1]},
        {"service": "market", "method": "echo", "address": 1},
    ],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_refused(web: Web, body: Any) -> None:
    status, answer = web.post("/api/call", body)
    assert (status, answer["error"]["kind"]) == (400, "InvalidArguments")


def test_a_call_that_nobody_waits_for_is_cancelled(web: Web, start_market: StartMarket) -> None:
    start_market()
    body = b'{"service": "market", "method": "wait"}'
    wait_until(lambda: "market" in web.get("/api/state").get("services", ()))
    with socket.create_connection((web.host.split(":")[0], int(web.host.split(":")[1]))) as client:
        head = f"POST /api/call HTTP/1.1\r\nHost: {web.host}\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        strange = {"service": "market", "method": "strange"}
        wait_until(lambda: web.post("/api/call?text", strange)[1]["text"] == "{1: 1}")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: web.post("/api/call?text", strange)[1]["text"] == "{1: 0}")


# Streams.


@pytest.mark.parametrize("path", ["/api/failures", "/api/reports?publisher=a"])
def test_a_stream_is_no_answer_to_head(web: Web, path: str) -> None:
    status, headers, _ = web.ask("HEAD", path)
    assert (status, headers.get("allow")) == (405, "GET")


def test_reports_come_as_events(web: Web, start_market: StartMarket) -> None:
    start_market()
    with web.events("/api/reports?publisher=market&pattern=gold.*") as events:
        assert call(web, "announce", "silver.spot", 1)[0] == 200
        wait_until(lambda: call(web, "announce", "gold.spot", "<b>")[0] == 200)
        report = next(events)
        assert (report["publisher"], report["subject"], report["content"]) == ("market", "gold.spot", "<b>")


def test_a_publisher_has_a_legal_name_and_a_pattern_makes_sense(web: Web) -> None:
    assert web.ask("GET", "/api/reports?publisher=a%20b")[0] == 400
    assert web.ask("GET", "/api/reports")[0] == 400
    assert web.ask("GET", "/api/reports?publisher=a&pattern=..")[0] == 400


def test_failures_come_as_events_those_from_before_too(web: Web, start_market: StartMarket) -> None:
    start_market()
    wait_until(lambda: call(web, "fail", "before")[0] == 500)
    with web.events("/api/failures") as events:
        first = next(events)
        assert (first["service"], first["method"], first["description"]) == ("market", "fail", "ValueError: before")
        assert abs(time.time() - first["at"]) < 20
        call(web, "fail", "after")
        assert next(events)["description"] == "ValueError: after"


def test_two_pages_hear_of_each_failure_once(web: Web, start_market: StartMarket) -> None:
    start_market()
    wait_until(lambda: call(web, "place", "lamp")[0] == 200)
    with web.events("/api/failures") as one, web.events("/api/failures") as other:
        for number in range(3):
            call(web, "fail", str(number))
        for events in (one, other):
            assert [next(events)["description"][-1] for _ in range(3)] == ["0", "1", "2"]


# Faults.


def test_a_console_without_an_exchange_says_so(nobody: str) -> None:
    with ConsoleProcess(nobody) as console:
        state = Web(console.url).get("/api/state")
        assert state["connected"] is False and state["reason"]
        assert call(Web(console.url), "f")[0] in (404, 503, 504)


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{reserved.getsockname()[1]}"


def test_a_console_survives_its_exchange(exchange: ExchangeProcess, web: Web, start_market: StartMarket) -> None:
    start_market()
    wait_until(lambda: "market" in web.get("/api/state").get("services", ()))
    exchange.kill()
    wait_until(lambda: not web.get("/api/state")["connected"])
    exchange.restart()
    wait_until(lambda: "market" in web.get("/api/state").get("services", ()))
    assert call(web, "place", "lamp")[0] == 200


def test_a_frozen_service_keeps_nobody_waiting(web: Web, start_market: StartMarket) -> None:
    frozen = start_market("frozen")
    start_market()
    wait_until(lambda: web.post("/api/statistics", {"names": ["frozen"]})[1].get("frozen", {}).get("sampled"))
    frozen.freeze()
    try:
        began = time.monotonic()
        for _ in range(5):
            web.post("/api/statistics", {"names": ["frozen", "market"]})
            assert call(web, "place", "lamp")[0] == 200
            web.get("/api/state")
        assert time.monotonic() - began < 5
        wait_until(
            lambda: web.post("/api/statistics", {"names": ["frozen"]})[1].get("frozen", {"problem": "gone"})["problem"]
        )
    finally:
        frozen.thaw()


def test_a_thousand_services_cost_one_call_a_second(web: Web, start_market: StartMarket) -> None:
    start_market(workers=1000)
    state = web.get_when("/api/state", lambda state: len(state.get("services", ())) >= 1001)
    began = time.monotonic()
    for _ in range(20):
        again = web.get(f"/api/state?with=directory,totals&known={state['revision']}")
        assert "services" not in again
    assert (time.monotonic() - began) / 20 < 0.2
    names = [f"worker-{number:04}" for number in range(40)]

    def sampled() -> Any:
        _, heard = web.post("/api/statistics", {"names": names})
        return heard if len(heard) == 40 else None

    assert set(wait_until(sampled)) == set(names)

    def known() -> int:
        sampled: int = web.get(f"/api/state?with=totals&known={state['revision']}")["totals"]["sampled"]
        return sampled

    began = time.monotonic()
    first = known()
    assert first < 400  # not all at once
    wait_until(lambda: known() >= 1001)
    assert time.monotonic() - began > 3


def test_a_large_answer_is_compressed_for_who_takes_it(web: Web, start_market: StartMarket) -> None:
    start_market(workers=300)
    wait_until(lambda: len(web.get("/api/state").get("services", ())) > 300)
    _, headers, body = web.ask("GET", "/api/state", **{"Accept-Encoding": "deflate"})
    assert headers["content-encoding"] == "deflate" and len(zlib.decompress(body)) > 5 * len(body)


# Who may.


def test_at_a_loopback_address_pages_from_elsewhere_may_not(web: Web) -> None:
    body = {"service": "market", "method": "echo"}
    assert web.ask("POST", "/api/call", body, Origin="http://evil.example")[0] == 403
    assert web.ask("POST", "/api/call", body, Origin="null")[0] == 403
    assert web.ask("POST", "/api/call", body, **{"Content-Type": "text/plain"})[0] == 415
    assert web.ask("GET", "/api/state", Host="evil.example")[0] == 421
    assert web.ask("GET", "/api/state", Origin=f"http://{web.host}")[0] == 200


def test_with_a_token_the_page_is_there_for_all_and_nothing_else(exchange: ExchangeProcess) -> None:
    with ConsoleProcess(exchange.address, "--token", "s3cret") as console:
        web = Web(console.url)
        assert web.ask("GET", "/")[0] == web.ask("GET", "/main.js")[0] == 200
        for method, path in (("GET", "state"), ("POST", "call"), ("GET", "failures"), ("GET", "reports?publisher=a")):
            status, headers, _ = web.ask(method, f"/api/{path}", {} if method == "POST" else None)
            assert (status, "www-authenticate" in headers) == (401, False)  # a browser would ask by itself
        for wrong in ("Bearer wrong", "Bearer ", "Basic eDp5", "nonsense", "Bearer s3cret2"):
            assert web.ask("GET", "/api/state", Authorization=wrong)[0] == 401
        assert web.ask("GET", "/api/state", Authorization="Bearer s3cret")[0] == 200
        assert "s3cret" not in "\n".join(console.lines)


def test_users_come_with_password_or_token_and_their_calls_bear_their_names(
    exchange: ExchangeProcess, start_market: StartMarket, tmp_path: pathlib.Path
) -> None:
    token, line = token_line("bob")
    users = tmp_path / "users"
    users.write_text(f"{password_line('ada', 'word')}\n{line}\n")
    start_market()
    with ConsoleProcess(exchange.address, "--users", str(users)) as console:
        web = Web(console.url)
        assert web.ask("GET", "/api/state")[0] == 401
        for user, shown in (
            ("ada", "Basic " + base64.b64encode(b"ada:word").decode()),
            ("bob", f"Bearer {token}"),
        ):
            known = Web(console.url, Authorization=shown)
            wait_until(lambda: known.get("/api/state")["connected"])  # noqa: B023
            assert call(known, "whoami")[1]["value"]["user"] == user
        assert web.ask("GET", "/api/state", Authorization="Basic " + base64.b64encode(b"ada:no").decode())[0] == 401


def test_elsewhere_a_token_is_made_and_printed(exchange: ExchangeProcess) -> None:
    with ConsoleProcess(exchange.address, listen="0.0.0.0:0") as console:
        address, _, token = console.url.partition("/#token=")
        web = Web(f"http://127.0.0.1:{address.rpartition(':')[2]}")
        assert len(token) >= 32 and web.ask("GET", "/api/state")[0] == 401
        assert web.ask("GET", "/api/state", Authorization=f"Bearer {token}")[0] == 200


def test_a_token_may_stand_in_the_environment(exchange: ExchangeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREFLYZMQ_CONSOLE_TOKEN", "from-outside")
    with ConsoleProcess(exchange.address, listen="0.0.0.0:0") as console:
        assert "token" not in console.url
        web = Web(console.url.replace(socket.gethostname(), "127.0.0.1"), Authorization="Bearer from-outside")
        assert web.ask("GET", "/api/state")[0] == 200


# As the exchange's child.


def alive(web: Web) -> bool:
    try:
        web.ask("GET", "/")
    except OSError:
        return False
    return True


def test_an_exchange_has_a_console_beside_it() -> None:
    with ExchangeProcess(options=["--http", "127.0.0.1:0"]) as exchange:
        web = Web(exchange.wait_for_line("console at ").split()[-1])
        state = web.get_when("/api/state", lambda state: state["connected"])
        assert state["stats"]["addresses"] == exchange.addresses


def test_the_exchange_is_watched_at_its_console() -> None:
    with ExchangeProcess(options=["--http", "127.0.0.1:0"]) as exchange:
        web = Web(exchange.wait_for_line("console at ").split()[-1])
        wait_until(lambda: web.ask("GET", "/readyz")[0] == 200)
        assert web.ask("GET", "/livez")[::2] == (200, b"live\n")
        status, _, body = web.ask("GET", "/metrics")
        assert status == 200 and b"\nfireflyzmq_exchange_up 1.0\n" in body


def test_who_may_not_use_the_console_may_not_watch_it(exchange: ExchangeProcess) -> None:
    with ConsoleProcess(exchange.address, "--token", "s3cret") as console:
        web = Web(console.url)
        for path in ("/metrics", "/livez", "/readyz"):
            assert web.ask("GET", path)[0] == web.ask("GET", path, Authorization="Bearer wrong")[0] == 401
            wait_until(lambda: web.ask("GET", path, Authorization="Bearer s3cret")[0] == 200)  # noqa: B023


def test_without_prometheus_there_is_a_console_with_its_health(exchange: ExchangeProcess) -> None:
    program = "import sys; sys.modules['prometheus_client'] = None; from fireflyzmq.__main__ import main; main()"
    with PythonProcess(
        ["-c", program, "console", "--listen", "127.0.0.1:0", "--exchange", exchange.address]
    ) as process:
        web = Web(process.wait_for_line("console at ").split()[-1])
        wait_until(lambda: web.ask("GET", "/readyz")[0] == 200)
        assert web.ask("GET", "/metrics")[0] == 404 and web.ask("GET", "/")[0] == 200


def test_the_console_logs_as_the_exchange_does() -> None:
    with ExchangeProcess(options=["--http", "127.0.0.1:0", "--log-format", "json"]) as exchange:
        line = json.loads(exchange.wait_for_line("connected to the exchange"))
        assert (line["level"], line["logger"]) == ("INFO", "fireflyzmq.runtime.connection")


def test_the_console_ends_with_the_exchange_and_at_once_though_a_page_listens() -> None:
    exchange = ExchangeProcess(options=["--http", "127.0.0.1:0"])
    with exchange:
        web = Web(exchange.wait_for_line("console at ").split()[-1])
        with web.events("/api/failures"):
            exchange.process.terminate()
            began = time.monotonic()
            assert exchange.wait() == 0
            assert time.monotonic() - began < 2.5 and not alive(web)


def test_the_console_ends_when_the_exchange_is_killed() -> None:
    with ExchangeProcess(options=["--http", "127.0.0.1:0"]) as exchange:
        web = Web(exchange.wait_for_line("console at ").split()[-1])
        assert alive(web)
        exchange.kill()
        wait_until(lambda: not alive(web))


def test_the_exchange_goes_on_when_the_console_cannot_begin() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = ["--http", f"127.0.0.1:{taken.getsockname()[1]}"]
        with ExchangeProcess(options=options) as exchange:
            exchange.wait_for_line("in use")
            with Client(exchange.address) as client:
                assert client.serviceEndPoint("exchange").ping() == "pong"


def test_an_exchange_at_all_addresses_is_reached_by_its_console() -> None:
    with ExchangeProcess(["tcp://0.0.0.0:0"], options=["--http", "127.0.0.1:0"]) as exchange:
        web = Web(exchange.wait_for_line("console at ").split()[-1])
        wait_until(lambda: web.get("/api/state")["connected"])


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1:70000", "127.0.0.1:x"])
def test_an_address_that_is_none_is_a_clear_error(listen: str) -> None:
    command = [sys.executable, "-m", "fireflyzmq", "console", "--listen", listen]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    assert listen in result.stderr


def test_hostile_names_are_told_as_they_are(web: Web, start_market: StartMarket) -> None:
    start_market(HOSTILE)
    wait_until(lambda: HOSTILE in web.get("/api/state").get("services", ()))
    assert call(web, "echo", service=HOSTILE)[0] == 200


def test_what_is_checked_is_described_without_its_schemas_and_called(web: Web, start_market: StartMarket) -> None:
    start_market()
    methods = {each["name"]: each for each in web.get("/api/service?name=market")["description"]["methods"]}
    first, *_ = methods["checked"]["parameters"]
    assert first == {"name": "at", "kind": "named", "required": True, "annotation": "Place"}
    assert "definitions" not in methods["checked"]
    assert call(web, "checked", {"x": 1})[1] == {"value": 1}
    error = call(web, "checked", {"x": "1"})[1]["error"]
    assert (error["kind"], error["description"]) == ("InvalidArguments", "checked: at.x: expected `int`, got `str`")
