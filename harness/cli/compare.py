"""``msa compare``: two systems' predictions in, differences with their uncertainty out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness._util.printed import interval as written
from harness.cli._labels import (
    CorpusOption,
    LabelsOption,
    SplitOption,
    examples,
    missing_and_extra,
    tell,
)
from harness.cli._narrower import main_acc2, narrower
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.cli._pairing import Side, common, dataset_of, labels_of, matrix
from harness.cli._systems import HELP
from harness.errors import SpecError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.datasets import Dataset
    from harness.data.known_labels import Labels
    from harness.data.labels import Notice
    from harness.stats import Comparison

__all__ = ["register"]


_CONFIRMATORY = ("mae", "corr")  # and the family's main Acc-2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(_compare)


def _compare(
    a: Annotated[str, typer.Argument(help=HELP)],
    b: Annotated[str, typer.Argument(help="Likewise.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="mosi, mosei, sims or simsv2; stored rows of one corpus know theirs."),
    ] = None,
    labels: LabelsOption = None,
    corpus: CorpusOption = None,
    split: SplitOption = "test",
    draws: Annotated[int, typer.Option(help="Bootstrap draws.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    interval: Annotated[str, typer.Option(help="percentile or bca.")] = "percentile",
    narrow: Annotated[
        bool,
        typer.Option(
            "--narrower", help="Also tests over seeds or of two checkpoints, with verdict."
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Compare two systems: A - B with interval and p over seeds and source videos."""
    import numpy as np

    from harness.cli._systems import find_contender
    from harness.data.datasets import datasets
    from harness.metrics import metrics_for
    from harness.stats import compare

    asked = None if dataset is None else datasets[dataset]
    contenders = [find_contender(name, asked, split) for name in (a, b)]
    known = dataset_of(contenders)
    tables = (contenders[0].predictions, contenders[1].predictions)
    found = labels_of(contenders, known, labels, corpus, split)
    ids, sides = common(contenders, found)
    runs_a, runs_b = (matrix(table, ids) for table in tables)
    truth = np.array([found.truth[clip] for clip in ids])
    notices = [*found.notices, *_copied("A", runs_a, truth), *_copied("B", runs_b, truth)]
    tell(notices)
    videos = [found.videos[clip] for clip in ids]
    comparisons = [
        compare(
            *(runs_a, runs_b, truth, videos, metric, draws, seed),
            dataset=known,
            interval=_interval(interval),
        )
        for metric in metrics_for(known, primary=True)
    ]
    rows = _rows(comparisons, known)
    tests = narrower(runs_a, runs_b, truth, known) if narrow else []
    if as_json:
        warnings = {"warnings": [notice.record() for notice in notices]}
        facts = _facts(comparisons[0], found, sides) | warnings
        echo_json(facts | {"metrics": rows} | ({"narrower": tests} if narrow else {}))
        return
    _show(rows, comparisons[0], known, split, found, sides)
    for reason in _undefined(comparisons):
        typer.echo(reason)
    if narrow:
        typer.echo("\nnarrower questions, none of which is the one above:")
        echo_table(tests, right=frozenset({"p"}))


def _interval(name: str) -> Literal["percentile", "bca"]:
    if name not in ("percentile", "bca"):
        raise SpecError(f"--interval takes percentile or bca, found {name!r}")
    return "bca" if name == "bca" else "percentile"


def _copied(name: str, runs: NDArray[np.float64], truth: NDArray[np.float64]) -> list[Notice]:
    """A warning when a run's predictions are the labels."""
    from harness.data.labels import Notice, copied

    equal = max(copied(run, truth) for run in runs)
    if not equal:
        return []
    text = f"{equal} of {truth.size} predictions of {name} equal their label: these are the labels"
    return [Notice("labels-copied", text)]


def _rows(comparisons: list[Comparison], dataset: Dataset) -> list[dict[str, object]]:
    from harness.stats import declared_margin, holm, resolution

    family = [c for c in comparisons if c.metric in (*_CONFIRMATORY, main_acc2(dataset))]
    adjusted = holm([c.p_value for c in family])
    p_holm = {c.metric: float(p) for c, p in zip(family, adjusted, strict=True)}
    rows: list[dict[str, object]] = []
    for c in comparisons:
        margin = declared_margin(dataset.name, c.metric)
        rows.append(
            {
                "metric": c.metric,
                "a": c.a,
                "b": c.b,
                "difference": c.effect,
                "low": c.low,
                "high": c.high,
                "p": c.p_value,
                "p_holm": p_holm.get(c.metric),
                "probability_better": c.probability_better,
                "detectable": resolution(c.standard_error),
                "margin": margin,
                "verdict": c.verdict(margin=margin),
                "undefined_draws": c.undefined_draws,
            }
        )
    return rows


def _facts(any_metric: Comparison, found: Labels, sides: list[Side]) -> dict[str, object]:
    return {
        "clips": any_metric.clips,
        "left_out": len(found.truth) - any_metric.clips,
        "left_out_by": {
            name: missing_and_extra(side.missing, side.extra)
            for name, side in zip("ab", sides, strict=True)
        },
        "videos": any_metric.videos,
        "seeds_a": any_metric.seeds[0],
        "seeds_b": any_metric.seeds[1],
        "labels": found.origin,
        "source_videos": found.videos_origin,
        "method": any_metric.method,
        "draws": any_metric.draws,
        "conditional_on_one_run": any_metric.conditional_on_one_run,
    }


def _show(
    rows: list[dict[str, object]],
    any_metric: Comparison,
    dataset: Dataset,
    split: str,
    found: Labels,
    sides: list[Side],
) -> None:
    seeds_a, seeds_b = any_metric.seeds
    left_out = len(found.truth) - any_metric.clips
    typer.echo(
        f"{dataset.title} {split}: {any_metric.clips} clips of {any_metric.videos} source videos,"
        f" {left_out} labelled clips left out; runs: {seeds_a} of A, {seeds_b} of B"
    )
    for name, side in zip("AB", sides, strict=True):
        _show_side(name, side)
    typer.echo(f"labels: {found.origin}; source videos: {found.videos_origin}")
    typer.echo(f"{any_metric.method}, {any_metric.draws} draws; differences are A - B")
    if any_metric.conditional_on_one_run:
        typer.echo("conditional on one run: whatever a further seed would change is unseen")
    typer.echo()
    echo_table([_printed(row) for row in rows], right=frozenset(("A", "B", "A - B", "p", "Holm p")))


def _show_side(name: str, side: Side) -> None:
    if side.missing:
        clips = examples(side.missing, len(side.missing))
        typer.echo(f"left out because a run of {name} lacks them: {len(side.missing)}{clips}")
    if side.extra:
        clips = examples(side.extra, len(side.extra))
        typer.echo(
            f"left out because {name} predicts them without a label: {len(side.extra)}{clips}"
        )


def _undefined(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Why a metric cannot be compared, or in how many draws it could not."""
    from harness.metrics import metrics

    for found in comparisons:
        why = metrics[found.metric].undefined
        without = [name for name, value in (("A", found.a), ("B", found.b)) if math.isnan(value)]
        if without:
            yield f"{found.metric} is undefined for {' and '.join(without)}: {why}"
        elif found.undefined_draws:
            yield f"{found.metric} is undefined in {found.undefined_draws} draws, left out: {why}"


def _printed(row: dict[str, object]) -> dict[str, object]:
    low, high, margin = row["low"], row["high"], row["margin"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    return {
        "metric": row["metric"],
        "A": row["a"],
        "B": row["b"],
        "A - B": row["difference"],
        "95 % interval": written(low, high, "+.4f"),
        "p": row["p"],
        "Holm p": row["p_holm"],
        "detectable": row["detectable"],
        "verdict": row["verdict"],
        "margin": "none" if margin is None else f"±{margin:g}",
    }
