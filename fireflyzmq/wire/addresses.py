"""Addresses of exchanges, hosts and ports, as people write them: read, checked and completed in this one place. Pure.

    tcp://host:port    tcp://[::1]:11111, also without the brackets
    host:port          the same
    host               the same, at the port 11111
    ipc:///path        a Unix socket

A host is a name, an IPv4 address or an IPv6 address. Whether a name has an address is known when it is asked for.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

DEFAULT_PORT: Final = 11111
_MOST_PORT: Final = 65535

_MAPPED: Final = "::ffff:"
"""What stands before an IPv4 address at a socket of IPv6."""

_NAME: Final = re.compile(r"[\w.-]{1,253}")
_NUMBERS: Final = re.compile(r"[0-9.]+")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_UNSEEN: Final = re.compile(r"[\s\x00-\x1f\x7f]")

_WAYS: Final = 'an address is "tcp://host:port", "host", "host:port" or "ipc:///path"'


def address_to_connect(text: str, port: int | None = None) -> str:
    """The address of an exchange to connect to, in full; with a `port` the text is a host. ValueError for what cannot
    be one, TypeError for what is no text.
    """
    return _address("cannot connect to", text, port, listening=False)


def address_to_listen(text: str, port: int | None = None) -> str:
    """The address to listen at, in full: port 0 stands for a free one, the host "*" for all IPv4 addresses."""
    return _address("cannot listen at", text, port, listening=True)


def host_to_listen(host: str, port: int) -> str:
    """A host to listen at, as sockets want it: without brackets. ValueError and TypeError as above, of ports too."""
    try:
        _check_port(port, 0)
        return _checked_host(host)
    except ValueError as error:
        raise ValueError(f"cannot listen at the host {host!r}, port {port!r}: {error}") from None


def host_and_port(text: str) -> tuple[str, int]:
    """The two of "host:port", to listen at; ValueError for anything else."""
    try:
        host, port = _split(text, None)
        return _checked_host(host), _read_port(port, 0)
    except ValueError as error:
        raise ValueError(f"cannot listen at {text!r}: {error}; it is HOST:PORT, such as 127.0.0.1:8000") from None


def bracketed(host: str) -> str:
    """A host as it stands before a port: an IPv6 address is put into brackets."""
    return f"[{host}]" if ":" in host else host


def client_host(host: str) -> str:
    """The address of a client: that of IPv4 of one which has come to a socket of IPv6 that takes both."""
    return host.removeprefix(_MAPPED) if "." in host else host


def network_of(host: str) -> str:
    """What counts as one where clients are counted by their addresses: of IPv6 the network of 64 bits (RFC 6177).

    One customer of a provider has all of those addresses, or more.
    """
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def host_of(address: str) -> tuple[str, str] | None:
    """The host and the port of a full address; None of one that is no host's."""
    if not address.startswith("tcp://"):
        return None
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), port


def is_name(host: str) -> bool:
    """Whether a host is a name, whose addresses have to be asked for."""
    return ":" not in host and _NUMBERS.fullmatch(host) is None


def _address(verb: str, text: str, port: int | None, listening: bool) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a host, or an address, is a str, not {type(text).__name__}")
    try:
        if port is not None:
            _check_port(port, 0 if listening else 1)
        return _complete(text, port, listening)
    except ValueError as error:
        behind = "" if port is None else f", port {port}"
        raise ValueError(f"{verb} {text!r}{behind}: {error}; {_WAYS}") from None


def _complete(text: str, port: int | None, listening: bool) -> str:
    if text != text.strip():
        raise ValueError("there are blanks around it")
    scheme, separator, rest = text.partition("://")
    if separator and port is not None:
        raise ValueError("it is an address already, and no port goes with it")
    if separator and scheme == "ipc":
        return f"ipc://{_checked_path(rest)}"
    if separator and scheme != "tcp":
        raise ValueError(f"the exchange is reached by tcp and ipc, not by {scheme!r}")
    if port is None:
        host, number = _split(rest if separator else text, None if separator else DEFAULT_PORT)
        if listening and number == "*":
            number = "0"
        port = _read_port(number, 0 if listening else 1)
    else:
        host = text
    host = host if listening and host == "*" else _checked_host(host)
    return f"tcp://{bracketed(host)}:{port}"


def _split(text: str, default: int | None) -> tuple[str, str]:
    """Take host and port apart, which only a host in brackets and one with a single colon make easy."""
    before, colon, behind = text.rpartition(":")
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address stands in brackets, [::1], and behind them a colon and the port")
        host, number = f"{host}]", rest[1:] if rest else None
    elif default is not None and _is_ipv6(text):
        if _is_ipv6(before) and _PORT.fullmatch(behind):
            raise ValueError(f"is it [{before}]:{behind} or [{text}]:{default}? Brackets say it")
        host, number = text, None
    else:
        host, number = (before, behind) if colon else (text, None)
    if number is None:
        if default is None:
            raise ValueError("the port is missing")
        number = str(default)
    return host, number


def _read_port(text: str, least: int) -> int:
    if not _PORT.fullmatch(text) or not least <= int(text) <= _MOST_PORT:
        raise ValueError(f"a port is a number from {least} to {_MOST_PORT}, not {text!r}")
    return int(text)


def _check_port(port: int, least: int) -> None:
    if not isinstance(port, int):
        raise TypeError(f"a port is an int, not {type(port).__name__}")
    if not least <= port <= _MOST_PORT:
        raise ValueError(f"a port is a number from {least} to {_MOST_PORT}, not {port}")


def _checked_host(host: str) -> str:
    """A host without brackets."""
    if not isinstance(host, str):
        raise TypeError(f"a host is a str, not {type(host).__name__}")
    if not host:
        raise ValueError("the host is missing")
    if _UNSEEN.search(host):
        raise ValueError("there are blanks in the host")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare or bare != host:
        if not _is_ipv6(bare):
            raise ValueError(f"{bare!r} is no IPv6 address")
    elif _NUMBERS.fullmatch(bare):
        if not _is_ipv4(bare):
            raise ValueError(f"{bare!r} is no IPv4 address")
    elif not _NAME.fullmatch(bare):
        raise ValueError(f"{bare[:100]!r} is no host's name")
    return bare


def _checked_path(path: str) -> str:
    if not path:
        raise ValueError("the path is missing")
    if path != path.strip() or any(sign != " " and _UNSEEN.match(sign) for sign in path):
        raise ValueError("there are blanks around the path, or signs in it that nobody sees")
    return path


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
