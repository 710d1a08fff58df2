"""Listening: the sockets that gateways take their clients at. It knows addresses, not what is said over them."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

from fireflyzmq.wire.addresses import host_to_listen, is_name

if TYPE_CHECKING:
    import ssl

BACKLOG: Final = 4096
"""Connections that may wait to be accepted."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one, the host "::" takes clients of IPv4 as well.

    OSError when that cannot be, ValueError for what is no host or port.
    """
    host = host_to_listen(host, port)
    family = _family_of(host)
    listener = socket.create_server(
        (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6()
    )
    listener.setblocking(False)
    return listener


def server_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """What a certificate chain and its key say, files in PEM; None without. OSError or ValueError for what is none."""
    if certificate is None:
        return None
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _family_of(host: str) -> socket.AddressFamily:
    """That of an address; of a name IPv4 when it has both. OSError when it has none."""
    if not is_name(host):
        return socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        families = {family for family, *_ in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise OSError(errno.EADDRNOTAVAIL, f"there is no host {host!r} to listen at: {error}") from None
    return socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
