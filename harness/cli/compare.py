"""``msa compare``: two systems' predictions in, differences with their uncertainty out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._labels import (
    ConditionOption,
    CorpusOption,
    LabelsOption,
    SplitOption,
    VariantOption,
    examples,
    missing_and_extra,
    said,
    warn,
)
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text

if TYPE_CHECKING:
    from harness.runs.comparing import Compared
    from harness.runs.looks import Look
    from harness.runs.pairing import Side
    from harness.stats import Comparison, Conditional

__all__ = ["register"]

_SYSTEM = (
    "A predictions file, SUITE:ROW of the run store (SUITE/CORPUS:ROW where the row has several"
    " corpora of the dataset), or submission:NAME."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(_compare)


def _compare(
    context: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help=_SYSTEM)],
    b: Annotated[str, typer.Argument(metavar="B", help="Likewise.")],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Such as mosi (msa list datasets); stored rows of one corpus know theirs."
        ),
    ] = None,
    labels: LabelsOption = None,
    corpus: CorpusOption = None,
    split: SplitOption = "test",
    condition: ConditionOption = "clean",
    variant: VariantOption = "plain",
    deterministic: Annotated[
        list[str] | None,
        typer.Option(
            metavar="a|b",
            help="This side has one run because no seed changes it; stored rows say so themselves.",
        ),
    ] = None,
    narrow: Annotated[
        bool,
        typer.Option(
            "--narrower", help="Also tests over seeds or of two checkpoints, with verdict."
        ),
    ] = False,
    slices: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="Compare in this metric on declared slices of the clips, too: conflict of"
            " modalities, strength, length, negation and so on.",
        ),
    ] = None,
    memory: MemoryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare two systems: A - B with interval and p, for new seeds and new source videos."""
    import harness
    from harness.spec import PredictionCell

    cell = PredictionCell(condition=condition, variant=variant)
    found = harness.compare(
        *(a, b, dataset),
        labels=labels,
        corpus=corpus,
        split=split,
        cell=cell,
        deterministic=deterministic or (),
        narrower=narrow,
        slices=slices,
        home=home_of(context),
        on_notices=warn,
    )
    rows = found.records()
    tests = [_test(metric, test) for metric, test in found.narrower]
    if as_json:
        warnings = {"warnings": [notice.record() for notice in found.notices]}
        under = {"condition": cell.condition, "variant": cell.variant}
        facts = _facts(found) | under | warnings | {"metrics": rows}
        more: dict[str, object] = {"narrower": tests} if narrow else {}
        if slices is not None:
            more["slices"] = found.slice_records()
        echo_json(facts | more)
        return
    _show(rows, found, f"{split}{said(cell)}")
    if narrow:
        echo_text("\nnarrower questions, none of which is the one above:")
        echo_table(tests, right=frozenset({"p"}))
    if slices is not None:
        _show_slices(found)


def _show_slices(found: Compared) -> None:
    tested = sum(one.found is not None for one in found.slices)
    echo_text(f"\nslices, in {found.slice_metric}; Holm p is corrected for all {tested} of them:")
    rows = [_printed_slice(row) for row in found.slice_records()]
    echo_table(rows, right=frozenset(("clips", "videos", "A", "B", "A - B", "Holm p")))


def _printed_slice(row: dict[str, object]) -> dict[str, object]:
    from harness._util.printed import interval

    low, high = row["low"], row["high"]
    ends = interval(low, high, "+.4f") if isinstance(low, float) and isinstance(high, float) else ""
    return {
        **{name: row[name] for name in ("slicing", "part", "clips", "videos")},
        "A": row["a"],
        "B": row["b"],
        "A - B": row["difference"],
        "95 % interval": ends,
        "Holm p": row["p_holm"],
        "verdict": row["verdict"],
    }


def _test(metric: str, test: Conditional) -> dict[str, object]:
    return {
        "metric": metric,
        "test": test.test,
        "p": test.p_value,
        "question": test.question,
        "verdict": test.warning or "valid for that question",
    }


def _facts(found: Compared) -> dict[str, object]:
    from harness.stats import METHOD

    any_metric = found.comparisons[0]
    return {
        "clips": any_metric.clips,
        "left_out": found.left_out,
        "left_out_by": {
            name: missing_and_extra(side.missing, side.extra)
            for name, side in zip("ab", found.sides, strict=True)
        },
        "videos": any_metric.videos,
        "seeds_a": any_metric.seeds[0],
        "seeds_b": any_metric.seeds[1],
        "labels": found.labels.origin,
        "source_videos": found.labels.videos_origin,
        "method": METHOD,
        "about": found.about,
        "conditional_on_one_run": any_metric.conditional_on_one_run,
        "collapse_a": _collapse(found, 0),
        "collapse_b": _collapse(found, 1),
        "level": found.alpha,
        "looks": None if found.look is None else list(found.look.looks),
    }


def _collapse(found: Compared, side: int) -> dict[str, object]:
    """How often a side collapsed, and how often it may, with the 95 % interval."""
    had = found.collapse[side]
    return {
        "collapsed": len(had.collapsed),
        "runs": had.runs,
        "seeds": list(found.collapsed[side]),
        "probability": had.share,
        "low": had.low,
        "high": had.high,
    }


def _show(rows: list[dict[str, object]], found: Compared, split: str) -> None:
    from harness.stats import METHOD

    any_metric = found.comparisons[0]
    seeds_a, seeds_b = any_metric.seeds
    echo_text(
        f"{found.dataset.title} {split}: {any_metric.clips} clips of {any_metric.videos} source"
        f" videos, {found.left_out} labelled clips left out; runs: {seeds_a} of A, {seeds_b} of B"
    )
    for name, side in zip("AB", found.sides, strict=True):
        _show_side(name, side)
    echo_text(f"labels: {found.labels.origin}; source videos: {found.labels.videos_origin}")
    echo_text(f"{METHOD}; differences are A - B")
    for name, had, seeds in zip("AB", found.collapse, found.collapsed, strict=True):
        if had.collapsed:
            echo_text(f"{name}: {had.sentence(seeds)}")
    if found.look is not None:
        echo_text(_looked(found.look))
    if found.single:
        echo_text(_of_checkpoints(found))
    typer.echo()
    echo_table([_printed(row) for row in rows], right=frozenset(("A", "B", "A - B", "p", "Holm p")))
    for reason in _undefined(found.comparisons):
        echo_text(reason)


def _looked(look: Look) -> str:
    from harness.runs.looks import shown

    looks = ", ".join(map(str, look.looks))
    return (
        f"seeds were added until decided, looks at {looks}: verdicts are at level"
        f" {shown(look.level)}, that of the look at {look.seeds}"
    )


def _show_side(name: str, side: Side) -> None:
    if side.missing:
        echo_text(
            f"left out because a run of {name} lacks them: {len(side.missing)}"
            f"{examples(side.missing)}"
        )
    if side.extra:
        echo_text(
            f"left out because {name} predicts them without a label: {len(side.extra)}"
            f"{examples(side.extra)}"
        )


def _of_checkpoints(found: Compared) -> str:
    """What a comparison with a single run is about, and how to say more."""
    sides = " and of ".join(side.upper() for side in found.single)
    options = " ".join(f"--deterministic {side}" for side in found.single)
    return (
        f"conditional on one run of {sides}: this compares these checkpoints, not the systems, for"
        f" how much another seed differs is unseen\n{_seeds(found)}\nwhere no seed changes the"
        f" result, say {options}"
    )


def _seeds(found: Compared) -> str:
    """How many runs a claim about the systems would take."""
    if not found.seeds_seen:
        return (
            "give two runs of either at least: how many a claim about the systems takes is unseen"
        )
    needed = {c.metric: found.seeds_needed(c) for c in found.comparisons}
    said = ", ".join(f"{m} {seeds}" for m, seeds in needed.items() if seeds is not None)
    if not said:
        return "no number of runs is enough for a claim about the systems: the clips leave too much"
    return (
        f"runs of each that a claim about the systems would take: {said}; other metrics: more clips"
    )


def _undefined(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Why a metric cannot be compared."""
    from harness.metrics import metrics

    for found in comparisons:
        why = metrics[found.metric].undefined
        without = [name for name, value in (("A", found.a), ("B", found.b)) if math.isnan(value)]
        if without:
            yield f"{found.metric} is undefined for {' and '.join(without)}: {why}"
        elif math.isnan(found.p_value):
            yield f"{found.metric} is undefined without one of the source videos: {why}"


def _printed(row: dict[str, object]) -> dict[str, object]:
    from harness._util.printed import interval

    low, high, margin = row["low"], row["high"], row["margin"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    return {
        "metric": row["metric"],
        "A": row["a"],
        "B": row["b"],
        "A - B": row["difference"],
        "95 % interval": interval(low, high, "+.4f"),
        "p": row["p"],
        "Holm p": row["p_holm"],
        "detectable": row["detectable"],
        "verdict": row["verdict"],
        "margin": "none" if margin is None else f"±{margin:g}",
    }
