"""The layers: who may import whom, read from the source."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

import exchange
import fireflyzmq

PURE = {
    "fireflyzmq.peer.annotations",
    "fireflyzmq.peer.arguments",
    "fireflyzmq.errors",
    "fireflyzmq.conventions.behind",
    "fireflyzmq.conventions.callbacks",
    "fireflyzmq.datastructures.deadlines",
    "fireflyzmq.peer.placement",
    "fireflyzmq.peer.mirror",
    "fireflyzmq.peer.channels",
    "fireflyzmq.peer.calls",
    "fireflyzmq.peer.serving",
    "fireflyzmq.peer.session",
    "fireflyzmq.peer.methods",
    "fireflyzmq.peer.request",
    "fireflyzmq.peer.flow",
    "fireflyzmq.wire.parts",
    "fireflyzmq.peer.answers",
    "fireflyzmq.peer.salvage",
    "fireflyzmq.datastructures.claims",
    "fireflyzmq.peer.gather",
    "fireflyzmq.conventions.extras",
    "fireflyzmq.conventions.limits",
    "fireflyzmq.telemetry.logs",
    "fireflyzmq.peer.presence",
    "fireflyzmq.peer.reports",
    "fireflyzmq.datastructures.patterns",
    "fireflyzmq.peer.statistics",
    "fireflyzmq.peer.spans",
    "fireflyzmq.peer.tracing",
    "fireflyzmq.gateways.netport.attachments",
    "fireflyzmq.gateways.netport.closing",
    "fireflyzmq.gateways.netport.codecs.codec",
    "fireflyzmq.gateways.netport.commands",
    "fireflyzmq.gateways.netport.codecs.firefly",
    "fireflyzmq.gateways.netport.forwarding",
    "fireflyzmq.gateways.netport.limits",
    "fireflyzmq.gateways.netport.codecs.lines",
    "fireflyzmq.gateways.netport.codecs.messagepack",
    "fireflyzmq.gateways.netport.session",
    "fireflyzmq.gateways.netport.shown",
    "fireflyzmq.gateways.netport.codecs.telnet",
    "fireflyzmq.gateways.web.translation.charsets",
    "fireflyzmq.gateways.web.server.counts",
    "fireflyzmq.gateways.web.translation.descriptions",
    "fireflyzmq.gateways.web.translation.event_ids",
    "fireflyzmq.gateways.web.translation.failures",
    "fireflyzmq.gateways.web.translation.json_values",
    "fireflyzmq.gateways.web.translation.jsonrpc_messages",
    "fireflyzmq.gateways.web.server.limits",
    "fireflyzmq.gateways.web.translation.plain_values",
    "fireflyzmq.gateways.web.translation.rpc_errors",
    "fireflyzmq.gateways.web.translation.schemas",
    "fireflyzmq.gateways.web.translation.signatures",
    "fireflyzmq.gateways.web.translation.xmlrpc_messages",
    "fireflyzmq.gateways.web.translation.xmlrpc_reader",
    "exchange.core.routing",
    "exchange.core.flow",
    "exchange.core.options",
    "exchange.core.registrar",
    "exchange.core.standing",
    "exchange.core.fanout",
    "exchange.core.streams",
    "exchange.core.directory",
    "exchange.core.limits",
}
FOR_THE_EXCHANGE = {
    "fireflyzmq.errors",
    "fireflyzmq.datastructures.deadlines",
    "fireflyzmq.peer.session",
    "fireflyzmq.peer.calls",
    "fireflyzmq.peer.serving",
    "fireflyzmq.peer.channels",
    "fireflyzmq.peer.mirror",
    "fireflyzmq.peer.placement",
    "fireflyzmq.peer.methods",
    "fireflyzmq.peer.request",
    "fireflyzmq.peer.flow",
    "fireflyzmq.wire.parts",
    "fireflyzmq.peer.answers",
    "fireflyzmq.peer.salvage",
    "fireflyzmq.datastructures.claims",
    "fireflyzmq.conventions.limits",
    "fireflyzmq.telemetry.logs",
    "fireflyzmq.peer.presence",
    "fireflyzmq.peer.reports",
    "fireflyzmq.peer.statistics",
    "fireflyzmq.peer.spans",
    "fireflyzmq.datastructures.patterns",
    "fireflyzmq.peer.tracing",
    "fireflyzmq._version",
}
SHELL_MODULES = {"zmq", "asyncio", "socket", "selectors", "select", "threading", "concurrent", "time", "uvloop"}
ZMQ_USERS = {"exchange.server", "fireflyzmq.runtime.dealer", "fireflyzmq.runtime.connection"}


def sources() -> dict[str, ast.Module]:
    """All modules of both packages by their dotted names."""
    found = {}
    for package in (exchange, fireflyzmq):
        root = pathlib.Path(package.__file__ or "").parent
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text("utf-8"))
    return found


SOURCES = sources()


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def import_nodes(tree: ast.AST, functions: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that happen at run time; those inside functions only when asked for."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif is_type_checking(node) or (not functions and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            continue
        else:
            yield from import_nodes(node, functions)


MEASURED = {"fireflyzmq.wire.bounds": {"time"}}
"""What measures how long its own work takes, which no test moves."""


def imports(name: str, functions: bool = True) -> set[str]:
    """The dotted names of the modules that a module imports."""
    found = set()
    for node in import_nodes(SOURCES[name], functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            package = name.split(".")[: -node.level] if node.level else []
            module = ".".join([*package, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                found.add(inner if inner in SOURCES else module)
    return found


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def is_pure(name: str) -> bool:
    return name in PURE or inside(name, "fireflyzmq.wire")


def test_the_modules_of_the_lists_exist() -> None:
    assert set(SOURCES) >= PURE and set(SOURCES) >= FOR_THE_EXCHANGE and set(SOURCES) >= ZMQ_USERS


@pytest.mark.parametrize("name", sorted(filter(is_pure, SOURCES)))
def test_a_pure_module_imports_no_sockets_loops_threads_or_clocks(name: str) -> None:
    assert not {each for each in imports(name) if each.split(".")[0] in SHELL_MODULES} - MEASURED.get(name, set())


@pytest.mark.parametrize("name", sorted(filter(is_pure, SOURCES)))
def test_a_pure_module_imports_only_pure_modules_of_its_own(name: str) -> None:
    own = {each for each in imports(name) if inside(each, "fireflyzmq") or inside(each, "exchange")}
    assert {each for each in own if not is_pure(each) and each != "fireflyzmq._version"} == set()


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if inside(name, "exchange")))
def test_the_exchange_imports_only_pure_modules_of_the_library(name: str) -> None:
    reached = {each for each in imports(name) if inside(each, "fireflyzmq")}
    assert {each for each in reached if each not in FOR_THE_EXCHANGE and not inside(each, "fireflyzmq.wire")} == set()


def test_the_wire_imports_nothing_but_itself_and_msgpack() -> None:
    for name in (name for name in SOURCES if inside(name, "fireflyzmq.wire")):
        own = {each for each in imports(name) if inside(each, "fireflyzmq")}
        assert all(inside(each, "fireflyzmq.wire") for each in own), name


def test_the_errors_import_nothing_of_the_library() -> None:
    assert not {each for each in imports("fireflyzmq.errors") if inside(each, "fireflyzmq")}


def test_zmq_has_one_owner_on_each_side() -> None:
    assert {name for name in SOURCES if any(inside(each, "zmq") for each in imports(name))} == ZMQ_USERS


def test_the_library_reaches_the_exchange_in_one_place() -> None:
    reaching = {name for name in SOURCES if any(inside(each, "exchange") for each in imports(name))}
    outside = {name for name in reaching if not inside(name, "exchange")}
    assert {name for name in outside if not inside(name, "fireflyzmq.testing")} <= {"fireflyzmq.runtime.embedded"}


def test_imports_make_no_cycles() -> None:
    needs = {name: {each for each in imports(name, functions=False) if each in SOURCES} for name in SOURCES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " imports ".join((*path, name))
        if name not in done:
            for needed in sorted(needs[name]):
                visit(needed, (*path, name))
            done.add(name)

    for name in SOURCES:
        visit(name, ())


def test_importing_the_wire_loads_neither_zmq_nor_asyncio() -> None:
    initial = imports("fireflyzmq", functions=False)
    heavy = {each for each in initial if each in SOURCES or each.split(".")[0] in SHELL_MODULES}
    assert heavy <= {"fireflyzmq._version"}
