"""``msa study quality``: do quality scores and gates follow quality, and do they matter?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from harness._util.printed import UNDEFINED, defined, interval
from harness.cli._home import home_of
from harness.cli._known_clips import unchanged
from harness.cli._output import JsonFlag, echo_json, echo_table, echo_text

if TYPE_CHECKING:
    import pandas as pd

    from harness.data.corpus import Split
    from harness.home import Home
    from harness.runs.store import RunStore
    from harness.stats.quality import QualityEstimate
    from leaderboards.studies.quality import CorpusQuality, QualityScore, RowQuality, Swap

__all__ = ["register"]

_Suite = Annotated[str, typer.Argument(metavar="SUITE", help="A suite that was run here.")]
_Rows = Annotated[list[str] | None, typer.Option(help="Only this row of the suite; repeatable.")]
_Metric = Annotated[str, typer.Option(help="What swapped gate values should change.")]
_Draws = Annotated[int, typer.Option(help="Bootstrap draws behind each interval.", min=100)]
_Seed = Annotated[int, typer.Option(help="Seed of the bootstrap.")]

_NOTE = """\
Intervals: 95 %, for new seeds and source videos. follows: rank correlation of the score with the
strength of what was done to that modality (a quality falls: -1 is best). tells: probability that a
clean clip is judged better than one whose modality of that name was hit (1 is best for the modality
that the score is about, 0.5 for the others). length, energy, |label|: rank correlation over clean
clips with what is no quality. swapped: change of the metric when each clip is treated as if it were
judged like another one, weights and inputs as they are; where it is nothing, the gate is
decoration. mixed: every clip corrupted in a way and strength of its own.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quality")(_quality)


def _quality(
    context: typer.Context,
    suite: _Suite,
    row: _Rows = None,
    metric: _Metric = "mae",
    draws: _Draws = 1000,
    seed: _Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Do quality scores and gates follow quality, and do they matter?"""
    from harness.metrics import metrics
    from harness.runs.store import RunStore
    from leaderboards.studies.quality import study_quality

    home = home_of(context)
    store = RunStore(home.store)
    studies = study_quality(
        *(store, suite, metrics[metric], row or ()),
        known=_known(home, store, suite),
        draws=draws,
        seed=seed,
    )
    if as_json:
        facts = [_facts(study) for study in studies]
        echo_json({"suite": suite, "metric": metric, "draws": draws, "corpora": facts})
        return
    for study in studies:
        _print(study)
    echo_text(_NOTE)


def _known(home: Home, store: RunStore, suite: str) -> dict[str, pd.DataFrame]:
    """What the clips of the suite's corpora show, for the corpora that are here unchanged."""
    return {
        corpus.name: _clip_facts(corpus.split("test"))
        for corpus in unchanged(home, store, suite, "length and energy")
    }


def _clip_facts(split: Split) -> pd.DataFrame:
    """Length of each modality, in characters or frames, and mean size of a stream's values."""
    import numpy as np
    import pandas as pd

    from harness.data.corpus import STREAMS

    facts = {"text length": np.array([len(text) for text in split.texts], dtype=np.float64)}
    for name in STREAMS:
        stream = split.stream(name)
        if stream is not None:
            total = np.array([np.abs(clip).sum(dtype=np.float64) for clip in stream.values])
            facts[f"{name} length"] = stream.lengths.astype(np.float64)
            facts[f"{name} energy"] = total / (stream.lengths * stream.dim)
    return pd.DataFrame(facts, index=pd.Index(split.ids, name="id"))


def _print(study: CorpusQuality) -> None:
    dataset = study.corpus.dataset.title
    where = f"SYNTHETIC TWIN of {dataset}" if study.corpus.twin else dataset
    typer.echo(f"{where} ({study.corpus.name}): {study.corpus.clips['test']} test clips\n")
    if not study.rows:
        typer.echo("no run judges its clips\n")
        return
    echo_table([line for row in study.rows for line in _score_lines(row)])
    typer.echo()
    swaps = [_swap_line(row, swap, study.metric.title) for row in study.rows for swap in row.swaps]
    if swaps:
        echo_table(swaps)
        typer.echo()
    if study.silent:
        echo_text(f"judge nothing: {', '.join(study.silent)}\n")


def _score_lines(row: RowQuality) -> Iterator[dict[str, object]]:
    from harness.spec.conditions import MODALITIES
    from leaderboards.studies.quality import ANY

    for score in row.scores:
        yield {
            "row": row.row.label,
            "score": f"{score.gate} of {score.of}",
            "mean": defined(score.mean, ".3f"),
            "follows": _described(score.following.get(ANY)),
            **{f"tells {name}": _described(score.separation.get(name)) for name in MODALITIES},
            **{
                name: _described(score.natural.get(name))
                for name in ("length", "energy", "|label|")
            },
        }


def _swap_line(row: RowQuality, swap: Swap, metric: str) -> dict[str, object]:
    return {
        "row": row.row.label,
        "clips": swap.condition,
        metric: defined(swap.before, ".4f"),
        "swapped": _described(swap.change, digits=4),
        "matters": "yes" if swap.change.excludes_zero else "not shown",
    }


def _described(estimate: QualityEstimate | None, digits: int = 2) -> str:
    if estimate is None:
        return ""
    if math.isnan(estimate.value):
        return UNDEFINED
    form = f"z.{digits}f"
    return f"{estimate.value:{form}} {interval(estimate.low, estimate.high, form)}"


def _facts(study: CorpusQuality) -> dict[str, object]:
    return {
        "corpus": study.corpus.name,
        "dataset": study.corpus.dataset.name,
        "twin": study.corpus.twin,
        "judge_nothing": list(study.silent),
        "rows": [
            {
                "row": row.row.label,
                "system": row.row.system,
                "seeds": [run.seed for run in row.row.runs],
                "scores": [_score_facts(score) for score in row.scores],
                "swaps": [dataclasses.asdict(swap) for swap in row.swaps],
            }
            for row in study.rows
        ],
    }


def _score_facts(score: QualityScore) -> dict[str, object]:
    return {
        "judgement": score.gate,
        "of": score.of,
        "mean": score.mean,
        "follows": _all(score.following),
        "tells": _all(score.separation),
        "natural": _all(score.natural),
    }


def _all(estimates: Mapping[str, QualityEstimate]) -> dict[str, object]:
    return {name: dataclasses.asdict(estimate) for name, estimate in estimates.items()}
