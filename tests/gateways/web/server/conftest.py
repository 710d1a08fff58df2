"""Fixtures of the tests over HTTP: the loops to run in, and a certificate."""

from __future__ import annotations

from tests.gateways.netport.sockets.conftest import authority, certificate, client_context, new_loop, server_context

__all__ = ["authority", "certificate", "client_context", "new_loop", "server_context"]
