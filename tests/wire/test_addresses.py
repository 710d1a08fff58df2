"""Addresses as people write them: completed when they are ones, and refused with a reason when they are none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.wire.addresses import (
    address_to_connect,
    address_to_listen,
    client_host,
    host_and_port,
    host_of,
    host_to_listen,
    is_name,
    network_of,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp://localhost:5", "tcp://localhost:5"),
        ("localhost:5", "tcp://localhost:5"),
        ("localhost", "tcp://localhost:11111"),
        ("bücher.example", "tcp://bücher.example:11111"),
        ("my_host-1.local:65535", "tcp://my_host-1.local:65535"),
        ("127.0.0.1", "tcp://127.0.0.1:11111"),
        ("tcp://[::1]:5", "tcp://[::1]:5"),
        ("tcp://::1:5", "tcp://[::1]:5"),
        ("tcp://:::5", "tcp://[::]:5"),
        ("[::1]:5", "tcp://[::1]:5"),
        ("[::1]", "tcp://[::1]:11111"),
        ("::1", "tcp://[::1]:11111"),
        ("::1:11111", "tcp://[::1]:11111"),
        ("2001:db8:0:0:0:0:0:1", "tcp://[2001:db8:0:0:0:0:0:1]:11111"),
        ("fe80::1%eth0", "tcp://[fe80::1%eth0]:11111"),
        ("ipc:///tmp/x", "ipc:///tmp/x"),
        ("ipc:///tmp/a é", "ipc:///tmp/a é"),
    ],
)
def test_an_address_is_completed(text: str, address: str) -> None:
    assert address_to_connect(text) == address_to_listen(text) == address
    assert address_to_connect(address) == address


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_brackets_are_put_where_they_are_missing(host: str) -> None:
    assert address_to_connect(host, 5) == address_to_listen(host, 5) == "tcp://[::1]:5"
    assert host_to_listen(host, 0) == "::1"
    assert host_and_port(f"{host}:5") == ("::1", 5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the host is missing"),
        ("tcp://", "the port is missing"),
        ("tcp://:5", "the host is missing"),
        ("tcp://127.0.0.1", "the port is missing"),
        ("tcp://[::1]", "the port is missing"),
        ("127.0.0.1:", "a port is a number from"),
        ("tcp://127.0.0.1:99999", "to 65535, not '99999'"),
        ("tcp://127.0.0.1:103811", "to 65535, not '103811'"),
        ("tcp://127.0.0.1:-1", "not '-1'"),
        ("tcp://127.0.0.1:+5", "not '\\+5'"),
        ("tcp://127.0.0.1:٣", "not '٣'"),
        ("1.2.3.4:abc", "not 'abc'"),
        ("tcp://no port", "the port is missing"),
        (" ", "blanks around it"),
        (" tcp://127.0.0.1:5", "blanks around it"),
        ("tcp://127.0.0.1:5\n", "blanks around it"),
        ("a b:1", "blanks in the host"),
        ("a\x00b:1", "blanks in the host"),
        ("http://127.0.0.1:1", "not by 'http'"),
        ("inproc://x", "not by 'inproc'"),
        ("udp://127.0.0.1:1", "not by 'udp'"),
        ("tcp:127.0.0.1:1", "no IPv6 address"),
        ("tcp://[::1:5", "stands in brackets"),
        ("tcp://[::1]5", "stands in brackets"),
        ("[localhost]:5", "'localhost' is no IPv6 address"),
        ("tcp://u@h:1", "no host's name"),
        ("tcp://h/path:1", "no host's name"),
        ("tcp://10.0.0.1:5;10.0.0.2:6", "no IPv6 address"),
        ("11111", "'11111' is no IPv4 address"),
        ("300.1.1.1:5", "no IPv4 address"),
        ("::1:4711", r"is it \[::1\]:4711 or \[::1:4711\]:11111"),
        ("ipc://", "the path is missing"),
        ("ipc:///tmp/x\x00y", "the path"),
        ("h" * 300, "no host's name"),
    ],
)
def test_what_cannot_be_an_address_is_refused_and_said_why(text: str, problem: str) -> None:
    for read, verb in ((address_to_connect, "cannot connect to"), (address_to_listen, "cannot listen at")):
        with pytest.raises(ValueError, match=problem) as caught:
            read(text)
        assert str(caught.value).startswith(f"{verb} {text!r}: ")
        assert '"tcp://host:port"' in str(caught.value), "what would be right"


@pytest.mark.parametrize(
    ("host", "port", "problem"),
    [
        ("tcp://h:1", 2, "no port goes with it"),
        ("h:1", 2, "no IPv6 address"),
        ("h", 70000, "to 65535, not 70000"),
        ("h", -1, "not -1"),
        ("", 5, "the host is missing"),
    ],
)
def test_a_host_and_a_port_have_to_be_ones(host: str, port: int, problem: str) -> None:
    for read in (address_to_connect, address_to_listen):
        with pytest.raises(ValueError, match=problem):
            read(host, port)
    if "://" not in host:
        with pytest.raises(ValueError, match=problem):
            host_to_listen(host, port)


def test_only_who_listens_may_say_any_port_and_any_host() -> None:
    assert address_to_listen("tcp://*:0") == "tcp://*:0" and address_to_listen("tcp://127.0.0.1:*").endswith(":0")
    assert address_to_listen("h", 0) == "tcp://h:0"
    for text in ("tcp://*:5", "tcp://h:0", "tcp://h:*"):
        with pytest.raises(ValueError):
            address_to_connect(text)
    with pytest.raises(ValueError):
        address_to_connect("h", 0)


@pytest.mark.parametrize("call", [lambda: address_to_connect(5), lambda: address_to_connect("h", "5")])  # type: ignore[arg-type]
def test_what_is_no_text_or_number_is_a_type_error(call: Any) -> None:
    with pytest.raises(TypeError, match=r"str|int"):
        call()


@given(st.text(max_size=30) | st.from_regex(r"(tcp|ipc)://[\[\]:.0-9a-f*%]{0,12}(:[0-9]{0,6})?", fullmatch=True))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    for read in (address_to_connect, address_to_listen):
        try:
            address = read(text)
        except ValueError:
            continue
        assert read(address) == address and address.startswith(("tcp://", "ipc://"))


def test_an_address_is_taken_apart() -> None:
    assert host_of("tcp://[::1]:5") == ("::1", "5") and host_of("tcp://h:5") == ("h", "5")
    assert host_of("ipc:///x") is None


@pytest.mark.parametrize("text", ["8000", ":8000", "127.0.0.1", "127.0.0.1:99999", "h:x", "::1", "a b:1", ""])
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        host_and_port(text)


def test_a_client_of_ipv4_has_an_address_of_ipv4() -> None:
    assert client_host("::ffff:10.0.0.1") == "10.0.0.1"
    assert client_host("::ffff:1") == "::ffff:1" and client_host("::1") == "::1" and client_host("") == ""


def test_clients_of_one_ipv6_network_count_as_one() -> None:
    assert network_of("10.0.0.1") == "10.0.0.1" and network_of("") == ""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("fe80::1%eth0") == network_of("fe80::2%eth1")


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("no:address", "no:address"),
    ],
)
def test_clients_of_one_network_of_ipv6_count_as_one(host: str, network: str) -> None:
    assert network_of(host) == network


@pytest.mark.parametrize(
    ("host", "named"), [("localhost", True), ("a.example", True), ("127.0.0.1", False), ("::1", False), ("*", True)]
)
def test_a_host_is_a_name_or_an_address(host: str, named: bool) -> None:
    assert is_name(host) is named


def test_a_host_is_a_text() -> None:
    with pytest.raises(TypeError, match="a host is a str, not int"):
        host_to_listen(5, 5)  # type: ignore[arg-type]
