"""Where a working tree keeps its corpora, runs, caches and boards.

Everything lives under one folder, ``runs/`` of the current directory unless ``MSA_HOME`` says
otherwise. Nothing here enters an identity or a record.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """The folders of one working tree, made when first written to."""

    root: Path

    @classmethod
    def default(cls) -> Home:
        """``$MSA_HOME``, else ``runs/`` in the current directory."""
        return cls(Path(os.environ.get("MSA_HOME", "runs")).absolute())

    @property
    def corpora(self) -> Path:
        """Converted corpora, one folder each."""
        return self.root / "corpora"

    @property
    def store(self) -> Path:
        """Committed runs, plans and label tables."""
        return self.root / "store"

    @property
    def cache(self) -> Path:
        """What can be made again: encoder weights, frozen features."""
        return self.root / "cache"

    @property
    def boards(self) -> Path:
        """Rendered boards."""
        return self.root / "boards"

    @property
    def tuning(self) -> Path:
        """Databases of searches, which can be made again from their stored runs."""
        return self.root / "tuning"

    @property
    def suites(self) -> Path:
        """Suite files addressed by bare name."""
        return self.root / "suites"

    def suite_files(self) -> dict[str, Path]:
        """Name -> file of every suite: those of ``suites``, then those that came with the code."""
        found = [path for folder in (*_shipped_suites(), self.suites) for path in _toml(folder)]
        return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}

    @property
    def mlflow_db(self) -> Path:
        """The default MLflow database."""
        return self.root / "mlflow.db"


def _shipped_suites() -> Iterator[Path]:
    """Where suites come with the code: beside it in a checkout, inside it when installed."""
    package = Path(__file__).parent
    yield from (package.parent / "runs" / "suites", package / "suites")


def _toml(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"))
