"""Adding seeds until it is decided: looks declared beforehand, one rule, kept through kills."""

from __future__ import annotations

import re

import pytest

import harness
from harness import Until
from harness.errors import SpecError, StoreError
from harness.home import Home
from harness.runs.looks import Look, level_of, still_open
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.runs.stored_plan import PlannedLooks
from harness.runs.tests.test_verify import Here
from harness.stats import LOOKS, levels

pytestmark = pytest.mark.usefixtures("noisy_systems")
CORPORA = 'corpora = ["mosi-twin@compact-x5"]\n'


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


def write(home: Home, *systems: str, first: str = CORPORA, name: str = "small") -> None:
    rows = "".join(f'[[systems]]\nname = "{system}"\n' for system in systems)
    (home.suites / f"{name}.toml").write_text(first + rows)


def run(home: Home, *asked: object, **options):
    looked: list[Look] = []
    report = harness.run(
        *("small", home),
        until=Until(**dict(zip(("looks", "decide"), asked, strict=False))),
        on_look=looked.append,
        **{"executor": Here(), "failures": "report", **options},
    )
    return report, looked


def declared(home: Home) -> PlannedLooks | None:
    return RunStore(home.store).plan("small").until


def seeds_run(home: Home) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for stored in RunStore(home.store):
        found.setdefault(stored.manifest.spec.system, set()).add(stored.manifest.spec.seed)
    return found


def test_a_clear_difference_is_decided_at_the_first_look(home: Home) -> None:
    write(home, "noisy_good", "noisy_flat")
    report, looked = run(home)
    assert report.look == looked[-1]
    assert [(look.seeds, look.undecided) for look in looked] == [(3, None), (3, {})]
    assert looked[0].looks == (3, 5, 10)  # the protocol lists ten seeds
    assert looked[0].level == pytest.approx(levels((3, 5, 10))[0])
    assert seeds_run(home)["noisy_good"] == {1111, 1112, 1113}
    assert declared(home) == PlannedLooks(looks=(3, 5, 10), decide="best", look=3, decided=True)


def test_what_is_never_decided_ends_at_the_last_look_and_says_what_is_open(home: Home) -> None:
    write(home, "noisy_good", "noisy_near", "noisy_flat")
    report, looked = run(home, (2, 3, 5))
    assert [look.seeds for look in looked] == [2, 2, 3, 3, 5, 5]
    assert report.look is not None
    assert not report.look.decided
    assert report.look.undecided is not None
    words, *names = re.split("[:,] ", report.look.undecided["mosi-twin@compact-x5"])
    assert (words, sorted(names)) == ("2 rows could be best", ["noisy_good", "noisy_near"])
    assert report.done == report.planned
    assert declared(home) == PlannedLooks(looks=(2, 3, 5), decide="best", look=5, decided=False)
    again, _ = run(home)
    assert (again.done, again.present) == (0, report.planned)
    assert again.look == report.look


def test_a_small_difference_takes_more_seeds(home: Home) -> None:
    write(home, "noisy_good", "noisy_fair")
    report, _ = run(home)
    assert report.look is not None
    assert report.look.decided
    assert report.look.seeds > 3
    assert {len(seeds) for system, seeds in seeds_run(home).items() if "noisy" in system} == {
        report.look.seeds
    }


def test_a_row_is_decided_against_every_other_one(home: Home) -> None:
    write(home, "noisy_good", "noisy_near", "noisy_poor")
    report, _ = run(home, (3, 5), "noisy_poor")  # though either of the others could be best
    assert report.look is not None
    assert report.look.decided
    other = Home(home.root / "other")
    other.suites.mkdir(parents=True)
    write(other, "noisy_good", "noisy_near", "noisy_flat")
    report, _ = run(other, (2, 3), "noisy_near")
    assert report.look is not None
    assert report.look.undecided == {
        "mosi-twin@compact-x5": "noisy_near is not told apart from noisy_good"
    }


@pytest.mark.parametrize("jobs", [0, 1, 5, 8])
def test_a_killed_run_goes_on_under_the_looks_it_declared(home: Home, jobs: int) -> None:
    write(home, "noisy_good", "noisy_near")
    with pytest.raises(KeyboardInterrupt):
        run(home, (2, 3, 5), executor=Killed(jobs))
    before = declared(home)
    assert before is not None
    assert (before.looks, before.decided) == ((2, 3, 5), None)
    report, _ = run(home)  # as declared, not the usual looks
    after = declared(home)
    assert after is not None
    assert (after.looks, after.look, after.decided) == ((2, 3, 5), 5, False)
    calm = Home(home.root / "calm")
    calm.suites.mkdir(parents=True)
    write(calm, "noisy_good", "noisy_near")
    undisturbed, _ = run(calm, (2, 3, 5))
    assert report.look == undisturbed.look
    assert RunStore(calm.store).plan("small") == RunStore(home.store).plan("small")


def test_a_look_at_small_networks(home: Home) -> None:
    networks = "[defaults]\nhidden = 4\n[protocol]\nmax_epochs = 1\n"
    write(home, "lf_dnn", "ef_lstm", first=CORPORA + networks)
    report, _ = run(home, (2, 3))
    assert report.look is not None
    assert report.look.seeds in (2, 3)
    assert report.failed == ()


def test_other_looks_than_declared_are_refused(home: Home) -> None:
    write(home, "noisy_good", "noisy_flat")
    run(home, (2, 3))
    for asked in (((2, 4),), ((2, 3, 5),), ((2, 3), "noisy_good"), (None, "noisy_flat")):
        with pytest.raises(SpecError, match="has declared looks at 2, 3 seeds to decide 'best'"):
            run(home, *asked)
    report, _ = run(home, (2, 3), "best")
    assert report.done == 0


def test_fixed_seeds_are_refused_unless_they_are_those_of_the_look(home: Home) -> None:
    write(home, "noisy_good", "noisy_flat")
    run(home, (2, 3))
    before = declared(home)
    for seeds in (None, 1, 3, 5, (7, 8)):
        with pytest.raises(SpecError, match=r"declared looks at 2, 3 seeds and is at 2; .* once"):
            harness.run("small", home, seeds=seeds, executor=Here())
    assert declared(home) == before
    assert harness.run("small", home, seeds=2, executor=Here()).done == 0
    assert declared(home) == before


def test_looks_are_declared_before_the_first_run(home: Home) -> None:
    write(home, "noisy_good", "noisy_flat")
    harness.run("small", home, seeds=2, executor=Here())
    with pytest.raises(SpecError, match="run already, with 2 seeds; looks are declared before"):
        run(home, (2, 3))
    assert declared(home) is None


def test_a_suite_that_was_planned_but_never_run_may_declare_looks(home: Home) -> None:
    write(home, "noisy_good", "noisy_flat")
    store = RunStore(home.store)
    store.put_plan("small", make_plan(find_suite("small", home), home).record())
    report, _ = run(home, (2, 3))
    assert report.look is not None


def test_keys_do_not_depend_on_looks(home: Home) -> None:
    write(home, "noisy_good", "noisy_flat")
    plain = make_plan(find_suite("small", home).with_seeds(3), home).record().keys
    run(home, (3, 5))
    assert RunStore(home.store).plan("small").keys == plain


@pytest.mark.parametrize(
    ("first", "looks", "expected"),
    [
        (CORPORA, None, (3, 5, 10)),
        (CORPORA, (4, 20, 40), (4, 10)),
        (CORPORA + "seeds = [5, 6, 7, 8]\n", None, (3, 4)),
        (CORPORA + "seeds = 1\n", (2, 3), (2, 3)),
    ],
)
def test_looks_end_where_the_list_of_seeds_ends(home: Home, first, looks, expected) -> None:
    write(home, "noisy_good", "noisy_flat", first=first)
    report, looked = run(home, looks)
    assert looked[0].looks == expected
    assert report.look is not None
    listed = {5, 6, 7, 8} if "[5" in first else set(range(1111, 1121))
    assert seeds_run(home)["noisy_good"] < listed


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (((3, 3),), "rising numbers of seeds"),
        (((1, 3),), "rising numbers of seeds"),
        ((None, "absent"), "compares no row 'absent'"),
        ((None, "zero"), "compares no row 'zero'"),
    ],
)
def test_what_cannot_be_decided_is_refused_before_anything_runs(home, asked, problem) -> None:
    write(home, "noisy_good", "noisy_flat", "zero")
    with pytest.raises(SpecError, match=re.escape(problem)):
        run(home, *asked)
    assert not RunStore(home.store).plans()


def test_one_row_leaves_nothing_to_decide(home: Home) -> None:
    write(home, "noisy_good")
    with pytest.raises(SpecError, match="nothing to decide"):
        run(home)
    with pytest.raises(SpecError, match="give no others, no part"):
        run(home, seeds=3)


def test_a_look_with_failed_cells_decides_nothing(home, tmp_path, faulty_systems) -> None:
    write(home, "noisy_good", "noisy_flat", "faulty_diverge")
    report, looked = run(home, (2, 3))
    assert report.look is None
    assert [look.undecided for look in looked] == [None]
    assert len(report.failed) == 2
    assert declared(home) == PlannedLooks(looks=(2, 3), decide="best", look=2)


def test_equivalent_rows_are_decided(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "noisy_good", "noisy_near", "noisy_flat")
    run(home, (2, 3))
    store = RunStore(home.store)
    plan = store.plan("small")
    assert still_open(plan, store)
    monkeypatch.setattr("harness.stats.ranks.declared_margin", lambda dataset, metric: 0.4)
    assert not still_open(plan, store)


def test_the_level_is_that_of_the_look() -> None:
    for look, level in zip(LOOKS, levels(LOOKS), strict=True):
        assert level_of(PlannedLooks(looks=LOOKS, decide="best", look=look)) == level
    with pytest.raises(StoreError, match="at a look of 4 seeds"):
        level_of(PlannedLooks(looks=(3, 5), decide="best", look=4))
