"""Searches from request to choice: the same whatever happens meanwhile, chosen on validation."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import harness
from harness import Budget
from harness.errors import RunFailed, SpecError, StoreError
from harness.home import Home
from harness.runs.progress import status
from harness.runs.prune import leftovers
from harness.runs.store import RunStore
from harness.runs.tests.test_verify import Here
from harness.runs.verify import verify
from harness.spec import Suite
from harness.tuning import TuningResult, Watch, suite_text
from harness.tuning.budget import rungs

pytest.importorskip("optuna")
pytestmark = pytest.mark.usefixtures("tunable_systems")
FIRST = 'corpora = ["mosi-twin@compact-x5"]\n[protocol]\nmax_epochs = 30\n'
ONE = '[[systems]]\nname = "tunable_one"\n'
ROWS = '[[systems]]\nname = "tunable_one"\n[[systems]]\nname = "tunable_two"\nlabel = "Two [2]"\n'


def write(home: Home, rows: str = ONE, name: str = "small") -> None:
    (home.suites / f"{name}.toml").write_text(FIRST + rows)


def search(home: Home, trials: int = 4, sampler: str = "tpe", **options: object) -> TuningResult:
    budget = {"batch": 2, **{k: options.pop(k) for k in ("batch", "seed") if k in options}}
    return harness.tune(
        *("small", home, Budget(trials=trials, sampler=sampler, **budget)),
        **{"executor": Here(), **options},
    )


def told(home: Home, result: TuningResult) -> object:
    """Everything that a search found, with all trials."""
    (plan,) = (RunStore(home.store).plan(name) for name in result.plans)
    trials = {row.label: dict(row.changed) for row in plan.rows if not row.reference}
    keys = {cell.label: cell.key for cell in plan.cells}
    return trials, keys, [(r.chosen, r.run, r.valid, dict(r.setting)) for r in result.rows]


class Killed(Here):
    """Dies after some jobs."""

    def __init__(self, jobs: int) -> None:
        self.left = jobs

    def run(self, jobs):
        for done in super().run(jobs):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            yield done


class Counted(Here):
    """Counts jobs."""

    def __init__(self) -> None:
        self.count = 0

    def run(self, jobs):
        for done in super().run(jobs):
            self.count += 1
            yield done


@pytest.mark.parametrize("sampler", ["tpe", "halving"])
def test_an_interrupted_search_ends_in_the_same_trials(home: Home, tmp_path, sampler) -> None:
    write(home, ROWS)
    whole = told(home, search(home, sampler=sampler))
    other = Home(tmp_path / "other")
    other.suites.mkdir(parents=True)
    write(other, ROWS)
    for jobs in (5, 3):
        with pytest.raises(KeyboardInterrupt):
            search(other, sampler=sampler, executor=Killed(jobs))
    assert told(other, search(other, sampler=sampler)) == whole
    again = Counted()
    assert told(other, search(other, sampler=sampler, executor=again)) == whole
    assert again.count == 0


def test_the_database_of_trials_is_no_authority(home: Home) -> None:
    write(home)
    whole = told(home, search(home))
    (journal,) = home.tuning.glob("*.log")
    kept = journal.read_text()
    journal.unlink()
    counted = Counted()
    assert told(home, search(home, executor=counted)) == whole
    lines = kept.splitlines(keepends=True)
    assert len(journal.read_text().splitlines()) == len(lines)
    # a score that was not had, a setting that was not drawn, a line that was cut off
    first = next(place for place, line in enumerate(lines) if '"value":' in line)
    trial = json.loads(lines[first])
    forged = [
        json.dumps({**trial, "value": trial["value"] + 1}) + "\n",
        json.dumps({**trial, "user_attrs": {"run": "0" * 32}}) + "\n",
    ]
    for line in forged:
        journal.write_text("".join([*lines[:first], line, *lines[first + 1 :]]))
        assert told(home, search(home, executor=counted)) == whole
    journal.write_text(kept + lines[first][:20])
    assert told(home, search(home, executor=counted)) == whole
    assert counted.count == 0


def test_more_trials_go_on_from_fewer(home: Home, tmp_path) -> None:
    write(home)
    search(home, 3)
    further = told(home, search(home, 5))
    other = Home(tmp_path / "other")
    other.suites.mkdir(parents=True)
    write(other)
    assert told(other, search(other, 5)) == further


def test_seed_space_and_batch_are_other_searches(home: Home) -> None:
    write(home)
    options = ({}, {"seed": 1}, {"batch": 3}, {"sampler": "random"})
    assert len({search(home, 1, **each).plans for each in options}) == 4


def test_trials_are_runs_like_any_other(home: Home) -> None:
    write(home)
    result = search(home)
    (plan,) = result.plans
    store = RunStore(home.store)
    assert {cell.key for cell in store.plan(plan).cells} == store.keys()
    assert leftovers(home) == []
    assert [found.suite for found in status(None, home)] == [plan]
    assert all(not finding.damage for finding in verify(home))
    one = result.rows[0]
    rows = "".join(
        f'[[systems]]\nname = "tunable_one"\nparams = {{ x = {one.setting["x"]!r},'
        f" y = {one.setting['y']} }}\n"
    )
    write(home, rows, "by_hand")
    counted = Counted()
    harness.run("by_hand", home, seeds=1, executor=counted)
    assert counted.count == 0
    assert one.run in store.plan("by_hand").keys


def test_the_best_on_validation_is_chosen_whatever_the_test_clips_say(home: Home) -> None:
    write(home, ROWS)
    result = search(home, 6, "random")
    store = RunStore(home.store)
    stored = store.plan(result.plans[0])
    for row in result.rows:
        keys = [c.key for c in stored.cells if c.label.startswith(f"{row.row.label} #")]
        data = store.get(row.run).spec.data
        labels = store.truth(data).set_index("id")
        valid = labels[labels["split"] == "valid"]["label"]
        scores = {
            key: float((store.get(key).predictions("valid") - valid).abs().mean()) for key in keys
        }
        assert row.valid == pytest.approx(min(scores.values()))
        assert scores[row.run] == min(scores.values())


def test_halving_gives_fewer_settings_more_epochs(home: Home) -> None:
    write(home, ROWS)
    assert [(r.settings, r.max_epochs) for r in rungs(2, 30)] == [(2, 30)]
    assert [(r.settings, r.max_epochs) for r in rungs(27, 8)] == [(27, 2), (9, 8)]
    result = search(home, 9, "halving")
    store = RunStore(home.store)
    found = store.plan(result.plans[0])
    assert found.tuning is not None
    sizes = [(rung.max_epochs, rung.trials) for rung in found.tuning.rungs]
    assert sizes == [(3, 9), (10, 3)]
    for rung in (*found.tuning.rungs, None):
        plan = found if rung is None else store.plan(rung.plan)
        count = 1 if rung is None else rung.trials
        assert sum(row.label.startswith("Two [2] #") for row in plan.rows) == count
        assert plan.protocol.more["max_epochs"] == (30 if rung is None else rung.max_epochs)
    assert leftovers(home) == []


def test_a_setting_that_fails_is_spent_and_not_tried_again(home: Home) -> None:
    rows = (
        '[[systems]]\nname = "tunable_one"\n'
        'space = { mode = { choices = ["fine", "odd", "broken"] } }\n'
    )
    write(home, rows)
    result = search(home, 8)
    (row,) = result.rows
    assert 0 < row.failed < 8
    whole = told(home, result)
    counted = Counted()
    assert told(home, search(home, 8, executor=counted)) == whole
    assert counted.count == 0
    write(home, '[[systems]]\nname = "tunable_one"\nparams = { mode = "broken" }\n')
    with pytest.raises(RunFailed, match=r"no trial of row 'tunable_one'.*became nan in epoch 2"):
        search(home, 1)


def test_the_suite_has_the_choice_fresh_seeds_and_what_it_cost(home: Home) -> None:
    write(home, ROWS)
    result = search(home, 2)
    content = suite_text(result, untuned=True)
    (home.suites / "after.toml").write_text(content)
    suite = Suite.load(home.suites / "after.toml")
    assert suite.seeds == (1112, 1113, 1114)
    assert suite.protocol_changes == {"max_epochs": 30}
    labels = [entry.label for entry in suite.entries]
    assert labels == ["tunable_one", "tunable_one, untuned", "Two [2]", "Two [2], untuned"]
    tuned, untuned = suite.entries[0].tuned, suite.entries[1].tuned
    assert untuned is None
    assert tuned is not None
    assert (tuned.trials, tuned.sampler, tuned.plan) == (2, "tpe", result.plans[0])
    assert suite.entries[0].params == dict(result.rows[0].setting)
    report = harness.run("after", home, executor=Here())
    assert not report.failed
    plan = RunStore(home.store).plan("after")
    rows = {row.label: row.tuned for row in plan.rows}
    assert rows["tunable_one, untuned"] is None
    digests = {rows["tunable_one"].protocol, rows["Two [2]"].protocol, plan.protocol.digest}
    assert len(digests) == 2  # both rows share budget and space, which are no preset's


def test_corpora_are_searched_apart(home: Home) -> None:
    two = FIRST.replace('x5"]', 'x5", "sims-twin@compact-x5"]')
    (home.suites / "small.toml").write_text(two + ROWS)
    result = search(home, 1)
    assert len(result.plans) == 2
    suite = Suite.parse(tomllib.loads(suite_text(result)), name="a", where="a")
    assert [entry.corpora for entry in suite.entries] == [
        ("mosi-twin@compact-x5",),
        ("mosi-twin@compact-x5",),
        ("sims-twin@compact-x5",),
        ("sims-twin@compact-x5",),
    ]
    assert suite.entries[0].label == "tunable_one on mosi-twin@compact-x5"


def test_who_watches_is_told_of_cells(home: Home) -> None:
    write(home)
    started: list[int] = []
    done: list[object] = []
    search(home, 1, watch=Watch(on_start=started.append, on_done=done.append))
    assert sum(started) == len(done) > 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trials": 0}, "trials should be at least 1, found 0"),
        ({"batch": 0}, "batch should be at least 1"),
        ({"seed": -1}, "seed should be at least 0"),
        ({"seeds_after": 0}, "seeds_after should be at least 1"),
        ({"sampler": "tpee"}, "one of random, tpe, halving; found 'tpee' — did you mean"),
    ],
)
def test_a_budget_that_is_none_is_refused(options: dict, said: str) -> None:
    with pytest.raises(SpecError) as error:
        Budget(**options)
    assert said.split(" — ")[0] in str(error.value)


def test_what_cannot_be_searched_is_refused_before_anything_runs(home: Home) -> None:
    write(home)
    with pytest.raises(SpecError, match="--only three matches no row"):
        search(home, only=("three",))
    with pytest.raises(SpecError, match="12 fresh seeds are asked for; besides 1111"):
        harness.tune("small", home, Budget(trials=2, seeds_after=12), executor=Here())
    write(home, '[[systems]]\nname = "tfidf_ridge"\n')
    with pytest.raises(SpecError, match="nothing says what to search"):
        search(home)
    write(home, "[tune.space]\nheight = { low = 1, high = 2 }\n" + ROWS)
    with pytest.raises(SpecError, match=r"no row's system has a parameter 'height'"):
        search(home)
    assert not RunStore(home.store).keys()


def test_without_validation_clips_nothing_can_be_chosen(home: Home, make_empty: Callable) -> None:
    make_empty("mosi@small")
    here = FIRST.replace("mosi-twin@compact-x5", "mosi@small")
    (home.suites / "small.toml").write_text(here + ROWS)
    with pytest.raises(SpecError, match="can be searched: tunable_one on mosi@small: needs valid"):
        search(home)


def test_what_is_not_here_is_skipped_with_its_reason(home: Home) -> None:
    two = FIRST.replace('x5"]', 'x5", "mosi@unaligned-50"]')
    (home.suites / "small.toml").write_text(two + ONE + '[[systems]]\nname = "of_a_package"\n')
    result = search(home)
    assert [(row.row.label, row.corpus) for row in result.rows] == [
        ("tunable_one", "mosi-twin@compact-x5")
    ]
    skipped = {(each.label, each.corpus): each.reason for each in result.skipped}
    assert set(skipped) == {
        ("of_a_package", "mosi-twin@compact-x5"),
        ("tunable_one", "mosi@unaligned-50"),
        ("of_a_package", "mosi@unaligned-50"),
    }
    assert "msa data add" in skipped["tunable_one", "mosi@unaligned-50"]
    assert "install the package" in skipped["of_a_package", "mosi-twin@compact-x5"]


def test_where_nothing_is_here_nothing_is_searched(home: Home) -> None:
    (home.suites / "small.toml").write_text(FIRST.replace("mosi-twin@compact-x5", "mosi@x") + ROWS)
    with pytest.raises(SpecError, match=r"can be searched: tunable_one on mosi@x: corpus") as found:
        search(home)
    assert found.value.hint == "msa doctor small lists what is not here"


@pytest.fixture
def make_empty(home: Home) -> Callable[[str], None]:
    from harness.testing import small_corpus

    def make(name: str) -> None:
        small_corpus(home.corpora, clips={"train": 9, "valid": 0, "test": 9})

    return make


DAMAGE: tuple[tuple[Callable[[str], str], str], ...] = (
    (lambda text: text.replace('"msa-harness":"', '"msa-harness":"9'), "is of Optuna 9"),
    (lambda text: text.replace('"op_code":4', '"op_code":4x', 1), "is damaged"),
    (lambda text: "[1]\n" + text, "is damaged"),
    (lambda text: text.replace('"msa-harness"', '"other"'), "does not say which version"),
)


def test_a_database_that_is_damaged_or_of_another_version_is_one_line(home: Home) -> None:
    write(home)
    whole = told(home, search(home))
    (journal,) = home.tuning.glob("*.log")
    kept = journal.read_text()
    for change, said in DAMAGE:
        journal.write_text(change(kept))
        with pytest.raises(StoreError, match=said) as error:
            search(home)
        assert error.value.hint is not None
        assert "makes it again" in error.value.hint
        assert journal.read_text() == change(kept)
    journal.rename(journal.with_suffix(".old"))
    assert told(home, search(home)) == whole


@pytest.mark.slow
def test_workers_decide_nothing(home: Home, tmp_path: Path) -> None:
    write(home)
    here = told(home, search(home))
    other = Home(tmp_path / "other")
    other.suites.mkdir(parents=True)
    write(other)
    assert told(other, search(other, executor=None, workers=2)) == here
