"""Circumstances in which a program must hear at once what is wrong, or go on as if nothing were."""

from __future__ import annotations

import gc
import threading

import pytest
import zmq

import fireflyzmq as netsvc
from fireflyzmq.runtime import homes
from fireflyzmq.testing import ExchangeProcess, PythonProcess

SERVICE = """
import logging
import fireflyzmq as netsvc
logging.basicConfig(level="INFO")
netsvc.Exchange().connect()
netsvc.Dispatcher().run()
"""


def test_an_attempt_to_which_nobody_says_welcome_ends_and_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as silent:
        silent.setsockopt(zmq.LINGER, 0)
        port = silent.bind_to_random_port("tcp://127.0.0.1")
        environment = {"FIREFLYZMQ_EXCHANGE": f"tcp://127.0.0.1:{port}"}
        patched = f"import fireflyzmq.runtime.link as c; c.ATTEMPT_SECONDS = 0.2\n{SERVICE}"
        with PythonProcess(["-c", patched], environment) as process:
            assert "no welcome" in process.wait_for_line("trying again")
            silent.setsockopt(zmq.RCVTIMEO, 10_000)
            first, second = silent.recv_multipart()[0], silent.recv_multipart()[0]
            assert first != second


def test_an_exchange_for_one_peer_takes_one() -> None:
    with ExchangeProcess(options=["--max-peers", "1"]) as exchange:
        with netsvc.Client(exchange.address) as client:
            assert client.serviceEndPoint("exchange").ping() == "pong"
            with pytest.raises(netsvc.ExchangeLost, match="takes 1 peers"):
                netsvc.Client(exchange.address, timeout=0.5)
        with netsvc.Client(exchange.address) as client:
            assert client.serviceEndPoint("exchange").ping() == "pong"


def test_a_blocking_call_in_the_clients_own_thread_is_an_error_at_once() -> None:
    with ExchangeProcess() as exchange, netsvc.Client(exchange.address) as client:
        problems: list[BaseException] = []

        def look() -> None:
            try:
                client.lookup("anything")
            except RuntimeError as error:
                problems.append(error)

        client.exportMethod(look)
        with netsvc.Client(exchange.address) as other:
            other.serviceEndPoint(client.serviceBinding(), wait=5).look()
        assert "own thread" in str(problems[0])


def test_what_is_closed_is_forgotten() -> None:
    with ExchangeProcess() as exchange:
        threads = threading.active_count()
        before = set(homes._connections)
        for _ in range(5):
            with netsvc.Client(exchange.address) as client:
                client.exportMethod(lambda: 1, "one", threads=1)
                with netsvc.Client(exchange.address) as other:
                    assert other.serviceEndPoint(client.serviceBinding(), wait=5).one() == 1
        gc.collect()
        assert threading.active_count() <= threads + 1
        assert [each for each in set(homes._connections) - before if not each.closed] == []
