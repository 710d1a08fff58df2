"""A user's class may use any names of its own beside the public vocabulary, and is told what it has left out."""

from __future__ import annotations

import asyncio
import inspect
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
from tests.api.users_classes import WAYS
from tests.gateways.netport.sockets.site import Site
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
