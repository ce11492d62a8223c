"""Published beside ours: the interval is right, and only comparable numbers get one."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.cli import main
from harness.data.datasets import datasets
from harness.metrics import score, score_conventions
from harness.runs.store import RunStore
from harness.spec import CheckpointFile, ReleasedWeights
from harness.system import System
from harness.tests import stores
from harness.tests.stores import SEEDS, Constant, NotRun, Off, make_corpus, make_store, predict
from leaderboards.literature import PublishedRow, table
from leaderboards.studies.reproduce import ReproducedNumber, as_records, gap, reproduce
from leaderboards.studies.reproduce_page import counts, render, verdict_of

OFFICIAL = tuple(split.clips for split in datasets["mosi"].splits.values())
CORPUS = make_corpus("mosi@unaligned-50", OFFICIAL)


@dataclass(frozen=True, kw_only=True)
class Row(stores.Row):
    """A row whose system has a registered name of its own."""

    name: str = "tfn"

    @property
    def system(self) -> System:
        return dataclasses.replace(super().system, name=self.name)


def tfn(**changes) -> Row:
    cells = {seed: Off(1.2 + 0.1 * place) for place, seed in enumerate(SEEDS)}
    return Row(**{"label": "TFN", "cells": cells, **changes})


def ours(metric: str = "mae", row: Row | None = None, corpus=CORPUS) -> list[float]:
    """Our values, scored without the store."""
    labels = corpus.split("test").labels
    cells = (row or tfn()).cells
    return [score(predict(o, labels, s), labels, "mosi")[metric] for s, o in cells.items()]


def published(value: float, metric: str = "mae", **changes) -> PublishedRow:
    (row,) = (row for row in table("mmsa", "mosi", "tfn") if row.metric == metric)
    printed = f"{100 * value:.2f}" if row.times_100 else f"{value:.4f}"
    return dataclasses.replace(row, value=float(printed) / 100, printed=printed, **changes)


def verdict(tmp_path: Path, wanted: PublishedRow, *rows: Row, corpora=None) -> ReproducedNumber:
    store = make_store(tmp_path, rows or (tfn(),), corpora or [CORPUS])
    (cell,) = reproduce(store, [wanted])
    return cell


# The interval


def test_against_a_mean_of_very_many_runs_it_is_the_one_sample_t_interval() -> None:
    values = [0.70, 0.74, 0.69, 0.72]
    found = gap(values, 0.7, published_seeds=10**12)
    expected = stats.ttest_1samp(values, 0.7).confidence_interval(0.95)
    assert found.effect == pytest.approx(np.mean(values) - 0.7)
    assert (found.low + 0.7, found.high + 0.7) == pytest.approx(tuple(expected))


def test_against_one_run_it_is_the_prediction_interval() -> None:
    values = np.array([0.70, 0.74, 0.69, 0.72, 0.75])
    half = stats.t.ppf(0.975, 4) * values.std(ddof=1) * math.sqrt(1 + 1 / 5)
    for seeds in (1, None):
        found = gap(values.tolist(), 0.5, seeds)
        assert found.high - found.effect == pytest.approx(half)
        assert found.effect - found.low == pytest.approx(half)


@pytest.mark.parametrize(("s", "p"), [(2, 5), (3, 1), (5, 5), (10, 5)])
def test_it_covers_no_difference_95_times_in_100(s: int, p: int) -> None:
    generator, repeats = np.random.default_rng(s * 100 + p), 4000
    own = generator.normal(0.9, 0.03, (repeats, s))
    theirs = generator.normal(0.9, 0.03, (repeats, p)).mean(axis=1)
    held = sum(gap(v, t, p).within(0.0) for v, t in zip(own.tolist(), theirs, strict=True))
    assert held / repeats == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors


def test_one_run_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two runs"):
        gap([0.7], 0.7)


# Verdicts


@pytest.mark.parametrize(
    ("off_by", "said_of_it"),
    [
        (0.0, "reproduced by training"),
        (0.03, "reproduced by training"),
        (2.0, "differs"),
        (-2.0, "differs"),
    ],
)
def test_comparable_numbers(tmp_path: Path, off_by: float, said_of_it: str) -> None:
    mean = float(np.mean(ours()))
    cell = verdict(tmp_path, published(mean + off_by))
    assert cell.verdict == said_of_it
    assert cell.ours is not None
    assert cell.ours.values == pytest.approx(ours())
    assert cell.gap is not None
    assert cell.gap.effect == pytest.approx(-off_by, abs=1e-4)
    assert cell.unstated == ()


def test_runs_that_agree_to_the_digit_are_judged_by_the_margin(tmp_path: Path) -> None:
    row = tfn(cells=dict.fromkeys(SEEDS, Constant(0.2)))
    (value, *_) = ours(row=row)
    near = verdict(tmp_path / "near", published(value + 0.009), row)
    far = verdict(tmp_path / "far", published(value + 0.011), row)
    assert near.margin == pytest.approx(0.01)  # declared for MAE on CMU-MOSI
    assert (near.verdict, far.verdict) == ("reproduced by training", "differs")
    corr = verdict(tmp_path / "corr", published(0.5, "corr"), row)
    assert corr.margin == pytest.approx(corr.published.rounding)  # none declared


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"selection": "test"}, "selected on test there"),
        ({"selection": "best run"}, "best of several runs there"),
        ({"condition": "missing rate 0.7"}, "there: missing rate 0.7"),
        ({"side_info": "explanations"}, "side information: explanations there, none here"),
        ({"features": "aligned-50"}, "features: aligned-50 there, unaligned-50 here"),
        ({"text": "T-BERT: b"}, "text: T-BERT: b there, T-feat here"),
    ],
)
def test_what_the_source_did_otherwise(tmp_path: Path, changes, reason: str) -> None:
    cell = verdict(tmp_path, published(float(np.mean(ours())), **changes))
    assert (cell.verdict, cell.reason, cell.gap) == ("not comparable", reason, None)
    assert cell.ours is not None


@pytest.mark.parametrize(
    ("row", "metric", "reason"),
    [
        (tfn(changed={"hidden": 32}), "mae", "changed here: hidden"),
        (tfn(cells={1111: Off(1.0), 1112: NotRun()}), "mae", "one run here"),
        (tfn(encoder="minilm-l6"), "mae", "text: T-feat there, T-feat: minilm-l6 here"),
        (
            tfn(cells={1111: Off(1.0), 1112: Constant()}),
            "corr",
            "undefined in 1 of 2 runs here",
        ),
    ],
)
def test_what_we_did_otherwise(tmp_path: Path, row: Row, metric: str, reason: str) -> None:
    cell = verdict(tmp_path, published(0.7, metric), row)
    assert (cell.verdict, cell.reason, cell.gap) == ("not comparable", reason, None)


def test_the_encoder_a_suite_names_is_compared_not_held_against_it(tmp_path: Path) -> None:
    bert = "T-BERT: bert-base-uncased"
    row = tfn(text="T-BERT", encoder="google-bert/bert-base-uncased")
    assert verdict(tmp_path, published(0.7, text=bert), row).gap is not None


def test_another_split_and_other_features_of_the_dataset(tmp_path: Path) -> None:
    corpora = [make_corpus("mosi@utterance", (1173, 274, 752))]
    cell = verdict(tmp_path, published(1.0), corpora=corpora)
    assert cell.reason == "own split here; features: unaligned-50 there, utterance here"


@pytest.mark.parametrize(
    ("row", "corpus"),
    [
        (tfn(name="lmf"), CORPUS),
        (tfn(cells=dict.fromkeys(SEEDS, NotRun())), CORPUS),
        (tfn(), make_corpus("mosi-twin@unaligned-50", OFFICIAL)),
        (tfn(), make_corpus("mosei@unaligned-50", (20, 10, 20))),
    ],
    ids=["other system", "nothing run", "twin", "other dataset"],
)
def test_not_run(tmp_path: Path, row: Row, corpus) -> None:
    cell = verdict(tmp_path, published(1.0), row, corpora=[corpus])
    assert (cell.verdict, cell.ours, cell.gap) == ("not run", None, None)


def test_a_system_nobody_registered_is_not_run_and_says_why(tmp_path: Path) -> None:
    cell = verdict(tmp_path, published(1.0, system=""))
    assert verdict_of(cell) == "not run: no such system here"


def test_silence_of_the_source_is_said_but_no_obstacle(tmp_path: Path) -> None:
    silent = {"selection": "", "features": "", "text": "", "seeds": None, "convention": ""}
    cell = verdict(tmp_path, published(float(np.mean(ours("f1_has0"))), "f1_has0", **silent))
    assert cell.verdict == "reproduced by training"
    assert verdict_of(cell) == (
        "reproduced by training (not stated: selection, features, text encoder, F1 weighting,"
        " number of runs, taken as one)"
    )


def test_ours_is_scored_as_the_source_scores(tmp_path: Path) -> None:
    labels = CORPUS.split("test").labels
    swapped = [
        row["f1_has0"]
        for seed, outcome in tfn().cells.items()
        for row in score_conventions(predict(outcome, labels, seed), labels, "mosi")
        if row["convention"] == "text"
    ]
    cell = verdict(tmp_path, published(0.7, "f1_has0", convention="text"))
    assert cell.ours is not None
    assert cell.ours.values == pytest.approx(swapped)
    assert cell.ours.values != pytest.approx(ours("f1_has0"))


@pytest.mark.parametrize(("convention", "value"), [("mmsa", 0.0), ("misa", 0.0), ("", 1.0)])
def test_ours_is_rounded_only_where_the_definition_is_canonical(
    convention: str, value: float
) -> None:
    score = published(0.7, "acc2_has0", convention=convention).definition
    assert score(np.array([-4e-7]), np.array([0.4])) == value


def test_a_comparable_row_speaks_for_a_system_then_the_one_with_most_runs(tmp_path: Path) -> None:
    rows = (
        tfn(label="few", cells={1111: Off(1.0), 1112: Off(1.1)}),
        tfn(label="many"),
        tfn(label="changed", cells={s: Off(1.0) for s in range(8)}, changed={"hidden": 32}),
    )
    cell = verdict(tmp_path, published(1.0), *rows)
    assert cell.ours is not None
    assert (cell.ours.label, cell.ours.suite) == ("many", "small")


# Released weights


def released(**changes) -> Row:
    """One checkpoint of TFN that somebody released, without epochs of ours."""
    file = CheckpointFile(file="epoch_79.pth", sha256="0" * 64)
    weights = ReleasedWeights(files=(file,), seeds=(18,), selection="best run")
    given = {"label": "released", "cells": {18: Off(1.2)}, "epochs": 0, "released": weights}
    return tfn(**{**given, **changes})


def test_one_checkpoint_is_compared_with_the_number_it_was_released_for(tmp_path: Path) -> None:
    row = released()
    (value,) = ours(row=row)
    same = verdict(tmp_path / "a", published(value, selection="best run", seeds=1), row)
    assert (same.verdict, same.reason) == ("reproduced from released weights", "")
    assert same.gap is not None
    assert same.gap.low == same.gap.effect == same.gap.high
    off = verdict(tmp_path / "b", published(value + 0.02, selection="best run", seeds=1), row)
    assert off.verdict == "differs"


def test_the_noise_of_its_evaluation_is_the_width_of_its_gap(tmp_path: Path) -> None:
    row = released(passes=(0.05, -0.08, 0.02, 0.04))
    (value,) = ours(row=row)
    cell = verdict(tmp_path, published(value, selection="best run", seeds=1), row)
    labels = CORPUS.split("test").labels
    pred = predict(Off(1.2), labels, 18)
    each = [score(pred + by, labels, "mosi")["mae"] for by in (0.0, *row.passes)]
    assert cell.ours is not None and cell.gap is not None
    assert cell.ours.passes == pytest.approx(each)
    expected = gap(each, cell.published.value, 1)
    assert cell.gap.effect == pytest.approx(expected.effect)
    assert cell.gap.high - cell.gap.low == pytest.approx(expected.high - expected.low)
    assert cell.verdict == "reproduced from released weights"


def test_trained_and_released_rows_have_a_verdict_each(tmp_path: Path) -> None:
    wanted = published(float(np.mean(ours())), seeds=5)
    store = make_store(tmp_path, (tfn(), released()), [CORPUS])
    cells = reproduce(store, [wanted])
    assert [cell.verdict for cell in cells] == ["reproduced by training", "differs"]
    assert [record["weights"] for record in as_records(cells)] == ["training", "released weights"]
    page = render("mmsa", cells)
    assert "reproduced by training" in page and "1 numbers: 1 reproduced by training" in page


def test_released_weights_run_as_released_stand_for_the_system(tmp_path: Path) -> None:
    row = released(name="tfn@published")
    (value,) = ours(row=row)
    cell = verdict(tmp_path / "a", published(value, selection="test"), row)
    assert cell.verdict == "reproduced from released weights"
    trained = tfn(name="tfn@published")
    assert verdict(tmp_path / "b", published(value), trained).verdict == "not run"


def test_explanations_are_named_as_published_tables_name_them(tmp_path: Path) -> None:
    corpora = [make_corpus("mosi@unaligned-50-explained", OFFICIAL)]
    words = "explanations written by a multimodal LLM"
    told = dataclasses.replace(published(1.0), side_info=words)
    store = make_store(tmp_path, (tfn(),), corpora)
    plan = store.plan("small")
    rows = tuple(dataclasses.replace(row, side_info="video_mllm") for row in plan.rows)
    store.put_plan("small", dataclasses.replace(plan, rows=rows))
    (cell,) = reproduce(store, [told])
    assert cell.gap is not None


# Pages and the command line


def two_suites(root: Path) -> RunStore:
    """MMSA's TFN and LF-DNN on CMU-MOSI, LMF with a changed hyper-parameter, in two suites."""
    store = make_store(root, (tfn(), tfn(label="LF", name="lf_dnn")), [CORPUS], suite="one")
    make_store(root, (tfn(label="LMF", name="lmf", changed={"hidden": 32}),), [CORPUS], suite="two")
    return store


def test_the_mmsa_table_in_a_store_with_three_of_its_systems(tmp_path: Path) -> None:
    cells = reproduce(two_suites(tmp_path), table("mmsa"))
    assert len(cells) == 332
    found = {(cell.published.system, cell.verdict) for cell in cells if cell.verdict != "not run"}
    assert {system for system, _ in found} == {"tfn", "lf_dnn", "lmf"}
    assert {verdict for system, verdict in found if system == "lmf"} == {"not comparable"}
    assert {verdict for system, verdict in found if system == "tfn"} <= {
        "reproduced by training",
        "differs",
    }
    assert sum(cell.verdict == "not run" for cell in cells) == 332 - 3 * 8


def test_the_page_depends_on_the_store_alone(tmp_path: Path) -> None:
    rows = table("mmsa")
    pages = {
        render(
            "mmsa", reproduce(make_store(tmp_path / str(b), (tfn(),), [CORPUS], backwards=b), rows)
        )
        for b in (False, True)
    }
    (page,) = pages
    assert page.endswith("\n")
    assert page.count("\n## ") == 5  # four datasets and how to read it


def test_nothing_a_row_says_is_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>|[x](http://e.vil)`"
    wanted = published(1.0, title=evil, source=evil, side_info=evil)
    page = render(evil, [verdict(tmp_path, wanted)])
    assert "<script" not in page
    assert "[x](" not in page
    (line,) = (line for line in page.splitlines() if "not comparable: side" in line)
    assert line.replace("\\|", "").count("|") == 8


def test_records_are_numbers_or_null(tmp_path: Path) -> None:
    (record,) = as_records([verdict(tmp_path, published(0.5))])
    assert record["gap"] == pytest.approx(np.mean(ours()) - 0.5)
    assert record["low"] < record["gap"] < record["high"]
    assert (record["seeds"], record["published_seeds"], record["row"]) == (3, 5, "TFN")
    (empty,) = as_records([ReproducedNumber(published=published(0.5), verdict="not run")])
    assert (empty["ours"], empty["gap"], empty["suite"]) == (None, None, None)
    assert empty.keys() == record.keys()
    json.dumps([record, empty], allow_nan=False)


@pytest.fixture
def msa(monkeypatch, tmp_path: Path, capsys):
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    two_suites(tmp_path / "home" / "store")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["msa", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


def test_the_command_prints_writes_and_gives_json(msa, tmp_path: Path) -> None:
    code, text, _ = msa("reproduce", "mmsa", "--dataset", "mosi")
    assert code == 0
    assert text.splitlines()[-1].startswith("88 numbers: ")
    code, text, _ = msa("reproduce", "mmsa", "--system", "lmf", "--json")
    assert code == 0
    assert {record["verdict"] for record in json.loads(text)} == {"not comparable", "not run"}
    page = tmp_path / "mmsa.md"
    code, text, _ = msa("reproduce", "mmsa", "--out", page)
    assert code == 0
    store = RunStore(tmp_path / "home" / "store")
    cells = reproduce(store, table("mmsa"))
    assert page.read_text("utf-8") == render("mmsa", cells)
    assert text == counts(cells) + "\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mmsaa",), "did you mean mmsa"),
        (("mmsa", "--dataset", "mosj"), "did you mean mosi or mosei"),
        (("mmsa", "--system", "tfm"), "did you mean tfn"),
    ],
)
def test_a_wrong_name_ends_with_2_and_the_nearest_one(msa, arguments, message: str) -> None:
    code, text, error = msa("reproduce", *arguments)
    assert (code, text) == (2, "")
    assert message in error
    assert "next: msa list tables" in error


def test_a_page_that_cannot_be_written(msa, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, error = msa("reproduce", "qa_moe", "--out", tmp_path / "file" / "page.md")
    assert code == 1
    assert "page.md cannot be written" in error


def test_tables_are_listed(msa) -> None:
    code, text, _ = msa("list", "tables", "--json")
    assert code == 0
    (mmsa,) = (record for record in json.loads(text) if record["name"] == "mmsa")
    assert (mmsa["numbers"], mmsa["systems"]) == (332, 14)
