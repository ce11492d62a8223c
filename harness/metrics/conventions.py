"""Acc-2, F1 and their companions as each named repository computes them.

Published tables disagree on five points: whether zero counts as negative, which clips enter Acc-2,
whether F1 is weighted by labels or (arguments swapped) by predictions, whether MAE and Corr see the
zero-labelled clips, and which metrics are reported at all. A ``Convention`` states these points, so
that a printed number can be compared with stored predictions scored the same way.

Rounding to 6 decimals before classes are told apart is the canonical rule alone. Repositories
compare what their networks return: a prediction of -4e-7 is negative there, and zero here. Errors
and correlations are of unrounded predictions everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from harness.data.datasets import Dataset, datasets
from harness.metrics.base import Family, Score, Values, metrics_for, prepare, six_decimals
from harness.metrics.classification import (
    Classes,
    ClassScore,
    Code,
    Keep,
    Rate,
    Seen,
    accuracy,
    non_negative,
    non_zero,
    positive,
    weighted_f1,
)

__all__ = [
    "CONVENTIONS",
    "Convention",
    "ConventionRules",
    "Row",
    "in_float32",
    "score_conventions",
    "swapped_f1",
]

Row: TypeAlias = dict[str, str | int | float | None]


def in_float32(values: Values) -> Values:
    """Values as the comparisons of a repository's code see them, not rounded.

    Repositories compare in float32. A value that is some number of 6 decimals in float32 is taken
    for that number, so that it falls into the bin it falls into there: a float32 0.1 into the one
    that 0.1 closes.

    Example:
        >>> in_float32(np.array([-4e-7, np.float32(0.1)])).tolist()
        [-4e-07, 0.1]
    """
    nearest = six_decimals(values)
    return np.where(values == nearest.astype(np.float32), nearest, values)


def swapped_f1(pred: Classes, truth: Classes) -> float:
    """Weighted F1 with its arguments swapped: weights are the class's share of the *predictions*.

    Source:
        thuiar/MMSA#17; the LNLN corrigendum.

    Example:
        >>> import numpy as np
        >>> round(swapped_f1(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1])), 4)
        0.8571
    """
    return weighted_f1(truth, pred)


@dataclass(frozen=True, kw_only=True)
class ConventionRules:
    """How one repository scores one dataset family."""

    all_clips: Code | None = None
    """Classes of its Acc-2 over all clips, None when it has no such Acc-2."""
    non_zero_clips: Code | None = None
    """Classes of its Acc-2 over clips with a non-zero label, None when it has no such Acc-2."""
    f1: Rate | None = weighted_f1
    """F1 of the same classes, None when it reports none."""
    others: tuple[str, ...] = ()
    """Metrics it reports by canonical definition."""
    others_keep: Keep | None = None
    """The clips that enter ``others``; all when None."""
    scale: float = 1.0
    """What predictions and labels are multiplied by before anything else."""
    as_family: Family | None = None
    """Whose canonical definitions ``others`` have; the dataset's own when None."""

    def clips(self, truth: Values) -> int:
        """Number of clips in its Acc-2, in the wider one where it has two."""
        return truth.size if self.all_clips is not None else int(non_zero(truth).sum())


@dataclass(frozen=True, kw_only=True)
class Convention:
    """The metric code of one repository, as composition of the same few parts."""

    name: str
    title: str
    rules: Mapping[Family, ConventionRules]
    """One entry per dataset family that the repository scores."""
    note: str
    """What sets it apart, short enough for a table."""
    seen: Seen = in_float32
    """Predictions and labels as its comparisons see them."""

    def functions(self, dataset: Dataset) -> dict[str, Score]:
        """Column -> function of predictions and labels as they come, for a family in ``rules``.

        A column says which clips the number is over: ``acc2_has0`` (``acc2`` on CH-SIMS) all clips,
        ``acc2_non0`` those with a non-zero label. What counts as positive is the convention's.
        """
        rules = self.rules[dataset.family]
        known = dataset if rules.as_family is None else replace(dataset, family=rules.as_family)
        canonical = {metric.name: metric.on(known) for metric in metrics_for(known)}
        others = {
            name: _among(rules.others_keep, _as_seen(self.seen, canonical[name]))
            for name in rules.others
        }
        every = dict(_binary(rules, dataset.family, self.seen)) | others
        return {name: functools.partial(_prepared, every[name], rules.scale) for name in every}


def _prepared(function: Score, scale: float, pred: Values, truth: Values) -> float:
    values, labels = prepare(pred, truth)
    if scale != 1:  # labels have 6 decimals before; behind, the last of them would be an error
        values, labels = scale * values, (scale * labels).round(5)
    return function(values, labels)


def _as_seen(seen: Seen, function: Score) -> Score:
    return replace(function, seen=seen) if isinstance(function, ClassScore) else function


def _binary(rules: ConventionRules, family: Family, seen: Seen) -> Iterator[tuple[str, Score]]:
    everything = "_has0" if family == "mosi" else ""
    for suffix, code, keep in (
        (everything, rules.all_clips, None),
        ("_non0", rules.non_zero_clips, non_zero),
    ):
        if code is not None:
            yield f"acc2{suffix}", ClassScore(accuracy, code, keep, seen)
        if code is not None and rules.f1 is not None:
            yield f"f1{suffix}", ClassScore(rules.f1, code, keep, seen)


def _among(keep: Keep | None, function: Score) -> Score:
    return function if keep is None else functools.partial(_keep_then, keep, function)


def _keep_then(keep: Keep, function: Score, pred: Values, truth: Values) -> float:
    kept = keep(truth)
    return function(pred[kept], truth[kept])


def _mosi_rules(f1: Rate, *more: str) -> ConventionRules:
    others = ("mae", "corr", *more, "acc5", "acc7")
    return ConventionRules(all_clips=non_negative, non_zero_clips=positive, f1=f1, others=others)


def _sims_rules(f1: Rate, *more: str) -> ConventionRules:
    return ConventionRules(all_clips=positive, f1=f1, others=("mae", "corr", "acc3", "acc5", *more))


def _swapped(name: str, title: str, note: str) -> Convention:
    rules: Mapping[Family, ConventionRules] = {
        "mosi": _mosi_rules(swapped_f1),
        "sims": _sims_rules(swapped_f1),
    }
    return Convention(name=name, title=title, rules=rules, note=note)


CANONICAL = Convention(
    name="canonical",
    title="canonical",
    rules={
        "mosi": _mosi_rules(weighted_f1, "acc3"),
        "sims": ConventionRules(
            all_clips=positive, non_zero_clips=positive, others=("mae", "corr", "acc3", "acc5")
        ),
    },
    note="the definitions of this harness",
    seen=six_decimals,
)

MMSA = Convention(
    name="mmsa",
    title="MMSA",
    rules={"mosi": _mosi_rules(weighted_f1), "sims": _sims_rules(weighted_f1)},
    note="since its F1 fix; also Self-MM, LNLN, ALMT, ConFEDE",
)

CHSIMS_V2 = Convention(
    name="chsims_v2",
    title="ch-sims-v2",
    rules={"sims": _sims_rules(weighted_f1, "acc2_weak", "r2")},
    note="MMSA's, with Acc-2 weak and R²",
)

MMSA_BEFORE_FIX = _swapped("mmsa_before_fix", "MMSA before its fix", "F1 weighted by predictions")

TEXT = Convention(
    name="text",
    title="TEXT",
    rules={"mosi": _mosi_rules(swapped_f1, "acc3"), "sims": _sims_rules(swapped_f1)},
    note="F1 weighted by predictions; reports Acc-3",
)

KUDA = _swapped("kuda", "KuDA", "F1 weighted by predictions")

TFR_NET = _swapped("tfr_net", "TFR-Net", "F1 weighted by predictions")

MULT = Convention(
    name="mult",
    title="MulT",
    rules={
        "mosi": ConventionRules(
            non_zero_clips=positive, f1=swapped_f1, others=("mae", "corr", "acc5", "acc7")
        )
    },
    note="as its scripts call it: zero labels left out; F1 weighted by predictions",
)

MULT_ZEROS_KEPT = Convention(
    name="mult_zeros_kept",
    title="MulT, zeros kept",
    rules={
        "mosi": ConventionRules(
            all_clips=positive, f1=swapped_f1, others=("mae", "corr", "acc5", "acc7")
        )
    },
    note="its function's default: zero counts as negative; F1 weighted by predictions",
)

MISA = Convention(
    name="misa",
    title="MISA",
    rules={
        "mosi": ConventionRules(
            all_clips=non_negative, non_zero_clips=positive, others=("mae", "corr", "acc7")
        )
    },
    note="prints both Acc-2, returns has-0",
)

MMIM = Convention(
    name="mmim",
    title="MMIM",
    rules={"mosi": _mosi_rules(weighted_f1)},
    note="author's code: prints both Acc-2, returns has-0",
)

CENET = Convention(
    name="cenet",
    title="CENet",
    rules={
        "mosi": ConventionRules(
            all_clips=non_negative, non_zero_clips=non_negative, others=("mae", "corr")
        )
    },
    note="author's code: a prediction of exactly 0 is positive, also among non-zero labels",
)

MAG_BERT = Convention(
    name="mag_bert",
    title="MAG-BERT",
    rules={
        "mosi": ConventionRules(
            non_zero_clips=non_negative, others=("mae", "corr"), others_keep=non_zero
        )
    },
    note="zero labels left out of MAE and Corr too; a prediction of exactly 0 is positive",
)

MULTIBENCH = Convention(
    name="multibench",
    title="MultiBench",
    rules={"mosi": ConventionRules(non_zero_clips=positive, f1=None)},
    note="its loader drops clips with empty text; here the clips given are scored",
)

DLF = Convention(
    name="dlf",
    title="DLF",
    rules={
        "mosi": ConventionRules(non_zero_clips=positive, others=("mae", "corr", "acc5", "acc7"))
    },
    note="non-zero Acc-2 only",
)

MERBENCH = Convention(
    name="merbench",
    title="MERBench",
    rules={
        "mosi": ConventionRules(non_zero_clips=positive),
        "sims": ConventionRules(non_zero_clips=positive),
    },
    note="also MER-UniBench; weighted F1 is its main number; no MAE, no Corr",
)

MMLA = Convention(
    name="mmla",
    title="MMLA",
    rules={"mosi": ConventionRules(non_zero_clips=positive)},
    note="on MOSI it compares class words, neutral left out; here the sign stands for the word",
)

_MMDG = ConventionRules(
    all_clips=positive, f1=swapped_f1, others=("mae", "acc5", "acc7"), as_family="mosi"
)

MMDG_BENCH = Convention(
    name="mmdg_bench",
    title="MMDG-Bench",
    rules={
        "mosi": _MMDG,
        "sims": replace(_MMDG, scale=3.0),
        "transfer_mosi": replace(_MMDG, scale=3.0),
        "transfer_sims": replace(_MMDG, scale=3.0),
    },
    note="all labels in ±3 (CH-SIMS times 3); positive against the rest, over all clips; F1"
    " weighted by predictions",
)

CONVENTIONS: tuple[Convention, ...] = (
    CANONICAL,
    MMSA,
    CHSIMS_V2,
    MMSA_BEFORE_FIX,
    TEXT,
    KUDA,
    TFR_NET,
    MULT,
    MULT_ZEROS_KEPT,
    MISA,
    MMIM,
    CENET,
    MAG_BERT,
    MULTIBENCH,
    DLF,
    MERBENCH,
    MMLA,
    MMDG_BENCH,
)
"""The canonical definitions, then every named repository."""


def score_conventions(pred: ArrayLike, truth: ArrayLike, dataset: Dataset | str) -> list[Row]:
    """One prediction vector under every convention that scores the dataset's family.

    Args:
        pred: (N,) predictions on the dataset's label scale.
        truth: (N,) labels of the same clips in the same order.
        dataset: A dataset or its name.

    Returns:
        One row per convention, canonical first, all with the same keys: ``convention`` (name),
        ``n`` (clips in its Acc-2, in the wider one where it has two), one key per metric (None
        when the convention does not report it, NaN when undefined) and ``note``.

    Raises:
        SubmissionError: As for ``harness.metrics.score``.
        SpecError: For an unknown dataset name.

    Example:
        >>> rows = score_conventions([0.0, 1.2], [0.4, 1.0], "mosi")
        >>> [(r["convention"], r["acc2_non0"]) for r in rows if r["convention"] in ("dlf", "cenet")]
        [('cenet', 1.0), ('dlf', 0.5)]
    """
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    _, labels = prepare(pred, truth, known)
    chosen = [(c, c.functions(known)) for c in CONVENTIONS if known.family in c.rules]
    values = np.asarray(pred)
    columns = dict.fromkeys(name for _, functions in chosen for name in functions)
    return [
        {
            "convention": convention.name,
            "n": convention.rules[known.family].clips(labels),
            **{
                name: functions[name](values, labels) if name in functions else None
                for name in columns
            },
            "note": convention.note,
        }
        for convention, functions in chosen
    ]
