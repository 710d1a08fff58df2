"""Whole scenarios with classes of users that have any names, and objects that say odd things of themselves."""

from __future__ import annotations

import asyncio
import base64
import functools
import xmlrpc.client as xmlrpc_client
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import fireflyzmq
from fireflyzmq import (
    Child,
    FireflyCodec,
    HealthGateway,
    HttpDaemon,
    LineCodec,
    MetricsGateway,
    NetPort,
    PlainGateway,
    Root,
    Selection,
    Service,
    Sessions,
    Users,
    jsonrpc,
    xmlrpc,
)
from fireflyzmq.gateways.web.server.credentials import password_line
from tests.api.users_classes import WAYS, Mine, with_all_words, with_odd_dunders
from tests.api.words import NAMES
from tests.gateways.netport.sockets.player import Player
from tests.gateways.netport.sockets.site import Site, at_site, watching
from tests.waiting import until


async def mine_and_other(site: Site, way: Callable[[type], type]) -> tuple[Any, Service]:
    """A service `mine` of a class of the user's, and an ordinary one, `other`; both are in the group `g`."""
    service = way(Service)("mine", exchange=await site.peer())
    service.joinGroup("g")
    await service.ready()
    other = await site.service("other", group="g", double=lambda x: 2 * x)
    other.exportMethod(lambda x: -x, "negate")
    return service, other


@pytest.mark.parametrize("way", WAYS)
@at_site
async def test_a_service_with_any_names_calls_and_is_called(site: Site, way: Callable[[type], type]) -> None:
    service, other = await mine_and_other(site, way)

    async def later(x: int) -> int:
        return x + 3

    def suspended() -> None:
        service.startTimer(functools.partial(service.resumeResponse, service.currentRequest().id, "late"), 0.01)
        service.suspendResponse()

    service.exportMethod(lambda x: x + 1, "more")
    service.exportMethod(lambda x: x + 2, "slow", threads=1)
    service.exportMethod(later)
    service.exportMethod(suspended)
    to_service: Any = other.serviceEndPoint("mine")
    to_binding: Any = other.serviceEndPoint(service)
    to_other: Any = service.serviceEndPoint("other")
    assert [await to_service.more(1), await to_binding.slow(1), await to_service.later(1)] == [2, 3, 4]
    assert await to_service.suspended() == "late"
    assert await to_other.double(4) == 8
    answers: list[Any] = []
    service.monitorResponse(answers.append, to_other.negate(1))
    assert len(await service.groupEndPoint("g").double(1)) == 2
    await until(lambda: answers == [-1])
    service.unexportMethod("more")


@pytest.mark.parametrize("way", WAYS)
@at_site
async def test_a_service_with_any_names_reports_watches_and_has_timers(
    site: Site, way: Callable[[type], type]
) -> None:
    service, other = await mine_and_other(site, way)
    seen: list[Any] = []
    registry: list[Any] = []
    reports: list[Any] = []
    fired: list[str] = []
    service.subscribeServiceName(lambda *event: seen.append(event), "other")
    service.subscribeRegistry(lambda *event: registry.append(event))
    service.monitorReports(lambda report: reports.append(report.content), "other")
    service.startTimer(fired.append, 0.01, "soon")
    service.scheduleAction(fired.append, "now")
    assert not service.cancelTimer("never") and service.timerPending("soon")
    await until(lambda: all("other" in str(told) for told in (seen, registry)))
    other.publishReport("a.b", 1, -1)
    service.publishReport("c", 2, -1)
    assert service.expireReports() == 1
    await until(lambda: (reports, fired) == ([1], ["now", "soon"]))


@pytest.mark.parametrize("way", WAYS)
@at_site
async def test_a_service_with_any_names_looks_others_up_leaves_and_drains(
    site: Site, way: Callable[[type], type]
) -> None:
    service, other = await mine_and_other(site, way)
    service.subscribeServiceGroup(None, "g").close()
    service.leaveGroup("g")
    assert [binding.name for binding in await service.lookup("other", 1)] == ["other"]
    assert [binding.name for binding in await other.lookup("mine", 5)] == ["mine"]
    assert service.serviceName() in repr(service)
    await service.drain()
    await until(lambda: not other.lookupServiceName("mine"))


@pytest.mark.parametrize("way", WAYS)
@at_site
async def test_roots_children_and_netports_with_any_names_work_as_one(site: Site, way: Callable[[type], type]) -> None:
    told: list[Any] = []

    class Gate(Root):
        def doChildConnect(self, name: str, binding: Any) -> None:
            told.append(name)

        def doChildLostConnect(self, name: str, reason: str) -> None:
            told.append((name, reason))

    class Net(NetPort, Child):
        def doConnectionMade(self, session: Any) -> None:
            told.append("made")

        def doConnectionLost(self, session: Any, reason: str) -> None:
            told.append(reason)

    gate = way(Gate)("gate", exchange=await site.peer())
    gate.exportMethod(lambda session, body: body + b"!", "play_2")
    net = way(Net)("net", codec=way(FireflyCodec)(), root="gate", exchange=await site.peer(), goodbye=(9, b"bye"))
    net.exportMethod(lambda: "yes", "ask")
    net.exportCommand(lambda session, body: body[::-1], 1)
    net.forward(2, "gate")
    await gate.ready()
    await net.ready()
    await until(lambda: "net" in told)
    assert await gate.callChild("net", "ask") == "yes"
    assert list((await gate.callChildren("ask")).values()) == ["yes"]
    assert await net.callRemote("play_2", 1, b"a") == b"a!"
    player = await Player.connect(net.port)
    assert await player.ask(1, b"abc") == b"cba"
    assert await player.ask(2, b"abc") == b"abc!"
    [session] = net.sessions()
    sessions = way(Sessions)(gate)
    assert await sessions.bind(session.id, "ann") and session.user == "ann"
    assert net.push(5, b"x", user="ann") == 1
    assert net.stats()["sessions"] == 1
    for name in NAMES:
        setattr(session, name, Mine())
    session.user_data = 1
    sessions.push(6, b"y", [session.id])
    ended: list[str] = []
    sessions.monitor(lambda _, reason: ended.append(reason), session.id)
    await until(lambda: watching(net, session))
    await net.drain()
    await until(lambda: ended == ["stopped"] and ("net", "drained") in told)
    assert "stopped" in told and session.closed and session.user_data == 1
    player.writer.close()


@pytest.mark.parametrize("kind", [Service, Root])
@at_site
async def test_what_a_class_has_under_our_words_is_in_nobodys_way(site: Site, kind: type[Service]) -> None:
    exchange = await site.peer()
    service = with_all_words(kind)("mine", exchange=exchange)
    fireflyzmq.Service.exportMethod(service, lambda: 1, "one")
    other = await site.service("other")
    assert [binding.name for binding in await other.lookup("mine", 5)] == ["mine"]
    assert await other.serviceEndPoint("mine").one() == 1
    assert await other.serviceEndPoint(service).one() == 1
    await exchange._fireflyzmq.connection.drain()
    assert service._fireflyzmq.local.closed


@at_site
async def test_what_a_netports_class_has_under_our_words_is_in_nobodys_way(site: Site) -> None:
    exchange = await site.peer()
    net = with_all_words(type("Net", (NetPort, Child), {}))("net", root="gate", exchange=exchange)
    gate = Root("gate", exchange=await site.peer())
    player = await Player.connect(net.port)
    await until(lambda: gate.children())
    sessions = Sessions(gate)
    [answer] = (await sessions.sessions()).values()
    assert not isinstance(answer, fireflyzmq.Failure)
    [listed] = answer
    assert await sessions.bind(listed["id"], "ann")
    sessions.push(5, b"x", user="ann")
    assert await player.receive() == (5, b"x")
    [counted] = (await sessions.stats()).values()
    assert not isinstance(counted, fireflyzmq.Failure) and counted["users"] == 1
    await exchange._fireflyzmq.connection.drain()
    assert net._fireflyzmq.local.closed
    player.writer.close()


@pytest.mark.parametrize("way", WAYS)
@at_site
async def test_a_daemon_and_gateways_with_any_names_serve(site: Site, way: Callable[[type], type]) -> None:
    import aiohttp

    users = way(Users)()
    users._fireflyzmq.add(password_line("ada", "right").split())
    daemon = way(HttpDaemon)(exchange=site.exchange, authorise=users)
    await site.service("math", group="web", add=lambda a, b: a + b)
    daemon.attach("/", way(PlainGateway)("web"))
    daemon.attach("/jsonrpc", way(jsonrpc.RpcGateway)("web"))
    daemon.attach("/xmlrpc", way(xmlrpc.RpcGateway)(Selection("web")))
    daemon.attach("/readyz", way(HealthGateway)(), public=True)
    daemon.attach("/metrics", way(MetricsGateway)(CollectorRegistry(), withExchange=True), public=True)
    daemon.start()
    base = f"http://127.0.0.1:{daemon.port()}"
    auth = {"Authorization": "Basic " + base64.b64encode(b"ada:right").decode()}
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{base}/services/math/add", json=[1, 2], headers=auth) as answer:
            assert await answer.json() == 3
        call = {"jsonrpc": "2.0", "id": 1, "method": "add", "params": [1, 2]}
        async with http.post(f"{base}/jsonrpc/math", json=call, headers=auth) as answer:
            assert (await answer.json())["result"] == 3
        body = xmlrpc_client.dumps((1, 2), "add")
        async with http.post(f"{base}/xmlrpc/math", data=body, headers=auth) as answer:
            assert xmlrpc_client.loads(await answer.text()) == ((3,), None)
        for path in ("/readyz", "/metrics"):
            async with http.get(base + path) as answer:
                assert answer.status == 200
        async with http.get(f"{base}/services") as answer:
            assert answer.status == 401
    await daemon.stop()


class Falsy:
    """A callback that is false."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    def __len__(self) -> int:
        return 0

    def __call__(self, *args: Any) -> None:
        self.seen.append(args)


@at_site
async def test_whatever_users_objects_say_of_themselves_all_works(site: Site) -> None:
    told: list[Any] = []

    class Gate(Root):
        def doChildConnect(self, name: str, binding: Any) -> None:
            told.append(name)

    gate = with_odd_dunders(Gate)("gate", exchange=await site.peer())
    gate.exportMethod(lambda service: service.name, "called")
    codec = with_odd_dunders(LineCodec)()
    net = with_odd_dunders(type("Net", (NetPort, Child), {}))(
        "net", root="gate", exchange=await site.peer(), codec=codec
    )
    net.exportMethod(lambda: 1, "one")
    net.exportCommand(lambda session, body: body, 1)
    net.forward(2, gate, "shout")
    gate.exportMethod(lambda session, body: body.upper(), "shout")
    await gate.ready()
    await net.ready()
    await until(lambda: told == ["net"])
    reader, writer = await asyncio.open_connection("127.0.0.1", net.port)
    writer.write(b"1 abc\n")
    assert await reader.readline() == b"1 abc\n"
    writer.write(b"2 abc\n")
    assert await reader.readline() == b"2 ABC\n"
    assert await net.callRemote("called", net) == "net"
    assert await gate.serviceEndPoint(net).one() == 1
    [session] = net.sessions()
    sessions = with_odd_dunders(Sessions)(gate)
    assert await sessions.attach(session.id, "gate", net)
    seen: list[Any] = []
    sessions.monitor(Falsy(seen), session.id)
    gate.subscribeServiceName(Falsy(seen), "net")
    gate.monitorReports(Falsy(seen), net)
    gate.monitorResponse(Falsy(seen), net.serviceEndPoint("net").one(), failure=Falsy(seen))
    net.publishReport("a", 1, -1)
    net.sendReport(gate, "b", 2)
    await until(lambda: len(seen) == 4)
    writer.close()
    await net.drain()
    gate.close()
