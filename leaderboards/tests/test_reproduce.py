"""Published beside ours: the interval is right, and only comparable numbers get one."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness.cli import main
from harness.data.corpus import Corpus
from harness.data.datasets import datasets
from harness.metrics import score, score_conventions
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedProtocol
from harness.spec import CheckpointFile, ReleasedWeights
from harness.stats.reproduction import MARGIN, beside_mean, beside_runs
from harness.system import System
from harness.tests import stores
from harness.tests.stores import SEEDS, Constant, NotRun, Off, make_corpus, make_store, predict
from leaderboards.literature import PublishedRow, reference_of, table
from leaderboards.studies.reproduce import (
    VERDICTS,
    ReproducedNumber,
    as_records,
    drifts,
    reproduce,
)
from leaderboards.studies.reproduce_page import (
    code_verdict,
    counts,
    drift_lines,
    next_steps,
    reached,
    render,
    verdict_of,
)

OFFICIAL = tuple(split.clips for split in datasets["mosi"].splits.values())
FILE = "MOSI/Processed/unaligned_50.pkl"


def corpus_of(
    name: str = "mosi@unaligned-50", clips: tuple[int, ...] = OFFICIAL, file: str | None = FILE
) -> Corpus:
    """A corpus from a published file; None: from a file that nobody knows."""
    manifest = {"source": {"name": "mine.pkl", "sha256": "0" * 64, "published_as": file}}
    return dataclasses.replace(make_corpus(name, clips), manifest=manifest)


CORPUS = corpus_of()


@dataclass(frozen=True, kw_only=True)
class Row(stores.Row):
    """A row whose system has a registered name of its own."""

    name: str = "tfn"

    @property
    def system(self) -> System:
        return dataclasses.replace(super().system, name=self.name)


TEN = tuple(range(1111, 1121))


def tfn(**changes) -> Row:
    """Runs whose MAE is that of MMSA's TFN: .97, seeds .05 apart."""
    cells = {seed: Off(1.65 + 0.05 * place) for place, seed in enumerate(TEN)}
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


# Verdicts


@pytest.mark.parametrize(
    ("off_by", "said_of_it"),
    [
        (0.0, "reproduced by training"),
        (0.01, "reproduced by training"),
        (0.055, "cannot tell"),
        (-0.055, "cannot tell"),
        (0.15, "differs (better here)"),
        (-0.15, "differs (worse here)"),
    ],
)
def test_comparable_numbers(tmp_path: Path, off_by: float, said_of_it: str) -> None:
    mean = float(np.mean(ours()))
    cell = verdict(tmp_path, published(mean + off_by, seeds=10))
    assert cell.verdict == said_of_it
    assert cell.ours is not None
    assert cell.ours.values == pytest.approx(ours())
    assert cell.gap is not None
    assert cell.gap.effect == pytest.approx(-off_by, abs=1e-4)
    assert cell.unstated == ()


def test_an_accuracy_above_the_published_one_is_better(tmp_path: Path) -> None:
    mean = float(np.mean(ours("acc7")))
    cell = verdict(tmp_path, published(mean - 0.1, "acc7", seeds=10))
    assert cell.verdict == "differs (better here)"


def test_the_margin_is_of_the_references_seeds(tmp_path: Path) -> None:
    cell = verdict(tmp_path, published(1.0))
    runs = reference_of("mosi", "tfn")
    assert runs is not None
    assert cell.margin == pytest.approx(MARGIN * np.std(runs.values["mae"], ddof=1))
    close = verdict(tmp_path / "self_mm", published(1.0, system="self_mm"), tfn(name="self_mm"))
    assert close.margin == pytest.approx(MARGIN * 0.0103, abs=2e-4)
    none = verdict(tmp_path / "f1", published(0.7, "f1_has0"))
    assert none.margin == 0.01  # none declared, and no reference runs in this metric
    declared = verdict(tmp_path / "text", published(1.0, system="text"), tfn(name="text"))
    assert declared.margin == 0.01  # of MAE on CMU-MOSI
    printed = dataclasses.replace(published(0.5, "f1_has0"), printed="50", value=0.5)
    assert verdict(tmp_path / "printed", printed).margin == 0.01
    coarse = dataclasses.replace(published(0.9), system="text", printed="1", value=1.0)
    assert verdict(tmp_path / "coarse", coarse, tfn(name="text")).margin == 0.5


def test_runs_that_agree_to_the_digit_are_judged_by_the_margin(tmp_path: Path) -> None:
    row = tfn(name="text", cells=dict.fromkeys(SEEDS, Constant(0.2)))
    (value, *_) = ours(row=row)
    near = verdict(tmp_path / "near", published(value + 0.009, system="text"), row)
    far = verdict(tmp_path / "far", published(value + 0.011, system="text"), row)
    assert (near.verdict, far.verdict) == ("reproduced by training", "differs (better here)")


@pytest.mark.parametrize("seeds", [(1111, 1112), (1111, 1115, 1120)], ids=["two", "three"])
def test_few_seeds_cannot_tell(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    row = tfn(cells={seed: tfn().cells[seed] for seed in seeds})
    cell = verdict(tmp_path, published(float(np.mean(ours(row=row)))), row)
    assert cell.verdict == "cannot tell"
    assert cell.reached is not None
    assert cell.reached.verdict == "cannot tell"


# Released code


def test_reference_runs_are_a_second_target(tmp_path: Path) -> None:
    runs = reference_of("mosi", "tfn")
    assert runs is not None
    cell = verdict(tmp_path, published(1.5, "mae"))
    assert cell.verdict == "differs (better here)"
    assert cell.reached is not None
    assert cell.reached.verdict == "reproduced by training"
    assert cell.reached.gap == beside_runs(ours(), runs.values["mae"])
    assert (cell.reached.spread.runs, cell.reached.spread.collapsed) == (10, 0)
    assert reached(cell) == "0.9732 ± 0.0470 (10)"
    assert code_verdict(cell).endswith("reproduced by training (device: one GPU there, cpu here)")
    accuracy = verdict(tmp_path / "acc", published(0.3, "acc2_has0"))
    assert accuracy.reached is not None
    assert accuracy.reached.verdict == "differs (better here)"


def test_a_known_difference_holds_beside_released_code_too(tmp_path: Path) -> None:
    cell = verdict(tmp_path, published(1.0), corpora=[corpus_of("mosi@aligned-50")])
    assert cell.reached is not None
    assert (cell.verdict, cell.reached.verdict) == ("not comparable", "not comparable")
    assert cell.reached.reason == "features: unaligned-50 there, aligned-50 here"
    selected = verdict(tmp_path / "b", published(1.0, selection="test"))
    assert selected.reached is not None
    assert (selected.verdict, selected.reached.verdict) == (
        "not comparable",
        "reproduced by training",
    )


def test_what_the_code_reaches_is_shown_before_anything_was_run(tmp_path: Path) -> None:
    cell = verdict(tmp_path, published(1.0, system="misa"), tfn())
    assert (cell.verdict, reached(cell), code_verdict(cell)) == (
        "not run",
        "0.7757 ± 0.0319 (10)",
        "",
    )
    missing = published(1.0, condition="missing rate 0.7")
    assert verdict(tmp_path / "missing", missing).reached is None


def a_little_off(share: float) -> list[PublishedRow]:
    """Published numbers that ours miss by a share of their deviation, all in one direction."""
    rows = []
    for metric in ("mae", "corr", "acc2_has0", "acc2_non0", "acc5", "acc7"):
        values = np.array(ours(metric))
        worse = 1 if metric == "mae" else -1
        rows.append(published(values.mean() + worse * share * values.std(ddof=1), metric, seeds=10))
    return rows


def test_small_gaps_that_go_one_way_together_are_said(tmp_path: Path) -> None:
    store = make_store(tmp_path, (tfn(),), [CORPUS])
    cells = reproduce(store, a_little_off(1.5))
    (drift,) = [one for one in drifts(cells) if one.target == "published"]
    assert (drift.together.drift, drift.together.better, drift.together.metrics) == ("better", 6, 6)
    line = f"TFN (unaligned-50) on CMU-MOSI: {drift.words}".replace("TFN", "tfn")
    assert line in drift_lines(cells)
    assert drift.words.startswith("together better here than published: 6 of 6 metrics, p")
    assert line in render("mmsa", cells).replace("\\", "")
    assert {record["together"]["drift"] for record in as_records(cells)} == {"better"}
    assert not [d for d in drifts(reproduce(store, a_little_off(0.0))) if d.target == "published"]
    assert not [d for d in drifts(cells[:2]) if d.target == "published"]


def test_a_drift_from_released_code_is_told_from_one_from_the_paper(tmp_path: Path) -> None:
    cells = reproduce(make_store(tmp_path, (tfn(),), [CORPUS]), a_little_off(0.0))
    (drift,) = drifts(cells)  # these made-up predictions rank clips better than TFN ever did
    assert (drift.target, drift.together.drift) == ("released code", "better")
    assert {record["together"] for record in as_records(cells)} == {None}
    assert {record["reached"]["together"]["metrics"] for record in as_records(cells)} == {6}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"selection": "test"}, "selected on test there"),
        ({"selection": "best run"}, "best of several runs there"),
        ({"condition": "missing rate 0.7"}, "there: missing rate 0.7"),
        ({"clips": "non-zero labels"}, "there: non-zero labels"),
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


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_epochs": 2}, "budget: max_epochs 2 here, 100 by the protocol"),
        ({"patience": 1}, "budget: patience 1 here, 8 by the protocol"),
        ({"max_epochs": 200}, ""),
        (
            {"selection_metric": "corr"},
            "selection: selection_metric corr here, mae by the protocol",
        ),
        ({"name": "mine"}, "protocol here: mine, whose budget is not known"),
    ],
)
def test_a_budget_that_the_suite_cut(tmp_path: Path, changes, reason: str) -> None:
    store = make_store(tmp_path, (tfn(),), [CORPUS])
    planned(store, **changes)
    (cell,) = reproduce(store, [published(1.0)])
    assert cell.reason == reason
    assert (cell.verdict == "not comparable") == bool(reason)


def planned(store: RunStore, **changes) -> None:
    """Change the protocol of the stored plan."""
    plan = store.plan("small")
    protocol = PlannedProtocol.of({**plan.protocol.json(), **changes}, "protocol")
    store.put_plan("small", dataclasses.replace(plan, protocol=protocol))


def test_a_file_that_nobody_published_is_another_file(tmp_path: Path) -> None:
    cell = verdict(tmp_path, published(1.0), corpora=[corpus_of(file=None)])
    assert verdict_of(cell) == "not comparable: file: none of the published ones, by its SHA-256"


def test_two_seeds_two_epochs_and_made_up_features_reproduce_nothing(tmp_path: Path) -> None:
    row = tfn(name="lf_dnn", cells={1111: Off(0.5), 1112: Off(1.2)})
    store = make_store(tmp_path, (row,), [corpus_of(file=None)])
    planned(store, max_epochs=2)
    cells = reproduce(store, table("mmsa", "mosi", "lf_dnn"))
    assert len(cells) == 8
    assert {cell.verdict for cell in cells} == {"not comparable"}
    reason = (
        "file: none of the published ones, by its SHA-256;"
        " budget: max_epochs 2 here, 100 by the protocol"
    )
    assert {cell.reason for cell in cells} == {reason}
    page, records = render("mmsa", cells), as_records(cells)
    assert page.count(f"not comparable: {reason}") == 8
    assert {record["reason"] for record in records} == {reason}
    assert {record["reached"]["verdict"] for record in records if record["reached"]} == {
        "not comparable"
    }
    assert counts(cells).startswith("8 numbers: 0 reproduced by training")


def test_the_published_quirk_is_no_change_and_the_repaired_one_is_said(tmp_path: Path) -> None:
    repaired = tfn(params={"lr": 0.001, "hidden": 16, "quirk": "fixed"})
    store = make_store(tmp_path, (repaired,), [CORPUS])
    (cell,) = reproduce(store, [published(1.0)])
    assert cell.remarks == ("repaired here where released code departs from the paper",)
    plan = store.plan("small")
    for quirk, reason in (("published", ""), ("fixed", "changed here: quirk")):
        rows = tuple(dataclasses.replace(row, changed={"quirk": quirk}) for row in plan.rows)
        store.put_plan("small", dataclasses.replace(plan, rows=rows))
        (cell,) = reproduce(store, [published(1.0)])
        assert cell.reason == reason


def test_the_encoder_a_suite_names_is_compared_not_held_against_it(tmp_path: Path) -> None:
    bert = "T-BERT: bert-base-uncased"
    row = tfn(text="T-BERT", encoder="google-bert/bert-base-uncased")
    assert verdict(tmp_path, published(0.7, text=bert), row).gap is not None


def test_another_split_and_other_features_of_the_dataset(tmp_path: Path) -> None:
    corpora = [corpus_of("mosi@utterance", (1173, 274, 752))]
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
    assert verdict_of(cell) == (
        "cannot tell (not stated: selection, features, text encoder, F1 weighting,"
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
    assert same.gap.interval() == (same.gap.effect, same.gap.effect)
    off = verdict(tmp_path / "b", published(value + 0.02, selection="best run", seeds=1), row)
    assert off.verdict == "differs (better here)"


def test_the_noise_of_its_evaluation_is_the_width_of_its_gap(tmp_path: Path) -> None:
    row = released(passes=(0.05, -0.08, 0.02, 0.04))
    (value,) = ours(row=row)
    cell = verdict(tmp_path, published(value, selection="best run", seeds=1), row)
    labels = CORPUS.split("test").labels
    pred = predict(Off(1.2), labels, 18)
    each = [score(pred + by, labels, "mosi")["mae"] for by in (0.0, *row.passes)]
    assert cell.ours is not None and cell.gap is not None
    assert cell.ours.passes == pytest.approx(each)
    assert cell.gap == beside_mean(each, cell.published.value, 1)
    assert cell.verdict == "reproduced from released weights"
    wild = released(passes=(0.5, -0.8, 1.2, 2.4))
    noisy = verdict(tmp_path / "wild", published(value, selection="best run", seeds=1), wild)
    assert noisy.verdict == "cannot tell", "its noise is wider than the margin"


def test_trained_and_released_rows_have_a_verdict_each(tmp_path: Path) -> None:
    wanted = published(float(np.mean(ours())), seeds=10)
    store = make_store(tmp_path, (tfn(), released()), [CORPUS])
    cells = reproduce(store, [wanted])
    assert [cell.verdict for cell in cells] == [
        "reproduced by training",
        "differs (better here)",
    ]
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
    corpora = [corpus_of("mosi@unaligned-50-explained")]
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
    judged = set(VERDICTS) - {"not comparable", "not run"}
    assert {verdict for system, verdict in found if system == "tfn"} <= judged
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
    assert line.replace("\\|", "").count("|") == 10


def test_records_are_numbers_or_null(tmp_path: Path) -> None:
    (record,) = as_records([verdict(tmp_path, published(0.5))])
    assert record["gap"] == pytest.approx(np.mean(ours()) - 0.5)
    assert record["low"] < record["gap"] < record["high"]
    assert (record["seeds"], record["published_seeds"], record["row"]) == (10, 5, "TFN")
    assert (record["device"], record["selection"]) == ("cpu", "mae on valid")
    assert record["reached"]["low"] < record["reached"]["gap"] < record["reached"]["high"]
    assert (record["reached"]["device"], record["reached"]["seeds"]) == ("one GPU", 10)
    nothing = ReproducedNumber(published=published(0.5), verdict="not run", margin=0.01)
    (empty,) = as_records([nothing])
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
    assert "88 numbers: " in text
    assert text.splitlines()[-1] == "and 6 more: --out FILE lists them"
    code, text, _ = msa("reproduce", "mmsa", "--system", "lmf", "--json")
    assert code == 0
    assert {record["verdict"] for record in json.loads(text)} == {"not comparable", "not run"}
    page = tmp_path / "mmsa.md"
    code, text, _ = msa("reproduce", "mmsa", "--out", page)
    assert code == 0
    store = RunStore(tmp_path / "home" / "store")
    cells = reproduce(store, table("mmsa"))
    assert text.splitlines()[0] == counts(cells)
    assert "## What was not run" in page.read_text("utf-8")


def test_words_are_the_same_in_text_json_and_markdown(msa, tmp_path: Path) -> None:
    asked = ("reproduce", "mmsa", "--dataset", "mosi", "--system", "tfn")
    _, text, _ = msa(*asked)
    _, data, _ = msa(*asked, "--json")
    page = tmp_path / "page.md"
    msa(*asked, "--out", page)
    for record in json.loads(data):
        assert record["verdict"] in text
        assert record["verdict"] in page.read_text("utf-8")
        if record["reached"]:
            assert record["reached"]["verdict"] in text


def test_what_was_not_run_ends_with_what_to_type(msa) -> None:
    code, text, _ = msa("reproduce", "mmsa", "--dataset", "mosei", "--system", "tfn")
    assert code == 0
    assert text.splitlines()[-2:] == [
        "next: msa data add FILE --dataset mosei",
        "next: msa run paper_baselines --only tfn",
    ]
    _, data, _ = msa("reproduce", "mmsa", "--dataset", "mosei", "--system", "tfn", "--json")
    assert {tuple(record["next"]) for record in json.loads(data)} == {
        ("msa data add FILE --dataset mosei", "msa run paper_baselines --only tfn")
    }


def test_next_steps_leave_out_what_is_there_and_what_nothing_runs(tmp_path: Path) -> None:
    cells = reproduce(make_store(tmp_path, (tfn(),), [CORPUS]), table("mmsa", "mosi"))
    steps = next_steps(cells, ["mosi@unaligned-50"], {"suite": {"tfn", "misa"}})
    assert steps == ("msa run suite --only misa",)
    assert next_steps(cells, [], {}) == ()


def test_conditions_are_told_apart(msa, tmp_path: Path) -> None:
    _, text, _ = msa("reproduce", "qa_moe")
    assert "QA-MoE (missing rate 0.7)" in text
    _, data, _ = msa("reproduce", "midg", "--json")
    assert len({(r["dataset"], r["condition"]) for r in json.loads(data)}) == 4


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
