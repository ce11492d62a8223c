"""Benchmarks run at a tiny scale, and what they found is shown right; no time is asserted."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import leaderboards
from harness.benchmarks import __main__ as command
from harness.benchmarks import gpu, statistics
from harness.benchmarks import store as storing
from harness.benchmarks.gpu import _STUDIED, _Study, on_a_gpu
from harness.benchmarks.loops import BareSteps, ready_loop
from harness.benchmarks.measure import FULL, TINY, BenchmarkRow, alternate
from harness.benchmarks.references import SCORERS, SIMS_SCORERS
from harness.benchmarks.report import conditions, render
from harness.benchmarks.runs import SUITE, stored
from harness.benchmarks.suite import BENCHMARKS, SEPARATE
from harness.data import load
from harness.data.batching import BatchSource
from harness.data.datasets import datasets
from harness.home import Home
from harness.metrics import score
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

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(config, "fx_graph_cache", False)
    rows = [row for row in gpu._comparisons(TINY) if row.compiles]
    monkeypatch.setattr(gpu, "_comparisons", lambda scale: rows)
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


def test_the_command_writes_the_chosen_benchmarks(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", {"fake": lambda folder, scale: [ROW]})
    command.main(["--only", "fake", "--out", str(tmp_path / "B.md")])
    assert "bubbles" in (tmp_path / "B.md").read_text("utf-8")
    assert "fake" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["--only", "other"])
