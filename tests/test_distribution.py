"""What is distributed as source holds all that its own tests, documents and examples need."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "docs", "examples", "exchange", "fireflyzmq", "tests")
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "pyproject.toml", "setup.cfg")
PRODUCTS = {"__pycache__", "results"}


def test_an_sdist_has_every_file(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, project / folder, ignore=lambda _, names: PRODUCTS.intersection(names))
    for page in (*PAGES, "MANIFEST.in", ".gitignore"):
        shutil.copy(ROOT / page, project / page)
    shutil.copytree(ROOT / ".ci", project / ".ci")
    expected = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}

    build = "import setuptools.build_meta as build; print(build.build_sdist(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-c", f"import sys; {build}", str(tmp_path)],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    with tarfile.open(tmp_path / made.stdout.split()[-1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert expected - names == set()
    assert not {name for name in names if "__pycache__" in name}
