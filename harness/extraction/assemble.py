"""From pieces to a corpus: padded streams in one feature space, problems recorded by name.

A clip without sound or face keeps its place: its stream is one frame of zeros, and the manifest
says why. The order and number of clips never depend on what could be extracted.

Shapes: n clips, T frames, D features, L tokens, W words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from harness._util import canonical
from harness._util.canonical import Json
from harness.data.corpus import Corpus, Stream
from harness.data.store import Draft, corpus_name
from harness.errors import DataError, MissingExtra, RunFailed
from harness.extraction import Cut, ExtractionRecipe, Extractor
from harness.extraction.pieces import Piece, extract_all
from harness.extraction.words import Ear, Word, over_words, token_vectors, word_vectors
from harness.text import Encoder, tokenize

__all__ = ["Extraction", "extract"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Extraction:
    """What ``extract`` made.

    Args:
        draft: The corpus, to be stored; its streams may lie in ``scratch``.
        problems: Stream -> clip id -> why there is nothing.
    """

    draft: Draft
    problems: Mapping[str, Mapping[str, str]]


def extract(
    corpus: Corpus,
    cuts: Sequence[Cut],
    recipe: ExtractionRecipe,
    *,
    feature_set: str,
    encoder: Encoder,
    ear: Ear | None = None,
    aligned: bool = False,
    cache: Path,
    scratch: Path,
    workers: int = 1,
    on_piece: Callable[[Piece], None] = lambda piece: None,
) -> Extraction:
    """The corpus with streams of its recordings in place of those it may have.

    Args:
        corpus: Clips, labels and transcripts.
        cuts: Where each clip is, in the order of the corpus.
        recipe: Which extractors.
        feature_set: Name of the new feature set.
        encoder: Frozen encoder of the text stream.
        ear: Replaces transcripts by what it hears; the given ones stay as ``text_given``.
        aligned: One frame per word as heard, in all streams; needs ``ear``.
        cache: Folder for results, which an interrupted extraction takes up.
        scratch: Folder for padded arrays, until the corpus is stored.
        workers: Processes.
        on_piece: Called for each result as it is made.

    Raises:
        RunFailed: When a worker is killed, or not one clip has anything to extract or hear.
        MissingExtra: When a package is missing that all clips need.
    """
    chosen = recipe.chosen
    spaces: dict[str, Json] = {item.stream: item.space for item in chosen}  # or fail before work
    pieces = extract_all(
        cuts,
        chosen,
        seconds=recipe.seconds,
        cache=cache,
        workers=workers,
        on_piece=on_piece,
    )
    problems = _problems(pieces, chosen)
    _check_any(problems, chosen, len(cuts))
    words = None if ear is None else _heard(ear, cuts, problems)
    texts = corpus.clips["text"].tolist()
    if words is not None:
        texts = [" ".join(word.text for word in clip) for clip in words]
    tokens = tokenize(encoder, texts, recipe.max_tokens)
    streams = {"text": _text_stream(encoder, tokens, words if aligned else None)}
    for item in chosen:
        streams[item.stream] = _stream(item, cuts, pieces, words if aligned else None, scratch)
    spaces["text"] = {"encoder": encoder.digest, "max_tokens": recipe.max_tokens}
    spaces |= {"seconds": recipe.seconds, "aligned": aligned}
    clips = corpus.clips.drop(columns=["text_given"], errors="ignore")
    if words is not None:
        clips = clips.assign(text_given=clips["text"], text=texts)
    draft = Draft(
        name=corpus_name(corpus.dataset, feature_set),
        clips=clips,
        streams=streams,
        tokens=None if aligned else tokens,
        manifest={
            **{k: v for k, v in corpus.manifest.items() if k in ("source", "text", "clips")},
            "reader": "extraction",
            "from": {"corpus": corpus.name, "data": corpus.fingerprint},
            "feature_space": spaces,
            "space": canonical.digest(spaces)[:16],
            "encoder": encoder.name,
            "heard": None if ear is None else ear.identity,
            "problems": {stream: dict(found) for stream, found in problems.items()},
        },
    )
    return Extraction(draft=draft, problems=problems)


def _problems(
    pieces: Mapping[tuple[str, str], Piece], chosen: Sequence[Extractor]
) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {item.stream: {} for item in chosen}
    for (clip, stream), piece in sorted(pieces.items()):
        if piece.problem:
            found[stream][clip] = piece.problem
    return found


def _check_any(
    problems: Mapping[str, Mapping[str, str]], chosen: Sequence[Extractor], clips: int
) -> None:
    for item in chosen:
        if len(problems[item.stream]) == clips:
            first = next(iter(problems[item.stream].values()))
            raise RunFailed(
                f"{item.name} found nothing in any of {clips} clips; the first: {first}",
                hint="check --openface: one <clip id>.csv for each clip"
                if item.name == "openface"
                else "check --media: VIDEO/CLIP.mp4, VIDEO_CLIP.mp4, or a column file",
            )


def _heard(ear: Ear, cuts: Sequence[Cut], problems: dict[str, dict[str, str]]) -> list[list[Word]]:
    """What is said in each clip; nothing, with the reason, where that cannot be heard."""
    silent: dict[str, str] = {}
    heard = []
    for cut in cuts:
        try:
            words = ear.hear(cut)
        except MissingExtra:
            raise
        except DataError as error:
            words, silent[cut.id] = [], str(error)
        if not words:
            silent.setdefault(cut.id, "no word was heard")
        heard.append(words)
    if len(silent) == len(cuts):
        raise RunFailed(
            f"no word was heard in any of {len(cuts)} clips; the first:"
            f" {next(iter(silent.values()))}",
            hint="check --media and --whisper",
        )
    problems["transcript"] = silent
    return heard


def _text_stream(
    encoder: Encoder, tokens: NDArray[np.int32], words: Sequence[Sequence[Word]] | None
) -> Stream:
    if words is None:
        return Stream(*token_vectors(encoder, tokens))
    rows = word_vectors(encoder, words)
    lengths = np.array([max(1, len(row)) for row in rows], dtype=np.int64)
    values = np.zeros((len(rows), int(lengths.max()), encoder.hidden_size), np.float32)
    for at, row in enumerate(rows):
        values[at, : len(row)] = row
    return Stream(values, lengths)


def _stream(
    item: Extractor,
    cuts: Sequence[Cut],
    pieces: Mapping[tuple[str, str], Piece],
    words: Sequence[Sequence[Word]] | None,
    scratch: Path,
) -> Stream:
    """Padded on disk: the recordings of a large dataset do not fit into memory."""
    mine = [pieces[cut.id, item.stream] for cut in cuts]
    if words is None:
        lengths = [max(1, piece.frames) for piece in mine]
    else:
        lengths = [max(1, len(clip)) for clip in words]
    shape = (len(mine), max(lengths), len(item.features))
    values = open_memmap(scratch / f"{item.stream}.npy", mode="w+", dtype=np.float32, shape=shape)
    for row, piece in enumerate(mine):
        if piece.problem:
            continue
        frames = piece.values()
        if words is not None:
            if not words[row]:
                continue
            frames = over_words(frames, item.rate, words[row])
        values[row, : len(frames)] = frames
    return Stream(values, np.array(lengths, dtype=np.int64))
