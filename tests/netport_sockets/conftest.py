"""Fixtures of the tests with sockets: the loops to run in, and a certificate."""

from __future__ import annotations

import asyncio
import os
import pathlib
import shutil
import ssl
import subprocess
from collections.abc import Callable

import pytest
import uvloop

from fireflyzmq.netport import port


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes an event loop, of each kind in turn."""
    return asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop


@pytest.fixture(autouse=True)
def nothing_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test lets `netserviceHandle` handle is not for the next one."""
    monkeypatch.setattr(port, "_handled", [])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for localhost and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        assert not os.environ.get("CI"), "there is no openssl; CI is set, so that tests of TLS must run"
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, "req", "-x509", *kind, *names, *files], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def server_context(certificate: tuple[pathlib.Path, pathlib.Path]) -> ssl.SSLContext:
    """What a netport of TLS takes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def client_context(certificate: tuple[pathlib.Path, pathlib.Path]) -> ssl.SSLContext:
    """What a client takes that trusts that netport."""
    return ssl.create_default_context(cafile=str(certificate[0]))
