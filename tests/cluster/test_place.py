"""Where a running cluster is reached: by its own user alone, and it runs only once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fireflyzmq.cluster.place import Place, Taken


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster's file, and a folder for what runs."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    return tmp_path / "cluster.toml"


def test_nobody_else_may_enter_it(file: Path) -> None:
    place = Place(file)
    place.take()
    assert [each.stat().st_mode & 0o777 for each in (place.folder.parent, place.folder)] == [0o700, 0o700]
    assert place.address == f"ipc://{place.folder}/master"
    place.leave()


def test_a_file_is_supervised_once_by_whatever_name_it_is_called(file: Path) -> None:
    first, second = Place(file), Place(file.parent / "run" / ".." / file.name)
    first.take()
    with pytest.raises(Taken) as caught:
        second.take()
    assert caught.value.pid == os.getpid()
    first.leave()
    second.take()
    second.leave()


def test_other_files_have_other_places(file: Path) -> None:
    assert Place(file).folder != Place(file.with_name("other.toml")).folder


def test_a_folder_that_others_may_enter_is_refused_with_what_mends_it(file: Path) -> None:
    folder = Place(file).folder
    folder.mkdir(parents=True)
    folder.parent.chmod(0o755)
    with pytest.raises(PermissionError, match=f"chmod 700 {folder.parent}"):
        Place(file).take()


def test_a_link_to_somewhere_else_is_refused(file: Path) -> None:
    (file.parent / "elsewhere").mkdir(mode=0o700)
    Place(file).folder.parent.symlink_to(file.parent / "elsewhere")
    with pytest.raises(PermissionError, match="is not a folder of this user"):
        Place(file).take()
