"""From a stored corpus and a folder of recordings to a corpus of common features, stored."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from harness import data
from harness.data import mmsa_export
from harness.data.corpus import Corpus
from harness.data.store import CorpusStore
from harness.errors import SpecError
from harness.extraction import ExtractionRecipe
from harness.extraction.assemble import Extraction, extract
from harness.extraction.cuts import cuts
from harness.extraction.pieces import Piece
from harness.extraction.words import Ear
from harness.home import Home
from harness.text import find_encoder

__all__ = ["extract_corpus"]


def extract_corpus(
    name: str,
    media: Path,
    recipe: ExtractionRecipe,
    *,
    feature_set: str = "common",
    openface: Path | None = None,
    encoder: str = "minilm-l6",
    whisper: str | None = None,
    align: bool = False,
    pickle: Path | None = None,
    workers: int = 1,
    home: Home | None = None,
    on_start: Callable[[int], None] = lambda pieces: None,
    on_piece: Callable[[Piece], None] = lambda piece: None,
) -> tuple[Corpus, Extraction]:
    """Extract common features of a corpus's recordings; stopped, the same call goes on.

    Args:
        name: A corpus with clips and labels.
        media: Folder of recordings, or a table of them.
        recipe: Which extractors.
        feature_set: Name of the new feature set.
        openface: Folder of OpenFace tables; with the extractor ``openface``, and only with it.
        encoder: Text encoder: packaged, a folder, or a model name.
        whisper: faster-whisper weights that transcribe, None to keep the transcripts.
        align: Whether to make one frame per word as heard; needs ``whisper``.
        pickle: Where to write the corpus as a pickle in MMSA's layout too.
        workers: Processes.
        home: Where corpora and caches live; ``Home.default()`` when None.
        on_start: Called with the number of pieces to make or take up.
        on_piece: Called for each piece as it is there.

    Raises:
        SpecError: For options that do not go together, or an unknown extractor.
        DataError: For a corpus or recordings that are not here.
        RunFailed: When a worker is killed, or not one clip has anything to extract or hear.
        MissingExtra: When a package is missing that all clips need.
    """
    if align and whisper is None:
        raise SpecError("--align needs words with times", hint="--whisper WEIGHTS")
    if (recipe.vision == "openface") != (openface is not None):
        raise SpecError("--vision openface and --openface DIR go together")
    home = home or Home.default()
    corpus = data.load(name, home)
    home.cache.mkdir(parents=True, exist_ok=True)
    on_start(len(corpus.clips) * len(recipe.chosen))
    with tempfile.TemporaryDirectory(dir=home.cache, prefix=".new-extraction-") as scratch:
        made = extract(
            corpus,
            cuts(corpus, media, openface),
            recipe,
            feature_set=feature_set,
            encoder=find_encoder(encoder, home.cache),
            ear=Ear(whisper, corpus.dataset.language, home.cache) if whisper else None,
            aligned=align,
            cache=home.cache,
            scratch=Path(scratch),
            workers=workers,
            on_piece=on_piece,
        )
        stored = CorpusStore(home.corpora).add(made.draft)
    if pickle is not None:
        mmsa_export.write(stored, pickle)
    return stored, made
