"""Placeholders: the known sizes of corpora, and of encoders' vocabularies, that are not here.

With them a suite can be planned, and its cost estimated, where neither the features nor the weights
have arrived. Nothing is fetched, generated or written.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.data import trials
from harness.data.bringing import command_for
from harness.data.corpus import EXPLANATIONS, LABELS, Corpus, Stream
from harness.data.datasets import SPLITS, Dataset, datasets
from harness.data.store import CorpusStore
from harness.data.transfer.compose import Parts, is_transfer, parts_of
from harness.data.twins import generate as twin
from harness.errors import NotHere
from harness.runs.inventory import Inventory, stored_encoder
from harness.text import Encoder
from harness.text.synthetic import TWIN_ENCODER

__all__ = ["AtHand", "is_absent"]

_ABSENT = "absent "
_UNSEEN = "unseen"  # stands for any text


_ENGLISH, _CHINESE = 30522, 21128
_VOCABULARIES = {
    "bert-base-uncased": _ENGLISH,
    "bert-large-uncased": _ENGLISH,
    "bert-base-chinese": _CHINESE,
    "hfl/chinese-roberta-wwm-ext": _CHINESE,
    "hfl/chinese-roberta-wwm-ext-large": _CHINESE,
    "roberta-base": 50265,
    "roberta-large": 50265,
    "minilm-l6": _ENGLISH,
    "m3e-small": _CHINESE,
    TWIN_ENCODER: 485,
}
"""Token ids of published text encoders."""

_FEWEST = 20  # clips of a split, about, that a scaled twin keeps


@dataclass(frozen=True)
class AtHand(Inventory):
    """What is here already, and placeholders for the rest."""

    @property
    def unasked(self) -> Inventory:
        """Itself: it neither makes nor fetches anything."""
        return self

    def corpus(self, name: str) -> Corpus:
        """The stored corpus, else one of the published size without content.

        One whose feature set goes beyond a published one (``unaligned-50-explained``) is taken to
        have explanations.

        Raises:
            NotHere: When the corpus is not here and no size of it is published.
            SpecError: For an unknown dataset, or a name that no twin has.
        """
        store = CorpusStore(self.home.corpora)
        if name in store or "@" not in name:
            return store.load(name)
        if trials.is_trial(name):
            return _trial(name, self)
        if is_transfer(name):
            return _transfer(parts_of(name), self)
        return _twin(name) if twin.is_twin(name) else _published(name)

    def encoder(self, name: str) -> Encoder | None:
        """The encoder that is here; nothing is fetched."""
        return stored_encoder(name, self.home.cache)

    def vocabulary(self, name: str) -> int | None:
        """Token ids of the encoder that is here, else of the published one of that name."""
        encoder = stored_encoder(name, self.home.cache)
        return _VOCABULARIES.get(name) if encoder is None else encoder.vocabulary

    def _digest(self, name: str) -> str:
        encoder = stored_encoder(name, self.home.cache)
        return f"{_ABSENT}{name}" if encoder is None else encoder.digest


def is_absent(mark: str) -> bool:
    """Whether a fingerprint or digest is a placeholder's; no stored run has such a one."""
    return mark.startswith(_ABSENT)


def _trial(name: str, inventory: Inventory) -> Corpus:
    """As large as it would be cut."""
    parent, limit = trials.parent_of(name)
    whole = inventory.corpus(parent)
    clips = {split: min(limit, len(part)) for split, part in whole.splits.items()}
    shapes = {stream: (one.frames, one.dim) for stream, one in whole.streams.items()}
    explained = set(EXPLANATIONS) <= set(whole.clips.columns)
    return _placeholder(name, whole.dataset, clips, shapes, explained=explained)


def _twin(name: str) -> Corpus:
    recipe = twin.recipe_of(name)
    clips = {
        split: max(_FEWEST, round(counts.clips * recipe.percent / 100))
        for split, counts in recipe.dataset.splits.items()
    }
    return _placeholder(name, recipe.dataset, clips, dict(recipe.shapes), explained=True)


def _transfer(parts: Parts, inventory: Inventory) -> Corpus:
    """As large as its parts say, which may be placeholders themselves."""
    opened = {part: inventory.corpus(part) for part in parts.corpora}
    target = opened[parts.target]
    shapes = {name: (stream.frames, stream.dim) for name, stream in target.streams.items()}
    pieces = [(split, opened[part]) for split in SPLITS[:-1] for part in parts.sources]
    pieces.append((SPLITS[-1], target))
    sizes = [(split, corpus.dataset.name, len(corpus.split(split))) for split, corpus in pieces]
    clips = {split: sum(n for name, _, n in sizes if name == split) for split in SPLITS}
    common = shapes if parts.track == "common features" else {}
    corpus = _placeholder(parts.name, parts.dataset, clips, common, explained=False)
    domains = np.repeat([domain for _, domain, _ in sizes], [n for _, _, n in sizes])
    return dataclasses.replace(corpus, clips=corpus.clips.assign(domain=domains))


def _published(name: str) -> Corpus:
    dataset_name, _, feature_set = name.partition("@")
    dataset = datasets[dataset_name]
    known = {**dataset.shapes, "label-csv": {}}
    fitting = [base for base in known if f"{feature_set}-".startswith(f"{base}-")]
    if not fitting:
        raise NotHere(
            f"corpus {name!r} is not here, and only the sizes of {', '.join(known)} are published",
            hint=command_for(name),
        )
    base = max(fitting, key=len)
    clips = {split: counts.clips for split, counts in dataset.splits.items()}
    return _placeholder(name, dataset, clips, dict(known[base]), explained=feature_set != base)


def _placeholder(
    name: str,
    dataset: Dataset,
    clips: dict[str, int],
    shapes: dict[str, tuple[int, int]],
    *,
    explained: bool,
) -> Corpus:
    """A corpus of that size; its arrays are views of a single zero."""
    size = sum(clips.values())
    table = pd.DataFrame({"split": np.repeat(SPLITS, [clips[split] for split in SPLITS])})
    streams = {
        stream: Stream(
            np.broadcast_to(np.float32(0), (size, *shape)), np.broadcast_to(shape[0], size)
        )
        for stream, shape in shapes.items()
    }
    texts = ("text", *(EXPLANATIONS if explained else ()))
    labels = LABELS[1:] if dataset.unimodal_labels else ()
    return Corpus(
        name=name,
        dataset=dataset,
        fingerprint=f"{_ABSENT}{name}",
        clips=table.assign(**dict.fromkeys(texts, _UNSEEN), **dict.fromkeys(labels, 0.0)),
        streams=streams,
        tokens=None,
        manifest={},
    )
