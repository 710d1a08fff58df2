"""A user's class may use any names of its own beside the public vocabulary: whole scenarios with classes that do."""

from __future__ import annotations

import asyncio
import base64
import functools
import inspect
import xmlrpc.client as xmlrpc_client
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import fireflyzmq
from fireflyzmq import (
    Child,
    Credentials,
    FireflyCodec,
    HealthGateway,
    HttpDaemon,
    LineCodec,
    MessagePackCodec,
    MetricsCollector,
    MetricsGateway,
    NetPort,
    PlainGateway,
    Root,
    Selection,
    Service,
    Session,
    Sessions,
    Users,
    jsonrpc,
    xmlrpc,
)
from fireflyzmq.api.connect import Peer
from fireflyzmq.conventions.behind import NAME
from fireflyzmq.gateways.web.server.credentials import password_line
from tests.api.words import NAMES
from tests.gateways.netport.sockets.player import Player
from tests.gateways.netport.sockets.site import Site, at_site, watching
from tests.waiting import until

OPEN_CLASSES: list[type] = [
    Service,
    Root,
    Child,
    NetPort,
    Peer,
    Session,
    Sessions,
    FireflyCodec,
    LineCodec,
    MessagePackCodec,
    HttpDaemon,
    PlainGateway,
    HealthGateway,
    MetricsGateway,
    MetricsCollector,
    Users,
    Credentials,
    Selection,
    jsonrpc.RpcGateway,
    xmlrpc.RpcGateway,
]
"""The public classes that programs subclass, or whose objects they give attributes."""

PYTHONS = {"_abc_impl", "_is_protocol"}
"""Names with one underscore that Python itself puts into classes."""


class Mine:
    """A value of the user's. Whoever uses it has taken it for something else."""

    def _touched(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("an attribute of the user's was used by the library")

    __call__ = __bool__ = __len__ = __iter__ = __getitem__ = __setitem__ = __await__ = __enter__ = _touched

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"an attribute of the user's was asked for {name}")


class Guarded:
    """A property of the user's that can neither be read nor set."""

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        raise AssertionError("a property of the user's was read by the library")

    def __set__(self, instance: object, value: object) -> None:
        raise AssertionError("a property of the user's was set by the library")


def a_method(self: object, *args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a method of the user's was called by the library")


def assigned_before(kind: type) -> type:
    def begin(self: Any, *args: Any, **options: Any) -> None:
        for name in NAMES:
            object.__setattr__(self, name, Mine())
        kind.__init__(self, *args, **options)  # type: ignore[misc]

    return type(f"Before{kind.__name__}", (kind,), {"__init__": begin})


def assigned_after(kind: type) -> type:
    def begin(self: Any, *args: Any, **options: Any) -> None:
        kind.__init__(self, *args, **options)  # type: ignore[misc]
        for name in NAMES:
            object.__setattr__(self, name, Mine())

    return type(f"After{kind.__name__}", (kind,), {"__init__": begin})


def with_methods(kind: type) -> type:
    return type(f"Methods{kind.__name__}", (kind,), dict.fromkeys(NAMES, a_method))


def with_properties(kind: type) -> type:
    return type(f"Guarded{kind.__name__}", (kind,), {name: Guarded() for name in NAMES})


WAYS = [assigned_before, assigned_after, with_methods, with_properties]
HOOKS = {
    "doAttachedLost",
    "doChildConnect",
    "doChildLostConnect",
    "doConnectionLost",
    "doConnectionMade",
    "drain",
    "droppedByRoot",
    "executeMethod",
    "handlePublisherNotification",
    "handleSubscription",
    "invalidMethod",
    "registrationFailed",
    "unexpectedFailure",
    "unexpectedReport",
}
"""What the library calls of a service's class, and users override."""


def with_all_words(kind: type) -> type:
    """A class that has something else under each of our words but the hooks: only others can work with it."""
    words = {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))} - HOOKS
    return type(f"Words{kind.__name__}", (kind,), dict.fromkeys(words, a_method))


def names_of_ours(names: Any) -> set[str]:
    return {name for name in names if name.startswith("_") and not name.startswith("__")} - PYTHONS


@pytest.mark.parametrize("kind", OPEN_CLASSES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_a_public_class_defines_no_name_with_an_underscore_but_one(kind: type) -> None:
    ours = [each for each in kind.__mro__ if each.__module__.split(".")[0] == "fireflyzmq"]
    assert ours and {name for each in ours for name in names_of_ours(vars(each))} <= {NAME}


def test_every_public_class_is_open_to_users_or_nothing_to_subclass() -> None:
    values = {"Binding", "JsonFormatter", "NetLimits", "Opaque", "Report", "Status", "WebLimits"}
    values |= {"PublisherNotice", "SubscriptionNotice"}
    values |= {"Endpoint", "GroupEndpoint", "GroupResponseId", "OnewayEndpoint", "ResponseId"}  # what calls go through
    processes = {"Client", "Dispatcher", "Exchange", "connect"}  # see the tests of their own
    classes = {name for name in fireflyzmq.__all__ if inspect.isclass(getattr(fireflyzmq, name))}
    failures = {name for name in classes if issubclass(getattr(fireflyzmq, name), fireflyzmq.Failure)}
    assert classes - failures - values - processes == {
        kind.__name__ for kind in OPEN_CLASSES if kind not in (Peer, jsonrpc.RpcGateway, xmlrpc.RpcGateway)
    }


def test_an_object_has_one_attribute_of_ours() -> None:
    async def main() -> None:
        site = Site()
        try:
            sessions: list[Any] = []
            net = site.netport_of(
                type("Net", (NetPort, Child), {"doConnectionMade": lambda _, it: sessions.append(it)}), root="gate"
            )
            player = await site.player(net)
            await until(lambda: sessions)
            service = Service(exchange=site.exchange)
            daemon = HttpDaemon(exchange=site.exchange)
            plain, health, scraped = PlainGateway("g"), HealthGateway(), MetricsGateway(CollectorRegistry())
            for path, gateway in (("/a", plain), ("/b", health), ("/c", scraped)):
                daemon.attach(path, gateway)
            codecs = [FireflyCodec(), LineCodec(), MessagePackCodec()]
            others = [
                Root("r", exchange=site.exchange),
                await site.peer(),
                Sessions(service),
                Users(),
                MetricsCollector(),
            ]
            rpc = [jsonrpc.RpcGateway("g"), xmlrpc.RpcGateway("g")]
            for each in (net, *sessions, service, daemon, plain, health, scraped, *codecs, *others, *rpc):
                assert names_of_ours(vars(each)) <= {NAME}, each
            player.writer.close()
            await daemon.stop()
        finally:
            await site.close()

    asyncio.run(main())


@pytest.mark.parametrize("way", WAYS)
@at_site
async def test_a_service_with_any_names_calls_reports_watches_and_drains(
    site: Site, way: Callable[[type], type]
) -> None:
    seen: list[Any] = []
    reports: list[Any] = []
    fired: list[str] = []
    service = way(Service)("mine", exchange=await site.peer())
    other = await site.service("other", group="g", double=lambda x: 2 * x)
    other.exportMethod(lambda x: -x, "negate")
    service.exportMethod(lambda x: x + 1, "more")
    service.exportMethod(lambda x: x + 2, "slow", threads=1)

    async def later(x: int) -> int:
        return x + 3

    def suspended() -> None:
        service.startTimer(functools.partial(service.resumeResponse, service.currentRequest().id, "late"), 0.01)
        service.suspendResponse()

    service.exportMethod(later)
    service.exportMethod(suspended)
    service.joinGroup("g")
    await service.ready()
    service.subscribeServiceName(lambda *event: seen.append(event), "other")
    service.subscribeRegistry(lambda *event: seen.append(event))
    service.monitorReports(lambda report: reports.append(report.content), "other")
    service.startTimer(fired.append, 0.01, "soon")
    service.scheduleAction(fired.append, "now")
    assert not service.cancelTimer("never") and service.timerPending("soon")
    to_service: Any = other.serviceEndPoint("mine")
    to_binding: Any = other.serviceEndPoint(service)
    to_other: Any = service.serviceEndPoint("other")
    assert [await to_service.more(1), await to_binding.slow(1), await to_service.later(1)] == [2, 3, 4]
    assert await to_service.suspended() == "late"
    assert await to_other.double(4) == 8
    answers: list[Any] = []
    service.monitorResponse(answers.append, to_other.negate(1))
    assert len(await service.groupEndPoint("g").double(1)) == 2
    await until(lambda: any("other" in str(event) for event in seen))
    other.publishReport("a.b", 1, -1)
    service.publishReport("c", 2, -1)
    assert service.expireReports() == 1
    await until(lambda: (reports, fired, answers) == ([1], ["now", "soon"], [-1]))
    service.subscribeServiceGroup(None, "g").close()
    service.unexportMethod("more")
    service.leaveGroup("g")
    assert [binding.name for binding in await service.lookup("other", 1)] == ["other"]
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


@pytest.mark.parametrize("way", WAYS)
def test_codecs_and_collectors_with_any_names_work(way: Callable[[type], type]) -> None:
    for codec in (way(FireflyCodec)(), way(LineCodec)(), way(MessagePackCodec)()):
        decoder = codec.decoder(100)
        decoder.feed(codec.encode(1, codec.dump(b"abc"), None))
        [(command, body, request)] = decoder.take(5)
        assert (command, codec.load(body), request) == (1, b"abc", None)
        codec.encode_error(1, None, fireflyzmq.Failure(1, "no"))
    assert {family.name for family in way(MetricsCollector)().collect()}


@pytest.mark.parametrize("kind", [Service, Root, Child, NetPort, Sessions, HttpDaemon, FireflyCodec, Users])
def test_who_forgets_to_call_init_is_told_so(kind: type) -> None:
    class Forgetful(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

    it = Forgetful()
    words = {"Sessions": "sessions", "HttpDaemon": "port", "FireflyCodec": "dump", "Users": "__call__"}
    with pytest.raises(RuntimeError, match=r"call \w+\.__init__ first"):
        getattr(it, words.get(kind.__name__, "serviceName"))(*[None] * (kind in (FireflyCodec, Users)))


def test_who_calls_init_of_a_class_above_is_told_which_one_is_missing() -> None:
    async def main() -> None:
        class Gate(Root):
            def __init__(self) -> None:
                Service.__init__(self, "gate")

        gate = Gate()
        with pytest.raises(RuntimeError, match=r"call Root\.__init__ first"):
            gate.children()
        gate.close()

    asyncio.run(main())


def with_odd_dunders(kind: type) -> type:
    """A class whose objects are false, empty, equal to nothing, unhashable, and have no text."""

    def no_text(self: object) -> str:
        raise OSError("no text")

    def never(self: object, other: object) -> bool:
        raise OSError("not comparable")

    words: dict[str, Any] = {"__bool__": lambda self: False, "__len__": lambda self: 0, "__hash__": None}
    return type(f"Odd{kind.__name__}", (kind,), {**words, "__repr__": no_text, "__str__": no_text, "__eq__": never})


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
