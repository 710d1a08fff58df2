"""What a type checker says of users' programs: mypy --strict over all that the documents show, and over mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(EXAMPLES.glob("*/README.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MESSAGE = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: (?P<text>.*)  \[(?P<code>[a-z-]+)\]$")

CONFIGURATION = f"""[mypy]
strict = true
mypy_path = {ROOT}
follow_imports = silent
cache_dir = {ROOT / ".mypy_cache"}
[mypy-msgpack.*,opentelemetry.*,uvloop.*]
ignore_missing_imports = true
"""


def errors_in(programs: Iterable[Path], folder: Path) -> list[tuple[str, int, str, str]]:
    """What mypy --strict says of programs: for each error the file's name, the line, the code and the text."""
    configuration = folder / "mypy.ini"
    configuration.write_text(CONFIGURATION)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(configuration), "--no-pretty", *map(str, programs)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert checked.returncode in (0, 1), checked.stdout + checked.stderr
    found = [MESSAGE.match(line) for line in checked.stdout.splitlines() if ": error: " in line]
    assert (checked.returncode == 1) == bool(found), checked.stdout
    return [(Path(each["file"]).name, int(each["line"]), each["code"], each["text"]) for each in found if each]


def programs_of(page: Path) -> list[str]:
    """The programs that a page shows, each whole in itself."""
    return [
        block
        for block in BLOCK.findall(page.read_text(encoding="utf-8"))
        if re.search(r"^import |^from ", block, re.M)
    ]


def test_every_program_of_documents_and_examples_is_agreed_with(tmp_path: Path) -> None:
    shown = {
        f"{page.parent.name}_{page.stem}_{number}": program
        for page in PAGES
        for number, program in enumerate(programs_of(page))
    }
    examples = {
        f"{path.parent.name}_{path.stem}": path.read_text(encoding="utf-8") for path in EXAMPLES.glob("**/*.py")
    }
    assert len(shown) > 20 and len(examples) > 20
    programs = []
    for name, program in {**shown, **examples}.items():
        programs.append(tmp_path / f"{name.lower().replace('.', '_')}.py")
        programs[-1].write_text(program, encoding="utf-8")
    assert errors_in(programs, tmp_path) == []


def test_what_is_right_is_agreed_with(tmp_path: Path) -> None:
    assert errors_in([HERE / "right.py"], tmp_path) == []


def test_each_mistake_is_told(tmp_path: Path) -> None:
    expected = {}
    for number, line in enumerate((HERE / "wrong.py").read_text(encoding="utf-8").splitlines(), 1):
        mistake = re.search(r"# error: ([a-z-]+) (.*)$", line)
        if mistake is not None:
            expected[number] = mistake.groups()
    assert len(expected) > 20
    told: dict[int, list[tuple[str, str]]] = {}
    for _, number, code, text in errors_in([HERE / "wrong.py"], tmp_path):
        told.setdefault(number, []).append((code, text))
    assert told.keys() == expected.keys()
    for number, (code, part) in expected.items():
        assert any(code == each and part in text for each, text in told[number]), (number, told[number])
