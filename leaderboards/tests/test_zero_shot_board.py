"""Zero-shot models: what the board says of answers, policies and settings."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import leaderboards
from harness.runs.record import RunRecord
from harness.spec import PredictionCell
from harness.system.zero_shot import ZeroShotFacts
from harness.tests.stores import Constant, NotRun, Off, Row, make_corpus, make_record, make_spec
from harness.tests.stores import make_store as make_plain_store
from leaderboards.model import gather
from leaderboards.rendering import render_markdown
from leaderboards.sections import _zero_shot, costs, zero_shot

ASKED = Row(label="Asked", cells={0: NotRun()}, epochs=0, deterministic=True, text="transcript")
ROWS = (
    Row(label="Trained", cells={0: Off(0.4)}, epochs=0, deterministic=True),
    ASKED,
    Row(label="mean", cells={0: Constant()}, epochs=0, deterministic=True, reference=True),
)
SPLIT = {
    "clips": 24,
    "clips_answered": 20,
    "questions": 48,
    "outcomes": {"answered": 41, "refused": 4, "rejected": 3, "no_media": 0},
    "asked_again": 5,
    "low_mass": 2,
    "shown": {"text": 4, "vision+audio+text": 20},
    "prompt_tokens": 2400,
    "completion_tokens": 60,
    "seconds": 12.0,
    "requests": 53,
}
TOLD = {
    "model": "A model",
    "revision": "0123456789abcdef",
    "engine": "engine 1.0",
    "hosted": True,
    "licence": "closed",
    "trained_on": "undisclosed",
    "billions": None,
    "inputs": ["audio", "text"],
    "condition": "all",
    "frames": "8, uniform-centre, 448 px",
    "prompts": ["en-cues", "en-direct"],
    "languages": ["en"],
    "transcripts": "zh",
    "constrained": False,
    "turns": 1,
    "asked_on": "2026-11-21",
    "calibration": {"slope": 1.0, "intercept": 0.0, "clips": 6},
    "splits": {"test": SPLIT},
}


def variants(main: pd.Series) -> dict[str, pd.Series]:
    return {
        "excluded": main.iloc[:20] + 0.1,
        "worst_case": main - 1.0,
        "calibrated": main * 0.5,
        "prompt:en-cues": main + 0.7,
        "prompt:en-direct": main - 0.9,
    }


@pytest.fixture
def store(tmp_path):
    """A trained row and a zero-shot row, whose predictions are known under every policy."""
    corpus = make_corpus()
    filled = make_plain_store(tmp_path, ROWS, [corpus])
    plan = filled.plan("small")
    rows = tuple(
        dataclasses.replace(row, supervision="none" if row.label == "Asked" else "train")
        for row in plan.rows
    )
    filled.put_plan("small", dataclasses.replace(plan, rows=rows))
    plain = make_record(corpus, ASKED, make_spec(corpus, ASKED, 0), Off(1.2))
    filled.commit(_asked(plain))
    return filled


def _asked(plain: RunRecord) -> RunRecord:
    main = plain.predictions.query("split == 'test'").set_index("id")["pred"]
    others = [
        pd.DataFrame(
            {"id": p.index, "split": "test", "variant": name, "pred": p.to_numpy()}
        ).assign(condition="clean")
        for name, p in variants(main).items()
    ]
    result = dataclasses.replace(
        plain.manifest.result, zero_shot=ZeroShotFacts.of(TOLD, "the facts above")
    )
    return dataclasses.replace(
        plain,
        predictions=pd.concat([plain.predictions, *others], ignore_index=True),
        manifest=dataclasses.replace(plain.manifest, result=result),
    )


@pytest.fixture
def grid(store):
    return gather(store, "small").grids[0]


def cells(table):
    (row,) = table.rows
    return {c.title.rstrip("¹²³⁴"): cell for c, cell in zip(table.columns, row, strict=True)}


def test_every_policy_is_scored_as_by_hand(grid, store):
    run = next(run for row, run in _zero_shot.zero_shot_runs(grid))
    main = pd.Series(run.pred, index=list(grid.truth.ids))
    labels = pd.Series(grid.truth.labels, index=main.index)
    by_hand = {
        name: float((pred - labels.loc[pred.index]).abs().mean())
        for name, pred in variants(main).items()
    }
    found = {cell.variant: s["mae"] for cell, s in _zero_shot.policies(grid, run).items()}
    assert found == pytest.approx(by_hand)
    shown = cells(zero_shot.answers(grid))
    assert shown["MAE, answered only (clips)"] == f"{by_hand['excluded']:.3f} (20)"
    assert shown["MAE, worst case"] == f"{by_hand['worst_case']:.3f}"
    single = sorted((by_hand["prompt:en-cues"], by_hand["prompt:en-direct"]))
    assert shown["MAE over prompts"] == f"{single[0]:.3f} – {single[1]:.3f}"
    assert shown["MAE, calibrated, uses labels"] == f"{by_hand['calibrated']:.3f}"
    record = {r["row"]: r for r in leaderboards.as_records(store, "small")}["Asked"]
    assert record["zero_shot"]["policies"]["worst_case"]["mae"] == found["worst_case"]


def test_what_was_not_answered_is_counted(grid):
    shown = cells(zero_shot.answers(grid))
    assert shown["Answered"] == "41/48"
    assert shown["Not answered"] == "refused 4, rejected 3; answered with low mass 2"
    assert shown["Shown"] == "text 4, vision+audio+text 20"
    assert shown["Tokens a clip, read + written"] == "100 + 2"


def test_what_fairness_needs_is_said(grid):
    shown = cells(zero_shot.models(grid))
    assert (shown["Weights"], shown["Parameters, 10⁹"]) == ("closed", "–")
    assert (shown["Prompts in"], shown["Transcripts in"]) == ("en", "zh")
    assert shown["Revision"] == "0123456789ab"
    assert (shown["Served with"], shown["Answered by"]) == ("–", "–")


def test_asked_rows_stand_apart_and_their_comparisons_are_conditional(store):
    page = leaderboards.render(store, "small")
    trained, zero = page.split("### Zero-shot\n", 1)
    assert "| Trained " in trained and "| Asked " not in trained
    ranked = zero.split("<details>")[0]
    assert "| Asked " in ranked and "| mean " in ranked and "| Trained " not in ranked
    assert "Conditional on one run" in zero
    assert "≠" in zero.split("Pairwise across tables")[1]


def test_seconds_are_in_the_costs_alone(store):
    board = gather(store, "small")
    assert "0.50 |" in render_markdown(costs(board)).split("Zero-shot models")[1]
    assert "Seconds a clip" not in leaderboards.render(store, "small")


def test_boards_without_such_models_say_nothing_of_them(tmp_path):
    plain = make_plain_store(tmp_path, ROWS[:1])
    page = leaderboards.render(plain, "small")
    assert "zero-shot models" not in page


def test_without_any_answer_the_policy_of_answered_clips_is_undefined(grid):
    _, run = next(_zero_shot.zero_shot_runs(grid))
    excluded = PredictionCell(variant="excluded")
    silent = dataclasses.replace(run, variants={excluded: np.full(len(grid.truth.ids), np.nan)})
    assert np.isnan(_zero_shot.policies(grid, silent)[excluded]["mae"])
