"""Predictions against the labels of a split: refused when they cannot be scored, else flagged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.data.datasets import Dataset
from harness.data.labels import contradiction, copied, gather, judge, judge_rows
from harness.data.spellings import explain_most
from harness.errors import SubmissionError
from harness.submissions.flags import Flag, flags_of, runs_of
from harness.submissions.gold import Gold
from harness.submissions.manifest import SubmissionManifest

__all__ = ["Checked", "check"]

_LEAST_COVERAGE = 0.5
_FURTHEST = 3.0
"""Predictions beyond so many times the label scale are on another scale."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Checked:
    """Predictions that can be scored.

    Args:
        predictions: Columns ``id, seed, pred, split``; seed 0 where the file has none.
        seeds: The seeds of the file, none where it has no such column.
        clips: Clips that every run covers.
        expected: Official number of clips.
        left_out: Rows for other splits, which are not kept.
        flags: What a reader must know.
    """

    predictions: pd.DataFrame
    seeds: tuple[int, ...]
    clips: int
    expected: int
    left_out: int
    flags: tuple[Flag, ...]


def check(
    table: pd.DataFrame, gold: Gold, manifest: SubmissionManifest, *, partial: bool = False
) -> Checked:
    """Check predictions as ``read_submission`` returns them.

    Args:
        table: Columns ``id``, ``pred``, optionally ``seed`` and ``label``.
        gold: What to check against.
        manifest: What the authors state.
        partial: Whether less than half of the clips will do.

    Raises:
        SubmissionError: For ids of other data, too few clips, values off the scale, labels that
            contradict the stored ones, predictions that are the labels, and several runs of what
            is stated to be deterministic.
    """
    _refuse_unknown_ids(table["id"], gold)
    here = table[table["id"].isin(list(gold.truth.ids))]
    if here.empty:
        raise _another_split(table, gold)
    _refuse_other_scales(here, gold.truth.dataset)
    predictions = pd.DataFrame(
        {
            "id": here["id"].to_numpy(dtype=object),
            "seed": here["seed"].to_numpy(dtype=np.int64) if "seed" in here else 0,
            "pred": here["pred"].to_numpy(dtype=np.float64),
            "split": gold.truth.split,
        }
    ).sort_values(["seed", "id"], ignore_index=True)
    covered = _covered(predictions, gold, partial=partial)
    label_flags = _compare_labels(here, gold)
    _refuse_labels_as_predictions(predictions, gold)
    runs = runs_of(predictions, gold.truth.by_id)
    _refuse_several_of_one(len(runs), manifest)
    return Checked(
        predictions=predictions,
        seeds=tuple(run.seed for run in runs) if "seed" in here else (),
        clips=covered,
        expected=gold.expected,
        left_out=len(table) - len(here),
        flags=(
            *label_flags,
            *_gap(gold, table["id"][~table["id"].isin(gold.ids)].nunique()),
            *flags_of(runs, manifest, gold.expected),
        ),
    )


# Ids


def _refuse_unknown_ids(ids: pd.Series, gold: Gold) -> None:
    known = gold.ids
    unknown = [clip for clip in ids.unique() if clip not in known]
    if not unknown:
        return
    total, title = ids.nunique(), gold.truth.dataset.title
    where = Counter(gold.elsewhere[clip][0] for clip in unknown if clip in gold.elsewhere)
    if where and 2 * where.total() > len(unknown):
        other = where.most_common(1)[0][0]
        raise SubmissionError(
            f"{len(unknown)} of {total} ids are no clips of {title} but of {other}"
            f" (first {unknown[0]!r})",
            hint=f"--dataset {other}",
        )
    spelt = explain_most(unknown, known)
    if spelt is None and len(unknown) <= gold.lacking and len(unknown) < total:
        return  # clips that the labels at hand lack
    cause = "" if spelt is None else f": {spelt.cause}"
    raise SubmissionError(
        f"{len(unknown)} of {total} ids are no clips of {title}{cause} (first {unknown[0]!r})",
        hint="check --dataset, or leave out rows of other data" if spelt is None else spelt.hint,
    )


def _another_split(table: pd.DataFrame, gold: Gold) -> SubmissionError:
    found = Counter(gold.elsewhere[c][1] for c in table["id"].unique() if c in gold.elsewhere)
    where = " and ".join(sorted(found))
    return SubmissionError(
        f"all {found.total()} clips are of the {where} split of {gold.truth.dataset.title},"
        f" none of {gold.truth.split}",
        hint=f"boards show the test split; --split {found.most_common(1)[0][0]} scores this one",
    )


# Values


def _refuse_other_scales(table: pd.DataFrame, dataset: Dataset) -> None:
    limit = _FURTHEST * max(abs(dataset.low), abs(dataset.high))
    outside = table[table["pred"].abs() > limit]
    if outside.empty:
        return
    low, high = table["pred"].min(), table["pred"].max()
    looks = " (percentages?)" if low >= 0 and high <= 100 else ""
    raise SubmissionError(
        f"{len(outside)} of {len(table)} predictions are beyond ±{limit:g}; labels of"
        f" {dataset.title} lie in [{dataset.low:g}, {dataset.high:g}], predictions in"
        f" [{low:g}, {high:g}]{looks} (first: clip {outside['id'].iloc[0]},"
        f" {outside['pred'].iloc[0]:g})",
        hint='state scale = FACTOR and mapping = "how" in the manifest, or correct the values',
    )


def _covered(predictions: pd.DataFrame, gold: Gold, *, partial: bool) -> int:
    """The number of clips that every run covers."""
    runs = predictions.groupby("seed")["id"].agg(frozenset)
    covered = len(frozenset.intersection(*runs))
    fewest = min(map(len, runs))
    if not partial and fewest < _LEAST_COVERAGE * gold.expected:
        which = "" if len(runs) == 1 else f" by run {runs.map(len).idxmin()}"
        raise SubmissionError(
            f"{fewest} of {gold.expected} {gold.truth.split} clips of {gold.truth.dataset.title}"
            f" are predicted{which}, at least {_LEAST_COVERAGE:.0%} are expected",
            hint="--partial accepts them; the board then shows the coverage",
        )
    return covered


def _compare_labels(table: pd.DataFrame, gold: Gold) -> tuple[Flag, ...]:
    if "label" not in table:
        return ()
    own = gather("the file", table["id"], table["label"])
    clash = contradiction(own.labels, gold.truth.by_id, source=own.source, against=gold.origin)
    return tuple(Flag(found.kind, found.text) for found in (*judge_rows(own), *judge(clash)))


def _refuse_labels_as_predictions(predictions: pd.DataFrame, gold: Gold) -> None:
    equal = copied(predictions["pred"], predictions["id"].map(gold.truth.by_id))
    if equal:
        raise SubmissionError(
            f"{equal} of {len(predictions)} predictions equal their label:"
            " these are the labels, not predictions",
            hint='name the right column in the manifest: [columns] pred = "..."',
        )


def _refuse_several_of_one(runs: int, manifest: SubmissionManifest) -> None:
    if manifest.deterministic and runs > 1:
        raise SubmissionError(
            f"the manifest says deterministic = true, the file holds {runs} runs",
            hint="leave out deterministic, or submit one run",
        )


def _gap(gold: Gold, unlabelled: int) -> tuple[Flag, ...]:
    if not gold.gap:
        return ()
    lost = f"; {unlabelled} predicted clips have no label there" if unlabelled else ""
    return (Flag("labels-not-official", f"labels are not the official split: {gold.gap}{lost}"),)
