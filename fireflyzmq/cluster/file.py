"""File: a cluster's TOML file, read and checked as a whole. All that is wrong in it is told at once.

It knows the file and what its parts say of each other. It starts nothing, and runs none of the code that it names.
"""

from __future__ import annotations

import collections
import importlib.machinery
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from fireflyzmq.cluster.plan import CPU, Cluster, Defaults, Exchange, Http, Listening, Netport, Node
from fireflyzmq.cluster.tables import Problems, Reader, dotted, filled_in, nearest
from fireflyzmq.conventions.limits import parse_size
from fireflyzmq.gateways.netport.limits import NetLimits
from fireflyzmq.gateways.web.server.limits import WebLimits
from fireflyzmq.wire.addresses import address_to_connect, address_to_listen, host_and_port
from fireflyzmq.wire.names import name_problem

_LIMITS: Final[Mapping[type, type[Any]]] = {Netport: NetLimits, Http: WebLimits}
_TOP: Final = ("exchange", "defaults", "nodes", "cluster")


class BadFile(ValueError):
    """A file is no cluster's: `problems` are all that is wrong, each a key and a sentence."""

    def __init__(self, path: Path, problems: list[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{path}: {key}: {text}" if key else f"{path}: {text}" for key, text in problems))
        self.problems = problems


def read_cluster(path: Path, environment: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster that a file says. BadFile for all that is wrong in it, OSError when it cannot be read."""
    text = path.read_bytes()
    try:
        tables = tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(path, [("", str(error))]) from None
    problems = Problems()
    cluster = _Checked(path, problems).cluster(filled_in(tables, environment, "", problems))
    if cluster is None or problems.found:
        raise BadFile(path, problems.found)
    return cluster


class _Checked:
    """A file's tables as they become a cluster."""

    def __init__(self, path: Path, problems: Problems) -> None:
        self._path = path
        self._problems = problems
        self._reader = Reader(problems, _LIMITS)

    def cluster(self, tables: dict[str, Any]) -> Cluster | None:
        """The whole; None when it is not to be had."""
        for name in tables.keys() - set(_TOP):
            self._problems.add(name, f"there is no such table{nearest(name, _TOP)}")
        exchange = self._reader.read(Exchange, tables.get("exchange", {}), "exchange")
        defaults = self._reader.read(Defaults, tables.get("defaults", {}), "defaults")
        named = self._table(tables, "nodes")
        nodes = {name: self._node(name, table, defaults or Defaults()) for name, table in named.items()}
        right = {name: node for name, node in nodes.items() if node is not None}
        given = {"exchange": exchange or Exchange(), "defaults": defaults or Defaults(), "nodes": right}
        top = {"name": self._path.resolve().stem, **self._table(tables, "cluster")}
        cluster = self._reader.read(Cluster, top, "cluster", **given)
        if exchange is not None:
            self._check_exchange(exchange)
        self._check_relations(named, right)
        self._check_ports(exchange or Exchange(), right)
        return cluster

    def _table(self, tables: dict[str, Any], name: str) -> dict[str, Any]:
        table = tables.get(name, {})
        if isinstance(table, dict):
            return table
        self._problems.add(name, "this is to be a table")
        return {}

    def _node(self, name: str, table: Any, defaults: Defaults) -> Node | None:
        key = dotted("nodes", name)
        problem = name_problem(name)
        if problem is not None:
            self._problems.add(key, problem)
        if not isinstance(table, dict):
            self._problems.add(key, "this is to be a table")
            return None
        own = {field: value for field, value in msgspec.structs.asdict(defaults).items() if field not in table}
        for field in ("environment", "settings"):  # of these a node has the defaults' and its own
            if isinstance(table.get(field), dict):
                table[field] = {**getattr(defaults, field), **table[field]}
        node = self._reader.read(Node, table, key, **own)
        if node is None:
            return None
        self._check_app(node.app, dotted(key, "app"))
        return msgspec.structs.replace(
            node, memory=self._size(node.memory, dotted(key, "memory")), instances=_instances(node.instances)
        )

    def _size(self, size: int | str | None, key: str) -> int | None:
        if not isinstance(size, str):
            return size
        try:
            return parse_size(size.replace(" ", "").removesuffix("iB").removesuffix("B"))
        except ValueError as error:
            self._problems.add(key, str(error))
            return None

    def _check_app(self, app: str, key: str) -> None:
        """Look for the module as Python will, without running anything."""
        module, colon, name = app.partition(":")
        if not module or (colon and not name.isidentifier()):
            self._problems.add(key, f"an app is a module, or module:callable, not {app!r}")
            return
        path: Any = [str(self._path.resolve().parent), *sys.path]
        for at, part in enumerate(module.split(".")):
            spec = importlib.machinery.PathFinder.find_spec(part, path) if part.isidentifier() else None
            if spec is None:
                missing = ".".join(module.split(".")[: at + 1])
                self._problems.add(key, f"there is no module {missing}, neither beside the file nor on Python's path")
                return
            path = spec.submodule_search_locations or []

    def _check_exchange(self, exchange: Exchange) -> None:
        for at, address in enumerate(exchange.listen):
            self._try(address_to_listen, address, f"exchange.listen[{at}]")
        if exchange.address is not None:
            self._try(address_to_connect, exchange.address, "exchange.address")
        elif not exchange.listen:
            self._problems.add("exchange.listen", "this is to be one address or more")
        if exchange.http is not None:
            self._try(host_and_port, exchange.http, "exchange.http")

    def _try(self, check: Any, value: Any, key: str) -> None:
        try:
            check(value)
        except ValueError as error:
            self._problems.add(key, str(error))

    def _check_relations(self, tables: Mapping[str, Any], nodes: Mapping[str, Node]) -> None:
        """Look at whom nodes name, those among them that are wrong otherwise."""
        given = {name: table for name, table in tables.items() if isinstance(table, dict)}
        roots = [name for name, table in given.items() if table.get("root") is True]
        for name, table in given.items():
            for field, there, what in (("child_of", roots, "root"), ("after", list(given), "node")):
                for other in _texts(table.get(field)):
                    if other not in there:
                        hint = "; it has no root = true" if other in given else nearest(other, there)
                        self._problems.add(f"{dotted('nodes', name)}.{field}", f"there is no {what} {other!r}{hint}")
        for cycle in _cycles({name: [each for each in node.after if each in nodes] for name, node in nodes.items()}):
            ring = " - ".join([*cycle, cycle[0]])
            self._problems.add(f"{dotted('nodes', cycle[0])}.after", f"each waits for the next: {ring}")

    def _check_ports(self, exchange: Exchange, nodes: Mapping[str, Node]) -> None:
        users: dict[int, list[str]] = collections.defaultdict(list)
        for key, port in _ports(exchange, nodes):
            users[port].append(key)
        for port, keys in users.items():
            if port and len(keys) > 1:
                self._problems.add(keys[1], f"port {port} is taken by {keys[0]}, too")


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _instances(number: int | str) -> int:
    return (
        (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
        if number == CPU
        else int(number)
    )


def _ports(exchange: Exchange, nodes: Mapping[str, Node]) -> Iterator[tuple[str, int]]:
    """All ports that are named, each with its key. Instances have theirs one after the other."""
    for at, address in enumerate(exchange.listen if exchange.run else ()):
        port = address.rpartition(":")[2]
        if address.startswith("tcp://") and port.isdecimal():
            yield f"exchange.listen[{at}]", int(port)
    if exchange.run and exchange.http is not None and exchange.http.rpartition(":")[2].isdecimal():
        yield "exchange.http", int(exchange.http.rpartition(":")[2])
    for name, node in nodes.items():
        for field in ("netport", "http", "metrics"):
            listening: Listening | None = getattr(node, field)
            if listening is not None:
                for index in range(int(node.instances)):
                    yield f"{dotted('nodes', name)}.{field}", listening.port + index if listening.port else 0


def _cycles(uses: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """The rings in which each uses the next, each once."""
    done: set[str] = set()
    for start in uses:
        path: list[str] = []
        stack = [(start, iter(uses[start]))] if start not in done else []
        path += [start] if stack else []
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                done.add(name)
                path.pop()
                stack.pop()
            elif following in path:
                yield path[path.index(following) :]
            elif following not in done:
                path.append(following)
                stack.append((following, iter(uses[following])))
