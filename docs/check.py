"""Check the documentation: links and their anchors, Python blocks, `make` targets, and paths of one machine only.

`python docs/check.py` prints one line per problem, `file:line: problem`, and exits with status 1 when there is one.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/**/*.md")

FENCE = re.compile(r"^(?P<indent> *)(?P<mark>`{3,}|~{3,}) *(?P<language>[\w+-]*)")
HEADING = re.compile(r"^#{1,6} +(.*?)(?: +#+)? *$")
CODE_SPAN = re.compile(r"(`+)(.+?)\1")
LINK = re.compile(r"\]\(\s*<?([^\s()<>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]: +<?(\S+?)>?(?: +\"[^\"]*\")?$")
SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:")
MAKE = re.compile(r"(?:^|\$ |&& |; )make((?: +[\w.-]+)+)")
TARGET = re.compile(r"^([\w.-]+)\s*:(?!=)", re.MULTILINE)
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home)/")

Problem = tuple[int, str]


class Page:
    """One Markdown file, split into prose (without code), code spans and fenced blocks, each with its line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.prose: list[tuple[int, str]] = []
        self.blocks: list[tuple[int, str, str]] = []
        self.unclosed: int | None = None
        self._split()

    def _split(self) -> None:
        """Sort the lines; a fence is closed by its own mark, at least as long."""
        fence: re.Match[str] | None = None
        begin, block = 0, list[str]()
        for number, line in enumerate(self.lines, 1):
            found = FENCE.match(line)
            if fence is None and found is None:
                self.prose.append((number, line))
            elif fence is None:
                fence, begin, block = found, number, []
            elif line.strip().startswith(fence["mark"]) and not line.strip().strip(fence["mark"][0]):
                self.blocks.append((begin, fence["language"], "\n".join(block)))
                fence = None
            else:
                block.append(line)
        self.unclosed = begin if fence is not None else None

    def links(self) -> Iterator[tuple[int, str]]:
        """The target of each link in the prose."""
        for number, line in self.prose:
            bare = CODE_SPAN.sub(lambda span: "x" * len(span[0]), line)
            for found in LINK.finditer(bare):
                yield number, found[1]
            reference = REFERENCE.match(bare)
            if reference is not None:
                yield number, reference[1]

    def anchors(self) -> set[str]:
        """The fragments that lead to a heading, as GitHub makes them."""
        seen: dict[str, int] = {}
        anchors = set()
        for _, line in self.prose:
            heading = HEADING.match(line)
            if heading is not None:
                slug = slug_of(heading[1])
                count = seen[slug] = seen.get(slug, -1) + 1
                anchors.add(f"{slug}-{count}" if count else slug)
        return anchors

    def commands(self) -> Iterator[tuple[int, str]]:
        """What a reader might type: each code span, and each line of a fenced block that is not Python."""
        for number, line in self.prose:
            if line.startswith("    "):
                yield number, line.strip()
            for span in CODE_SPAN.finditer(line):
                yield number, span[2].strip()
        for begin, language, text in self.blocks:
            if language != "python":
                for offset, line in enumerate(text.splitlines(), 1):
                    yield begin + offset, line.strip()


def slug_of(heading: str) -> str:
    """A heading's fragment: lower case, words joined by hyphens, no punctuation."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def link_problems(page: Page) -> Iterator[Problem]:
    """Relative links that lead to no file of the repository, or to no heading."""
    for number, target in page.links():
        if SCHEME.match(target):
            continue
        name, _, fragment = unquote(target).partition("#")
        file = (page.path.parent / name).resolve() if name else page.path
        if not file.is_relative_to(ROOT):
            yield number, f"the link {target} leads out of the repository"
        elif not file.exists():
            yield number, f"the link {target} leads to no file"
        elif fragment and file.suffix == ".md" and fragment not in Page(file).anchors():
            yield number, f"the link {target} leads to no heading"


def python_problems(page: Page) -> Iterator[Problem]:
    """Python blocks that do not compile; `await` may stand outside of a function."""
    for begin, language, text in page.blocks:
        if language == "python":
            try:
                compile(textwrap.dedent(text), str(page.path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            except SyntaxError as error:
                yield begin + (error.lineno or 0), f"this Python does not compile: {error.msg}"


def make_problems(page: Page, targets: set[str]) -> Iterator[Problem]:
    """Commands that name a target the Makefile does not have."""
    for number, command in page.commands():
        for found in MAKE.finditer(command):
            for target in found[1].split():
                if target not in targets and not target.startswith("-"):
                    yield number, f"the Makefile has no target {target}"


def path_problems(page: Page) -> Iterator[Problem]:
    """Paths that exist on their writer's machine only."""
    for number, line in enumerate(page.lines, 1):
        found = MACHINE_PATH.search(line)
        if found is not None:
            yield number, f"{found[0]} is a path of one machine"


def problems_of(page: Page, targets: set[str]) -> list[Problem]:
    """All problems of one page, by line."""
    problems = [*link_problems(page), *python_problems(page), *make_problems(page, targets), *path_problems(page)]
    if page.unclosed is not None:
        problems.append((page.unclosed, "this block is not closed"))
    return sorted(problems)


def main() -> int:
    """Check every page; returns the exit status."""
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    paths = sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})
    count = 0
    for path in paths:
        for number, problem in problems_of(Page(path), targets):
            print(f"{path.relative_to(ROOT)}:{number}: {problem}")
            count += 1
    print(f"{len(paths)} pages, {count} problems")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
