"""``msa carry``: runs of an earlier source count where a sample of them comes out the same."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import leaderboards
from harness._util.checksums import SUMS
from harness._util.sealed import read_sealed
from harness.home import Home
from harness.runs.archive import unpack
from harness.runs.archive.files import listing, write
from harness.runs.carrying.cells import Wanted
from harness.runs.carrying.work import carry_over, look
from harness.runs.driver import carry_out
from harness.runs.equivalence import (
    Candidate,
    Equivalence,
    Equivalences,
    chosen,
    damage_of,
    discard,
    file_of,
    names,
    put,
    read,
)
from harness.runs.executors import Done
from harness.runs.finished import Finished
from harness.runs.plan import Plan, find_suite, make_plan
from harness.runs.prune import leftovers
from harness.runs.store import RunStore
from harness.runs.tests.test_verify import Here
from harness.runs.verify import verify

SUITE = """
corpora = ["mosi-twin@compact-x5"]
seeds = 3
[protocol]
max_epochs = {epochs}
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "lf_dnn"
params = {{ audio_dropout = {dropout} }}
[[systems]]
name = "lf_dnn"
label = "wide"
params = {{ text_hidden = 32 }}
"""
CELLS = 4 + 1 + 3 + 3  # constants, ridge, two networks
SAMPLE = 4 + 1 + 3  # every constant, the ridge, networks: two classes and three seeds


class Altered:
    """An executor by which the predictions of a system come out otherwise."""

    def __init__(self, system: str, by: float) -> None:
        self.system, self.by = system, by

    def run(self, jobs):
        for done in Here().run(jobs):
            record = done.record
            if done.job.spec.system == self.system:
                table = record.predictions
                table = table.assign(pred=table["pred"] + self.by * (table.index == 7))
                record = dataclasses.replace(record, predictions=table)
            yield Done(job=done.job, record=record, failure=done.failure)


class Broken:
    """An executor on which every network fails."""

    def run(self, jobs):
        for done in Here().run(jobs):
            network = done.job.spec.system == "lf_dnn"
            yield Done(job=done.job, failure="it broke") if network else done


class Workplace:
    """A home, and the code of some day."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.store = home, RunStore(home.store)
        self._patch = monkeypatch
        self.write()

    def write(self, *, epochs: int = 1, dropout: float = 0.1) -> None:
        text = SUITE.format(epochs=epochs, dropout=dropout)
        (self.home.suites / "small.toml").write_text(text)

    def plan(self, code: str) -> Plan:
        self._patch.setattr("harness.runs.plan.code_of", lambda *given, **more: code * 4)
        return make_plan(find_suite("small", self.home), self.home)

    def run(self, code: str):
        return carry_out(self.plan(code), self.store, Here())

    def carry(self, code: str, executor=None, *, tolerance: float = 1e-6, **asked):
        wanted = wanted_of(tolerance=tolerance, **asked)
        return carry_over(
            *(self.plan(code), self.store, wanted, executor or Here()),
            on_start=lambda cells: None,
            on_done=lambda done: None,
        )

    def record(self, system: str = "lf_dnn") -> Equivalence:
        return next(r for n in names(self.store) if (r := read(self.store, n)).system == system)

    def standing(self, code: str) -> int:
        """Cells that count by evidence."""
        known = Equivalences(RunStore(self.home.store))
        jobs = self.plan(code).jobs.values()
        return sum(
            known.standing_for(j.spec) is not None for j in jobs if j.spec.key not in self.store
        )

    def rows(self) -> dict[str, dict]:
        return {row["row"]: row for row in leaderboards.as_records(self.store, "small")}


def wanted_of(**asked) -> Wanted:
    return Wanted(
        **{"only": (), "everything": False, "every_seed": False, "tolerance": 1e-6} | asked
    )


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Home:
    """The suite, run by code ``aaaa``."""
    home = Home(tmp_path_factory.mktemp("before"))
    home.suites.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        Workplace(home, patch).run("aaaa")
    return home


@pytest.fixture(scope="module")
def after(before: Home, tmp_path_factory) -> Home:
    """The same, carried over to code ``bbbb``."""
    home = Home(tmp_path_factory.mktemp("after"))
    shutil.copytree(before.root, home.root, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        Workplace(home, patch).carry("bbbb")
    return home


@pytest.fixture
def place(before: Home, home: Home, monkeypatch) -> Workplace:
    """A copy of the first that a test may spoil."""
    shutil.copytree(before.root, home.root, dirs_exist_ok=True)
    return Workplace(home, monkeypatch)


@pytest.fixture
def carried(after: Home, home: Home, monkeypatch) -> Workplace:
    """A copy of the second."""
    shutil.copytree(after.root, home.root, dirs_exist_ok=True)
    return Workplace(home, monkeypatch)


# What is executed


def test_a_sample_sees_every_corpus_class_and_seed_at_the_least_cost() -> None:
    runs = [
        Candidate(
            key=f"{system}{corpus}{kind}{seed}",
            changes=((system, "old", "new"),),
            data=corpus,
            kind=kind,
            seed=seed,
            seconds=10.0 * (system == "slow") + seed + 0.1 * (corpus == "b"),
        )
        for system in ("fast", "slow")
        for corpus in "ab"
        for kind in ("one", "two")
        for seed in (1, 2, 3)
    ]
    found = chosen(reversed(runs))
    assert [one.seconds for one in found] == sorted(one.seconds for one in found)
    for system in ("fast", "slow"):
        mine = [one for one in found if one.changes[0][0] == system]
        assert {one.data for one in mine} == {"a", "b"}
        assert {one.kind for one in mine} == {"one", "two"}
    assert {one.seed for one in found} == {1, 2, 3}
    assert {one.seed for one in found if one.changes[0][0] == "slow"} == {1}
    every = chosen(runs, every_seed=True)
    assert {one.seed for one in every if one.changes[0][0] == "slow"} == {1, 2, 3}
    assert chosen(runs, seen=runs) == []


def test_what_would_be_executed_is_said_and_nothing_done(place: Workplace) -> None:
    there = place.store.keys()
    plan = place.plan("bbbb")
    report = look(plan, place.store, wanted_of())
    assert sum(len(one.sample) for one in report.changes) == SAMPLE
    whole = look(plan, place.store, wanted_of(everything=True))
    assert sum(len(one.sample) for one in whole.changes) == CELLS
    assert all(one.sample_seconds > 0 and not one.verdict for one in report.changes)
    assert place.store.keys() == there
    assert names(place.store) == []


# A refactoring


def test_code_that_computes_the_same_carries_runs_over(carried: Workplace) -> None:
    report = carried.run("bbbb")
    assert (report.done, report.present, report.carried) == (0, CELLS, CELLS - SAMPLE)
    record = carried.record()
    assert (record.old, record.new) == ("aaaa" * 4, "bbbb" * 4)
    assert (len(record.runs), record.largest, record.tolerance) == (3, 0.0, 1e-6)
    assert record.runs[0].predictions > 50 and record.runs[0].packages["torch"]
    rows = carried.rows()
    both = [rows[label]["carried"] for label in ("lf_dnn", "wide")]
    assert [one["of"] for one in both] == [3, 3]
    assert sum(one["replayed"] for one in both) == 3
    assert all(
        row["n"] == row["N"] and "carried" not in row
        for row in rows.values()
        if row["row"] not in ("lf_dnn", "wide")
    )
    said = f"carried over, {both[0]['replayed']} of 3 replayed"
    folder = carried.home.boards
    leaderboards.write(carried.store, "small", folder / "small.md")
    assert said in (folder / "small.md").read_text()
    assert said in (folder / "small.html").read_text()


def test_the_board_is_the_one_of_before_but_for_that(place: Workplace) -> None:
    text = leaderboards.render(place.store, "small")
    place.carry("bbbb")
    lines = leaderboards.render(place.store, "small").splitlines()
    other = set(lines) ^ set(text.splitlines())
    assert {line.split(":")[0] for line in other} == {"- **lf_dnn**", "- **wide**"}


def test_everything_that_reads_runs_finds_them(carried: Workplace, msa, tmp_path) -> None:
    assert {f.kind: f.damage for f in verify(carried.home)}["equivalence"] == ()
    assert not [finding for finding in verify(carried.home) if finding.damage]
    assert leftovers(carried.home) == []
    (found,) = json.loads(msa("status", "small", "--json")[1])
    assert (found["stored"], found["missing"]) == (CELLS, 0)
    code, out, _ = msa("compare", "small:lf_dnn", "small:wide", "--dataset", "mosi", "--json")
    assert code == 0 and json.loads(out)
    totals = json.loads(plan_of(carried, msa))["totals"]
    assert (totals["to_run"], totals["carried"]) == (0, CELLS - SAMPLE)
    assert totals["because_of_code_alone"] == {"cells": 0, "seconds": 0}


def plan_of(place: Workplace, msa, code: str = "bbbb") -> str:
    place.plan(code)
    return msa("run", "small", "--plan", "--json")[1]


def test_a_run_says_what_code_alone_asks_for(place: Workplace, msa, caplog) -> None:
    totals = json.loads(plan_of(place, msa))["totals"]
    assert totals["because_of_code_alone"]["cells"] == CELLS
    assert totals["because_of_code_alone"]["seconds"] > 0
    assert "because of code alone" in msa("run", "small", "--plan")[1]
    place.run("bbbb")
    assert f"{CELLS} are run again" in caplog.text and "`msa carry small`" in caplog.text


def test_what_was_interrupted_goes_on(place: Workplace) -> None:
    class Stopped(Here):
        def run(self, jobs):
            for number, done in enumerate(super().run(jobs)):
                if number == SAMPLE - 2:
                    raise KeyboardInterrupt
                yield done

    with pytest.raises(KeyboardInterrupt):
        place.carry("bbbb", Stopped())
    report = place.carry("bbbb")
    assert 1 <= sum(len(one.sample) for one in report.changes) <= 3
    assert place.standing("bbbb") == CELLS - SAMPLE


def test_on_request_everything_is_executed(place: Workplace) -> None:
    report = place.carry("bbbb", everything=True)
    assert sum(len(one.replayed) for one in report.changes) == CELLS
    assert sum(one.carried for one in report.changes) == 0


# Other numbers


def test_code_that_computes_something_else_is_found_out(place: Workplace) -> None:
    report = place.carry("bbbb", Altered("lf_dnn", 0.01))
    verdicts = {one.system: one.verdict for one in report.changes}
    assert verdicts.pop("lf_dnn") == "different"
    assert set(verdicts.values()) == {"identical"}
    (found,) = (one for one in report.changes if one.system == "lf_dnn")
    assert (found.carried, found.again) == (0, 3)
    assert all(run.changed == 1 and run.largest == pytest.approx(0.01) for run in found.replayed)
    assert not report.holds
    assert place.standing("bbbb") == 0
    assert place.run("bbbb").done == 3


def test_known_differences_need_nothing_executed(place: Workplace) -> None:
    place.carry("bbbb", Altered("lf_dnn", 0.01))
    report = place.carry("bbbb")
    (found,) = report.changes
    assert (found.verdict, found.sample, found.again) == ("different", (), 3)


@pytest.mark.parametrize(("tolerance", "verdict"), [(1e-6, "within tolerance"), (0.0, "different")])
def test_last_bits_are_tolerated_and_recorded(place: Workplace, tolerance, verdict) -> None:
    report = place.carry("bbbb", Altered("lf_dnn", 1e-8), tolerance=tolerance)
    assert {one.verdict for one in report.changes if one.system == "lf_dnn"} == {verdict}
    if verdict == "different":
        return
    assert place.record().largest == pytest.approx(1e-8, rel=1e-3)
    assert place.rows()["wide"]["carried"]["largest"] > 0
    assert "apart by 1e-08 at most" in leaderboards.render(place.store, "small")


def test_a_replay_that_fails_carries_nothing_over(place: Workplace) -> None:
    report = place.carry("bbbb", Broken())
    (found,) = (one for one in report.changes if one.system == "lf_dnn")
    assert (found.verdict, found.carried) == ("failed", 0)
    assert {reason for _, reason in found.failures} == {"it broke"}
    assert place.standing("bbbb") == 0


def test_later_evidence_against_a_record_takes_it_away(carried: Workplace) -> None:
    carried.write(epochs=1, dropout=0.2)
    carried.run("aaaa")
    report = carried.carry("bbbb", Altered("lf_dnn", 0.01))
    assert [one.verdict for one in report.changes] == ["different"]
    assert carried.standing("bbbb") == 0
    assert "carried" not in carried.rows()["wide"]
    assert "earlier source" in leaderboards.render(carried.store, "small")


# What is never carried over


def test_nothing_but_code_may_differ(carried: Workplace) -> None:
    carried.write(epochs=2)
    assert carried.standing("bbbb") == 0
    report = look(carried.plan("bbbb"), carried.store, wanted_of())
    assert (report.changes, report.without) == ((), CELLS)
    carried.write(dropout=0.2)
    report = look(carried.plan("bbbb"), carried.store, wanted_of())
    assert (report.changes, report.without) == ((), 3)


def test_evidence_stands_for_what_it_has_seen(carried: Workplace) -> None:
    record = carried.record()
    specs = {c.job.spec.key: c.job.spec for c in carried.plan("bbbb").cells if c.label == "wide"}
    one_class = tuple(run for run in record.runs if run.new not in specs)
    assert 0 < len(one_class) < len(record.runs)
    put(carried.store, dataclasses.replace(record, runs=one_class))
    assert not damage_of(carried.store, record.name)
    known = Equivalences(carried.store)
    assert [known.standing_for(spec) for spec in specs.values()] == [None] * 3


def test_chains_of_records_lead_from_the_first_source_to_the_last(carried: Workplace) -> None:
    carried.carry("cccc")
    direct = Equivalence(
        system="lf_dnn", old="aaaa" * 4, new="cccc" * 4, tolerance=0.0, date="", runs=()
    )
    discard(carried.store, direct.name)
    known = Equivalences(carried.store)
    chains = [
        found.records
        for job in carried.plan("cccc").jobs.values()
        if job.spec.key not in carried.store and (found := known.standing_for(job.spec))
    ]
    assert max(map(len, chains)) == 2
    report = carried.run("cccc")
    assert report.done == 0
    assert not [finding for finding in verify(carried.home) if finding.damage]


# Records that are not to be believed


def edited(record: Equivalence, **changes) -> Equivalence:
    return dataclasses.replace(record, **changes)


FORGED = {
    "other numbers": lambda r: edited(r, runs=(edited(r.runs[0], predictions=1), *r.runs[1:])),
    "another machine": lambda r: edited(r, runs=(edited(r.runs[0], processor="another"),)),
    "no evidence": lambda r: edited(r, runs=()),
    "any tolerance": lambda r: edited(r, tolerance=5.0),
    "less than no tolerance": lambda r: edited(r, tolerance=-1.0),
    "runs that are not there": lambda r: edited(r, runs=(edited(r.runs[0], new="f" * 32),)),
    "two cells": lambda r: edited(r, runs=(edited(r.runs[0], old=r.runs[1].old),)),
    "two sides swapped": lambda r: edited(
        r, runs=(edited(r.runs[0], old=r.runs[0].new, new=r.runs[0].old),)
    ),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_record_is_refused_and_not_used(carried: Workplace, msa, how: str) -> None:
    record = carried.record()
    put(carried.store, FORGED[how](record))
    assert damage_of(carried.store, record.name)
    assert carried.standing("bbbb") == 0
    assert carried.rows()["wide"]["n"] < 3
    code, out, _ = msa("verify")
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("equivalence")] != []
    assert "1 damaged" in out and "next: msa carry small" in out


def test_a_record_of_other_numbers_of_the_same_code_is_refused(carried: Workplace) -> None:
    record = carried.record()
    lost = carried.store.get(record.runs[0].new)
    shutil.rmtree(lost.folder)
    carry_out(carried.plan("bbbb"), carried.store, Altered("lf_dnn", 0.5), only=("lf_dnn", "wide"))
    assert any(
        "not what their predictions give" in text for text in damage_of(carried.store, record.name)
    )


@pytest.mark.parametrize("how", ["edited", "truncated", "unsealed", "renamed", "emptied"])
def test_a_damaged_record_is_refused_and_written_again(carried: Workplace, msa, how: str) -> None:
    record = carried.record()
    path = file_of(carried.store, record.name)
    content = path.read_bytes()
    spoilt = {
        "edited": content.replace(b'"changed": 0', b'"changed": 1', 1),
        "truncated": content[:-90],
        "unsealed": read_sealed(path),
        "renamed": content,
        "emptied": b"",
    }[how]
    assert spoilt != content or how == "renamed"
    path.write_bytes(spoilt)
    if how == "renamed":
        path.rename(path.with_name(f"{'e' * 32}.json"))
    assert carried.standing("bbbb") == 0
    code, out, _ = msa("verify")
    assert code == 1 and "1 damaged" in out.replace("2 damaged", "1 damaged")
    there = carried.store.keys()
    (found,) = carried.carry("bbbb").changes
    assert (found.sample, found.verdict) == ((), "identical")
    assert carried.store.keys() == there
    assert carried.standing("bbbb") == CELLS - SAMPLE


def test_a_plan_that_names_another_run_is_refused(carried: Workplace) -> None:
    plan = carried.store.plan("small", written=True)
    others = [c for c in plan.cells if c.carried]
    swapped = {others[0].key: others[1].key, others[1].key: others[0].key}
    cells = [dataclasses.replace(c, key=swapped.get(c.key, c.key)) for c in plan.cells]
    carried.store.put_plan("small", dataclasses.replace(plan, cells=tuple(cells)))
    (finding,) = (f for f in verify(carried.home) if f.kind == "plan")
    assert len(finding.damage) == 2
    assert "does not stand for" in finding.damage[0]


def test_evidence_that_is_gone_ends_what_it_carried(carried: Workplace) -> None:
    shutil.rmtree(carried.store.get(carried.record().runs[0].old).folder)
    assert carried.standing("bbbb") == 0
    assert carried.run("bbbb").done == 3


def test_what_held_is_remembered_until_somebody_touches_it(carried: Workplace, monkeypatch) -> None:
    """What is remembered is believed of untouched files alone."""
    monkeypatch.setattr("harness._util.untouched._SETTLED", 0)
    assert carried.standing("bbbb") == CELLS - SAMPLE
    looks: list[str] = []

    def counted(store: RunStore, name: str) -> tuple[str, ...]:
        looks.append(name)
        return damage_of(store, name)

    monkeypatch.setattr("harness.runs.equivalence.reading.damage_of", counted)
    assert carried.standing("bbbb") == CELLS - SAMPLE and not looks
    run = carried.store.get(carried.record().runs[0].new)
    (run.folder / "predictions.parquet").write_bytes(b"")
    assert carried.standing("bbbb") == 0 and looks


# Around it


def test_an_archive_carries_the_evidence(carried: Workplace, msa, tmp_path) -> None:
    carried.plan("bbbb")
    file = tmp_path / "small.zip"
    assert msa("publish", "small", "--out", file)[0] == 0
    code, out, _ = msa("verify", file)
    assert code == 0 and "byte for byte" in out
    record = carried.record()
    put(carried.store, dataclasses.replace(record, tolerance=0.5))
    code, _, errors = msa("publish", "small", "--out", tmp_path / "other.zip")
    assert code == 1 and "do not hold" in errors and "next: msa carry small" in errors


def test_a_forged_record_in_an_archive_is_told(carried: Workplace, msa, tmp_path) -> None:
    carried.plan("bbbb")
    file, inside = tmp_path / "small.zip", tmp_path / "inside"
    assert msa("publish", "small", "--out", file)[0] == 0
    unpack(file, inside)
    name = f"equivalences/{carried.record().name}.json"
    forged = edited(carried.record(), tolerance=0.5)
    put(carried.store, forged)
    members: dict[str, Path | bytes] = {
        str(one.relative_to(inside)): one for one in inside.rglob("*") if one.is_file()
    }
    members[name] = file_of(carried.store, forged.name)
    del members[SUMS]
    members[SUMS] = listing(members)
    write(file, members)
    code, out, _ = msa("verify", file)
    assert code == 1
    assert f"equivalence {forged.name}: its tolerance should be" in out


def test_a_finished_suite_is_looked_at_again_once_a_record_is_touched(
    carried: Workplace, monkeypatch
) -> None:
    monkeypatch.setattr("harness._util.untouched._SETTLED", 0)
    carried.run("bbbb")
    board = carried.home.boards / "small.md"
    leaderboards.write(carried.store, "small", board)
    suite = find_suite("small", carried.home)

    def finished() -> Finished:
        files = leaderboards.files_of(board)
        return Finished(suite=suite, home=carried.home, options={}, board=files)

    finished().keep(CELLS, [])
    assert finished().cells() == CELLS
    put(carried.store, dataclasses.replace(carried.record(), tolerance=0.5))
    assert finished().cells() is None


def test_a_record_that_is_gone_is_told_with_the_plan(carried: Workplace, msa) -> None:
    discard(carried.store, carried.record().name)
    code, out, _ = msa("verify")
    assert code == 1 and "which it relies on, is not in the store" in out
    assert carried.rows()["wide"]["holes"]


def test_evidence_is_not_pruned(carried: Workplace, msa) -> None:
    carried.run("bbbb")
    there = carried.store.keys()
    assert msa("prune", "--yes")[0] == 0
    assert carried.store.keys() == there
    path = file_of(carried.store, carried.record().name)
    path.write_bytes(path.read_bytes()[:-5])
    code, _, errors = msa("prune", "--yes")
    assert code == 1 and "damaged record" in errors
    assert carried.store.keys() == there


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tolerance", "1"), "from 0 to 0.001"),
        (("--tolerance", "-1"), "from 0 to 0.001"),
        (("--only", "nothing"), "matches no row"),
        (("--device", "tpu"), "cpu, cuda or cuda:N"),
        (("--seeds", "x"), "--seeds takes"),
    ],
)
def test_wrong_input_is_one_line(place: Workplace, msa, options, said: str) -> None:
    code, out, errors = msa("carry", "small", *options)
    assert (code, out) == (2, "") and said in errors
    assert "Traceback" not in errors
    assert names(place.store) == []


def test_the_command_fails_where_numbers_differ(place: Workplace, msa, monkeypatch) -> None:
    place.plan("bbbb")
    altered = Altered("lf_dnn", 0.01)
    monkeypatch.setattr("harness.runs.running.workplace_of", lambda *given: altered)
    code, out, errors = msa("carry", "small")
    assert code == 1 and f"{SAMPLE} cells to run" in errors
    assert "lf_dnn (aaaaaaaa -> bbbbbbbb): 3 of 6 compared: different" in out
    assert "predictions changed, by 0.01 at most" in out
    assert "3 cells have to run again: msa run small" in out
    assert "1 of 1 compared: identical; 0 carried over" in out
    assert (place.home.boards / "small.md").is_file()


def test_the_command_says_what_it_found(carried: Workplace, msa) -> None:
    carried.plan("bbbb")
    code, out, _ = msa("carry", "small")
    assert code == 0 and out.startswith("nothing to carry over:")
    carried.plan("cccc")
    code, out, _ = msa("carry", "small", "--plan")
    assert code == 0 and "to execute again" in out and "lf_dnn on mosi-twin@compact-x5" in out
    code, out, _ = msa("carry", "small", "--plan", "--json")
    assert json.loads(out)["changes"][0]["verdict"] is None
    assert msa("carry", "nowhere")[0] == 2


# As a user has it


@pytest.mark.slow
def test_a_plug_in_is_refactored_and_then_changed(noisy_systems, home: Home, tmp_path) -> None:
    (home.suites / "noisy.toml").write_text(
        'corpora = ["mosi-twin@compact-x5", "sims-twin@compact-x5"]\nseeds = 4\n'
        '[[systems]]\nname = "noisy_good"\n[[systems]]\nname = "noisy_fair"\n'
    )
    module = tmp_path / "plugin" / "noisy_plugin.py"
    paths = f"{module.parent}{os.pathsep}{Path(__file__).parents[3]}"

    def msa(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": paths, "MSA_HOME": str(home.root)},
        )
        return done.returncode, done.stdout, done.stderr

    def edit(old: str, new: str) -> None:
        text, count = re.subn(old, new, module.read_text())
        assert count
        module.write_text(text)

    assert msa("run", "noisy")[0] == 0
    edit(r"\brng\b", "generator")
    code, out, errors = msa("carry", "noisy")
    assert code == 0 and out.count("identical") == 2
    executed = int(errors.split()[0])
    assert 4 <= executed <= 6
    said = f"0 cells run, 24 already stored ({16 - executed} of them carried over)"
    assert said in msa("run", "noisy")[1]
    edit(r"scale \* split.labels", "0.01 + scale * split.labels")
    code, out, errors = msa("carry", "noisy")
    assert code == 1 and out.count("different, nothing is carried over") >= 2
    executed = int(errors.split()[0])
    assert f"{16 - executed} cells have to run again: msa run noisy" in out
    assert f"{16 - executed} cells run, {8 + executed} already stored" in msa("run", "noisy")[1]
