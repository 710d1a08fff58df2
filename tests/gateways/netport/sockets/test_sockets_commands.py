"""How functions come to serve commands."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import LineCodec, netserviceHandle
from tests.gateways.netport.sockets.site import Site, at_site


@at_site
async def test_a_function_serves_the_command_that_its_name_ends_in(site: Site) -> None:
    net = site.netport()

    @net.exportCommand
    def login_101(session: Any, body: bytes) -> bytes:
        return b"101"

    @net.exportCommand()
    def logout_102(session: Any, body: bytes) -> bytes:
        return b"102"

    player = await site.player(net)
    assert await player.ask(101) == b"101"
    assert await player.ask(102) == b"102"
    assert login_101(None, b"") == b"101", "it is still the function"


@at_site
async def test_a_command_may_be_given(site: Site) -> None:
    net = site.netport()

    @net.exportCommand(7)
    def login_101(session: Any, body: bytes) -> bytes:
        return b"7"

    @net.exportCommand(command=8, threads=1)
    def in_a_thread(session: Any, body: bytes) -> bytes:
        return b"8"

    assert net.exportCommand(lambda session, body: b"0", 0)(None, None) == b"0"
    player = await site.player(net)
    assert [await player.ask(command) for command in (7, 8, 0)] == [b"7", b"8", b"0"]
    assert (await player.ask_in_vain(101))["kind"] == "MethodUnavailable"


@at_site
async def test_a_command_may_be_a_word(site: Site) -> None:
    net = site.netport(codec=LineCodec())

    @net.exportCommand("say")
    def say(session: Any, body: bytes) -> bytes:
        return body.upper()

    player = await site.player(net)
    player.write(b"say hello\r\nsay  again\nshout\n")
    assert await player.reader.readline() == b"say HELLO\n"
    assert await player.reader.readline() == b"say  AGAIN\n"
    assert (await player.reader.readline()).startswith(b"error shout MethodUnavailable 55")


@at_site
async def test_a_later_function_replaces_an_earlier_one_of_the_same_command(site: Site) -> None:
    net = site.netport()
    net.exportCommand(lambda session, body: b"old", 1)
    player = await site.player(net)
    assert await player.ask(1) == b"old"
    net.exportCommand(lambda session, body: b"new", 1)
    assert await player.ask(1) == b"new"


@at_site
async def test_methods_are_handlers_too(site: Site) -> None:
    class Gate:
        def __init__(self) -> None:
            self.visits = 0

        async def visit_5(self, session: Any, body: bytes) -> str:
            self.visits += 1
            return f"{session.id}: {self.visits}"

    net = site.netport()
    net.exportCommand(Gate().visit_5)
    player = await site.player(net)
    assert await player.ask(5) == f"{net.sessions()[0].id}: 1".encode()


@at_site
async def test_what_cannot_serve_a_command_is_refused_at_once(site: Site) -> None:
    net = site.netport()

    async def coroutine_1(session: Any, body: bytes) -> None: ...

    for wrong in (
        lambda: net.exportCommand(lambda session, body: None),
        lambda: net.exportCommand(lambda session: None, 1),
        lambda: net.exportCommand(lambda session, body, more: None, 1),
        lambda: net.exportCommand(lambda session, body: None, -1),
        lambda: net.exportCommand(lambda session, body: None, "two words"),
        lambda: net.exportCommand(lambda session, body: None, True),
        lambda: net.exportCommand(coroutine_1, threads=2),
        lambda: net.exportCommand(lambda session, body: None, 1, limit=0),
        lambda: net.forward(1),
        lambda: net.forward(1, "game", group="games"),
        lambda: net.forward(range(10, 5), "game"),
        lambda: net.forward(1, "game", "no method"),
        lambda: net.forward(1, "game", timeout=0),
        lambda: net.forward(1, attached="game", balance="no balance"),
    ):
        with pytest.raises(ValueError):
            wrong()
    net.forward(range(5, 10), "game")
    with pytest.raises(ValueError, match="overlaps"):
        net.forward(range(9, 12), "game")


@at_site
async def test_handlers_of_the_process_serve_netports_made_before_and_after(site: Site) -> None:
    early = site.netport("early")

    @netserviceHandle
    def login_101(session: Any, body: bytes) -> bytes:
        name: str = session.id
        return name.encode()

    @netserviceHandle(7)
    def seven(session: Any, body: bytes) -> bytes:
        return b"7"

    @netserviceHandle()
    async def eight_8(session: Any, body: bytes) -> bytes:
        return b"8"

    late = site.netport("late")
    for net in (early, late):
        player = await site.player(net)
        assert (await player.ask(101)).startswith(net.serviceName().encode() + b"/")
        assert await player.ask(7) == b"7"
        assert await player.ask(8) == b"8"
    assert login_101.__name__ == "login_101"
    with pytest.raises(ValueError, match="does not end in the number"):
        netserviceHandle(lambda session, body: None)
