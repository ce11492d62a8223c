"""The datasets of transfers: train and valid of some datasets, test of another, one label scale.

A transfer is called ``<source>[+<source>…]-to-<target>``, for example ``mosi+mosei-to-sims``; a
dataset ``to`` itself is the in-domain bound of the transfers to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from harness.data.datasets import SPLITS, Counts, Dataset, datasets
from harness.errors import SpecError

__all__ = ["derive_dataset"]

_NAME = re.compile(r"(?P<sources>[a-z0-9_]+(?:\+[a-z0-9_]+)*)-to-(?P<target>[a-z0-9_]+)")


def derive_dataset(name: str) -> Dataset:
    """The dataset that the name of a transfer stands for.

    Labels are divided by the largest label of their dataset, so that all lie in [-1, 1]; 0 stays 0.

    Args:
        name: ``<source>[+<source>…]-to-<target>``.

    Raises:
        SpecError: For a name of another form, an unknown dataset, the target among several
            sources, or two datasets of which one contains the other.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise SpecError(
            f"a transfer is called SOURCE[+SOURCE…]-to-TARGET, found {name!r}",
            hint="for example mosi+mosei-to-sims",
        )
    sources = [datasets[source] for source in parts["sources"].split("+")]
    target = datasets[parts["target"]]
    _check(name, sources, target)
    return _derived(name, sources, target)


def _check(name: str, sources: Sequence[Dataset], target: Dataset) -> None:
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise SpecError(f"transfer {name} names a source twice")
    if names != [target.name]:
        if target.name in names:
            raise SpecError(
                f"transfer {name} would train on its target, {target.title}",
                hint=f"its in-domain bound is a corpus of its own: {target.name}-to-{target.name}",
            )
        _check_containment(name, [*sources, target])
    for dataset in (*sources, target):
        if dataset.low != -dataset.high:
            raise SpecError(
                f"labels of {dataset.title} are not symmetric: no common scale is known"
            )


def _check_containment(name: str, parts: Sequence[Dataset]) -> None:
    present = {part.name for part in parts}
    for part in parts:
        inside = present.intersection(part.contains)
        if inside:
            raise SpecError(
                f"transfer {name} joins {part.name} and {min(inside)}, whose clips all recur in"
                f" {part.name}: they are one domain",
                hint=f"leave out {part.name} or {min(inside)}",
            )


def _derived(name: str, sources: Sequence[Dataset], target: Dataset) -> Dataset:
    trained = " + ".join(source.title for source in sources)
    parts = [*(source for source in sources if source is not target), target]
    return Dataset(
        name=name,
        title=f"{trained} → {target.title}",
        language=_language(sources),
        low=-1.0,
        high=1.0,
        family="transfer_mosi" if target.family == "mosi" else "transfer_sims",
        grid=None,
        splits={
            split: target.splits[split] if split == "test" else _joined(sources, split)
            for split in SPLITS
        },
        unimodal_labels=False,
        shapes={},
        splits_share_videos=target in sources and target.splits_share_videos,
        margins={"mae": 0.01, "acc2_non0": 0.01},
        sources=tuple(source.name for source in sources),
        target=target.name,
        licence="; ".join(dict.fromkeys(part.licence for part in parts)),
        url=target.url,
        citation=" ".join(part.citation for part in parts),
    )


def _language(sources: Sequence[Dataset]) -> Literal["en", "zh", "mixed"]:
    """Of the training transcripts; datasets do not know of translations."""
    spoken = {source.language for source in sources}
    return spoken.pop() if len(spoken) == 1 else "mixed"


def _joined(sources: Sequence[Dataset], split: str) -> Counts:
    counts = [source.splits[split] for source in sources]
    return Counts(
        clips=sum(part.clips for part in counts),
        negative=sum(part.negative for part in counts),
        zero=sum(part.zero for part in counts),
        positive=sum(part.positive for part in counts),
        videos=sum(part.videos for part in counts),
    )
