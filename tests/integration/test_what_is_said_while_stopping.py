"""What programs say while they stop: what a netport's hooks tell, beside a child and in one class with it."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.integration.starting import Start
from tests.waiting import PATIENCE


@pytest.mark.parametrize("layout", ["beside", "both"])
@pytest.mark.parametrize("form", ["def", "async", "oneway"])
def test_what_a_netports_hooks_say_while_it_stops_arrives(start_program: Start, layout: str, form: str) -> None:
    gate = start_program("stopping_gate.py")
    net = start_program("stopping_net.py", layout, form, ready=None)
    port = int(net.wait_for_line("ready ").split()[-1])
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.settimeout(PATIENCE)
        net.wait_for_line("made")
        net.send_signal(signal.SIGTERM)
        assert client.recv(1) == b""
    net.wait_for_line("stopped")

    gate.wait_for_line("noted ")
    if form != "oneway":
        assert "answered noted" in net.lines
    if form == "async":
        assert "again noted" in net.lines
    assert net.wait() == 0
