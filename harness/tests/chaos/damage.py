"""What happens to files: the types of files that a home has, and the ways in which they change."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WHOLE = "whole"
"""A suite of which nothing fails: a note says that there is nothing to do."""

_RUN = "store/runs/??/*"
_GIVEN = "store/submissions/*/*"


@dataclass(frozen=True)
class FileType:
    """One type of file, or of folder.

    Args:
        pattern: Where its files are in a home.
        without: Systems whose runs are missing in the trial, so that the file is read.
        board: Whether written boards stay; elsewhere they are removed, so that an old one is not
            taken for a new one.
        server: Whether the server of the language model answers.
        before: A command that leaves the file, in a home where it does not stay valid by itself.
        spared: Kinds of damage that leave nothing to see, each with the reason in the page.
    """

    pattern: str
    without: tuple[str, ...] = ()
    board: bool = False
    server: bool = True
    before: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()


TYPES = {
    "run: manifest.json": FileType(f"{_RUN}/manifest.json"),
    "run: predictions.parquet": FileType(f"{_RUN}/predictions.parquet"),
    "run: history.json": FileType(f"{_RUN}/history.json"),
    "run: curve_*.parquet": FileType(f"{_RUN}/curve_*.parquet"),
    "run: diagnostics.parquet": FileType(f"{_RUN}/diagnostics.parquet"),
    "run: answers.parquet": FileType(f"{_RUN}/answers.parquet"),
    "run: weights.safetensors": FileType(f"{_RUN}/weights.safetensors"),
    "run: weights.json": FileType(f"{_RUN}/weights.json"),
    "run: SHA256SUMS": FileType(f"{_RUN}/SHA256SUMS"),
    "run: whole folder": FileType(_RUN),
    "labels: table": FileType("store/truth/*.parquet"),
    "labels: digest": FileType("store/truth/*.sha256"),
    "plan": FileType("store/plans/*.json"),
    "what was judged sound": FileType("store/.judged", before=("verify",)),
    "what boards computed": FileType("store/.computed/*/*.f8"),
    "failure": FileType("store/failures/*.json"),
    "submission: manifest.json": FileType(f"{_GIVEN}/manifest.json"),
    "submission: predictions.parquet": FileType(f"{_GIVEN}/predictions.parquet"),
    "submission: SHA256SUMS": FileType(f"{_GIVEN}/SHA256SUMS"),
    "submission: whole folder": FileType(_GIVEN, spared=("deleted",)),
    "corpus: clips.parquet": FileType("corpora/*/clips.parquet", ("tfidf_ridge",)),
    "corpus: streams": FileType("corpora/*/[tav]*[!s].npy", ("feature_ridge",)),
    "corpus: lengths": FileType("corpora/*/*_lengths.npy", ("feature_ridge",)),
    "corpus: manifest.json": FileType("corpora/*/manifest.json", ("feature_ridge",)),
    "corpus: SHA256SUMS": FileType("corpora/*/SHA256SUMS", ("feature_ridge",)),
    "cache: sentence vectors": FileType("cache/sentence_vectors/*.npy", ("sentence_ridge",)),
    "cache: encoder": FileType("cache/encoders/*/*", ("sentence_ridge",)),
    "cache: kept training": FileType("cache/resume/*.pt", ("lf_dnn",)),
    "cache: journal of answers": FileType("cache/mllm/*.jsonl", ("mllm",)),
    "cache: what a server said": FileType("cache/mllm/served/*.json", ("mllm",), server=False),
    "cache: what is finished": FileType("cache/finished/*", board=True, before=("run", WHOLE)),
    "board: Markdown": FileType("boards/*[!t].md", board=True),
    "board: page": FileType("boards/*.html", board=True),
    "lock and holder": FileType("store/.[lh]o*"),
}


def flip(path: Path, chance: random.Random) -> None:
    """One bit."""
    content = bytearray(path.read_bytes())
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut(path: Path, chance: random.Random) -> None:
    """The end is missing."""
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(max(1, len(content)))])


def delete(path: Path, chance: random.Random) -> None:
    """The file or folder is missing."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def zero(path: Path, chance: random.Random) -> None:
    """Zeros in the place of some of it: a block that was never written."""
    content = bytearray(path.read_bytes())
    first, last = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    content[first:last] = bytes(last - first)
    path.write_bytes(content)


def append(path: Path, chance: random.Random) -> None:
    """Its end is there twice: a write that was repeated."""
    content = path.read_bytes()
    path.write_bytes(content + content[chance.randrange(max(1, len(content))) :])


def swap(path: Path, chance: random.Random, others: list[Path]) -> None:
    """It has changed places with another of its type."""
    other = chance.choice(others)
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


ON_FILES: dict[str, Callable[[Path, random.Random], None]] = {
    "bit flipped": flip,
    "cut off": cut,
    "deleted": delete,
    "zeroed": zero,
    "appended to": append,
}
SWAPPED = "swapped"


def spoil(home: Path, kind: FileType, chance: random.Random) -> tuple[str, Path]:
    """Damage one thing of a type: in which way, and which.

    Args:
        home: Root of the home.
        kind: The type.
        chance: Decides which thing, in which way and where.
    """
    there = sorted(home.glob(kind.pattern))
    path = chance.choice(there)
    others = [other for other in there if other != path]
    ways = ["deleted"] if path.is_dir() else list(ON_FILES)
    ways = [way for way in ways if way not in kind.spared] + [SWAPPED] * bool(others)
    way = chance.choice(ways)
    if way == SWAPPED:
        swap(path, chance, others)
    else:
        ON_FILES[way](path, chance)
    return way, path.relative_to(home)
