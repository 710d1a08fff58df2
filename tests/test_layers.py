"""The layers: who may import whom, read from the source. Imports for type checkers and inside functions count too."""

from __future__ import annotations

import ast
import configparser
import pathlib
from collections.abc import Iterator

import pytest

import exchange
import fireflyzmq

GROUND = ("fireflyzmq.errors", "fireflyzmq._version")
"""What everybody may import."""

RULES: dict[str, tuple[str, ...]] = {
    "fireflyzmq.errors": (),
    "fireflyzmq._version": (),
    "fireflyzmq.wire": (),
    "fireflyzmq.conventions": (),
    "fireflyzmq.datastructures": ("fireflyzmq.wire",),
    "fireflyzmq.peer": ("fireflyzmq.wire", "fireflyzmq.conventions", "fireflyzmq.datastructures"),
    "fireflyzmq.telemetry": ("fireflyzmq.peer", "fireflyzmq.conventions", "fireflyzmq.datastructures"),
    "fireflyzmq.runtime": ("fireflyzmq.telemetry", "fireflyzmq.peer", "fireflyzmq.conventions", "fireflyzmq.wire"),
    "fireflyzmq.runtime.embedded": ("exchange", "fireflyzmq.runtime.beside"),
    "fireflyzmq.api": ("fireflyzmq.runtime", "fireflyzmq.peer", "fireflyzmq.conventions", "fireflyzmq.wire"),
    "fireflyzmq.api.options": (),
    "fireflyzmq.api.endpoint": (),
    "fireflyzmq.api.cores": ("fireflyzmq.api.options", "fireflyzmq.api.endpoint"),
    "fireflyzmq.gateways": (
        "fireflyzmq.api",
        "fireflyzmq.runtime",
        "fireflyzmq.telemetry",
        "fireflyzmq.peer",
        "fireflyzmq.datastructures",
        "fireflyzmq.conventions",
        "fireflyzmq.wire",
    ),
    "fireflyzmq.gateways.netport": ("fireflyzmq.gateways", "-fireflyzmq.gateways.web", "-fireflyzmq.gateways.console"),
    "fireflyzmq.gateways.web": ("fireflyzmq.gateways", "-fireflyzmq.gateways.netport", "-fireflyzmq.gateways.console"),
    "fireflyzmq.xmlrpc": ("fireflyzmq.gateways.web", "fireflyzmq.wire"),
    "fireflyzmq.jsonrpc": ("fireflyzmq.gateways.web", "fireflyzmq.wire"),
    "fireflyzmq.cluster": (
        "fireflyzmq.gateways",
        "fireflyzmq.api",
        "fireflyzmq.runtime",
        "fireflyzmq.telemetry",
        "fireflyzmq.conventions",
        "fireflyzmq.wire",
    ),
    "fireflyzmq.cluster.running": ("fireflyzmq.jsonrpc", "fireflyzmq.xmlrpc", "fireflyzmq"),
    "fireflyzmq.cli": (
        "fireflyzmq.cluster",
        "fireflyzmq.gateways",
        "fireflyzmq.api",
        "fireflyzmq.runtime",
        "fireflyzmq.telemetry",
        "fireflyzmq.conventions",
        "fireflyzmq.wire",
    ),
    "fireflyzmq.testing": ("fireflyzmq.api", "fireflyzmq.runtime"),
    "exchange.core": ("fireflyzmq.wire", "fireflyzmq.conventions", "fireflyzmq.datastructures"),
    "exchange": (
        "exchange.core",
        "fireflyzmq.telemetry.logs",
        "fireflyzmq.peer",
        "fireflyzmq.conventions",
        "fireflyzmq.wire",
    ),
}
"""What each folder may import beside itself. A longer name adds to what its folder may, or (-) takes from it."""

FREE = {"fireflyzmq", "fireflyzmq.__main__", "fireflyzmq.cli.programs"}
"""The face, which names everything for type checkers and loads it when it is used; the command; and programs that are
like those of users."""

PURE = (
    "fireflyzmq.errors",
    "fireflyzmq.wire",
    "fireflyzmq.conventions",
    "fireflyzmq.datastructures",
    "fireflyzmq.peer",
    "fireflyzmq.gateways.netport.codecs",
    "fireflyzmq.gateways.web.translation",
    "exchange.core",
)
SHELL_MODULES = {
    *(
        "zmq",
        "asyncio",
        "socket",
        "ssl",
        "selectors",
        "select",
        "threading",
        "concurrent",
        "multiprocessing",
        "signal",
    ),
    *("time", "uvloop", "random", "secrets", "subprocess", "aiohttp"),
}
MEASURED = {"fireflyzmq.wire.bounds": {"time"}}
"""What measures how long its own work takes, which no test moves."""

ZMQ_USERS = {"exchange.probing", "exchange.server", "fireflyzmq.runtime.dealer", "fireflyzmq.runtime.link"}


def sources() -> dict[str, ast.Module]:
    """All modules of both packages by their dotted names."""
    found = {}
    for package in (exchange, fireflyzmq):
        root = pathlib.Path(package.__file__ or "").parent
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text("utf-8"))
            if parts[-1] == "__init__":
                PACKAGES.add(name)
    return found


PACKAGES: set[str] = set()
SOURCES = sources()


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def import_nodes(tree: ast.AST, lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a module; those for type checkers and inside functions only when asked for."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif lazy or not (is_type_checking(node) or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            yield from import_nodes(node, lazy)


def imports(name: str, lazy: bool = True) -> set[str]:
    """The dotted names of the modules that a module imports."""
    found = set()
    home = name.split(".") if name in PACKAGES else name.split(".")[:-1]
    for node in import_nodes(SOURCES[name], lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            package = home[: len(home) - node.level + 1] if node.level else []
            module = ".".join([*package, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                found.add(inner if inner in SOURCES else module)
    return found


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def is_pure(name: str) -> bool:
    return any(inside(name, each) for each in PURE)


def may_import(name: str, other: str) -> bool:
    """Whether the rules let a module import another one of ours."""
    folders = [folder for folder in RULES if inside(name, folder)]
    allowed = [each for folder in folders for each in RULES[folder] if not each.startswith("-")]
    barred = [each[1:] for folder in folders for each in RULES[folder] if each.startswith("-")]
    if any(inside(other, each) for each in barred):
        return False
    home = max(folders, key=len)
    return any(inside(other, each) for each in (home, *allowed, *GROUND))


OWN = sorted(name for name in SOURCES if name not in FREE)


@pytest.mark.parametrize("name", OWN)
def test_a_module_imports_only_what_its_folder_may(name: str) -> None:
    own = {each for each in imports(name) if each in SOURCES}
    assert [each for each in own if not may_import(name, each)] == []


@pytest.mark.parametrize("name", sorted(filter(is_pure, SOURCES)))
def test_a_pure_module_imports_no_sockets_loops_threads_clocks_or_randomness(name: str) -> None:
    impure = {each for each in imports(name) if each.split(".")[0] in SHELL_MODULES} - MEASURED.get(name, set())
    named = {each.attr for each in ast.walk(SOURCES[name]) if isinstance(each, ast.Attribute)}
    assert not impure and not named & {"urandom", "uuid1", "uuid4"}


def test_the_coverage_of_all_pure_modules_and_no_others_is_measured() -> None:
    config = configparser.ConfigParser()
    config.read(pathlib.Path(__file__).parents[1] / "setup.cfg")
    assert config["coverage:run"]["source_pkgs"].split() == list(PURE)


def test_every_module_has_a_rule_and_every_rule_a_module() -> None:
    assert {name for name in OWN if not any(inside(name, folder) for folder in RULES)} == set()
    for folder in (*RULES, *PURE, *ZMQ_USERS, *FREE):
        assert any(inside(name, folder) for name in SOURCES), folder


def test_zmq_has_one_owner_on_each_side() -> None:
    assert {name for name in SOURCES if any(inside(each, "zmq") for each in imports(name))} == ZMQ_USERS


def test_the_library_reaches_the_exchange_in_one_place() -> None:
    reaching = {name for name in SOURCES if any(inside(each, "exchange") for each in imports(name))}
    assert {name for name in reaching if not inside(name, "exchange")} <= {"fireflyzmq.runtime.embedded"}


def circles() -> list[list[str]]:
    """The modules that import each other in a circle, by whatever import."""
    needs = {name: {each for each in imports(name) if each in SOURCES} for name in SOURCES if name not in FREE}
    reached: dict[str, set[str]] = {}
    for name in needs:
        seen, ahead = set[str](), [name]
        while ahead:
            for each in needs.get(ahead.pop(), ()):
                if each not in seen:
                    seen.add(each)
                    ahead.append(each)
        reached[name] = seen
    found = {
        tuple(sorted(each for each in reached[name] if name in reached.get(each, ())))
        for name in needs
        if name in reached[name]
    }
    return [list(circle) for circle in sorted(found)]


def test_imports_make_no_circles() -> None:
    assert circles() == []


def test_importing_the_wire_loads_neither_zmq_nor_asyncio() -> None:
    initial = imports("fireflyzmq", lazy=False)
    heavy = {each for each in initial if each in SOURCES or each.split(".")[0] in SHELL_MODULES}
    assert heavy <= {"fireflyzmq._version"}
