"""Where a working tree keeps its corpora, runs, caches and boards.

Everything lives under one folder, ``runs/`` of the current directory unless ``MSA_HOME`` says
otherwise; servers of models alone are shared by all working trees. Nothing here enters an identity
or a record.
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

    def training_file(self, key: str) -> Path:
        """Where the training of a run is kept while it is interrupted."""
        return self.cache / "resume" / f"{key}.pt"

    @property
    def servers(self) -> Path:
        """Environments of model servers and models made here: gigabytes that all homes share.

        ``$MSA_SERVER_CACHE``, else below the user's cache folder.
        """
        given = os.environ.get("MSA_SERVER_CACHE")
        return Path(given).absolute() if given else _user_cache() / "msa-harness" / "servers"

    @property
    def models(self) -> Path:
        """Cards of the user's own language models, a TOML file each."""
        return self.root / "models"

    @property
    def prompts(self) -> Path:
        """The user's own prompts, a TOML file each."""
        return self.root / "prompts"

    @property
    def plugins(self) -> Path:
        """Folders ``systems``, ``datasets``, ``metrics`` … of the user's own files.

        ``$MSA_PLUGINS``, else the folder that this one is in.
        """
        given = os.environ.get("MSA_PLUGINS")
        return Path(given).absolute() if given else self.root.parent

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

    @property
    def tensorboard(self) -> Path:
        """Events of cells for TensorBoard, where a run shows them live."""
        return self.root / "tensorboard"

    @property
    def mlflow_artifacts(self) -> Path:
        """What that database's runs have attached."""
        return self.root / "mlflow-artifacts"


def _user_cache() -> Path:
    """``$XDG_CACHE_HOME`` where it is absolute, as its standard wants it; else ``~/.cache``."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".cache"


def _shipped_suites() -> Iterator[Path]:
    """Where suites come with the code: beside it in a checkout, inside it when installed."""
    package = Path(__file__).parent
    yield from (package.parent / "runs" / "suites", package / "suites")


def _toml(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"))
