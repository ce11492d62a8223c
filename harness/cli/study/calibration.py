"""``msa study calibration``."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.stats.calibration import CalibrationFinding, Scenario

__all__ = ["register"]

_INTRODUCTION = """\
Made by `{command}`.

Every test at nominal 5 % on simulated comparisons of two systems whose true difference is known:
{replicates:,} without a difference (false positives, ± one Monte-Carlo standard error) and
{replicates:,} with the one under "at" (coverage of 95 % intervals, power). Bootstraps take
{draws:,} draws. Asked are at most 6 % false positives and a coverage of 93 to 97 %, judged before
rounding; a row that misses says so. Power of a test with too many false positives is worth nothing
and not shown."""

_GUIDE = """\
- Two systems, some 15 source videos or more: the two-way bootstrap of `msa compare`. Its percentile
  interval and its BCa interval (`harness.stats.compare(..., interval="bca")`) are equally honest
  here, for unequal numbers of seeds and for a deterministic single run too.
- About ten source videos: bootstrap intervals are too narrow. For MAE and accuracies take the
  crossed-variance t (`harness.stats.crossed_t`), which holds there; other metrics have no such
  test, so do not build a claim on them.
- Hundreds of source videos: the bootstrap claims less than it could, for it counts variation that
  belongs to neither a seed nor a video with both. For MAE and accuracies the crossed-variance t
  finds more.
- Not the paired t over seeds: it takes the test clips for the whole world, finds false winners, and
  more of them with more seeds.
- Not Wilcoxon over seeds: with five pairs it can find nothing at all, with ten it finds the same
  false winners.
- Not a bootstrap over videos of the mean of the seeds: it forgets that new seeds would differ.

Everything simulated is a mean over clips, in videos of equal size. Corr and F1 go through the same
bootstrap, but their false positives are not measured here; nor are those of videos of very unequal
size."""

_MODEL = """\
Per clip, errors of A less errors of B are `effect + clip + video + seed + residual`, all terms
independent and new in every comparison; standard deviations are 0.25, 0.05, 0.010 (MOSEI-like
0.004) and 0.25. Seeds and residuals belong to one system each, clips and videos to both."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibration")(_calibration)


def _calibration(
    replicates: Annotated[int, typer.Option(help="Simulated comparisons of either kind.")] = 2000,
    draws: Annotated[int, typer.Option(help="Bootstrap draws in each.")] = 400,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Markdown file to write.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Test the tests: false positives, coverage and power where the truth is known."""
    from harness._util.atomic import write_atomic

    findings = _findings(replicates, draws, seed)
    if out is not None:
        try:
            write_atomic(out, _page(findings, replicates, draws, seed))
        except OSError as error:
            raise StoreError(f"{out.name} cannot be written: {error}") from error
        typer.echo(f"written: {out}", err=True)
    if as_json:
        facts = {"replicates": replicates, "draws": draws, "seed": seed}
        echo_json(facts | {"findings": [_facts(finding) for finding in findings]})
    else:
        echo_table([_printed(finding) for finding in findings])


def _findings(replicates: int, draws: int, seed: int) -> list[CalibrationFinding]:
    from harness.stats.calibration import SCENARIOS, study

    findings: list[CalibrationFinding] = []
    for number, scenario in enumerate(SCENARIOS, 1):
        began = time.perf_counter()
        findings += study(scenario, replicates=replicates, draws=draws, seed=seed)
        took = time.perf_counter() - began
        place = f"[{number:{len(str(len(SCENARIOS)))}}/{len(SCENARIOS)}]"
        typer.echo(f"{place} {_named(findings[-1])}: {took:.1f} s", err=True)
    return findings


def _facts(finding: CalibrationFinding) -> dict[str, object]:
    scenario = finding.scenario
    return {
        "design": scenario.title,
        "videos": scenario.design.videos,
        "clips_per_video": scenario.design.clips_per_video,
        "seeds_a": scenario.seeds[0],
        "seeds_b": scenario.seeds[1],
        "test": finding.test,
        "false_positives": finding.false_positives,
        "monte_carlo_error": finding.monte_carlo_error,
        "coverage": finding.coverage,
        "effect": scenario.effect,
        "power": finding.power,
        "verdict": finding.verdict,
    }


def _printed(finding: CalibrationFinding) -> dict[str, object]:
    from harness.stats.calibration import LARGEST_RATE, TESTS

    rate, error = finding.false_positives, finding.monte_carlo_error
    invalid = rate > LARGEST_RATE
    return {
        "design": finding.scenario.title,
        "seeds": "{} and {}".format(*finding.scenario.seeds),
        "test": TESTS[finding.test],
        "false positives": "" if math.isnan(rate) else f"{100 * rate:.1f} ± {100 * error:.1f} %",
        "coverage": _percent(finding.coverage),
        "power": "(invalid)" if invalid else _percent(finding.power),
        "at": f"{finding.scenario.effect:g}",
        "verdict": finding.verdict,
    }


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f} %"


def _named(finding: CalibrationFinding) -> str:
    a, b = finding.scenario.seeds
    return f"{finding.scenario.title}, {a} and {b} seeds"


def _page(findings: Sequence[CalibrationFinding], replicates: int, draws: int, seed: int) -> str:
    """The study as Markdown; its bytes depend on the arguments alone."""
    command = f"msa study calibration --replicates {replicates} --draws {draws} --seed {seed}"
    scenarios = {finding.scenario.title: finding.scenario for finding in findings}
    blocks = (
        "# Are the tests honest?",
        _INTRODUCTION.format(command=command, replicates=replicates, draws=draws),
        "## Which test to use",
        _GUIDE,
        "## What was found",
        _table([_printed(finding) for finding in findings]),
        "## What was simulated",
        _MODEL,
        _table([_described(scenario) for scenario in scenarios.values()]),
    )
    return "\n\n".join(blocks) + "\n"


def _described(scenario: Scenario) -> dict[str, object]:
    design = scenario.design
    return {
        "design": scenario.title,
        "source videos": design.videos,
        "clips in each": design.clips_per_video,
        "what": scenario.note,
    }


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    from tabulate import tabulate

    return tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True)
