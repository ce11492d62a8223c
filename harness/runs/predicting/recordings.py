"""A folder of recordings as clips without labels: what is said in them, and their features."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.data.corpus import Corpus
from harness.data.datasets import datasets
from harness.data.identifiers import canonical_id
from harness.data.media.decode import recordings_in
from harness.data.readers.tables import read_table
from harness.errors import DataError, SpecError
from harness.extraction import ExtractionRecipe
from harness.extraction.assemble import extract
from harness.extraction.cuts import cuts
from harness.extraction.words import Ear
from harness.home import Home
from harness.runs.predicting.unlabelled import loaded, without_labels
from harness.runs.weights.card import ModelFacts
from harness.runs.weights.restoring import Restored
from harness.text import find_encoder

__all__ = ["HeardBy", "of_recordings"]

_TABLE = "manifest.csv"


@dataclass(frozen=True, kw_only=True)
class HeardBy:
    """How recordings become clips.

    Args:
        whisper: faster-whisper weights that transcribe; None where transcripts are given.
        openface: Folder of OpenFace tables, for features of that extractor.
        space_encoder: Where the encoder of the text stream is, when its name does not say.
        workers: Processes that extract.
    """

    whisper: str | None = None
    openface: Path | None = None
    space_encoder: str | None = None
    workers: int = 1


def of_recordings(folder: Path, restored: Restored, home: Home, how: HeardBy) -> Corpus:
    """The recordings of a folder, with the features that the network was trained on.

    Each recording is a clip, unless ``manifest.csv`` says which there are: ``id``, ``file``,
    perhaps ``start``, ``stop`` and ``text``.

    Args:
        folder: Of recordings.
        restored: The network.
        home: Where encoders and caches are.
        how: Tools.

    Raises:
        DataError: When the network was trained on features that ``msa extract`` did not make, there
            is no recording, nothing says what is said, or the features come out in another space.
        RunFailed: When nothing can be extracted, or a worker is killed.
        MissingExtra: When a package is missing that all clips need.
    """
    model = restored.model
    if restored.streams and model.space is None:
        raise DataError(
            f"{restored.name} reads features of {model.feature_set}, which are not made here from"
            " recordings",
            hint="weights of a corpus of msa extract, or --on a pickle of those features",
        )
    clips, given = _clips(folder)
    ear = None if how.whisper is None else Ear(how.whisper, _language(model), home.cache)
    if ear is None and not given:
        raise DataError(
            f"nothing says what is said in the recordings of {folder.name}",
            hint=f"a column text in {_TABLE}, or --whisper WEIGHTS",
        )
    bare = without_labels(clips, {}, None, model)
    if not restored.streams:
        return bare if ear is None else _heard(bare, folder, ear)
    return _extracted(bare, folder, restored, home, how, ear)


def _clips(folder: Path) -> tuple[pd.DataFrame, bool]:
    """``id``, ``text`` and, without a table, ``file``; and whether transcripts are given."""
    if (folder / _TABLE).is_file():
        table = read_table(folder / _TABLE, what="tables of recordings")
        ids = table.ids(unique=True)
        given = "text" in table.frame
        texts = table.texts("text", ids) if given else [""] * len(ids)
        return pd.DataFrame({"id": ids, "text": texts}), given
    files = recordings_in(folder)
    if not files:
        raise DataError(
            f"no recording lies in {folder}", hint=f"recordings, or {_TABLE} with id and file"
        )
    try:
        ids = [canonical_id(path.stem) for path in files]
    except ValueError as error:
        raise DataError(f"{folder.name}: {error}", hint=f"{_TABLE} with id and file") from error
    if len(set(ids)) < len(ids):
        raise DataError(
            f"two recordings of {folder.name} have the same name", hint=f"{_TABLE} with id and file"
        )
    names = [path.name for path in files]
    return pd.DataFrame({"id": ids, "text": "", "file": names}), False


def _language(model: ModelFacts) -> str:
    return datasets[model.dataset].language


def _heard(bare: Corpus, folder: Path, ear: Ear) -> Corpus:
    texts = [" ".join(word.text for word in ear.hear(cut)) for cut in cuts(bare, folder)]
    return replace(bare, clips=bare.clips.assign(text=texts))


def _extracted(
    bare: Corpus, folder: Path, restored: Restored, home: Home, how: HeardBy, ear: Ear | None
) -> Corpus:
    model = restored.model
    assert model.space is not None
    space: Mapping[str, Any] = model.space
    aligned = bool(space.get("aligned"))
    if aligned and ear is None:
        raise SpecError(
            f"{restored.name} reads one frame per word as heard", hint="--whisper WEIGHTS"
        )
    recipe = _recipe(space, restored.name)
    if (recipe.vision == "openface") != (how.openface is not None):
        raise SpecError(
            f"{restored.name} reads vision of {recipe.vision}; --openface DIR goes with openface"
        )
    encoder = find_encoder(how.space_encoder or model.space_encoder or "", home.cache)
    home.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.cache, prefix=".new-extraction-") as scratch:
        made = extract(
            bare,
            cuts(bare, folder, how.openface),
            recipe,
            feature_set=model.feature_set,
            encoder=encoder,
            ear=ear,
            aligned=aligned,
            cache=home.cache,
            scratch=Path(scratch),
            workers=how.workers,
        ).draft
        found: Any = made.manifest["feature_space"]
        if found != space:
            raise DataError(_other_space(restored.name, space, found), hint=_hint(space, found))
        return without_labels(
            made.clips,
            {name: loaded(stream) for name, stream in made.streams.items()},
            made.tokens,
            model,
            manifest=made.manifest,
        )


def _recipe(space: Mapping[str, Any], name: str) -> ExtractionRecipe:
    try:
        return ExtractionRecipe(
            audio=space["audio"]["extractor"] if "audio" in space else "none",
            vision=space["vision"]["extractor"] if "vision" in space else "none",
            seconds=float(space["seconds"]),
            max_tokens=int(space["text"]["max_tokens"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{name}: it does not say how its features are made: {error}") from error


def _other_space(name: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    part = next(part for part in (*then, *now) if then.get(part) != now.get(part))
    return (
        f"{name} was trained on {part} of {_said(then.get(part))}; here it comes out as"
        f" {_said(now.get(part))}"
    )


def _said(part: object) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    keys = ("extractor", "version", "package", "encoder", "max_tokens", "rate")
    return ", ".join(f"{key} {str(part[key])[:40]}" for key in keys if part.get(key) is not None)


def _hint(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if then.get("text") != now.get("text"):
        return "--space-encoder FOLDER says where the encoder of its text stream is"
    return "install the version of the package that it names"
