"""Fixtures of the tests with sockets: the loops to run in, and a certificate."""

from __future__ import annotations

import asyncio
import pathlib
import ssl
from collections.abc import Callable

import pytest
import trustme
import uvloop

from fireflyzmq.gateways.netport import port


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes an event loop, of each kind in turn."""
    return asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop


@pytest.fixture(autouse=True)
def nothing_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test lets `netserviceHandle` handle is not for the next one."""
    monkeypatch.setattr(port, "_handled", [])


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the tests' certificates."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    issued = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return certificate, key


@pytest.fixture
def server_context(certificate: tuple[pathlib.Path, pathlib.Path]) -> ssl.SSLContext:
    """What a netport of TLS takes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """What a client takes that trusts that netport."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
