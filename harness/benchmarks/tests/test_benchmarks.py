"""Benchmarks run at a tiny scale, and what they found is shown right; no time is asserted."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

import leaderboards
from harness.benchmarks import __main__ as command
from harness.benchmarks import gpu, statistics
from harness.benchmarks import store as storing
from harness.benchmarks.compared import against, summary
from harness.benchmarks.compared import table as table_of
from harness.benchmarks.gpu import _STUDIED, _Study, on_a_gpu
from harness.benchmarks.limit import flops_of
from harness.benchmarks.loops import BareSteps, ready_loop
from harness.benchmarks.many_runs import fill
from harness.benchmarks.measure import FULL, QUICK, TINY, BenchmarkRow, alternate
from harness.benchmarks.references import SCORERS, SIMS_SCORERS
from harness.benchmarks.report import conditions, read, render, updated
from harness.benchmarks.runs import SUITE, stored
from harness.benchmarks.suite import BENCHMARKS, QUICKEST, SEPARATE
from harness.data import load
from harness.data.batching import BatchSource
from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.home import Home
from harness.metrics import score
from harness.runs.soundness import damage_of
from harness.tests.compilers import needs_compiler

ROW = BenchmarkRow(
    what="Sorting",
    reference="bubbles",
    ours=(0.25, 2.0, 0.5),
    theirs=(0.5, 1.0, 2.0),
    target=1.03,
    note="of ten numbers",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name not in {*SEPARATE, "gpu"}])
def test_every_benchmark_gives_rows_that_compare(name: str, tmp_path: Path) -> None:
    rows = BENCHMARKS[name](tmp_path, TINY)
    assert rows
    for row in rows:
        assert len(row.ours) == len(row.theirs) >= 1
        assert all(math.isfinite(ratio) and ratio > 0 for ratio in row.ratios)
    assert len({(row.what, row.reference) for row in rows}) == len(rows)


@pytest.mark.slow
def test_mmsa_trains_the_same_network_in_turns_with_ours(tmp_path: Path) -> None:
    (row,) = BENCHMARKS["mmsa"](tmp_path, TINY)
    assert "885,605 parameters in both" in row.note
    assert len(row.ours) == len(row.theirs) == TINY.repeats
    assert all(ratio > 0 for ratio in row.ratios)


@pytest.mark.slow
def test_a_whole_study_is_gone_through_by_both(tmp_path: Path) -> None:
    first, seed, metric = BENCHMARKS["whole-study"](tmp_path, TINY)
    assert first.theirs == seed.theirs == metric.theirs
    assert all(row.ratio > 0 for row in (first, seed, metric))
    assert "1 runs (LMF; seeds: 1)" in first.note


def test_bare_steps_are_as_many_as_those_of_the_loop(tmp_path: Path) -> None:
    loop = ready_loop(load("mosi-twin@compact-x5", Home(tmp_path)), "mult", {})
    assert loop.params.accumulate > 1
    bare = BareSteps(loop)
    assert len(bare.steps) * loop.epochs == loop.sweeps[0].steps
    assert sum(len(batch) for step in bare.steps for batch in step) == len(loop.task.train)


def test_a_ratio_is_taken_between_neighbours() -> None:
    assert ROW.ratios == (0.5, 2.0, 0.25)
    assert ROW.ratio == 0.5


def test_measures_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []

    def measure(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    values = alternate(lambda: measure("a"), lambda: measure("b"), repeats=2)
    assert "".join(turns) == "ababab"
    assert values == [(3.0, 5.0), (4.0, 6.0)]


def cells_of(page: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_shows_ratio_range_medians_and_aim() -> None:
    page = render([dataclasses.replace(ROW, note="")], {"Date": "2026-01-01"})
    assert cells_of(page)[2] == [
        *("Sorting", "bubbles", "0.5", "0.25 to 2 (n=3)"),
        *("500 ms", "1 s", "≤ 1.03"),
    ]
    assert "- Date: 2026-01-01." in page
    assert "## Notes" not in page


@pytest.mark.parametrize(
    ("unit", "value", "shown"),
    [
        ("s", 12.345, "12.3 s"),
        ("s", 0.0123, "12.3 ms"),
        ("B", 3 * 2**20, "3 MiB"),
        ("B", 3 * 2**29, "1.5 GiB"),
    ],
)
def test_values_are_spelled_with_a_fitting_unit(unit, value, shown) -> None:
    row = BenchmarkRow(what="x", reference="y", ours=(value,), theirs=(value,), unit=unit)
    assert cells_of(render([row], {}))[2][4:6] == [shown, shown]


FIGURES = st.floats(1e-6, 1e6)
TEXTS = st.text(st.sampled_from("ab `|/:.,-≤×7"), min_size=1, max_size=20).map(
    lambda text: f"x{text.strip()}x"
)


@st.composite
def some_rows(draw: st.DrawFn) -> list[BenchmarkRow]:
    rows = []
    names = draw(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5, unique=True))
    for what, reference in names:
        values = draw(st.lists(st.tuples(FIGURES, FIGURES), max_size=3))
        ours, theirs = zip(*values, strict=True) if values else ((), ())
        note = draw(st.just("") | TEXTS)
        rows.append(
            BenchmarkRow(what=what, reference=reference, ours=ours, theirs=theirs, note=note)
        )
    return rows


@given(some_rows())
def test_a_page_is_read_as_it_was_written(rows: list[BenchmarkRow]) -> None:
    facts = {"Date": "2026-01-01", "Versions": "a 1, b 2"}
    text = render(rows, facts)
    page = read(text)
    assert render(page.rows, page.facts) == text
    assert page.facts == facts
    for row, found in zip(rows, page.rows, strict=True):
        assert (found.what, found.reference) == (row.what, row.reference)
        assert found.measured == row.measured
        if row.measured:
            assert found.ratio == pytest.approx(row.ratio, rel=0.005)
            low, high = found.spread
            assert low <= found.ratio <= high


def test_the_committed_page_is_one_that_can_be_read() -> None:
    text = Path(command.__file__).parents[2].joinpath("BENCHMARKS.md").read_text("utf-8")
    page = read(text)
    assert read(render(page.rows, page.facts)) == page
    notes = text.partition("## Notes")[2].partition("## Conditions")[0]
    assert sum(bool(row.note) for row in page.rows) == notes.count("\n- ")
    assert all(row.measured or row.figures[0] == "not yet measured" for row in page.rows)


@pytest.mark.parametrize("text", ["", "# Benchmarks", "| a | b |\n|:--|:--|\n| 1 | 2 |"])
def test_a_text_that_is_no_page_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="expected a page of benchmarks"):
        read(text)


def row_of(ratio: float, what: str = "Sorting") -> BenchmarkRow:
    return BenchmarkRow(what=what, reference="bubbles", ours=(ratio,), theirs=(1.0,))


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (0.25, "within its spread"),
        (2.0, "within its spread"),
        (2.03, "within its spread"),
        (2.05, "moved, worse"),
        (0.246, "within its spread"),
        (0.24, "moved, better"),
    ],
)
def test_a_ratio_moved_if_it_left_the_spread_of_the_page(ratio: float, verdict: str) -> None:
    page = read(render([ROW], {"Date": "x"}))
    (found,) = against([row_of(ratio)], page)
    assert found.verdict == verdict


def test_what_the_page_lacks_or_never_measured_is_said() -> None:
    page = read(render([dataclasses.replace(ROW, ours=(), theirs=())], {"Date": "x"}))
    found = against([row_of(1.0), row_of(1.0, "Other")], page)
    assert [one.verdict for one in found] == ["not yet measured", "not in the file"]
    assert "1 not in the file" in summary(found)
    assert "| Other / bubbles" in table_of(found)


def test_rows_measured_by_themselves_keep_the_others_and_say_when() -> None:
    other = row_of(3.0, "Other")
    facts = {"Date": "2026-01-01", "Processor": "A, 2 cores", "Versions": "a 1, b 2"}
    page = read(render([ROW, other], facts))
    later = {"Date": "2026-02-02", "Processor": "B, 2 cores", "Versions": "a 1, b 3"}
    text = updated(
        page, [dataclasses.replace(ROW, ours=(9.0,), theirs=(1.0,)), row_of(1, "N")], later
    )
    found = read(text)
    assert [row.what for row in found.rows] == ["Sorting", "Other", "N"]
    assert [row.ratio for row in found.rows] == [9.0, 3.0, 1.0]
    alone = "measured by itself on 2026-02-02, processor B, 2 cores, versions as below but for b 3"
    assert [row.note for row in found.rows] == [f"of ten numbers; {alone}", "", alone]
    assert found.facts == facts
    assert updated(page, [dataclasses.replace(ROW, ours=(), theirs=())], later) == render(
        page.rows, page.facts
    )


def test_a_page_takes_new_conditions_when_no_row_of_the_old_ones_is_left() -> None:
    facts = {"Date": "2026-01-01", "Processor": "A, 2 cores", "Versions": "a 1"}
    later = {"Date": "2026-02-02", "Processor": "A, 2 cores", "Versions": "a 2"}
    gpu = dataclasses.replace(row_of(1, "On a GPU"), ours=(), theirs=())
    page = read(render([ROW, row_of(3.0, "Other"), gpu], facts))
    first = read(updated(page, [row_of(4.0, "Other")], later))
    assert first.facts == facts
    assert updated(first, [ROW], later) == render([ROW, row_of(4.0, "Other"), gpu], later)


def test_rows_measured_again_in_the_conditions_of_the_page_need_no_word_on_them() -> None:
    facts = {"Date": "2026-01-01", "Processor": "A, 2 cores", "Load before": "0.1"}
    page = read(render([ROW, row_of(3.0, "Other")], facts))
    again = updated(page, [row_of(4.0, "Other")], {**facts, "Load before": "0.2"})
    assert again == render([ROW, row_of(4.0, "Other")], facts)


def test_operations_of_recurrent_layers_are_counted_as_by_hand() -> None:
    clips, steps, width, hidden = 3, 11, 7, 5
    lstm = torch.nn.LSTM(width, hidden, batch_first=True)
    inputs = torch.randn(clips, steps, width, requires_grad=True)
    by_hand = clips * steps * 2 * 4 * hidden * (width + hidden)
    with torch.no_grad():
        assert flops_of(lambda: lstm(inputs)) == by_hand
    assert flops_of(lambda: lstm(inputs)[0].sum().backward()) == 3 * by_hand


def test_operations_of_products_and_attention_are_counted_as_by_hand() -> None:
    layer = torch.nn.Linear(7, 5)
    inputs = torch.randn(3, 7, requires_grad=True)
    assert flops_of(lambda: layer(inputs).sum().backward()) == 3 * 2 * 3 * 7 * 5
    query = torch.randn(2, 4, 6, 8)
    with torch.no_grad():
        found = flops_of(lambda: scaled_dot_product_attention(query, query, query))
    assert found == 2 * (2 * 4) * 2 * 6 * 6 * 8


def test_runs_of_other_suites_are_whole_and_known_to_be(tmp_path: Path) -> None:
    store = stored(tmp_path, tmp_path / "store", "-x5", 1)
    keys = fill(store, SUITE, 3)
    assert [store.get(key).spec.seed for key in keys] == [10**6, 10**6 + 1, 10**6 + 2]
    assert [store.get(key).damage for key in keys] == [()] * 3
    assert store.plan("others000").keys == set(keys)
    assert not any(damage_of(store, store.get(key)) for key in keys)


def test_notes_follow_the_table() -> None:
    assert "of ten numbers." in render([ROW], {}).partition("## Notes")[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_what_needs_a_gpu_is_shown_as_not_measured(tmp_path: Path) -> None:
    rows = on_a_gpu(tmp_path, FULL)
    assert len({(row.what, row.reference) for row in rows}) == len(rows) > 0
    assert render(rows, {}).count("not yet measured") == len(rows)


@needs_compiler
@pytest.mark.slow
def test_what_is_measured_on_a_gpu_can_be_measured(tmp_path: Path) -> None:
    """On a CPU, where the figures mean nothing but every step of them is taken."""
    rows = on_a_gpu(tmp_path, TINY, device="cpu")
    assert all(row.ratio > 0 for row in rows)
    *_, two_workers, _ = rows
    assert "predictions of 2 of 2 runs equal to the last bit" in two_workers.note


@pytest.mark.slow
def test_without_a_compiler_its_rows_say_so(tmp_path: Path, monkeypatch) -> None:
    from torch._inductor import config

    rows = [row for row in gpu._comparisons(TINY) if row.compiles]
    monkeypatch.setattr(gpu, "_comparisons", lambda scale: rows)
    # Its own patch: its values are no attributes, so ``monkeypatch`` would end by deleting them.
    with config.patch({"cpp.cxx": ("no-such-compiler",), "fx_graph_cache": False}):
        (row,) = on_a_gpu(tmp_path, TINY, device="cpu")
    assert not row.measured
    assert row.note.startswith("not compiled here: ")


def test_nothing_is_compiled_when_time_is_up(tmp_path: Path, monkeypatch) -> None:
    rows = [row for row in gpu._comparisons(TINY) if row.compiles]
    monkeypatch.setattr(gpu, "_comparisons", lambda scale: rows)
    monkeypatch.setattr(gpu, "_ALL", 0.0)
    (row,) = on_a_gpu(tmp_path, TINY, device="cpu")
    assert not row.measured
    assert row.note.startswith("left out")


def test_the_study_on_a_gpu_has_every_system_it_names(tmp_path: Path) -> None:
    assert len(_STUDIED) == FULL.studied
    assert _Study(_STUDIED, tmp_path, TINY, "cpu").runs == len(_STUDIED) * TINY.study_seeds


def test_conditions_name_hardware_versions_and_date() -> None:
    facts = conditions()
    assert "cores" in facts["Processor"]
    assert {"torch", "mlflow", "python"} <= set(facts["Versions"].replace(",", "").split())
    assert len(facts["Date"].split("-")) == 3


@pytest.mark.parametrize(
    ("dataset", "scorers", "secondary"),
    [("mosi", SCORERS, True), ("sims", SIMS_SCORERS, False)],
    ids=["mosi", "sims"],
)
def test_metrics_made_elsewhere_are_the_same_metrics(dataset, scorers, secondary) -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(-15, 16, 400) / 15 * datasets[dataset].high
    pred = (truth + rng.normal(0, datasets[dataset].high / 3, 400)).round(6)
    ours = score(pred, truth, dataset, secondary=secondary)
    theirs = {name: scorer(pred, truth.round(6)) for name, scorer in scorers.items()}
    assert theirs == pytest.approx(ours)


def test_pairs_and_their_reference_do_the_same_work() -> None:
    """Values without a video are those from which pseudo-values are made."""
    for table in (statistics.simulated("sims", systems=2), statistics.simulated("mosi", systems=1)):
        values, pseudo = statistics.pseudo_values(table)
        assert values.shape == (8, len(table.systems), 5)
        for video in (0, 7):
            ours = (table.videos * values - pseudo[..., video]) / (table.videos - 1)
            np.testing.assert_allclose(ours, statistics.without(table, video), atol=1e-9)


def test_padded_batches_hold_what_trimmed_ones_do(tmp_path: Path) -> None:
    corpus = load("mosi-twin@compact-x5", Home(tmp_path))
    split, picked = corpus.split("train"), torch.arange(3)
    trimmed, padded = (
        BatchSource(split, inputs=frozenset({"text"}), padded=padded).gather(picked).text
        for padded in (False, True)
    )
    assert trimmed is not None and padded is not None
    assert padded.values.shape[1] == corpus.streams["text"].frames
    assert torch.equal(padded.values, trimmed.untrimmed())


def test_stored_copies_make_a_board_without_holes(tmp_path: Path) -> None:
    store = stored(tmp_path, tmp_path / "store", "-x5", 3)
    (record,) = leaderboards.as_records(store, SUITE)
    assert (record["n"], record["N"], record["holes"]) == (3, 3, [])
    maes = record["metrics"]["mae"]["values"]
    assert len(set(maes)) == 3
    assert len(storing._test_labels(store).labels) > 0


def test_the_command_says_what_moved_and_writes_nothing(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {"fake": lambda folder, scale: [row_of(9.0)]})
    page = tmp_path / "B.md"
    page.write_text(render([ROW], {"Date": "x"}), "utf-8")
    before = page.read_bytes()
    asked = ["--only", "fake", "--compare", str(page)]
    assert command.main(asked) == 0
    assert "1 of 1 ratios moved by more than their spread: 1 worse" in capsys.readouterr().out
    assert command.main([*asked, "--strict"]) == 1
    assert page.read_bytes() == before


def test_the_command_replaces_some_rows(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {"fake": lambda folder, scale: [row_of(9.0)]})
    page = tmp_path / "B.md"
    earlier = {**conditions(), "Date": "2026-01-01"}
    page.write_text(render([ROW, row_of(3.0, "Other")], earlier), "utf-8")
    assert command.main(["--only", "fake", "--update", "--out", str(page)]) == 0
    first, other = read(page.read_text("utf-8")).rows
    assert (first.ratio, other.ratio, other.note) == (9.0, 3.0, "")
    assert "measured by itself on" in first.note


@pytest.mark.parametrize("asked", [["--update"], ["--compare"], ["--quick", "--update"]])
def test_a_page_that_is_not_there_is_wrong_input(asked, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {})
    named = [*asked, str(tmp_path / "none")] if asked == ["--compare"] else asked
    with pytest.raises(SystemExit, match="2"):
        command.main([*named, "--out", str(tmp_path / "none")])


def test_quick_rows_do_the_same_work_as_the_page() -> None:
    differ = {
        f.name for f in dataclasses.fields(FULL) if getattr(FULL, f.name) != getattr(QUICK, f.name)
    }
    assert differ == {"repeats", "looped", "limited", "scan_steps"}  # how many rows, how often
    assert set(QUICKEST) <= set(BENCHMARKS) - SEPARATE


def test_the_command_writes_the_chosen_benchmarks(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {"fake": lambda folder, scale: [ROW]})
    command.main(["--only", "fake", "--out", str(tmp_path / "B.md")])
    assert "bubbles" in (tmp_path / "B.md").read_text("utf-8")
    assert "fake" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["--only", "other"])
