"""Atomic writes under injected failures: the old content or the new, and no litter."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness._util import atomic as files
from harness._util.atomic import commit_folder, folders_in, is_plain_name, sweep, write_atomic

FULL = OSError(errno.ENOSPC, "No space left on device")


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def refuse(*arguments: object, **options: object) -> None:
    raise FULL


@pytest.mark.parametrize("content", ["ä\n中", b"\x00\xff", ""])
def test_what_is_written_is_read_back(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "new" / "folders" / "file"
    write_atomic(path, content)
    assert path.read_bytes() == (content.encode("utf-8") if isinstance(content, str) else content)
    assert everything(path.parent) == {"file"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("fault", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("existing", [None, b"old"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, existing: bytes | None
) -> None:
    path = tmp_path / "file"
    if existing is not None:
        path.write_bytes(existing)
    monkeypatch.setattr(os if fault == "fsync" else Path, fault, refuse)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new" * 1000)
    monkeypatch.undo()
    assert everything(tmp_path) == (set() if existing is None else {"file"})
    assert existing is None or path.read_bytes() == existing


def test_readers_see_the_old_or_the_new_file_only(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [bytes([n]) * 200_000 for n in (1, 2)]
    write_atomic(path, contents[0])
    writing = threading.Thread(
        target=lambda: [write_atomic(path, contents[n % 2]) for n in range(40)]
    )
    writing.start()
    while writing.is_alive():
        assert path.read_bytes() in contents
    writing.join()


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "target"
    with commit_folder(target) as folder:
        (folder / "one").write_text("1")
        assert not target.exists()
        (folder / "two").write_text("2")
    assert everything(target.parent) == {"target", "target/one", "target/two"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.parametrize("fault", ["block", "fsync", "rename", "chmod"])
def test_a_failed_commit_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault != "block":
        monkeypatch.setattr(os if fault == "fsync" else Path, fault, refuse)
    with pytest.raises(OSError, match="No space"), commit_folder(tmp_path / "target") as folder:
        (folder / "one").write_text("1")
        if fault == "block":
            raise FULL
    monkeypatch.undo()
    assert everything(tmp_path) == set()


def test_the_first_of_two_commits_wins_and_the_second_is_dropped_quietly(tmp_path: Path) -> None:
    with commit_folder(tmp_path / "target") as slow:
        (slow / "who").write_text("slow")
        with commit_folder(tmp_path / "target") as fast:
            (fast / "who").write_text("fast")
    assert everything(tmp_path) == {"target", "target/who"}
    assert (tmp_path / "target" / "who").read_text() == "fast"


def test_a_commit_does_not_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file")
    with pytest.raises(NotADirectoryError), commit_folder(tmp_path / "target") as folder:
        (folder / "one").write_text("1")
    assert everything(tmp_path) == {"target"}


KILLED = """
    import os, signal
    from pathlib import Path
    from harness._util import atomic as files

    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)

    root = Path({root!r})
    {setup}
"""
DEATHS = {
    "inside a commit": """
    with files.commit_folder(root / "runs" / "target") as folder:
        (folder / "half").write_text("1")
        die()
    """,
    "before the rename of a commit": """
    Path.rename = die
    with files.commit_folder(root / "runs" / "target") as folder:
        (folder / "whole").write_text("1")
    """,
    "before the rename of a file": """
    Path.replace = die
    files.write_atomic(root / "plans" / "plan.json", "{}")
    """,
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_sweep_removes_what_a_kill_left_and_no_more(tmp_path: Path, death: str) -> None:
    write_atomic(tmp_path / "plans" / "kept.json", "{}")
    with commit_folder(tmp_path / "runs" / "kept") as folder:
        (folder / "file").write_text("1")
    kept = everything(tmp_path)
    program = textwrap.dedent(KILLED).format(
        root=str(tmp_path), setup=textwrap.dedent(DEATHS[death])
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert done.returncode == -9
    assert everything(tmp_path) > kept
    sweep(tmp_path)
    assert everything(tmp_path) == kept


def test_where_others_write_too_only_old_leftovers_go(tmp_path: Path) -> None:
    """A writer that began a moment ago may not have said yet that it is there."""
    for name, age in (("young", 60), ("old", 7200)):
        leftover = tmp_path / f".new-{name}"
        leftover.write_text("half")
        os.utime(leftover, (time.time() - age,) * 2)
    sweep(tmp_path, shared=True)
    assert [path.name for path in tmp_path.iterdir()] == [".new-young"]
    sweep(tmp_path)
    assert not list(tmp_path.iterdir())


def test_sweeping_nothing_is_fine(tmp_path: Path) -> None:
    sweep(tmp_path / "absent")
    sweep(tmp_path)


@pytest.mark.parametrize("name", ["demo", "mosi demo-2", "a.b", "情感", "_x", "x" * 200])
def test_plain_names(name: str) -> None:
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "a/b", "a\\b", ".hidden", "/etc/x", "C:x", "-x"),
        *("a\x00b", "a\n", "\ud800", "x" * 201, "情" * 70),
    ],
)
def test_names_that_could_leave_their_folder_or_not_be_written(name: str) -> None:
    assert not is_plain_name(name)


def test_a_folder_renamed_while_others_are_listed_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / ".new-mine-x").mkdir()
    scan = os.scandir

    @contextlib.contextmanager
    def scanned(folder: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scan(folder) as entries:
            found = list(entries)
        (tmp_path / "mine").rename(tmp_path / ".old-mine")
        yield found

    monkeypatch.setattr(os, "scandir", scanned)
    assert folders_in(tmp_path) == ["mine"]
    monkeypatch.undo()
    assert folders_in(tmp_path) == ["mine"]
    assert folders_in(tmp_path / "file") == folders_in(tmp_path / "nowhere") == []
