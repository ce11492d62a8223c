"""One trial: something is damaged, killed or full; then what a user types, and what came of it."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest import mock

from harness.errors import HarnessError
from harness.home import Home
from harness.runs.soundness import damage_of
from harness.runs.store import RunStore
from harness.submissions import SubmissionStore
from harness.tests.chaos.damage import TYPES, WHOLE, spoil
from harness.tests.chaos.homes import SUBMITTED, SUITE_NAME, Homes, need
from harness.tests.chaos.processes import Said, forked, msa
from harness.tests.limits import limited_files

Outcome = Literal["healed", "named", "silent", "traceback", "hung"]
_STOP_EVERY = 8
LONGEST = 240.0  # seconds that the commands of a trial may take; beyond it they hang
_EVERYTHING = ("tfidf_ridge", "feature_ridge", "sentence_ridge", "lf_dnn", "mllm")


@dataclass(frozen=True)
class Trial:
    """What came of one.

    Args:
        number: With the seed, all that it follows from.
        thing: The type of file, or the command that was stopped.
        way: What happened to it.
        outcome: See the page.
        path: Which file.
        said: What the commands said, of an outcome that should not be.
    """

    number: int
    thing: str
    way: str
    outcome: Outcome
    path: str
    said: str = ""


@dataclass(frozen=True)
class Clean:
    """What the commands say of an undisturbed home, and what it holds.

    Args:
        lines: Every line of every command.
        found: Predictions by key of the run, and by submission.
        seconds: Command -> how long it takes.
    """

    lines: frozenset[str]
    found: dict[str, Any]
    seconds: dict[str, float]


STOPPED = {
    "run": (("run", SUITE_NAME), _EVERYTHING),
    "submit --replace": ((*SUBMITTED, "../replacement.csv", "--name", "beta", "--replace"), ()),
    "board": (("board", SUITE_NAME), ()),
}
"""Command that is stopped -> its words, and the systems whose runs are missing before it."""

_SETTLED = 2.5
"""Seconds after which a mark tells that a file was not written to."""

STOPS = ("killed", "no space left", "file too large")


def look(home: Home) -> Clean:
    """What an undisturbed home comes to, by the commands of both paths."""
    said, seconds = [], {}
    for words in (
        *(("status",), ("run", SUITE_NAME), ("run", WHOLE)),
        *(("verify",), ("board", SUITE_NAME)),
    ):
        began = time.monotonic()
        said.append(msa(home, *words))
        seconds.setdefault(words[0], time.monotonic() - began)
    lines = [line for one in said for line in _lines(one)]
    return Clean(frozenset(lines), contents(home), seconds)


def contents(home: Home) -> dict[str, Any]:
    """Predictions of every sound run and submission."""
    store, found = RunStore(home.store), {}
    for run in store:
        if not damage_of(store, run):
            found[run.key] = run.table()
    for submission in SubmissionStore(home.store).of("mosi"):
        with contextlib.suppress(HarnessError):
            found[submission.name] = submission.predictions()
    return found


def carry_out(number: int, seed: int, homes: Homes, clean: Clean, place: Path) -> Trial:
    """The trial with this number, in a folder of its own that is removed at the end."""
    chance = random.Random(f"{seed} {number}")
    things = list(TYPES) if number % _STOP_EVERY else list(STOPPED)
    nth = number - number // _STOP_EVERY if number % _STOP_EVERY else number // _STOP_EVERY
    thing = things[nth % len(things)]
    try:
        if thing in STOPPED:
            way, path = chance.choice(STOPS), Path("beta")
            raw = _stop(thing, way, chance, homes, clean, place)
            if raw is not None:
                return Trial(number, thing, way, "traceback", "", raw)
        else:
            way, path = _spoil(thing, chance, homes, place)
        home, runs_again = Home(place / "home"), thing in STOPPED or bool(chance.getrandbits(1))
        runs_again = runs_again or bool(thing in TYPES and TYPES[thing].without)
        again = TYPES[thing].before if thing in TYPES else ()
        found = forked(
            lambda: _judge(home, path, homes, clean, runs_again=runs_again, again=again),
            seconds=LONGEST,
        )
        outcome, said = found or ("hung", "")
        return Trial(number, thing, way, outcome, str(path), said)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _spoil(thing: str, chance: random.Random, homes: Homes, place: Path) -> tuple[str, Path]:
    kind = TYPES[thing]
    home = homes.copy(place / "home", without=kind.without)
    if not kind.server:
        suite = home.suites / f"{SUITE_NAME}.toml"
        suite.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", suite.read_text()))
    if kind.before:
        time.sleep(_SETTLED)
        need(msa(home, *kind.before))
    if not kind.board:
        shutil.rmtree(home.boards)
    return spoil(home.root, kind, chance)


def _stop(
    thing: str, way: str, chance: random.Random, homes: Homes, clean: Clean, place: Path
) -> str | None:
    """Start a command and stop it at a random moment, or let the disk refuse at one.

    Returns:
        The traceback in which a command ended, if one did.
    """
    words, without = STOPPED[thing]
    home = homes.copy(place / "home", without=without)
    shutil.copy(homes.folder / "replacement.csv", place)
    shutil.copy(homes.folder / "beta.csv", place)
    words = tuple(str(place / word[3:]) if word.startswith("../") else word for word in words)
    shutil.rmtree(home.boards)
    usual = clean.seconds["run"] * 3 if thing == "run" else clean.seconds["board"]
    if way == "killed":
        end = time.monotonic() + chance.random() * usual
        forked(lambda: msa(home, *words), seconds=LONGEST, kill=lambda: time.monotonic() > end)
    else:
        limit = _no_space(chance.randrange(12)) if way == "no space left" else _small_files(chance)
        said = forked(lambda: _under(limit, home, words), seconds=LONGEST)
        if said is None or said.code is None:
            return "it hangs" if said is None else f"{words}: {said.errors}"
    if thing == "submit --replace":  # the old one or the new one; then its author repeats it
        again = (*SUBMITTED, str(place / "beta.csv"), "--name", "beta", "--replace")
        said = forked(lambda: msa(home, *again), seconds=LONGEST)
        if said is None or said.code != 0:
            return f"{again}: {said}"
    return None


def _under(limit: Callable[[], Any], home: Home, words: tuple[str, ...]) -> Said:
    with contextlib.ExitStack() as stack:
        stack.enter_context(limit())
        return msa(home, *words)


def _no_space(first: int) -> Callable[[], Any]:
    """A disk that takes so many files and no further one."""

    @contextlib.contextmanager
    def limit() -> Iterator[None]:
        count, sync = iter(range(10**9)), os.fsync

        def refuse(descriptor: int) -> None:
            if next(count) >= first:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(descriptor)

        with mock.patch("os.fsync", refuse):
            yield

    return limit


def _small_files(chance: random.Random) -> Callable[[], Any]:
    """A disk that takes no large files."""
    most = chance.choice([100, 1000, 3000, 10_000, 30_000])
    return lambda: limited_files(most)


# What came of it


def _judge(
    home: Home,
    path: Path,
    homes: Homes,
    clean: Clean,
    *,
    runs_again: bool,
    again: tuple[str, ...],
) -> tuple[Outcome, str]:
    """What a user does next, and whether its end is the clean one or a word was said."""
    middle = ("run", SUITE_NAME) if runs_again else ("status",)
    calls = [middle, *filter(None, [again]), ("verify",)]
    calls += [] if runs_again else [("board", SUITE_NAME)]
    said = [msa(home, *words) for words in calls]
    texts = "\n".join(f"{one.code} {one.output} {one.errors}" for one in said)
    if any(one.code is None for one in said):
        return "traceback", texts
    if _board(home) == homes.board and _is_as(contents(home), clean.found):
        return "healed", ""
    if any(_names(one, path, clean) for one in said) or _is_hole(said[0], clean, runs_again):
        return "named", ""
    return "silent", texts


def _board(home: Home) -> tuple[bytes, bytes] | None:
    written = [home.boards / f"{SUITE_NAME}.{kind}" for kind in ("md", "html")]
    if not all(file.is_file() for file in written):
        return None
    return written[0].read_bytes(), written[1].read_bytes()


def _is_as(found: dict[str, Any], clean: dict[str, Any]) -> bool:
    """Whether whatever is taken for sound holds the predictions of the clean home."""
    return all(name in clean and table.equals(clean[name]) for name, table in found.items())


def _lines(said: Said) -> list[str]:
    return [*said.output.splitlines(), *said.errors.splitlines()]


def _names(said: Said, path: Path, clean: Clean) -> bool:
    """Whether a command failed with a line of its own that says what of: file, cell or corpus."""
    names = {part for part in path.parts[2:] if part not in ("mosi", "runs")} | {path.name}
    names |= {path.stem} if len(path.stem) > 16 else set()
    names |= {"mosi@small", "no server answers"}
    new = [line for line in _lines(said) if line not in clean.lines and not _is_progress(line)]
    return said.code != 0 and any(name in line for name in names for line in new)


def _is_progress(line: str) -> bool:
    """What is said of a home that is well, too."""
    return line.startswith(("next:", "board:")) or re.match(r"\[ *\d+/\d+\]", line) is not None


def _is_hole(status: Said, clean: Clean, runs_again: bool) -> bool:
    """Whether ``msa status`` counts as missing or damaged what is there in a clean home."""
    counts = {_counts(line) for line in clean.lines if line.startswith(SUITE_NAME)}
    found = {_counts(line) for line in _lines(status) if line.startswith(SUITE_NAME)}
    return not runs_again and found != counts


def _counts(line: str) -> tuple[str, ...]:
    """Cells, and how many of them are stored, failed, damaged and missing."""
    return tuple(line.split()[1:6])
