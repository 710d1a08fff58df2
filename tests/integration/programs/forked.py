"""Forks with open connections, and prints what parent and child find."""

from __future__ import annotations

import os
import sys

import fireflyzmq as netsvc


def attempt(who: str, what: str, function: object) -> None:
    """Print what comes of calling a function."""
    try:
        print(who, what, function())  # type: ignore[operator]
    except Exception as error:
        print(who, what, type(error).__name__, "fork" in str(error))


client = netsvc.Client()
endpoint = client.serviceEndPoint("worker")
echo = endpoint.echo
print("before", echo(0))
sys.stdout.flush()
child = os.fork()
who = "parent" if child else "child"
if child:
    os.waitpid(child, 0)
attempt(who, "kept", lambda: echo(1))
attempt(who, "endpoint", lambda: endpoint.echo(2))
attempt(who, "client", lambda: client.serviceEndPoint("worker").echo(3))
attempt(who, "lookup", lambda: len(client.lookup("worker")))
if not child:
    with netsvc.Client() as fresh:
        attempt(who, "fresh", lambda: fresh.serviceEndPoint("worker").echo(4))
    client.close()
    sys.stdout.flush()
    os._exit(0)
client.close()
print("done")
