"""What is exposed: the members of a group, or what else a selection says, while they are there; and at which paths."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any
from xmlrpc.client import Fault, MultiCall, ProtocolError

import pytest

from fireflyzmq import (
    SERVICE_NAME,
    SERVICE_REGISTRY,
    ApplicationFailure,
    Overloaded,
    PlainGateway,
    Selection,
    Service,
    jsonrpc,
    xmlrpc,
)
from fireflyzmq.api.cores.service import core_of
from tests.gateways.web.server.web import GROUP, JsonRpcError, Web, exhibition_of, on_web, proxy
from tests.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]


def add(first: int, second: int = 0) -> int:
    """Add two numbers."""
    return first + second


# The clients there are.


@on_web
async def test_the_standard_librarys_client_calls_services(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    await web.service("math", add=add, echo=lambda value: value, deep__add=add)

    def client() -> None:
        with proxy(daemon, "math", use_builtin_types=True, allow_none=True) as math:
            assert math.add(1, 2) == 3
            assert math.deep.add(1, 2) == 3
            value = {"text": "ü<&>", "list": [1, 2.5, True, None], "bytes": b"\x00\xff", "nested": {"a": {}}}
            assert math.echo(value) == value
            when = datetime.datetime(2026, 11, 21, 12, 0, 1)
            assert math.echo(when) == when
            methods: Any = math.system.listMethods()
            assert "add" in methods
            assert math.system.methodHelp("add") == "Add two numbers."
            assert math.system.methodSignature("add") == [["int", "int"], ["int", "int", "int"]]
            several = MultiCall(math)
            several.add(1, 1)
            several.add(2, 2)
            answers = several()
            assert [answers[0], answers[1]] == [2, 4]
            for call in (math.nothing, math._secret, math.system.describe):
                with pytest.raises(Fault) as caught:
                    call()
                assert caught.value.faultCode == 55
            with pytest.raises(Fault) as caught:
                math.add()
            assert caught.value.faultCode == 56

    await asyncio.to_thread(client)


@on_web
async def test_a_client_of_json_rpc_calls_services(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    told: list[str] = []
    await web.service("math", add=add, tell=told.append)
    assert await web.jsonrpc(daemon, "math", "add", 1, 2) == 3
    with pytest.raises(JsonRpcError) as caught:
        await web.jsonrpc(daemon, "math", "add")
    assert caught.value.code == -32602
    batch = [
        {"jsonrpc": "2.0", "method": "add", "params": {"first": 1, "second": 5}, "id": "a"},
        {"jsonrpc": "2.0", "method": "tell", "params": ["news"]},
        {"jsonrpc": "2.0", "method": "nothing", "id": 2},
    ]
    first, second = (await web.post(daemon, "/jsonrpc/math", batch)).json()
    assert (first["id"], first["result"]) == ("a", 6)
    assert (second["id"], second["error"]["code"]) == (2, -32601)
    notified = await web.post(daemon, "/jsonrpc/math", batch[1])
    assert (notified.status, notified.body) == (204, b"")
    assert told == ["news", "news"]


@on_web
async def test_plain_calls_take_an_array_an_object_or_nothing(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    await web.service("math", add=add, zero=lambda: 0, deep__add=add, nothing=lambda: None)
    for path, body, value in (
        ("add", [1, 2], 3),
        ("add", {"first": 1, "second": 3}, 4),
        ("add", {"first": 1}, 1),
        ("deep.add", [1, 4], 5),
        ("zero", b"", 0),
        ("zero", b" \n", 0),
        ("zero", [], 0),
        ("zero", {}, 0),
        ("nothing", b"", None),
    ):
        answer = await web.post(daemon, f"/services/math/{path}", body)
        assert (answer.status, answer.json()) == (200, value)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@on_web
async def test_services_and_their_methods_are_listed(web: Web) -> None:
    daemon = web.gateway()
    assert (await web.get(daemon, "/services")).json() == []
    await web.service("math", add=add)
    await web.service("math", add=add)
    await web.service("art")
    listed = (await web.get(daemon, "/services")).json()
    assert listed == [{"name": "art", "instances": 1}, {"name": "math", "instances": 2}]
    described = (await web.get(daemon, "/services/math")).json()
    assert (described["name"], described["groups"]) == ("math", [GROUP])
    (method,) = described["methods"]
    assert (method["name"], method["doc"]) == ("add", "Add two numbers.")
    assert "first" in method["signature"]
    head = await web.ask(daemon, "HEAD", "/services/math")
    assert (head.status, head.body) == (200, b"")


# Who is exposed.


async def statuses(web: Web, daemon: Any, name: str) -> list[int]:
    """How a service's paths answer."""
    answers = [
        await web.get(daemon, f"/services/{name}"),
        await web.post(daemon, f"/services/{name}/add", [1, 2]),
        await web.post(daemon, f"/jsonrpc/{name}", {"jsonrpc": "2.0", "method": "add", "params": [1], "id": 1}),
        await web.post(daemon, f"/xmlrpc/{name}", b"<methodCall><methodName>add</methodName></methodCall>"),
    ]
    return [answer.status for answer in answers]


@on_web
async def test_members_are_exposed_as_they_join_leave_and_end(web: Web, new_loop: Loops) -> None:
    daemon = web.gateway()
    shown = exhibition_of(daemon, "")
    math = await web.service("math", group=None, add=add)
    assert await statuses(web, daemon, "math") == [404] * 4
    math.joinGroup("others")
    assert await statuses(web, daemon, "math") == [404] * 4
    math.joinGroup(GROUP)
    await until(lambda: shown.instances("math"))
    assert await statuses(web, daemon, "math") == [200] * 4
    math.leaveGroup(GROUP)
    await until(lambda: not shown.instances("math"))
    assert await statuses(web, daemon, "math") == [404] * 4
    math.joinGroup(GROUP)
    await until(lambda: shown.instances("math"))
    assert await statuses(web, daemon, "math") == [200] * 4
    math.close()
    await until(lambda: not shown.instances("math"))
    assert await statuses(web, daemon, "math") == [404] * 4
    assert shown.names() == []


@on_web
async def test_what_is_there_but_not_exposed_is_as_what_is_not_there(web: Web) -> None:
    daemon = web.gateway()
    await web.service("hidden", group=None, add=add)
    await web.service("nameless-neighbour", add=add)

    async def answers(name: str) -> list[tuple[int, dict[str, str], bytes]]:
        asked = [
            web.get(daemon, f"/services/{name}"),
            web.post(daemon, f"/services/{name}/add", [1, 2]),
            web.post(daemon, f"/services/{name}/nothing", b"{"),
            web.get(daemon, f"/reports/{name}"),
            web.get(daemon, f"/reports/{name}?pattern=.."),
            web.post(daemon, f"/xmlrpc/{name}", b"<"),
            web.post(daemon, f"/jsonrpc/{name}", b"{"),
            web.post(daemon, f"/xmlrpc/{name}?timeout=nonsense", b"<"),
        ]
        told = [await each for each in asked]
        return [(each.status, {**each.headers, "Date": ""}, each.body) for each in told]

    hidden = await answers("hidden")
    assert hidden == await answers("absent")
    assert {status for status, _, _ in hidden} == {404}
    paths = (await web.get(daemon, "/openapi.json")).json()["paths"]
    assert not [path for path in paths if "hidden" in path]
    assert "/services/nameless-neighbour/add" in paths

    def client() -> None:
        for name in ("hidden", "absent"):
            with proxy(daemon, name) as service, pytest.raises(ProtocolError) as caught:
                service.add(1, 2)
            assert caught.value.errcode == 404

    await asyncio.to_thread(client)


@on_web
async def test_an_instance_that_is_not_exposed_is_not_called_under_the_name_of_one_that_is(web: Web) -> None:
    daemon = web.gateway()
    await web.service("math", group=None, who=lambda: "hidden")
    await web.service("math", who=lambda: "exposed")
    answers = [(await web.post(daemon, "/services/math/who")).json() for _ in range(20)]
    assert set(answers) == {"exposed"}


@on_web
async def test_methods_offered_to_few_are_not_offered_over_http(web: Web) -> None:
    daemon = web.gateway()
    service = await web.service("math", add=add)
    service.exportMethod(add, "children_only", root="somebody")
    described = (await web.get(daemon, "/services/math")).json()
    assert [method["name"] for method in described["methods"]] == ["add"]
    assert "/services/math/children_only" not in (await web.get(daemon, "/openapi.json")).json()["paths"]
    assert (await web.post(daemon, "/services/math/children_only", [1])).status == 404


@on_web
async def test_services_of_a_name_are_selected_whatever_their_groups(web: Web) -> None:
    daemon = web.gateway(Selection("math", SERVICE_NAME))
    shown = exhibition_of(daemon, "")
    await web.service("other", add=add)
    await web.service("math", group=None, add=add)
    await until(lambda: shown.instances("math"))
    assert await statuses(web, daemon, "math") == [200] * 4
    assert await statuses(web, daemon, "other") == [404] * 4


@on_web
async def test_all_that_are_listed_are_selected(web: Web) -> None:
    daemon = web.gateway(Selection("", SERVICE_REGISTRY))
    shown = exhibition_of(daemon, "")
    await web.service("math", group=None, add=add)
    hidden = Service("hidden", exchange=await web.peer(), visibility="hidden")
    await hidden.ready()
    await web.service("other", group=None, add=add)
    await until(lambda: shown.instances("math") and shown.instances("other"))
    for name in ("math", "other"):
        assert await statuses(web, daemon, name) == [200] * 4
    assert await statuses(web, daemon, "hidden") == [404] * 4
    assert "exchange" not in shown.names()
    hidden.close()


@pytest.mark.parametrize(("key", "kind"), [("", "group"), ("a b", "name"), ("x", "nonsense")])
def test_a_selection_that_makes_no_sense_is_refused(key: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"name|type"):
        Selection(key, kind)


@on_web
async def test_services_of_the_daemons_own_process_are_exposed_too(web: Web) -> None:
    daemon = web.gateway()
    local = Service("local", exchange=web.exchange)
    local.exportMethod(add)
    local.joinGroup(GROUP)
    await web.seen(local, GROUP)
    assert await statuses(web, daemon, "local") == [200] * 4
    local.close()


# Several instances.


@on_web
async def test_calls_are_spread_over_instances_and_go_to_those_that_are_left(web: Web) -> None:
    daemon = web.gateway()
    services = [await web.service("math", who=lambda number=number: number) for number in range(3)]

    shown = exhibition_of(daemon, "")

    async def who() -> set[int]:
        return {(await web.post(daemon, "/services/math/who")).json() for _ in range(60)}

    assert await who() == {0, 1, 2}
    services[0].close()
    await until(lambda: len(shown.instances("math")) == 2)
    assert await who() == {1, 2}


@on_web
async def test_what_an_instance_did_not_take_goes_to_another(web: Web) -> None:
    daemon = web.gateway()
    release = asyncio.Event()

    async def wait() -> str:
        await release.wait()
        return "waited"

    busy = [await web.service("math", limit=1, wait=wait) for _ in range(2)]
    asked = [asyncio.create_task(web.post(daemon, "/services/math/wait")) for _ in range(2)]
    await until(lambda: [core_of(each).local.running for each in busy] == [1, 1])
    refused = await web.post(daemon, "/services/math/wait")
    assert (refused.status, refused.error()["kind"]) == (503, "Overloaded")
    free = await web.service("math", limit=1, wait=lambda: "free")
    for _ in range(10):
        assert (await web.post(daemon, "/services/math/wait")).json() == "free"
    assert core_of(free).local.served == 10
    release.set()
    assert [(await each).json() for each in asked] == ["waited", "waited"]


@pytest.mark.parametrize(
    ("raised", "status"),
    [(Overloaded("no"), 503), (ApplicationFailure("no"), 500), (RuntimeError("no"), 500)],
)
@on_web
async def test_what_has_run_does_not_run_again_elsewhere(web: Web, raised: Exception, status: int) -> None:
    daemon = web.gateway()
    runs: list[int] = []

    def run() -> None:
        runs.append(1)
        raise raised

    for _ in range(3):
        await web.service("math", run=run)
    answer = await web.post(daemon, "/services/math/run")
    assert answer.status == status
    assert runs == [1]


@on_web
async def test_a_service_that_goes_within_a_call_is_told_and_the_call_not_made_again(web: Web) -> None:
    daemon = web.gateway()
    began: list[Service] = []
    services: list[Service] = []
    for number in range(2):

        async def work(number: int = number) -> None:
            began.append(services[number])
            await asyncio.Event().wait()

        services.append(await web.service("math", work=work))
    asking = asyncio.create_task(web.post(daemon, "/services/math/work", {}))
    await until(lambda: began)
    began[0].close()
    answer = await asking
    assert (answer.status, answer.error()["kind"]) == (502, "ServiceWithdrawn")
    assert len(began) == 1


@on_web
async def test_calls_go_on_while_instances_are_drained_one_after_the_other(web: Web) -> None:
    daemon = web.gateway()

    async def work() -> str:
        await asyncio.sleep(0.002)
        return "done"

    services = [await web.service("math", work=work) for _ in range(4)]
    answers: list[int] = []
    going = True

    async def ask() -> None:
        while going:
            answers.append((await web.post(daemon, "/services/math/work")).status)

    asking = [asyncio.create_task(ask()) for _ in range(8)]
    for service in services[:3]:
        seen = len(answers)
        await until(lambda: len(answers) > seen + 50)  # noqa: B023
        await service.drain()
    seen = len(answers)
    await until(lambda: len(answers) > seen + 50)
    going = False
    await asyncio.gather(*asking)
    assert set(answers) == {200}


# Paths.


@on_web
async def test_the_longest_path_counts(web: Web) -> None:
    daemon = web.daemon()
    await web.service("one", group="group-1", who=lambda: 1)
    await web.service("two", group="group-2", who=lambda: 2)
    daemon.attach("/", PlainGateway("group-1"))
    daemon.attach("/api", PlainGateway("group-2"))
    daemon.attach("/api/rpc/", jsonrpc.RpcGateway("group-1"))
    assert (await web.get(daemon, "/services")).json()[0]["name"] == "one"
    assert (await web.get(daemon, "/api/services")).json()[0]["name"] == "two"
    assert (await web.get(daemon, "/apiary/services")).status == 404
    request = {"jsonrpc": "2.0", "method": "who", "id": 1}
    assert (await web.post(daemon, "/api/rpc/one", request)).json()["result"] == 1
    assert (await web.post(daemon, "/api/rpc/two", request)).status == 404
    assert (await web.get(daemon, "/api/openapi.json")).json()["servers"] == [{"url": "/api"}]


@on_web
async def test_gateways_are_attached_and_detached_while_it_runs(web: Web, new_loop: Loops) -> None:
    daemon = web.daemon()
    await web.service("math", add=add)
    assert (await web.get(daemon, "/services")).status == 404
    daemon.attach("/", plain := PlainGateway(GROUP))
    assert [each["name"] for each in (await web.get(daemon, "/services")).json()] == ["math"]
    daemon.attach("/rpc", jsonrpc.RpcGateway(GROUP))
    assert await statuses_of_rpc(web, daemon) == 200
    daemon.attach("/rpc", xmlrpc.RpcGateway(GROUP))
    assert (await web.post(daemon, "/rpc/math", b"{")).headers["Content-Type"].startswith("text/xml")
    daemon.attach("/rpc", None)
    assert await statuses_of_rpc(web, daemon) == 404
    daemon.attach("/rpc", None)
    daemon.attach("/", None)
    assert (await web.get(daemon, "/services")).status == 404
    daemon.attach("/", plain)
    assert (await web.post(daemon, "/services/math/add", [1, 2])).json() == 3
    with pytest.raises(ValueError, match="begins with '/'"):
        daemon.attach("rpc", jsonrpc.RpcGateway(GROUP))


async def statuses_of_rpc(web: Web, daemon: Any) -> int:
    """The status of a call by JSON-RPC at /rpc."""
    return (await web.post(daemon, "/rpc/math", {"jsonrpc": "2.0", "method": "add", "params": [1], "id": 1})).status


@on_web
async def test_a_call_under_way_is_answered_though_its_gateway_is_detached(web: Web) -> None:
    daemon = web.gateway()
    release = asyncio.Event()
    service = await web.service("math", wait=release.wait)
    asking = asyncio.create_task(web.post(daemon, "/services/math/wait"))
    await until(lambda: core_of(service).local.running == 1)
    detached = exhibition_of(daemon, "")
    daemon.attach("/", None)
    release.set()
    assert (await asking).json() is True
    service.leaveGroup(GROUP)
    shown = exhibition_of(daemon, "/jsonrpc")
    await until(lambda: not shown.instances("math"))
    assert detached.instances("math")  # nobody tells it any more
    assert (await web.post(daemon, "/services/math/wait")).status == 404


def test_a_port_that_is_taken_is_told() -> None:
    async def main() -> None:
        web = Web()
        try:
            daemon = web.daemon()
            with pytest.raises(OSError, match="in use"):
                web.daemon(port=daemon.port())
        finally:
            await web.close()

    asyncio.run(main())
