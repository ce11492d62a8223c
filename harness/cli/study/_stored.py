"""``msa study variance SUITE``: what stored predictions and curves say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import typer

from harness._util.printed import defined, over_runs
from harness.cli._output import echo_json, echo_table, echo_text
from harness.errors import SpecError
from harness.home import Home
from harness.metrics import Metric, metrics
from harness.runs.store import RunStore
from harness.stats.variance import SOURCES, Components
from leaderboards.studies.variance import BEST_OF, CorpusStudy, PairStudy, RowStudy, study_suite

__all__ = ["show"]

_NAMES = {
    "seed": "seed",
    "video": "video",
    "clip": "clip",
    "seed_video": "seed × video",
    "seed_clip": "seed × clip",
}
_MULTIPLES = (1, 2, 5)  # of the declared margin
_USUAL_MARGIN = 0.01  # where none is declared
_NUMBERS = frozenset(
    {
        *("runs", "A - B", "standard error", "detectable", "at best", "mean"),
        *(f"{name} %" for name in _NAMES.values()),
        *(f"best of {k}" for k in BEST_OF),
    }
)


def show(
    home: Home,
    suite: str,
    metric: Metric,
    rows: Sequence[str],
    deltas: Sequence[float],
    figures: Path | None,
    *,
    as_json: bool,
) -> None:
    """Study a suite and print it.

    Raises:
        SpecError: As ``study_suite``, or for a difference that is not positive.
        StoreError: As ``study_suite``, or when a figure cannot be written.
    """
    if any(not delta > 0 for delta in deltas):
        raise SpecError("--delta takes differences above zero")
    studies = study_suite(RunStore(home.store), suite, metric, rows)
    if as_json:
        facts = [_facts(study, _deltas(study, deltas)) for study in studies]
        echo_json({"suite": suite, "metric": metric.name, "power": 0.8, "corpora": facts})
    else:
        for study in studies:
            _print(study, _deltas(study, deltas))
    if figures is not None:
        from leaderboards.figures.variance import draw_studies

        for file in draw_studies(suite, studies, figures):
            typer.echo(f"figure: {file}", err=as_json)


def _deltas(study: CorpusStudy, given: Sequence[float]) -> tuple[float, ...]:
    margin = study.margin or _USUAL_MARGIN
    margins = (study.margin,) if study.margin is not None else ()
    return tuple(sorted({*margins, *given})) if given else tuple(margin * n for n in _MULTIPLES)


def _print(study: CorpusStudy, deltas: Sequence[float]) -> None:
    dataset = study.corpus.dataset.title
    where = f"SYNTHETIC TWIN of {dataset}" if study.corpus.twin else dataset
    clips, videos = study.corpus.clips["test"], study.corpus.videos["test"]
    typer.echo(f"{where} ({study.corpus.name}): {clips} test clips of {videos} source videos\n")
    if not any(row.row.runs for row in study.rows):
        typer.echo("no run yet\n")
        return
    found = [(row, row.components) for row in study.rows if row.components is not None]
    _section(
        f"Variance of one run's {study.metric.title} on one clip, by source",
        [_row(row) | _percent(parts.shares) for row, parts in found],
    )
    _section(
        f"Variance of the mean {study.metric.title} over runs and clips, for new seeds and clips",
        [
            {**_row(row), "standard error": parts.standard_error()}
            | _percent(parts.shares_of_mean())
            for row, parts in found
        ],
    )
    notes = [*_floored(found), *_left_out(study.rows)]
    if notes:
        echo_text("\n".join((*notes, "")))
    _print_pairs(study, deltas)
    flattered = [line for row in study.rows for line in _flattery(row)]
    _section("How much choosing flatters: gain over the honest number", flattered)
    echo_text(
        "best, last epoch: of the test curve, less the selected epoch; best of k: of k seeds, less"
        " the mean;\npositive is better in every metric\n"
    )


def _section(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    typer.echo(title)
    echo_table(rows, right=_NUMBERS)
    typer.echo()


def _row(row: RowStudy) -> dict[str, object]:
    return {
        "row": row.row.label,
        "runs": _runs(row),
        "mean": row.components.mean if row.components is not None else None,
    }


def _runs(row: RowStudy) -> str:
    runs, planned = len(row.row.runs), row.row.planned
    return str(runs) if runs == planned else f"{runs} of {planned}"


def _percent(shares: Mapping[str, float]) -> dict[str, object]:
    return {f"{_NAMES[source]} %": defined(shares[source], ".2f") for source in SOURCES}


def _floored(found: Sequence[tuple[RowStudy, Components]]) -> Iterator[str]:
    for row, parts in found:
        if parts.floored:
            names = ", ".join(_NAMES[source] for source in parts.floored)
            yield f"estimated below zero and set to zero: {row.row.label}: {names}"


def _left_out(rows: Sequence[RowStudy]) -> Iterator[str]:
    for row in rows:
        if row.left_out:
            yield f"left out: {row.row.label}: {row.left_out}"


def _print_pairs(study: CorpusStudy, deltas: Sequence[float]) -> None:
    if not study.pairs:
        echo_text("seeds needed: takes two rows, for two systems share clips and videos\n")
        return
    margin = "" if study.margin is None else f" (declared margin {study.margin:g})"
    _section(
        f"Differences in {study.metric.title}{margin}: what these runs detect with 80 % power, and"
        " seeds of each system needed",
        [_pair(pair, deltas) for pair in study.pairs],
    )
    echo_text("at best: with any number of seeds; never: clips and videos alone exceed it\n")


def _pair(pair: PairStudy, deltas: Sequence[float]) -> dict[str, object]:
    parts = pair.components
    return {
        "A": pair.a,
        "B": pair.b,
        "A - B": defined(parts.mean, "+.4f"),
        "standard error": parts.standard_error(),
        "detectable": parts.detectable(),
        "at best": parts.floor,
        **{f"seeds for {delta:g}": parts.runs_needed(delta) or "never" for delta in deltas},
    }


def _flattery(row: RowStudy) -> Iterator[dict[str, object]]:
    for name, gains in row.best_of.items():
        chosen = row.selections.get(name, {}).values()
        if not chosen and not gains:
            continue
        yield {
            "row": row.row.label,
            "metric": metrics[name].title,
            "runs": _runs(row),
            "best epoch": _mean_and_sd([one.optimism for one in chosen]),
            "last epoch": _mean_and_sd([one.last_gain for one in chosen]),
            **{f"best of {k}": gains.get(k) for k in BEST_OF if k in gains},
        }


def _mean_and_sd(values: Sequence[float]) -> str:
    return over_runs(values, "z.4f") if values else "no epochs"


def _facts(study: CorpusStudy, deltas: Sequence[float]) -> dict[str, object]:
    return {
        "corpus": study.corpus.name,
        "dataset": study.corpus.dataset.name,
        "twin": study.corpus.twin,
        "margin": study.margin,
        "rows": [_row_facts(row) for row in study.rows],
        "pairs": [_pair_facts(pair, deltas) for pair in study.pairs],
    }


def _pair_facts(pair: PairStudy, deltas: Sequence[float]) -> dict[str, object]:
    parts = pair.components
    return {
        "a": pair.a,
        "b": pair.b,
        **_component_facts(parts),
        "detectable": parts.detectable(),
        "detectable_at_best": parts.floor,
        "seeds_needed": {f"{delta:g}": parts.runs_needed(delta) for delta in deltas},
    }


def _row_facts(row: RowStudy) -> dict[str, object]:
    return {
        "row": row.row.label,
        "system": row.row.system,
        "seeds": [run.seed for run in row.row.runs],
        "planned": row.row.planned,
        "left_out": row.left_out,
        "components": None if row.components is None else _component_facts(row.components),
        "selection": {
            name: [{"seed": seed, **dataclasses.asdict(one)} for seed, one in chosen.items()]
            for name, chosen in row.selections.items()
        },
        "best_of_k": row.best_of,
    }


def _component_facts(parts: Components) -> dict[str, object]:
    return {
        "mean": parts.mean,
        "clips": parts.clips,
        "videos": parts.videos,
        "effective_videos": parts.effective_videos,
        "estimates": parts.estimates,
        "floored": parts.floored,
        "variances": parts.variances,
        "percent": parts.shares,
        "variances_of_mean": parts.of_mean(),
        "percent_of_mean": parts.shares_of_mean(),
        "standard_error": parts.standard_error(),
    }
