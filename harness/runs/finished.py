"""Suites that were run to their end: whether anything could have changed since.

A suite whose every run is there and whose board is written leaves a note in ``cache/finished``: the
marks of all that its plan and its board are made of (``harness._util.untouched``), and the digests
of the board's files. While they hold, there is nothing to run, or nothing to write anew, and no
corpus, network or statistic has to be loaded to know it. Where anything cannot be told from marks,
there is no note.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import own
from harness._util import canonical
from harness._util.atomic import write_atomic
from harness._util.canonical import Json
from harness._util.sealed import read_sealed, sealed
from harness._util.untouched import mark_of
from harness.errors import StoreError
from harness.home import Home
from harness.runs.equivalence import evidence_of, file_of
from harness.runs.judged import Judged
from harness.runs.store import RunStore
from harness.spec import Suite

__all__ = ["Finished"]

_FIRST_PARTY = ("harness", "baselines", "text_model", "mllm_eval", "leaderboards")
_PLUG_INS = "msa_harness."


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What is known of a suite that was run to its end.

    Args:
        suite: The suite, with the seeds asked for.
        home: Whose runs and board.
        options: What else was asked for.
        board: The files of its board.
        began: When this was asked, nanoseconds since the epoch; what is written later is not told
            from what was read.
    """

    suite: Suite
    home: Home
    options: Mapping[str, Json]
    board: Sequence[Path]
    began: int = field(default_factory=time.time_ns)

    def cells(self) -> int | None:
        """How many runs the suite has, all sound, with nothing to run and nothing to write.

        Returns:
            None where that has to be looked at.
        """
        note = self._note()
        if note is None or note["run"] is None or not self._board_stands(note):
            return None
        return _count(note["cells"]) if note["run"] == self._run_mark() else None

    def board_stands(self) -> bool:
        """Whether the board would be written as it is."""
        note = self._note()
        return note is not None and self._board_stands(note)

    def keep(self, cells: int, inputs: Iterable[tuple[str, str]] | None) -> None:
        """Note that all runs are there and that the board was just written.

        Args:
            cells: How many runs were asked for.
            inputs: (role, name) of what its rows read besides their corpora; None: only the board
                is noted.
        """
        told = inputs is not None and self._can_be_told(inputs)
        note: dict[str, Json] = {
            "board": self._board_mark(),
            "files": _digests(self.board),
            "run": self._run_mark() if told else None,
            "cells": cells,
        }
        with contextlib.suppress(OSError):  # a full disk: looked at again
            if note["board"] is not None and note["files"] is not None:
                content = canonical.dumps(note).encode()
                write_atomic(self._place, sealed(content, self._place.name))

    def _can_be_told(self, inputs: Iterable[tuple[str, str]]) -> bool:
        """Whether all inputs are corpora, or encoders whose files are looked at."""
        from harness.text import find_encoder

        for role, name in inputs:
            if role == "encoder" and name:
                found = find_encoder(name, self.home.cache).folder
                if not (found.is_relative_to(self._fetched) or name in self._named_folders()):
                    return False  # where a model hub keeps its files
            elif role != "knowledge":
                return False
        return True

    def _named_folders(self) -> list[str]:
        """The encoders that the suite names by their folders."""
        rows = [self.suite.defaults, *(entry.params for entry in self.suite.entries)]
        said = {str(row["encoder"]) for row in rows if row.get("encoder")}
        return sorted(name for name in said if _is_folder(name))

    @property
    def _fetched(self) -> Path:
        """Where encoders are that were fetched or made."""
        return self.home.cache / "encoders"

    @property
    def _place(self) -> Path:
        return self.home.cache / "finished" / f"{self.suite.name}.json"

    def _note(self) -> dict[str, Json] | None:
        try:
            note = json.loads(read_sealed(self._place))
        except (OSError, ValueError):
            return None
        known = isinstance(note, dict) and {"board", "files", "run", "cells"} <= set(note)
        return note if known else None

    def _board_stands(self, note: Mapping[str, Json]) -> bool:
        files = note["files"] is not None and note["files"] == _digests(self.board)
        return files and note["board"] is not None and note["board"] == self._board_mark()

    def _board_mark(self) -> str | None:
        """Of what a board is made of: stored things, and the code that shows them."""
        store = RunStore(self.home.store)
        try:
            plan = store.plan(self.suite.name)
        except StoreError:
            return None
        records = evidence_of(store, plan.records)
        replayed = {
            key for one in records.values() for run in one.runs for key in (run.old, run.new)
        }
        evidence = [
            *(file_of(store, name) for name in sorted(plan.records)),
            *(store.folder(key) for key in sorted(replayed)),
        ]
        return _together(
            code=self._mark_of_code(),
            plan=store.plan_digest(self.suite.name),
            labels=self._mark(store.root / "truth"),
            runs=Judged(store).mark(plan.keys),
            evidence=self._mark(*evidence),
            submissions=self._mark(store.root / "submissions"),
        )

    def _run_mark(self) -> str | None:
        """Of what its plan is made of."""
        named = self._named_folders()
        return _together(
            code=self._mark_of_code(),
            suite=canonical.digest(repr(self.suite)),
            options=canonical.digest(self.options),
            place=canonical.digest([str(self.home.root), str(Path.cwd())]),
            corpora=self._mark_of_corpora(),
            encoders=self._mark(self._fetched, *(Path(name).expanduser() for name in named)),
            named=canonical.digest(named),
        )

    def _mark_of_corpora(self) -> str | None:
        """Of all, and of what was left half-made; but for the lock, which every driver takes."""
        root = self.home.corpora
        there = sorted(p for p in root.iterdir() if p.name != ".lock") if root.is_dir() else []
        names = canonical.digest([place.name for place in there])
        return _together(names=names, content=self._mark(*there))

    def _mark_of_code(self) -> str | None:
        """Of everything that runs; None with plug-ins, whose files could be anywhere."""
        points = importlib.metadata.entry_points()
        if own.any_here() or any(group.startswith(_PLUG_INS) for group in points.groups):
            return None
        specs = [importlib.util.find_spec(name) for name in _FIRST_PARTY]
        folders = [p for spec in specs if spec for p in spec.submodule_search_locations or ()]
        installed = Path(sysconfig.get_path("purelib")).stat().st_mtime_ns  # by whatever came last
        settings = {name: value for name, value in os.environ.items() if name.startswith("MSA_")}
        return _together(
            ours=self._mark(*map(Path, folders)),
            theirs=canonical.digest([sys.version, sys.prefix, installed, settings]),
        )

    def _mark(self, *places: Path) -> str | None:
        return mark_of(*places, since=self.began)


def _together(**marks: str | None) -> str | None:
    """One mark of many; None where one is not to be relied on."""
    return None if None in marks.values() else canonical.digest(marks)


def _digests(files: Iterable[Path]) -> list[str] | None:
    try:
        return [canonical.file_digest(file) for file in files]
    except OSError:
        return None


def _is_folder(name: str) -> bool:
    try:
        return Path(name).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):  # too long, of nobody, or no path at all
        return False


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) else None
