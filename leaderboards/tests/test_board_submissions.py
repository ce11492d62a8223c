"""Submissions on boards: ranked when they kept the protocol, apart with the reason when not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import leaderboards
from harness.errors import StoreError
from harness.metrics import score
from harness.runs.store import RunStore
from harness.spec.protocols import protocols
from harness.submissions import Badge, SubmissionManifest, SubmissionRecord, SubmissionStore
from harness.tests.stores import Off, Row, make_corpus, make_store
from leaderboards.model import analyse, gather, on_common_clips, unranked_because

CORPUS = make_corpus("sims@label-csv", clips=(1368, 456, 457))
TEST = CORPUS.split("test")
ROWS = [Row(label=name, cells={1: Off(by), 2: Off(by)}) for name, by in (("A", 0.5), ("B", 1.0))]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return make_store(tmp_path, ROWS, [CORPUS])


def submit(store: RunStore, clips: int = 457, ids: list[str] | None = None, **stated) -> None:
    """Exact predictions of the first clips."""
    names = list(TEST.ids[:clips]) if ids is None else ids
    pred = TEST.labels[: len(names)].astype("float64")
    table = pd.DataFrame({"id": names, "seed": 0, "pred": pred, "split": "test"})
    record = SubmissionRecord(
        dataset="sims",
        split="test",
        stated=SubmissionManifest(name="theirs", **stated),
        source="0" * 64,
        seeds=(),
        clips=len(names),
        expected=457,
        left_out=0,
        flags=(),
    )
    SubmissionStore(store.root).put(record, table)


def kept(store: RunStore) -> dict[str, str | None]:
    """What a manifest states that keeps the board's protocol."""
    digest = str(gather(store, "small").protocol["digest"])
    return {"protocol": digest, "selection": "validation", "side_info": "none"}


def test_a_submission_that_kept_the_protocol_is_ranked(store: RunStore) -> None:
    submit(store, **kept(store), deterministic=True)
    (grid,) = gather(store, "small").grids
    assert not grid.submissions
    row = next(row for row in grid.rows if row.label == "theirs")
    assert (row.badge, row.facts) == (Badge.RECOMPUTED, ())
    assert row.values("mae") == pytest.approx((0.0,), abs=1e-6)
    ranking = analyse(grid).rankings["mae"]
    assert ranking.rank_of("theirs") == (1, 1)
    assert ranking.conditional == {"theirs"}
    assert "### Submissions" not in leaderboards.render(store, "small")


def test_one_run_is_a_checkpoint_unless_no_seed_is_said_to_change_it(store: RunStore) -> None:
    submit(store, **kept(store))
    (grid,) = gather(store, "small").grids
    row = next(row for row in grid.rows if row.label == "theirs")
    assert unranked_because(row) == "one run of a system that seeds change"
    assert "theirs" not in analyse(grid).rankings["mae"].names
    assert "theirs" in analyse(grid).checkpoints["mae"].names


@pytest.mark.parametrize(
    ("clips", "changes", "reason"),
    [
        (456, {}, "predicts 456 of 457 clips"),
        (457, {"protocol": None}, "states no protocol"),
        (457, {"protocol": "0" * 12}, "states another protocol"),
        (457, {"protocol": protocols["as_released"].digest}, "states another protocol"),
        (457, {"selection": "test"}, "checkpoint selection: test"),
        (457, {"side_info": "explanations"}, "side information: explanations"),
        (457, {"side_info": None}, "side information: not stated"),
    ],
)
def test_any_other_stands_apart_and_says_why(store: RunStore, clips, changes, reason) -> None:
    submit(store, clips, **(kept(store) | changes))
    (grid,) = gather(store, "small").grids
    assert "theirs" not in {row.label for row in grid.rows}
    assert [row.outside for row in grid.submissions] == [reason]
    assert "theirs" not in analyse(grid).rankings["mae"].names
    assert reason in leaderboards.render(store, "small").partition("### Submissions")[2]


def test_one_that_leaves_out_clips_is_ranked_on_the_common_ones_apart(store: RunStore) -> None:
    whole = leaderboards.as_records(store, "small")
    submit(store, 400, **kept(store), deterministic=True)
    (grid,) = gather(store, "small").grids
    small = on_common_clips(grid)
    assert small is not None
    assert small.truth.ids == tuple(TEST.ids[:400])
    assert analyse(small).rankings["mae"].rank_of("theirs") == (1, 1)
    for row in small.rows:
        for run in row.runs:
            assert run.scores == score(run.pred, small.truth.labels, "sims", secondary=True)
    board = leaderboards.render(store, "small")
    assert "### On the 400 of 457 clips that all of these predict" in board
    assert "**theirs** predicts 400 of 457 clips." in board
    found = leaderboards.as_records(store, "small")
    assert found[: len(whole)] == whole
    common = {record["row"]: record for record in found[len(whole) :]}
    assert {(r["common_clips"], r["of"]) for r in common.values()} == {(400, 457)}
    assert (common["theirs"]["rank"], common["theirs"]["partial"]) == ([1, 1], True)


@pytest.mark.parametrize(
    ("clips", "changes"),
    [(457, {}), (400, {"protocol": None}), (400, {"selection": "test"}), (200, {})],
)
def test_no_other_makes_such_a_table(store: RunStore, clips, changes) -> None:
    submit(store, clips, **(kept(store) | changes))
    (grid,) = gather(store, "small").grids
    assert on_common_clips(grid) is None


def test_clips_that_do_not_exist_are_a_store_error(store: RunStore) -> None:
    submit(store, ids=["nobody_0"])
    with pytest.raises(StoreError, match="predicts 1 clips that the labels do not have"):
        gather(store, "small")


@pytest.mark.parametrize("name", ["sims-twin@label-csv", "sims@own"])
def test_twins_and_own_splits_have_no_submissions(tmp_path: Path, name: str) -> None:
    clips = (1368, 456, 457) if "twin" in name else (8, 6, 24)
    store = make_store(tmp_path, ROWS, [make_corpus(name, clips=clips)])
    submit(store)
    (grid,) = gather(store, "small").grids
    assert len(grid.rows) == 2
    assert not grid.submissions
