"""Marks of files: equal while nobody writes, and never relied on where that cannot be told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness._util import untouched
from harness._util.untouched import mark_of


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untouched, "_SETTLED", 0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "a").write_text("one")
    (tmp_path / "tree" / "deep" / "b").write_text("two")
    return tmp_path / "tree"


def _rewrite(tree: Path) -> None:
    before = (tree / "deep" / "b").stat()
    (tree / "deep" / "b").write_text("owt")
    os.utime(tree / "deep" / "b", ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(tree: Path) -> None:
    (tree / "new").write_text("one")
    (tree / "new").replace(tree / "a")


CHANGES: dict[str, Callable[[Path], object]] = {
    "rewritten": _rewrite,
    "replaced": _replace,
    "renamed": lambda tree: (tree / "a").rename(tree / "c"),
    "moved": lambda tree: (tree / "a").rename(tree / "deep" / "a"),
    "deleted": lambda tree: (tree / "a").unlink(),
    "added": lambda tree: (tree / "deep" / "c").touch(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_has_another_mark(tree: Path, change: Callable[[Path], object]) -> None:
    before = mark_of(tree)
    assert before is not None
    assert mark_of(tree) == before
    change(tree)
    assert mark_of(tree) not in {before, None}


def test_what_was_compiled_is_no_change(tree: Path) -> None:
    before = mark_of(tree)
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "a.pyc").touch()
    assert mark_of(tree) == before


def test_places_are_told_apart_and_may_be_absent(tree: Path) -> None:
    a, b, gone = tree / "a", tree / "deep" / "b", tree / "gone"
    marks = [mark_of(a, b), mark_of(b, a), mark_of(a), mark_of(gone, a), mark_of(gone)]
    assert None not in marks
    assert len(set(marks)) == len(marks)


def test_links_are_followed_and_loops_end(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c").touch()
    (tree / "link").symlink_to(tmp_path / "elsewhere")
    (tree / "deep" / "loop").symlink_to(tree)
    before = mark_of(tree)
    assert before is not None
    (tmp_path / "elsewhere" / "c").write_text("more")
    assert mark_of(tree) != before


def test_what_was_written_since_or_just_before_has_none(tree: Path, monkeypatch) -> None:
    written = (tree / "a").stat().st_ctime_ns
    assert mark_of(tree / "a", since=written) is not None
    assert mark_of(tree / "a", since=written - 1) is None
    monkeypatch.setattr(untouched, "_SETTLED", 2 * 10**9)
    assert mark_of(tree) is None
    assert mark_of(tree / "a", since=written + 2 * 10**9) is not None


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks into every folder")
def test_what_cannot_be_looked_at_has_none(tree: Path) -> None:
    (tree / "deep").chmod(0)
    try:
        assert mark_of(tree) is None
    finally:
        (tree / "deep").chmod(0o755)
