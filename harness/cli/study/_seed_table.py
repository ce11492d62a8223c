"""``msa study variance --csv FILE``: what results per seed say by themselves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from harness._util.printed import UNDEFINED, defined, over_runs
from harness.cli._output import echo_json, echo_table, echo_text
from harness.data.datasets import datasets
from harness.errors import SpecError, SubmissionError
from harness.metrics import Metric, metrics
from harness.stats import declared_margin
from harness.stats.finding import FindsBest, finds_best
from harness.stats.selection import best_of_k
from harness.stats.spread import spread
from harness.submissions.tables.means import Agreement, against, read_published
from harness.submissions.tables.rows import dataset_name
from harness.submissions.tables.seeds import LeftOut, SeedGroup, SeedTable, read_seed_table

__all__ = ["Wanted", "show"]

_BEST_OF = (2, 3, 5, 10)
_TRAINED = (1, 3, 5)  # seeds of each system that papers train
_NUMBERS = frozenset(
    {
        *("rows", "seeds", "published", "here", "gap", "± 95 %", "detectable", "margin"),
        *(f"best of {k}" for k in _BEST_OF),
    }
)
_NOTE = """\
± 95 %: half-width of the t interval over seeds; best of k: expected gain of the best of k seeds
over the mean; detectable: difference between two systems with this spread and so many seeds each
that a t test over seeds finds with 80 % power. Seed noise alone, on these test clips: new clips and
videos would add theirs, which results per seed cannot show.
"""


_FOUND = """\
The chance that so many new seeds of each group give the best mean to the group that has it here,
for Gaussian seeds, with the 95 % interval that the spread of means and deviations leaves.
"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to look at.

    Args:
        metric: Shown in text and figures; JSON has all.
        models: All when empty.
        dataset: All when None.
        least_seeds: That a config needs; None for the usual number.
    """

    metric: Metric
    models: tuple[str, ...]
    dataset: str | None
    least_seeds: int | None


def show(
    csv: Path,
    wanted: Wanted,
    published: Path | None,
    table: str | None,
    figures: Path | None,
    *,
    as_json: bool,
) -> None:
    """Study a table of results per seed and print it.

    Raises:
        SubmissionError: When a file cannot be used, or no group of the first counts.
        SpecError: For a model, dataset or metric the file does not have.
        StoreError: When a figure cannot be written.
    """
    least = {} if wanted.least_seeds is None else {"least_seeds": wanted.least_seeds}
    found = _narrowed(read_seed_table(csv, **least), wanted)
    agreements = against(found.groups, read_published(published, table)) if published else ()
    if as_json:
        echo_json(_facts(found, agreements))
    else:
        _print(found, wanted.metric)
        if published is not None:
            _print_agreements(agreements, wanted.metric)
    if figures is not None:
        from leaderboards.figures.variance import draw_groups

        for file in draw_groups(csv.stem, found.groups, wanted.metric, figures):
            typer.echo(f"figure: {file}", err=as_json)


def _narrowed(table: SeedTable, wanted: Wanted) -> SeedTable:
    every: tuple[SeedGroup | LeftOut, ...] = (*table.groups, *table.left_out)
    _check("model", wanted.models, {group.model for group in every}, table.file)
    chosen = () if wanted.dataset is None else (dataset_name(wanted.dataset),)
    _check("dataset", chosen, {group.dataset for group in every}, table.file)
    _check("metric", (wanted.metric.name,), table.metrics, table.file)

    def is_wanted(model: str, dataset: str) -> bool:
        return model in (wanted.models or (model,)) and dataset in (chosen or (dataset,))

    groups = tuple(group for group in table.groups if is_wanted(group.model, group.dataset))
    left_out = tuple(group for group in table.left_out if is_wanted(group.model, group.dataset))
    if not groups:
        reasons = "; ".join(f"{one.model} {one.config}: {one.reason}" for one in left_out[:3])
        raise SubmissionError(
            f"{table.file}: no config counts ({reasons})", hint="--least-seeds lowers the bar"
        )
    return dataclasses.replace(table, groups=groups, left_out=left_out)


def _check(what: str, chosen: Iterable[str], known: Iterable[str], file: str) -> None:
    for name in chosen:
        if name not in known:
            raise SpecError(
                f"{file} has no {what} {name!r}", hint=f"it has {', '.join(sorted(known))}"
            )


def _print(table: SeedTable, metric: Metric) -> None:
    echo_text(
        f"{table.file}: {table.rows} rows; {table.shared} dropped because they occur under two"
        f" models; a group is one dataset, model and config"
    )
    echo_text(f"columns not read: {', '.join(table.unread) or 'none'}\n")
    typer.echo(f"{metric.title} over seeds")
    echo_table([_group(group, metric) for group in table.groups], right=_NUMBERS)
    echo_text(f"\n{_NOTE}")
    _print_found(table.groups, metric)
    if table.left_out:
        typer.echo(f"{len(table.left_out)} groups left out")
        rows = [{**dataclasses.asdict(one), "config": _named(one.config)} for one in table.left_out]
        echo_table(rows, right=_NUMBERS)
        typer.echo()


def _print_found(groups: Sequence[SeedGroup], metric: Metric) -> None:
    """How often a few seeds find the best group of each dataset."""
    for dataset, found in _finding(groups, metric).items():
        best, *_ = found
        typer.echo(f"Finding the best of {best.systems} on {dataset} by {metric.title}")
        echo_table([_chance(one) for one in found], right=_NUMBERS)
        echo_text(f"\n{_FOUND}")


def _chance(found: FindsBest) -> dict[str, object]:
    return {
        "seeds of each": found.seeds,
        "finds the best": f"{100 * found.probability:.0f} %",
        "95 % interval": f"{100 * found.low:.0f} to {100 * found.high:.0f} %",
    }


def _finding(groups: Sequence[SeedGroup], metric: Metric) -> dict[str, tuple[FindsBest, ...]]:
    """Dataset -> chances, where two groups or more have results that vary."""
    found = {}
    for dataset in dict.fromkeys(group.dataset for group in groups):
        costs = [
            [metric.cost(value) for value in group.values[metric.name]]
            for group in groups
            if group.dataset == dataset and spread(group.values[metric.name]).sd > 0.0
        ]
        if len(costs) > 1:
            found[dataset] = tuple(finds_best(costs, k) for k in _TRAINED)
    return found


def _named(config: str) -> str:
    return config or "(none)"


def _key(group: SeedGroup) -> dict[str, object]:
    return {"dataset": group.dataset, "model": group.model, "config": _named(group.config)}


def _group(group: SeedGroup, metric: Metric) -> dict[str, object]:
    values, margin = group.values[metric.name], _margin(group.dataset, metric)
    found = spread(values)
    return {
        **_key(group),
        "seeds": found.seeds,
        "mean ± sd": over_runs(values, "z.4f"),
        "range": UNDEFINED if math.isnan(found.mean) else f"{found.low:.4f} to {found.high:.4f}",
        "± 95 %": found.half_width,
        **{f"best of {k}": gain for k, gain in _best_of(values, metric).items()},
        "detectable": found.detectable,
        "margin": "none" if margin is None else f"{margin:g}",
    }


def _margin(dataset: str, metric: Metric) -> float | None:
    return declared_margin(dataset, metric.name) if dataset in datasets else None


def _best_of(values: Sequence[float], metric: Metric) -> dict[int, float]:
    return {k: best_of_k(values, k, metric) for k in _BEST_OF if k <= len(values)}


def _print_agreements(agreements: Sequence[Agreement], metric: Metric) -> None:
    by_group: dict[tuple[str, str, str], list[Agreement]] = {}
    for one in agreements:
        key = one.published.dataset, one.published.system, one.config
        by_group.setdefault(key, []).append(one)
    typer.echo(f"Published means against these: {metric.title}, and how many metrics agree")
    echo_table([_agreement(key, own, metric) for key, own in by_group.items()], right=_NUMBERS)
    echo_text("\nequal: to the last printed digit; a percentage is compared in percent\n")
    for name, (equal, cells) in _tally(agreements).items():
        typer.echo(f"{metrics[name].title}: {equal} of {cells} published means reproduced")


def _agreement(
    key: tuple[str, str, str], own: Sequence[Agreement], metric: Metric
) -> dict[str, object]:
    dataset, model, config = key
    row: dict[str, object] = {"dataset": dataset, "model": model, "config": _named(config)}
    shown = next((one for one in own if one.published.metric == metric.name), None)
    if shown is not None:
        places = shown.published.decimals
        row |= {
            "published": f"{shown.published.value:.{places}f}",
            "here": defined(shown.here, f".{places}f"),
            "gap": defined(shown.gap, f"+z.{places}f"),
            "equal": "yes" if shown.equal else "no",
        }
    differs = [metrics[one.published.metric].title for one in own if not one.equal]
    return row | {
        "equal means": f"{len(own) - len(differs)} of {len(own)}",
        "differs in": "every metric" if len(differs) == len(own) else ", ".join(differs),
    }


def _tally(agreements: Iterable[Agreement]) -> dict[str, tuple[int, int]]:
    """Metric -> published means that some config equals, and published means."""
    cells: dict[str, dict[tuple[str, str], bool]] = {}
    for one in agreements:
        own = cells.setdefault(one.published.metric, {})
        key = one.published.dataset, one.published.system
        own[key] = own.get(key, False) or one.equal
    return {name: (sum(own.values()), len(own)) for name, own in cells.items()}


def _facts(table: SeedTable, agreements: Sequence[Agreement]) -> dict[str, object]:
    return {
        "file": table.file,
        "rows": table.rows,
        "under_two_models": table.shared,
        "columns_not_read": table.unread,
        "groups": [_group_facts(group) for group in table.groups],
        "left_out": [dataclasses.asdict(one) for one in table.left_out],
        "finding_the_best": {
            name: {
                dataset: [dataclasses.asdict(one) for one in chances]
                for dataset, chances in _finding(table.groups, metrics[name]).items()
            }
            for name in table.metrics
            if metrics[name].ideal is None
        },
        "published": [dataclasses.asdict(one) for one in agreements],
        "reproduced": {
            name: {"equal": equal, "published": cells}
            for name, (equal, cells) in _tally(agreements).items()
        },
    }


def _group_facts(group: SeedGroup) -> Mapping[str, object]:
    return {
        "dataset": group.dataset,
        "model": group.model,
        "config": group.config,
        "seeds": group.seeds,
        "metrics": {
            name: {
                **dataclasses.asdict(spread(values)),
                "values": values,
                "best_of_k": _best_of(values, metrics[name]),
                "margin": _margin(group.dataset, metrics[name]),
            }
            for name, values in group.values.items()
        },
    }
