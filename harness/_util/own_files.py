"""Files of the user's own that add nouns, without a package: found, imported, told apart from ours.

A file that cannot be loaded, or that takes a name which is taken, breaks nothing but itself: it is
left out with one warning that names file and line, and what a suite wants of it is a hole. So is an
installed plug-in.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import stat
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from harness.errors import HarnessError

__all__ = ["Broken", "OwnFiles", "left_out", "said_by_the_driver", "spoken"]

log = logging.getLogger(__name__)

_REPAIR = "repair the file; all others are read"

_PACKAGE = "harness.own"
_OF_OURS = re.compile(r"^\s*(?:from|import)\s+(?:harness\b|\.)", re.MULTILINE)
"""What a file that defines one of our nouns cannot do without: files of others are not executed."""
_NAMED = re.compile(r"\bname\s*=\s*[\"']([^\"']+)[\"']")


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A file or an installed plug-in that adds nothing, and why.

    Args:
        place: The file, from the folder that holds all kinds, and the line, ``systems/mine.py:3``;
            the object of a plug-in, ``package.module:OBJECT``.
        reason: What is wrong there.
        names: What it would have added, as far as its text or its entry point tells.
        remedy: What to do about it.
    """

    place: str
    reason: str
    names: frozenset[str]
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def left_out(broken: Broken) -> Broken:
    """Warn of what adds nothing; see ``said_by_the_driver``."""
    log.warning("warning: %s; it is left out", broken)
    return broken


def said_by_the_driver() -> None:
    """Keep this process, a worker, from repeating the warnings of the one that started it."""
    log.setLevel(logging.ERROR)


class OwnFiles:
    """The files of one kind, such as ``systems``; they are executed when first asked for.

    Args:
        kind: What the folder is called.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._broken: list[Broken] = []

    @cached_property
    def modules(self) -> tuple[ModuleType, ...]:
        """Those that could be executed, by file name."""
        return tuple(self._loaded())

    @property
    def broken(self) -> tuple[Broken, ...]:
        """Those that could not, and those that were refused."""
        assert self.modules is not None  # they are executed by now
        return tuple(self._broken)

    def refuse(self, module: ModuleType, name: str, reason: str) -> None:
        """Note that a name which a file defines is not taken from it."""
        file = Path(str(module.__file__))
        text = file.read_text("utf-8", errors="replace")
        at = next((found.start() for found in _NAMED.finditer(text) if found[1] == name), 0)
        self._note(file, text.count("\n", 0, at) + 1, reason, frozenset())

    def _loaded(self) -> Iterator[ModuleType]:
        importlib.invalidate_caches()  # they may be younger than this process
        for stem, file in self._files():
            try:
                yield importlib.import_module(f"{_PACKAGE}.{self._kind}.{stem}")
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary of a plug-in file: any fault is a reason
                where, line = self._origin(error, file)
                self._note(where, line, spoken(error), _names_in(file, stem))

    def _files(self) -> Iterator[tuple[str, Path]]:
        """Module name -> file of those that are ours to execute, by name."""
        folder = self._root / self._kind
        packages = {file.parent.name: file for file in folder.glob("*/__init__.py")}
        files = packages | {file.stem: file for file in folder.glob("*.py")}
        found = [(stem, files[stem]) for stem in sorted(files) if _is_of_ours(stem, files[stem])]
        if found and _is_guessed() and _anyone_may_write(self._root, folder):
            log.warning(
                "warning: anyone may write in %s: its files are left alone\nnext: --plugins %s",
                *(folder, self._root),
            )
            return
        yield from found

    @property
    def _root(self) -> Path:
        own = importlib.import_module(_PACKAGE)
        place: Path = own.folder()
        return place

    def _origin(self, error: BaseException, file: Path) -> tuple[Path, int]:
        """The innermost line of the user's that the error came through."""
        root = self._root
        if isinstance(error, SyntaxError) and Path(error.filename or "").is_relative_to(root):
            return Path(str(error.filename)), error.lineno or 1
        through = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in through if Path(frame.filename).is_relative_to(root)]
        return (Path(own[-1].filename), own[-1].lineno or 1) if own else (file, 1)

    def _note(self, file: Path, line: int, reason: str, names: frozenset[str]) -> None:
        shown = file.relative_to(self._root) if file.is_relative_to(self._root) else file
        place = f"{shown.as_posix()}:{line}"
        found = Broken(place=place, reason=reason, names=names, remedy=_REPAIR)
        self._broken.append(left_out(found))


def _is_of_ours(stem: str, file: Path) -> bool:
    if not stem.isidentifier() or stem.startswith("_"):
        return False
    return _OF_OURS.search(file.read_text("utf-8", errors="replace")) is not None


def _is_guessed() -> bool:
    """Whether nobody said where such files are."""
    return not os.environ.get("MSA_PLUGINS")


def _anyone_may_write(*folders: Path) -> bool:
    return any(folder.stat().st_mode & stat.S_IWOTH for folder in folders)


def _names_in(file: Path, stem: str) -> frozenset[str]:
    text = file.read_text("utf-8", errors="replace")
    return frozenset({stem, *_NAMED.findall(text)})


def spoken(error: BaseException) -> str:
    """What became of code that is not ours, in one line."""
    if isinstance(error, HarnessError):
        return str(error)
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {said.partition(chr(10))[0]}"
