"""Zero-shot models: outcomes of their questions, under which policy, and their settings.

A clip without an answer is never a neutral rating: the board counts it, and shows the selection
metric under three policies. Calibrated values use labels of the validation split, and say so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.metrics import Metric
from harness.spec import PredictionCell
from harness.spec.prediction_cell import CALIBRATED, EXCLUDED, WORST_CASE
from leaderboards.document import Block, Heading, Table, left, right, text
from leaderboards.model import Grid, Row, Run
from leaderboards.numbers import EMPTY, UNDEFINED, number
from leaderboards.sections._zero_shot import facts_of, fields, policies, zero_shot_runs
from leaderboards.sections.contract import CorpusSection

__all__ = ["SECTION", "answers", "latencies", "models"]

_ANSWERS = "Answers of zero-shot models"
_MODELS = "Settings of zero-shot models"

_CALIBRATED = "calibrated, uses labels"
_NOTES = (
    "Questions answered of questions asked: one per clip and prompt, letters once per turn.",
    "A question without an answer counts as the training mean (main), not at all (answered only: of"
    " so many clips), or as the end of the scale farthest from the label (worst case).",
    "Lowest and highest value of a single prompt; the row's prediction is the mean over prompts.",
    "A straight line from answers to labels, fitted on the validation split: it uses labels.",
)


def _blocks(grid: Grid) -> Iterator[Block]:
    for found in (answers(grid), models(grid)):
        if found.rows:
            yield Heading(3, text(found.caption))
            yield found


def answers(grid: Grid) -> Table:
    """Answered and not, and the selection metric under every policy."""
    metric = grid.selection
    title = metric.title
    return Table(
        columns=(
            *left("System", "Shown", "Readout", "Mode", "Prompts"),
            *right("Answered¹"),
            *left("Not answered"),
            *right(
                f"{title}, main²",
                f"{title}, answered only (clips)²",
                f"{title}, worst case²",
                f"{title} over prompts³",
                f"{title}, {_CALIBRATED}⁴",
                "Tokens a clip, read + written",
            ),
        ),
        rows=tuple(_answers_of(grid, row, run, metric) for row, run in zero_shot_runs(grid)),
        notes=_NOTES,
        caption=_ANSWERS,
    )


def _answers_of(grid: Grid, row: Row, run: Run, metric: Metric) -> tuple[str, ...]:
    facts, test = facts_of(run)
    values = {cell: found[metric.name] for cell, found in policies(grid, run).items()}
    single = [value for cell, value in values.items() if cell.prompt is not None]
    excluded, worst_case, calibrated = (
        number(values.get(PredictionCell(variant=name), math.nan), metric)
        for name in (EXCLUDED, WORST_CASE, CALIBRATED)
    )
    return (
        row.label,
        _counted(test["shown"]),
        facts.get("readout") or "generated",
        "constrained" if facts["constrained"] else "free",
        ", ".join(facts["prompts"]),
        f"{test['outcomes']['answered']:,}/{test['questions']:,}",
        _not_answered(test),
        number(run.scores[metric.name], metric),
        f"{excluded} ({test['clips_answered']})",
        worst_case,
        _span(single, metric) if single else EMPTY,
        calibrated,
        _tokens(test),
    )


def _span(values: Sequence[float], metric: Metric) -> str:
    if any(map(math.isnan, values)):
        return UNDEFINED
    return f"{number(min(values), metric)} – {number(max(values), metric)}"


def _not_answered(test: Mapping[str, Any]) -> str:
    others = {name: count for name, count in test["outcomes"].items() if name != "answered"}
    said = [_counted(others)] if any(others.values()) else []
    said += [f"answered with low mass {test['low_mass']:,}"] if test["low_mass"] else []
    return "; ".join(said) or EMPTY


def _counted(counts: Mapping[str, int]) -> str:
    """The same words with their number; ``vision+audio+text 5, text 2``."""
    return ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in counts.items() if n)


def _tokens(test: Mapping[str, Any]) -> str:
    counts = (test["prompt_tokens"], test["completion_tokens"])
    shown = (UNDEFINED if n is None else f"{n / test['clips']:,.0f}" for n in counts)
    return " + ".join(shown)


def models(grid: Grid) -> Table:
    """What a fair comparison must know: size, openness, senses, language, engine, date."""
    return Table(
        columns=(
            *left("System", "Model"),
            *right("Parameters, 10⁹"),
            *left("Weights", "Takes", "Frames", "Prompts in", "Transcripts in"),
            *left("Engine", "Served with", "Revision", "Answered by", "Asked on", "Trained on"),
        ),
        rows=tuple(_model_of(row, run) for row, run in zero_shot_runs(grid)),
        caption=_MODELS,
    )


def _model_of(row: Row, run: Run) -> tuple[str, ...]:
    facts, _ = facts_of(run)
    billions = facts["billions"]
    return (
        row.label,
        facts["model"],
        UNDEFINED if billions is None else f"{billions:g}",
        "closed" if facts["hosted"] else f"open: {facts['licence']}",
        ", ".join(facts["inputs"]) or UNDEFINED,
        facts["frames"],
        ", ".join(facts["languages"]),
        facts["transcripts"],
        facts["engine"],
        facts.get("arguments") or UNDEFINED,
        facts["revision"][:12],
        ", ".join(facts.get("answered_by") or ()) or UNDEFINED,
        facts["asked_on"],
        facts["trained_on"],
    )


def latencies(grid: Grid) -> Table:
    """Measured: seconds from request to answer, and requests sent."""
    rows = []
    for row, run in zero_shot_runs(grid):
        _, test = facts_of(run)
        seconds, clips = test["seconds"], test["clips"]
        rows.append((row.label, f"{test['requests']:,}", f"{seconds / clips:.2f}"))
    return Table(
        columns=(
            *left("System"),
            *right("Requests", "Seconds a clip, answers waited for added up"),
        ),
        rows=tuple(rows),
        caption="Measured waiting for answers",
    )


SECTION = CorpusSection(name="zero_shot", blocks=_blocks, fields=fields)
