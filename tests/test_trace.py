"""The way of one call: short enough to follow, and as docs/architecture.md shows it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_FUNCTIONS = 15
MOST_FILES = 10
MOST_LINES = 45
"""Code lines of the longest function that one has to read on the way."""


def trace() -> list[str]:
    result = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "trace.py")], capture_output=True, text=True, timeout=60, check=True
    )
    return result.stdout.splitlines()


def steps(lines: list[str]) -> list[tuple[str, str]]:
    return [(line.split()[1], line.split()[2]) for line in lines if line.startswith(" ")]


def test_a_call_passes_few_functions_in_few_files_each_way() -> None:
    lines = trace()
    headings = [number for number, line in enumerate(lines) if not line.startswith(" ")]
    assert len(headings) == 2
    for way in (lines[headings[0] : headings[1]], lines[headings[1] :]):
        passed = steps(way)
        assert 10 <= len(passed) <= MOST_FUNCTIONS
        assert len({file for file, _ in passed}) <= MOST_FILES


def test_the_architecture_shows_the_way_as_it_is() -> None:
    shown = [line.strip() for line in (ROOT / "docs" / "architecture.md").read_text().splitlines()]
    for line in trace():
        assert line.strip() in shown


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, source: list[str]) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    lines = source[body[0].lineno - 1 : function.end_lineno]
    return 1 + sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))


def test_no_function_on_the_way_is_long() -> None:
    for file, name in steps(trace()):
        text = (ROOT / file).read_text()
        owner, _, method = name.rpartition(".")
        classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef) and node.name == owner]
        functions = [
            node
            for node in classes[0].body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == method
        ]
        assert functions, f"{name} is not in {file}"
        assert code_lines(functions[0], text.splitlines()) <= MOST_LINES, name
