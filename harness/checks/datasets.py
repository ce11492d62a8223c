"""Conformance of datasets: whether what is stated of one can be true, and corpora of it made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from harness.checks.findings import Broken, ConformanceFinding, found
from harness.data.datasets import SPLITS, Dataset
from harness.data.store import assemble
from harness.data.twins.generate import generate
from harness.metrics import metrics_for

__all__ = ["check_dataset"]

_PATTERN = r"[a-z][a-z0-9]*"  # of the name of a corpus before the @
_IDS = (("video-1", "2"), ("-NFrJFQijFE", "0001"), ("video_0001", "0010"))


def check_dataset(dataset: Dataset) -> list[ConformanceFinding]:
    """Check a dataset; its synthetic twin is made, in memory, to see that corpora of it work.

    Args:
        dataset: What to check.
    """
    return found(_CHECKS, dataset)


def _name(dataset: Dataset) -> None:
    """A name that corpora, twins and transfers can have in theirs."""
    if not re.fullmatch(_PATTERN, dataset.name):
        raise Broken(f"lower-case letters and digits are expected, found {dataset.name!r}")


def _scale(dataset: Dataset) -> None:
    """Labels rise from low to high, on the grid if there is one."""
    if not dataset.low < dataset.high:
        raise Broken(f"low {dataset.low:g} should be less than high {dataset.high:g}")
    steps = 0.0 if dataset.grid is None else (dataset.high - dataset.low) / dataset.grid
    if abs(steps - round(steps)) > 1e-6:
        raise Broken(f"a grid of {dataset.grid:g} does not lead from low to high in whole steps")


def _counts(dataset: Dataset) -> None:
    """Three splits whose counts add up."""
    if tuple(dataset.splits) != SPLITS:
        raise Broken(f"splits are {', '.join(SPLITS)}; found {', '.join(dataset.splits)}")
    for name, counts in dataset.splits.items():
        total = counts.negative + counts.zero + counts.positive
        if total != counts.clips:
            raise Broken(f"{name}: {counts.clips} clips, but negative, zero, positive make {total}")
        if not 1 <= counts.videos <= counts.clips:
            raise Broken(f"{name}: {counts.clips} clips cannot come from {counts.videos} videos")


def _ids(dataset: Dataset) -> None:
    """Ids are taken apart as they are put together."""
    for video, clip in _IDS:
        spelled = dataset.clip_id(video, clip)
        if dataset.split_id(spelled) != (video, clip):
            raise Broken(f"{spelled!r} should be clip {clip!r} of {video!r} again")


def _metrics(dataset: Dataset) -> None:
    """Its family has metrics, and what it names margins for is among them."""
    known = {metric.name for metric in metrics_for(dataset)}
    if not metrics_for(dataset, primary=True):
        raise Broken(f"family {dataset.family!r} has no metric")
    strange = sorted(set(dataset.margins) - known)
    if strange:
        raise Broken(
            f"margins name {strange[0]!r}, which is no metric of family {dataset.family!r}"
        )


def _source(dataset: Dataset) -> None:
    """It says whose it is."""
    empty = [name for name in ("title", "licence", "url", "citation") if not getattr(dataset, name)]
    if empty:
        raise Broken(f"says nothing of its {' and '.join(empty)}")


def _corpus(dataset: Dataset) -> None:
    """A corpus of it can be made: its twin keeps the rules of stored corpora."""
    corpus = assemble(generate(f"{dataset.name}-twin@compact-x5"))
    labels = corpus.clips["label"]
    if labels.min() < dataset.low or labels.max() > dataset.high:
        raise Broken(f"labels of its twin go from {labels.min():g} to {labels.max():g}")


_CHECKS: Mapping[str, Callable[[Dataset], None]] = {
    "name": _name,
    "scale": _scale,
    "counts": _counts,
    "ids": _ids,
    "metrics": _metrics,
    "source": _source,
    "corpus": _corpus,
}
