"""``msa replay``: the same bits, the same within a tolerance, or something else."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from harness._util import checksums
from harness.errors import SpecError, StoreError
from harness.home import Home
from harness.runs.driver import carry_out
from harness.runs.plan import find_suite, make_plan
from harness.runs.replay import find_run, job_of, replay
from harness.runs.store import RunStore, StoredRun
from harness.runs.tests.test_verify import Here

SUITE = """
corpora = ["mosi-twin@compact-x5"]
seeds = 1
[protocol]
max_epochs = 2
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "lf_dnn"
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("kept"))
    home.suites.mkdir(parents=True)
    (home.suites / "small.toml").write_text(SUITE)
    plan = make_plan(find_suite("small", home), home)
    carry_out(plan, RunStore(home.store), Here(), only=["tfidf_ridge", "lf_dnn"])
    return home


@pytest.fixture
def stored(kept: Home, home: Home) -> Home:
    """A home with two runs that a test may spoil."""
    shutil.copytree(kept.root, home.root, dirs_exist_ok=True)
    return home


def run_of(home: Home, system: str) -> StoredRun:
    return next(run for run in RunStore(home.store) if run.spec.system == system)


def rewrite(run: StoredRun, table: pd.DataFrame) -> StoredRun:
    """The run with other predictions, sealed as if it had been written so."""
    table.to_parquet(run.folder / "predictions.parquet", index=False)
    (run.folder / checksums.SUMS).unlink()
    checksums.seal(run.folder)
    return StoredRun(run.folder)


def change(run: StoredRun, by: float) -> StoredRun:
    """The run with another prediction for its first clip."""
    table = run.table()
    table.loc[0, "pred"] += by
    return rewrite(run, table)


@pytest.mark.parametrize("system", ["tfidf_ridge", "lf_dnn"])
def test_a_run_replays_to_the_last_bit(stored: Home, system: str) -> None:
    run = run_of(stored, system)
    found = replay(run, job_of(run, stored), Here())
    assert (found.verdict, found.changed, found.largest) == ("identical", 0, 0.0)
    assert found.predictions == len(run.table())
    assert "source" not in found.surroundings


def test_a_run_of_before_there_were_variants_replays(stored: Home) -> None:
    run = run_of(stored, "tfidf_ridge")
    run = rewrite(run, run.table().drop(columns="variant"))
    found = replay(run, job_of(run, stored), Here())
    assert (found.verdict, found.predictions) == ("identical", len(run.table()))


@pytest.mark.parametrize(
    ("by", "verdict"), [(1e-9, "within tolerance"), (5e-4, "within tolerance"), (0.1, "different")]
)
def test_differences_are_counted_and_measured(stored: Home, by: float, verdict: str) -> None:
    run = change(run_of(stored, "tfidf_ridge"), by)
    found = replay(run, job_of(run, stored), Here())
    assert (found.verdict, found.changed) == (verdict, 1)
    assert found.largest == pytest.approx(by, rel=1e-3)


def test_other_clips_are_different(stored: Home) -> None:
    run = run_of(stored, "tfidf_ridge")
    run = rewrite(run, run.table().iloc[::-1])
    found = replay(run, job_of(run, stored), Here())
    assert (found.verdict, found.largest) == ("different", None)


def test_a_prediction_that_is_missing_on_one_side_is_different(stored: Home) -> None:
    run = change(run_of(stored, "tfidf_ridge"), np.nan)
    found = replay(run, job_of(run, stored), Here())
    assert (found.verdict, found.largest) == ("different", np.inf)


def test_what_changed_since_is_said(stored: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(stored, "tfidf_ridge")
    monkeypatch.setattr("harness.runs.replay.code_of", lambda *given, **more: "another")
    found = replay(run, job_of(run, stored), Here())
    assert found.surroundings["source"] == (run.spec.code, "another")


@pytest.mark.parametrize("prefix", ["", "abc", "../../etc", "zzzz", "0123/", "*" * 8])
def test_a_run_is_named_by_digits_alone(stored: Home, prefix: str) -> None:
    with pytest.raises(SpecError, match="first digits of its key"):
        find_run(RunStore(stored.store), prefix)


def test_a_prefix_of_no_run_is_said(stored: Home) -> None:
    with pytest.raises(StoreError, match="no stored run begins with"):
        find_run(RunStore(stored.store), "0" * 32)


def test_a_damaged_run_is_not_replayed(stored: Home) -> None:
    run = run_of(stored, "tfidf_ridge")
    (run.folder / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="damaged"):
        replay(run, job_of(run, stored), Here())


def test_a_run_whose_input_the_manifest_cannot_bring_back_is_refused(stored: Home) -> None:
    run = run_of(stored, "tfidf_ridge")
    artifacts = {**run.spec.artifacts, "server": "0" * 64}
    asking = type("Asking", (), {"key": run.key, "manifest": run.manifest})()
    asking.spec = type(run.spec)(**{**_fields(run.spec), "artifacts": artifacts})
    with pytest.raises(SpecError, match="depends on a server"):
        job_of(asking, stored)


def _fields(spec) -> dict[str, object]:
    return {name: getattr(spec, name) for name in type(spec).__dataclass_fields__}


@pytest.mark.slow
def test_the_command_replays_in_a_worker(stored: Home, msa) -> None:
    run = run_of(stored, "tfidf_ridge")
    code, out, _ = msa("replay", run.key[:10])
    assert code == 0
    assert "identical" in out
    change(run, 0.5)
    code, out, _ = msa("replay", run.key[:10], "--json")
    assert code == 1
    found = json.loads(out)
    assert (found["verdict"], found["changed"]) == ("different", 1)
