"""Boards of transfers: means and worst targets, the three rules, ERM, and bounds without ranks."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

import leaderboards
from harness.runs.store import RunStore
from harness.spec.protocols import protocols
from harness.tests import stores
from harness.tests.stores import Constant, NotRun, Off, Row, make_corpus, make_record, make_spec
from leaderboards.model import gather
from leaderboards.rendering import render_html, render_markdown
from leaderboards.sections import compose
from leaderboards.sections.transfer import collect, contests, contests_of

SEEDS = (1111, 1112)
SEVERAL = ("mosei+sims-to-mosi@own", "mosi+sims-to-mosei@own", "mosi+mosei-to-sims@own")
SINGLE = tuple(f"{a}-to-{b}@own" for a, b in itertools.permutations(("mosi", "mosei", "sims"), 2))
BOUNDS = tuple(f"{name}-to-{name}@own" for name in ("mosi", "mosei", "sims"))
EVERY = (*SEVERAL, *SINGLE, *BOUNDS)
SPLITS = ("valid", "test")


def row(label, cells=None, **kind):
    return Row(label=label, cells=cells or {seed: Off(0.5) for seed in SEEDS}, **kind)


MEAN = row("train_mean", {0: Constant(0.3)}, epochs=0, deterministic=True, reference=True)


@pytest.fixture(autouse=True)
def protocol(monkeypatch):
    monkeypatch.setattr(stores, "PROTOCOL", protocols["domain_generalization"])


def predictions(corpus, error, seed):
    """Labels missed by ``error`` on average exactly, one way or the other."""
    parts = []
    for split in map(corpus.split, SPLITS):
        signs = np.where((np.arange(len(split)) + seed) % 2, 1.0, -1.0)
        pred = split.labels + error[split.name] * signs
        parts.append(pd.DataFrame({"id": split.ids, "split": split.name, "pred": pred}))
    return pd.concat(parts, ignore_index=True).assign(condition="clean", variant="plain")


def store_of(root, rows, errors, corpora=EVERY, curves=None):
    """A store in which ``errors(label, corpus)`` are the MAE on valid and on test."""
    store = RunStore(root)
    opened = [make_corpus(name) for name in corpora]
    places = [(c, r, seed) for c in opened for r in rows for seed in r.cells]
    specs = {(c.name, r.label, seed): make_spec(c, r, seed) for c, r, seed in places}
    store.put_plan("small", stores._plan("small", "Small suite", rows, opened, specs))
    for corpus in opened:
        store.put_truth(corpus)
    for corpus, one, seed in places:
        outcome, spec = one.cells[seed], specs[corpus.name, one.label, seed]
        if isinstance(outcome, NotRun):
            continue
        record = make_record(corpus, one, spec, outcome)
        if isinstance(outcome, Off):
            error = dict(zip(SPLITS, errors(one.label, corpus.name), strict=True))
            record = dataclasses.replace(record, predictions=predictions(corpus, error, seed))
        if curves is not None and isinstance(outcome, Off):
            test = corpus.split("test").labels
            table = pd.DataFrame({str(e): test + by for e, by in enumerate(curves, start=1)})
            record = dataclasses.replace(record, curves={"test": table})
        store.commit(record)
    return store


TEST = {
    "ERM": {"mosi": 0.4, "mosei": 0.2, "sims": 0.3},
    "CORAL": {"mosi": 0.2, "mosei": 0.1, "sims": 0.6},
}


def by_target(label, corpus):
    target = corpus.partition("@")[0].rpartition("-to-")[2]
    home = corpus.startswith(f"{target}-to-")
    return 0.1, 0.05 if home else TEST[label][target]


def found(store, several=True):
    board = gather(store, "small")
    first, *rest = contests(collect(store, board.grids))
    return first if several else rest[0]


@pytest.fixture
def store(tmp_path):
    return store_of(tmp_path, [MEAN, row("ERM"), row("CORAL")], by_target)


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize(
    ("label", "mean", "worst", "target"), [("ERM", 0.3, 0.4, "mosi"), ("CORAL", 0.3, 0.6, "sims")]
)
def test_mean_over_targets_and_worst_target(store, several, label, mean, worst, target):
    (standing,) = [s for s in found(store, several).standings if s.algorithm == label]
    assert standing.mean.value == pytest.approx(mean)
    assert standing.worst.value == pytest.approx(worst)
    assert standing.worst_target == target
    low, high = standing.mean.reference.interval()
    assert low <= mean + 1e-9 and high >= mean - 1e-9


def test_a_target_counts_once_however_many_transfers_lead_to_it(tmp_path):
    def errors(label, corpus):
        return 0.1, 0.6 if corpus.endswith("-to-sims@own") else 0.0

    corpora = ("mosi-to-sims@own", "mosei-to-sims@own", "sims-to-mosi@own")
    store = store_of(tmp_path, [row("ERM")], errors, corpora)
    (standing,) = found(store).standings
    assert standing.mean.value == pytest.approx(0.3)


def test_transfers_to_one_target_are_drawn_on_the_same_videos(tmp_path):
    """Equal predictions from two sources: their difference has no spread."""
    corpora = ("mosi-to-sims@own", "mosei-to-sims@own")
    det = row("ridge", {0: Off(0.3)}, deterministic=True, epochs=0)
    store = store_of(tmp_path, [det], lambda *_: (0.1, 0.3), corpora)
    (standing,) = found(store).standings
    one, other = (standing.by_transfer[name] for name in corpora)
    assert (one - other).total == pytest.approx(0.0, abs=1e-30)


def test_every_algorithm_is_compared_with_erm_and_erm_with_nothing(store):
    (versus,) = found(store).versus
    assert (versus.algorithm, versus.baseline) == ("CORAL", "ERM")
    assert versus.mean.value == pytest.approx(0.0, abs=1e-9)
    assert versus.worst.value == pytest.approx(0.2)
    assert versus.by_transfer[SEVERAL[0]].value == pytest.approx(-0.2)
    assert 0 < versus.p_holm <= 1


def test_the_difference_of_worst_targets_spans_the_differences_on_every_target(store):
    (versus,) = found(store).versus
    by_transfer = [one.reference.interval() for one in versus.by_transfer.values()]
    assert versus.worst.low <= min(low for low, _ in by_transfer) + 1e-9
    assert versus.worst.high >= max(high for _, high in by_transfer) - 1e-9


def test_one_run_of_an_algorithm_that_seeds_change_has_no_rank(tmp_path):
    once = row("CORAL", {1111: Off(0.5)})

    def errors(label, corpus):
        return by_target("ERM" if label == "V-REx" else label, corpus)

    board = store_of(tmp_path, [row("ERM"), row("V-REx"), once], errors)
    contest = found(board)
    (ranking,) = contest.rankings.values()
    assert set(ranking.names) == {"ERM", "V-REx"}
    about = {versus.algorithm: versus.of_checkpoints for versus in contest.versus}
    assert about == {"V-REx": False, "CORAL": True}
    page = leaderboards.render(board, "small")
    assert "CORAL - ERM¹" in page
    assert "of these checkpoints, not of the systems" in page
    records = {
        r["algorithm"]: r
        for r in leaderboards.as_records(board, "small")
        if r.get("family") == "Several sources: own" and not r["bound"]
    }
    assert records["CORAL"]["about"] == records["CORAL"]["versus"]["about"] == "checkpoints"
    assert records["CORAL"]["rank"] is None
    assert records["ERM"]["about"] == "systems"
    assert "**Could be best:** in the mean over targets" in page


def test_the_constant_and_the_bounds_are_shown_and_not_ranked(store):
    contest = found(store)
    (ranking,) = contest.rankings.values()
    assert set(ranking.names) == {"ERM", "CORAL"}
    assert contest.standings[0].algorithm == "train_mean"
    assert [s.mean.value for s in contest.bounds] == pytest.approx([0.05, 0.05])
    page = leaderboards.render(store, "small")
    bound = next(line for line in page.splitlines() if "in-domain bound: ERM" in line)
    assert bound.split("|")[4].strip() == "·"
    assert "## CMU-MOSI → CMU-MOSI" not in page  # a bound has no table that ranks
    assert "## Across datasets" not in page and "## Literature" not in page


def test_an_incomplete_algorithm_is_shown_and_takes_no_part(tmp_path):
    holed = row("CORAL", {1111: Off(0.1), 1112: NotRun()})
    contest = found(store_of(tmp_path, [row("ERM"), row("V-REx"), holed], lambda *_: (0.1, 0.2)))
    standing = contest.standings[-1]
    assert standing.algorithm == "CORAL" and not standing.ranked and standing.mean is None
    assert standing.by_transfer[SEVERAL[0]].value == pytest.approx(0.2)
    assert {v.algorithm for v in contest.versus} == {"V-REx"}


def test_seeds_are_those_of_the_transfer_that_lacks_most(store):
    wanted = {"system": row("CORAL").system.name, "corpus": SEVERAL[2]}
    lost = next(run.key for run in store if wanted.items() <= run.manifest.json()["spec"].items())
    store.set_aside(lost)
    lines = leaderboards.render(store, "small").splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    shown = next(row for row in rows if len(row) > 9 and row[1] == "CORAL")
    assert shown[3:6] == ["1/2, n=1", "·", "·"]


def test_rows_that_knew_different_things_are_ranked_apart(tmp_path):
    store = store_of(tmp_path, [row("ERM"), row("CORAL"), row("ConKI")], lambda *_: (0.1, 0.2))
    plan = store.plan("small")
    rows = [
        dataclasses.replace(row, knowledge="simsv2@own") if row.label == "ConKI" else row
        for row in plan.rows
    ]
    store.put_plan("small", dataclasses.replace(plan, rows=tuple(rows)))
    (ranking,) = found(store).rankings.values()
    assert set(ranking.names) == {"ERM", "CORAL"}
    assert "Also learned from simsv2@own" in leaderboards.render(store, "small")


# Rules of selection


def settings(label, corpus):
    """Setting 1 is best on validation, 2 on held-out sources, 3 on the target alone."""
    dataset = corpus.partition("@")[0]
    number = int(label[-1])
    valid = {1: 0.1, 2: 0.2, 3: 0.3}[number]
    if "+" in dataset:
        return valid, {1: 0.5, 2: 0.4, 3: 0.1}[number]
    return valid, {1: 0.5, 2: 0.1, 3: 0.3}[number]


def test_three_rules_choose_by_what_they_may_look_at(tmp_path):
    store = store_of(tmp_path, [row(f"ERM #{i}") for i in (1, 2, 3)], settings)
    (standing,) = found(store).standings
    assert standing.algorithm == "ERM" and standing.pick.settings == 3
    assert standing.mean.value == pytest.approx(0.5)
    assert standing.by_rule == pytest.approx(
        {"training-domain validation": 0.5, "leave-one-domain-out": 0.4, "oracle": 0.1}
    )


def test_a_single_source_leaves_nothing_to_leave_out(tmp_path):
    store = store_of(tmp_path, [row(f"ERM #{i}") for i in (1, 2, 3)], settings)
    (standing,) = found(store, several=False).standings
    assert "leave-one-domain-out" not in standing.by_rule
    assert {"training-domain validation", "oracle"} == set(standing.by_rule)


def test_leave_one_domain_out_waits_for_its_transfers(tmp_path):
    store = store_of(tmp_path, [row("ERM #1"), row("ERM #2")], settings, SEVERAL)
    (standing,) = found(store).standings
    assert "leave-one-domain-out" not in standing.by_rule


def test_the_oracle_chooses_among_epochs_too(tmp_path):
    store = store_of(tmp_path, [row("ERM")], lambda *_: (0.1, 0.4), curves=(0.5, 0.05, 0.3))
    (standing,) = found(store).standings
    assert standing.mean.value == pytest.approx(0.4)
    assert standing.by_rule["oracle"] == pytest.approx(0.05, abs=1e-6)


# Recalibration


def test_the_line_is_fitted_on_source_validation(tmp_path, monkeypatch):
    """Predictions at three times their scale: the line takes it out where sources show it."""

    def tripled(corpus, error, seed):
        parts = [
            pd.DataFrame({"id": s.ids, "split": s.name, "pred": 3 * s.labels})
            for s in map(corpus.split, SPLITS)
        ]
        return pd.concat(parts, ignore_index=True).assign(condition="clean", variant="plain")

    monkeypatch.setitem(globals(), "predictions", tripled)
    (standing,) = found(store_of(tmp_path, [row("ERM")], lambda *_: (0, 0))).standings
    for corpus in SEVERAL:
        assert standing.by_transfer[corpus].value > 0.5
        assert standing.recalibrated[corpus].value == pytest.approx(0.0, abs=1e-6)


# Formats


def test_markdown_page_and_records_say_the_same(store):
    board = gather(store, "small")
    markdown, page = render_markdown(compose(board)), render_html(compose(board))
    for words in ("Several sources: own", "A single source: own", "Against ERM", "never ranked"):
        assert words in markdown and words in page
    records = [r for r in leaderboards.as_records(store, "small") if "family" in r]
    erm = next(r for r in records if r["algorithm"] == "ERM" and not r["bound"])
    assert erm["mean"]["value"] == pytest.approx(0.3)
    assert set(erm["transfers"]) == set(SEVERAL)
    assert {r["bound"] for r in records} == {True, False}


def test_other_boards_know_nothing_of_transfers(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "PROTOCOL", protocols["in_domain"])
    store = stores.make_store(tmp_path, [MEAN, row("ERM")])
    assert contests_of(gather(store, "small")) == ()
    assert not [r for r in leaderboards.as_records(store, "small") if "family" in r]


def test_a_board_of_a_benchmarks_protocol_has_its_units_too(tmp_path, monkeypatch):
    ours = compose(gather(store_of(tmp_path / "a", [row("ERM")], lambda *_: (0.1, 0.2)), "small"))
    assert "As MMDG-Bench scores" not in render_markdown(ours)
    monkeypatch.setattr(stores, "PROTOCOL", protocols["mmdg_bench"])
    store = store_of(tmp_path / "b", [row("ERM")], lambda *_: (0.1, 0.2), SINGLE[:2])
    board = gather(store, "small")
    page = render_markdown(compose(board))
    lines = page.partition("## As MMDG-Bench scores")[2].splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in lines if "ERM" in line]
    assert [line[1] for line in cells] == list(SINGLE[:2])
    assert all("0.600 ± 0.000" in line for line in cells), "0.2 on labels in [-1, 1]"
    assert "As MMDG-Bench scores" in render_html(compose(board))
