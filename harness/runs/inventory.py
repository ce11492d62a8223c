"""Where plans find what suites name, and what of it is not here.

What can be made or fetched is, for the rows that are asked for; for all others a plan takes what is
here already, so that asking for one row opens nothing of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness import data
from harness.data.corpus import Corpus
from harness.data.store import CorpusStore
from harness.data.transfer.compose import is_transfer, parts_of
from harness.errors import NotHere
from harness.home import Home
from harness.text import PACKAGED, Encoder, find_encoder, is_unpacked, split_revision
from harness.text.synthetic import TWIN_ENCODER

__all__ = ["Inventory", "Lack", "stored_encoder"]


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Something that a suite names and that is not here.

    Args:
        kind: What it is.
        name: As the suite names it; of an input, what it is.
        reason: What was looked for and not found.
        hint: What brings it.
        asked: Whether it was looked for: what only rows need that were not asked for is not.
        failed: Whether it is named and does not answer, so that a run without it has failed.
    """

    kind: Literal["corpus", "encoder", "system", "input", "checkpoint"]
    name: str
    reason: str
    hint: str
    asked: bool = True
    failed: bool = False

    @property
    def title(self) -> str:
        """What it is, in two words."""
        if self.kind == "input" and self.name:
            return self.name
        return f"{self.kind} {self.name}".rstrip()


@dataclass(frozen=True)
class Inventory:
    """Where a plan finds what a suite names; what can be made or fetched is made or fetched."""

    home: Home
    _encoders: dict[str, Encoder | NotHere] = field(default_factory=dict, repr=False, compare=False)
    _digests: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def unasked(self) -> Inventory:
        """The same for rows that are not asked for: nothing is made or fetched."""
        return _AlreadyHere(self.home)

    def corpus(self, name: str) -> Corpus:
        """The corpus called ``name``.

        Raises:
            NotHere: When it is not here.
            DataError: When it is damaged.
        """
        return data.load(name, self.home)

    def encoder_digest(self, name: str) -> str:
        """What identifies the text encoder called ``name``, whose files are read once.

        Raises:
            NotHere: When it is not here.
            DataError: When it is no encoder.
        """
        if name not in self._digests:
            self._digests[name] = self._digest(name)
        return self._digests[name]

    def encoder(self, name: str) -> Encoder | None:
        """The text encoder called ``name``; None where it is not here and a plan does without.

        Raises:
            NotHere: When it is not here; a hub that is silent is asked once.
            DataError: When it is no encoder.
        """
        return self._found(name)

    def vocabulary(self, name: str) -> int | None:
        """Token ids of the text encoder called ``name``; None where nobody knows.

        Raises:
            NotHere: When it is not here.
            DataError: When it is no encoder.
        """
        return self._found(name).vocabulary

    def _digest(self, name: str) -> str:
        return self._found(name).digest

    def _found(self, name: str) -> Encoder:
        if name not in self._encoders:
            try:
                self._encoders[name] = self._find(name)
            except NotHere as error:
                self._encoders[name] = error
        found = self._encoders[name]
        if isinstance(found, NotHere):
            raise found
        return found

    def _find(self, name: str) -> Encoder:
        return find_encoder(name, self.home.cache)


@dataclass(frozen=True)
class _AlreadyHere(Inventory):
    """What was made or fetched before."""

    @property
    def unasked(self) -> Inventory:
        return self

    def corpus(self, name: str) -> Corpus:
        store = CorpusStore(self.home.corpora)
        parts = parts_of(name).corpora if is_transfer(name) else (name,)
        if all(part in store for part in parts):
            return super().corpus(name)
        return store.load(name)

    def _find(self, name: str) -> Encoder:
        found = stored_encoder(name, self.home.cache)
        if found is None:
            raise NotHere(
                f"encoder {name!r} was not looked for: no row that reads it was asked for",
                hint="leave --only out, or name such a row",
            )
        return found


def stored_encoder(name: str, cache: Path) -> Encoder | None:
    """The text encoder called ``name`` if it can be had without fetching anything.

    Raises:
        DataError: For a local folder that is no encoder.
    """
    return find_encoder(name, cache) if _is_here(name, cache) else None


def _is_here(name: str, cache: Path) -> bool:
    if name in PACKAGED:
        return is_unpacked(PACKAGED[name], cache)
    if name == TWIN_ENCODER:
        return any((cache / "encoders").glob(f"{TWIN_ENCODER}-*"))
    return _is_local(name)


def _is_local(name: str) -> bool:
    from huggingface_hub import errors, snapshot_download

    try:
        if Path(name).expanduser().is_dir():
            return True
        model, revision = split_revision(name)
        cached = Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (errors.LocalEntryNotFoundError, errors.HFValidationError, OSError, RuntimeError):
        return False
    return any(cached.glob("*.safetensors"))  # else the hub would be asked
