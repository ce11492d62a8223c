"""What a network reads of a split: streams, tokens of transcripts and explanations, vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness._util.seeds import derive
from harness.data.batching import BatchSource
from harness.data.corpus import EXPLANATIONS, Split
from harness.errors import RunFailed, SpecError
from harness.system import ClueParams, Params, System, Task, TokenParams, TrainingParams
from harness.text import Encoder, sentence_vectors, tokenize
from harness.training.permutation import others

__all__ = ["batches_of"]


def batches_of(system: System, split: Split, task: Task, params: Params) -> BatchSource:
    """The split with everything that the system reads under these hyper-parameters.

    Raises:
        RunFailed: When the system reads tokens and the task has no text encoder to make them.
        SpecError: When it asks for stored tokens that are not there, or not the encoder's.
    """
    reads = params.reads(system.inputs)
    if isinstance(params, ClueParams) and params.tokens == "transcript+summary":
        reads -= {"summary"}  # which is read as part of the transcript
    texts = {name: _texts(name, split, params) for name in ("tokens", *EXPLANATIONS)}
    tokens = {name: texts[name] for name in texts if name in reads}
    vectors = None
    if "clue_vectors" in reads:
        encoder = _encoder(system, task)
        parts = [sentence_vectors(encoder, texts[n], cache=task.cache) for n in EXPLANATIONS]
        vectors = np.concatenate(parts, axis=1)  # (n, K H)
    return BatchSource(
        split,
        inputs=reads,
        tokens={name: _tokens(name, tokens[name], system, split, task, params) for name in tokens},
        clue_vectors=vectors,
        device=task.device,
        padded=isinstance(params, TrainingParams) and params.compiled,
    )


def _encoder(system: System, task: Task) -> Encoder:
    if task.encoder is None:
        raise RunFailed(f"{system.name} reads tokens, and the task has no text encoder")
    return task.encoder


def _texts(name: str, split: Split, params: Params) -> list[str]:
    """One text per clip: transcripts, or a kind of explanation as ``ClueParams`` wants it."""
    if name != "tokens":
        return _explanations(name, split, params)
    if not isinstance(params, ClueParams) or params.tokens != "transcript+summary":
        return split.texts
    comments = _explanations("summary", split, params)
    return [
        f"{said} | {told}" if told else said
        for said, told in zip(split.texts, comments, strict=True)
    ]


def _explanations(name: str, split: Split, params: Params) -> list[str]:
    kind = params.explanations if isinstance(params, ClueParams) else "given"
    if kind == "transcript":
        return split.texts
    if kind == "none" or name not in split.clips:
        return [""] * len(split)
    texts: list[str] = split.clips[name].fillna("").tolist()
    return _another_clips(texts, split) if kind == "shuffled" else texts


def _another_clips(texts: list[str], split: Split) -> list[str]:
    """Every clip gets the text of another one: the same one for every system and seed."""
    seed = derive(0, "explanations", split.corpus.dataset.name, split.name)
    return [texts[clip] for clip in others(len(texts), seed)]


def _tokens(
    name: str, texts: list[str], system: System, split: Split, task: Task, params: Params
) -> NDArray[np.int32]:
    encoder = _encoder(system, task)
    if not isinstance(params, TokenParams):
        raise SpecError(f"system {system.name} reads tokens: its Params should extend TokenParams")
    if name == "tokens" and params.tokens == "corpus":
        return _stored(split, encoder)[:, :, : params.max_tokens]
    return tokenize(encoder, texts, params.max_tokens, cache=task.cache)


def _stored(split: Split, encoder: Encoder) -> NDArray[np.int32]:
    """The ids that were published with the features, which fit BERT-base's vocabularies."""
    stored = split.tokens
    if stored is None:
        raise SpecError(
            f"corpus {split.corpus.name} has no stored tokens",
            hint='tokens = "transcript", or a corpus made from a pickle with text_bert',
        )
    if int(stored[:, 0].max()) >= encoder.vocabulary:
        raise SpecError(
            f"the stored tokens go up to id {int(stored[:, 0].max())}; encoder {encoder.name}"
            f" has {encoder.vocabulary}: another vocabulary",
            hint='tokens = "transcript"',
        )
    return stored
