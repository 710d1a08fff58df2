"""Frames over real connections: how they come in pieces, and what handlers in the netport make of them."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import Failure, FireflyCodec, NetLimits, NotAuthorised
from tests.gateways.netport.sockets.player import HEADER, Player, frame
from tests.gateways.netport.sockets.site import Noted, Site, at_site, set_hooks
from tests.waiting import until


def echo(session: Any, body: bytes) -> bytes:
    return body


@at_site
async def test_a_frame_may_come_byte_by_byte(site: Site) -> None:
    net = site.netport()
    net.exportCommand(echo, 1)
    player = await site.player(net)
    player.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in frame(1, b"in pieces"):
        player.write(bytes([byte]))
        await player.writer.drain()
        await asyncio.sleep(0)
    assert await player.receive() == (1, b"in pieces")
    assert net.stats()["frames_received"] == 1


@at_site
async def test_two_frames_and_a_half_are_two_frames_until_the_other_half_comes(site: Site) -> None:
    net = site.netport()
    net.exportCommand(echo, 1)
    player = await site.player(net)
    data = frame(1, b"first") + frame(1, b"second") + frame(1, b"third")
    player.write(data[:-10])
    assert await player.receive() == (1, b"first")
    assert await player.receive() == (1, b"second")
    assert net.stats()["frames_received"] == 2
    player.write(data[-10:])
    assert await player.receive() == (1, b"third")


@at_site
async def test_ten_threads_that_send_ten_frames_each_on_one_connection_get_a_hundred_answers(site: Site) -> None:
    net = site.netport()
    net.exportCommand(lambda session, body: "欢迎", 1)

    def play() -> list[tuple[int, int, bytes]]:
        with socket.create_connection(("127.0.0.1", net.port)) as connection:

            def send_ten() -> None:
                for _ in range(10):
                    connection.sendall(frame(1, b"asdfe"))

            threads = [threading.Thread(target=send_ten) for _ in range(10)]
            for thread in threads:
                thread.start()
            answers = []
            with connection.makefile("rb") as incoming:
                for _ in range(100):
                    _, _, _, length, command = HEADER.unpack(incoming.read(17))
                    answers.append((command, length, incoming.read(length - 4)))
            for thread in threads:
                thread.join()
            return answers

    assert await asyncio.to_thread(play) == [(1, 10, "欢迎".encode())] * 100


@at_site
async def test_an_empty_answer_is_an_answer_and_none_is_not(site: Site) -> None:
    net = site.netport()
    net.exportCommand(echo, 1)
    net.exportCommand(lambda session, body: None, 2)
    player = await site.player(net)
    player.send(2, b"no answer to this")
    assert await player.ask(1, b"") == b""
    assert net.stats()["frames_sent"] == 1


@pytest.mark.parametrize("answer", [b"bytes", "a text: ü", "", bytearray(b"more bytes"), memoryview(b"and a view")])
@at_site
async def test_bytes_and_texts_are_answers(site: Site, answer: Any) -> None:
    net = site.netport()
    net.exportCommand(lambda session, body: answer, 1)
    player = await site.player(net)
    assert await player.ask(1) == (answer.encode() if isinstance(answer, str) else bytes(answer))


@at_site
async def test_a_value_that_is_no_body_is_told_as_a_failure(site: Site) -> None:
    net = site.netport()
    net.exportCommand(lambda session, body: {"no": "body"}, 1)
    net.exportCommand(echo, 2)
    player = await site.player(net)
    assert (await player.ask_in_vain(1))["kind"] == "ResponseEncoding"
    assert await player.ask(2, b"still here") == b"still here"


@at_site
async def test_a_handler_that_raises_is_told_and_logged_and_its_client_stays(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    net = site.netport()

    def fall(session: Any, body: bytes) -> None:
        raise ValueError("the password is xyzzy")

    async def fall_later(session: Any, body: bytes) -> None:
        await asyncio.sleep(0)
        raise ValueError("the password is xyzzy")

    net.exportCommand(fall, 1)
    net.exportCommand(fall_later, 2)
    net.exportCommand(fall, 3, threads=1)
    net.exportCommand(echo, 4)
    player = await site.player(net)
    for command in (1, 2, 3):
        caplog.clear()
        told = await player.ask_in_vain(command)
        assert told == {"kind": "ApplicationFailure", "code": 57, "description": "Application Failure"}
        [record] = [record for record in caplog.records if record.exc_info]
        assert f"command {command}" in record.getMessage()
        assert "xyzzy" in str(record.exc_info)
    assert await player.ask(4, b"still here") == b"still here"
    assert net.gone == []
    assert net.stats()["failures"] == 3


@at_site
async def test_what_a_handler_says_on_purpose_is_told(site: Site) -> None:
    net = site.netport()

    def poor(session: Any, body: bytes) -> None:
        raise Failure(402, "not enough gold")

    async def forbidden(session: Any, body: bytes) -> None:
        raise NotAuthorised("log in first")

    net.exportCommand(poor, 1)
    net.exportCommand(forbidden, 2)
    player = await site.player(net)
    assert await player.ask_in_vain(1) == {"kind": "Failure", "code": 402, "description": "not enough gold"}
    assert await player.ask_in_vain(2) == {"kind": "NotAuthorised", "code": 62, "description": "log in first"}


@at_site
async def test_an_unknown_command_is_told_and_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    net = site.netport()
    net.exportCommand(echo, 1)
    player = await site.player(net)
    told = await player.ask_in_vain(99)
    assert (told["kind"], told["code"]) == ("MethodUnavailable", 55)
    assert "unknown command 99" in caplog.text
    assert await player.ask(1, b"still here") == b"still here"


@at_site
async def test_without_an_error_command_nothing_is_told_of_failures(site: Site) -> None:
    net = site.netport(codec=FireflyCodec(error_command=None))
    net.exportCommand(echo, 1)
    player = await site.player(net)
    player.send(99)
    assert await player.ask(1, b"still here") == b"still here"


@at_site
async def test_a_game_has_a_magic_of_its_own(site: Site) -> None:
    net = site.netport(codec=FireflyCodec(bytes([78, 37, 38, 48]), 9))
    net.exportCommand(echo, 101)
    player = await site.player(net)
    golden = bytes.fromhex("4e25263009000000000000000700000065616263")
    player.write(golden)
    assert await player.reader.readexactly(len(golden)) == golden


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"X", frame(1)[:9] + struct.pack(">II", 3, 1), frame(1)[:9] + bytes(4)],
    ids=["another protocol", "one wrong byte", "a length of 3", "a length of 0"],
)
@at_site
async def test_what_cannot_be_a_frame_ends_the_connection(site: Site, data: bytes) -> None:
    net = site.netport()
    net.exportCommand(echo, 1)
    player = await site.player(net)
    player.write(frame(1, b"good") + data)
    assert await player.rest() == [(1, b"good")]
    await until(lambda: net.gone)
    assert net.gone[0][1] == "protocol"


@at_site
async def test_a_coroutine_does_not_hold_up_later_frames(site: Site) -> None:
    net = site.netport()
    opened = asyncio.Event()

    async def wait(session: Any, body: bytes) -> bytes:
        await opened.wait()
        return b"waited"

    net.exportCommand(wait, 1)
    net.exportCommand(echo, 2)
    player = await site.player(net)
    player.write(frame(1) + frame(2, b"quick"))
    assert await player.receive() == (2, b"quick")
    opened.set()
    assert await player.receive() == (1, b"waited")


def ordered_netport(site: Site) -> Noted:
    return site.netport(ordered=True)


def ordered_sessions(site: Site) -> Noted:
    net = site.netport()
    set_hooks(net, doConnectionMade=lambda session: setattr(session, "ordered", True))
    return net


@pytest.mark.parametrize("ordered", [ordered_netport, ordered_sessions])
@at_site
async def test_what_is_ordered_is_served_one_after_the_other(site: Site, ordered: Callable[[Site], Noted]) -> None:
    net = ordered(site)
    opened = asyncio.Event()
    begun: list[bytes] = []

    async def wait(session: Any, body: bytes) -> bytes:
        begun.append(body)
        await opened.wait()
        return body

    net.exportCommand(wait, 1)
    net.exportCommand(echo, 2)
    player, other = await site.player(net), await site.player(net)
    player.write(frame(1, b"a") + frame(2, b"b") + frame(1, b"c") + frame(2, b"d"))
    await until(lambda: begun)
    assert await other.ask(2, b"another client's") == b"another client's"
    assert begun == [b"a"]
    opened.set()
    assert [await player.receive() for _ in range(4)] == [(1, b"a"), (2, b"b"), (1, b"c"), (2, b"d")]


@at_site
async def test_so_many_threads_serve_a_command_at_once(site: Site) -> None:
    net = site.netport()
    both = threading.Barrier(2, timeout=10)
    names = []

    def meet(session: Any, body: bytes) -> bytes:
        names.append(threading.current_thread().name)
        both.wait()
        session.push(7, b"from a thread")
        session.attributes["met"] = True
        return body

    net.exportCommand(meet, 1, threads=2)
    net.exportCommand(echo, 2)
    player = await site.player(net)
    player.send(1, b"one")
    assert await player.ask(2, b"meanwhile") == b"meanwhile"
    player.send(1, b"two")
    frames = [await player.receive() for _ in range(4)]
    assert sorted(frames) == [(1, b"one"), (1, b"two"), (7, b"from a thread"), (7, b"from a thread")]
    assert len(set(names)) == 2
    assert net.sessions()[0].attributes == {"met": True}


@at_site
async def test_a_coroutine_has_so_many_seconds(site: Site) -> None:
    net = site.netport(limits=NetLimits(request_seconds=0.05))
    cancelled = asyncio.Event()

    async def wait(session: Any, body: bytes) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    net.exportCommand(wait, 1)
    net.exportCommand(echo, 2)
    player = await site.player(net)
    told = await player.ask_in_vain(1)
    assert (told["kind"], told["code"]) == ("RequestTimeout", 47)
    assert cancelled.is_set()
    assert await player.ask(2, b"still here") == b"still here"


@pytest.mark.parametrize("threads", [0, 1])
@at_site
async def test_no_more_requests_of_a_command_are_at_work_than_its_limit(site: Site, threads: int) -> None:
    net = site.netport()
    opened = threading.Event()

    async def wait(session: Any, body: bytes) -> bytes:
        await until(opened.is_set)
        return body

    def wait_in_a_thread(session: Any, body: bytes) -> bytes:
        opened.wait(10)
        return body

    net.exportCommand(wait_in_a_thread if threads else wait, 1, limit=2, threads=threads)
    player, other = await site.player(net), await site.player(net)
    player.write(frame(1, b"a") + frame(1, b"b"))
    await until(lambda: net.stats()["requests"] == 2)
    told = await other.ask_in_vain(1, b"c")
    assert (told["kind"], told["code"]) == ("Overloaded", 61)
    opened.set()
    assert sorted([await player.receive(), await player.receive()]) == [(1, b"a"), (1, b"b")]
    assert await other.ask(1, b"again") == b"again"


@at_site
async def test_nothing_of_a_session_is_served_once_a_handler_has_closed_it(site: Site) -> None:
    net = site.netport()
    served: list[bytes] = []

    def serve(session: Any, body: bytes) -> None:
        served.append(body)
        if body == b"leave":
            session.push(5, b"farewell")
            session.close("logged out")

    net.exportCommand(serve, 1)
    player = await site.player(net)
    player.write(frame(1, b"stay") + frame(1, b"leave") + frame(1, b"buy a sword"))
    assert await player.rest() == [(5, b"farewell")]
    await until(lambda: net.gone)
    assert net.gone[0][1] == "logged out"
    assert served == [b"stay", b"leave"]


@at_site
async def test_handlers_may_get_and_give_values(site: Site) -> None:
    import json

    net = site.netport(codec=FireflyCodec(values=json))
    net.exportCommand(lambda session, value: {"sum": sum(value)}, 1)
    net.exportCommand(echo, 2, decoded=False)
    player = await site.player(net)
    assert json.loads(await player.ask(1, b"[1, 2, 3]")) == {"sum": 6}
    assert await player.ask(2, b"{no json") == b"{no json"
    assert (await player.ask_in_vain(1, b"{no json"))["kind"] == "InvalidArguments"


@at_site
async def test_many_frames_at_once_are_all_answered_in_order_and_others_have_their_turns(site: Site) -> None:
    net = site.netport()
    net.exportCommand(echo, 1)
    player = await site.player(net)
    bodies = [b"%d" % number for number in range(5000)]
    player.write(b"".join(frame(1, body) for body in bodies))
    assert [await player.receive() for _ in bodies] == [(1, body) for body in bodies]
    assert net.stats()["frames_received"] == net.stats()["frames_sent"] == 5000


@at_site
async def test_an_answer_that_comes_after_its_client_has_gone_goes_nowhere(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    net = site.netport()
    opened, ended = threading.Event(), threading.Event()

    def wait(session: Any, body: bytes) -> bytes:
        opened.wait(10)
        ended.set()
        return body

    net.exportCommand(wait, 1, threads=1)
    player: Player = await site.player(net)
    player.send(1)
    await until(lambda: net.stats()["requests"] == 1)
    player.reset()
    await until(lambda: net.gone)
    opened.set()
    await until(ended.is_set)
    other = await site.player(net)
    assert await other.ask(1, b"next") == b"next"
    assert net.stats()["frames_sent"] == 1
    assert caplog.records == []
