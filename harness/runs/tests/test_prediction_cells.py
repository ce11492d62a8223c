"""``condition`` and ``variant``: what is stored, and stores of when one column held both."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import leaderboards
from harness._util import checksums
from harness.data.corpus import Corpus
from harness.errors import RunFailed, SpecError, StoreError
from harness.home import Home
from harness.runs import identity
from harness.runs.cell import Job, _predict
from harness.runs.driver import carry_out
from harness.runs.plan import Cell, Plan
from harness.runs.prediction_table import COLUMNS, with_variants
from harness.runs.store import RunStore, StoredRun
from harness.runs.verify import verify
from harness.spec import PredictionCell, Suite
from harness.spec.conditions import grid
from harness.spec.prediction_cell import COUNTED, MIXED, PLAIN, SWAPPED
from harness.system import Fitted, systems
from harness.system.diagnostics import MIXED as MIXED_OF_SYSTEMS
from harness.system.diagnostics import swapped
from harness.tests.stores import Off, Row, make_corpus, make_store

BEFORE = Path(__file__).parent / "one_column_store"
"""Written when there were no variants yet: a network with judgements under the grid ``sets``, a
model that was asked with three prompts, and constants."""

# Names


@pytest.mark.parametrize(
    ("name", "condition", "variant"),
    [
        ("clean", "clean", "plain"),
        ("mixed", "mixed", "plain"),
        ("noise=0.3,element=0.5", "noise=0.3,element=0.5", "plain"),
        ("only:text+audio", "only:text+audio", "plain"),
        ("clean, judgements swapped", "clean", "judgements swapped"),
        ("mixed, judgements swapped", "mixed", "judgements swapped"),
        ("audio:block=0.4, excluded", "audio:block=0.4", "excluded"),
        ("excluded", "clean", "excluded"),
        ("prompt:en-cues", "clean", "prompt:en-cues"),
        ("excluded, judgements swapped", "clean", "excluded, judgements swapped"),
        ("noise=2", "clean", "noise=2"),
        ("", "clean", ""),
    ],
)
def test_one_name_is_taken_apart(name, condition, variant):
    cell = PredictionCell.named(name)
    assert (cell.condition, cell.variant) == (condition, variant)


def test_every_condition_with_every_variant_reads_back_what_it_says():
    conditions = (*(c.name for c in grid("spectrum")), *(c.name for c in grid("lnln")), MIXED)
    for condition, variant in itertools.product(conditions, (PLAIN, SWAPPED, "prompt:zh-cues")):
        cell = PredictionCell(condition=condition, variant=variant)
        assert PredictionCell.named(str(cell)) == cell


def test_what_is_no_condition_is_refused():
    with pytest.raises(SpecError, match="no condition is called 'excluded'"):
        PredictionCell(condition="excluded")


def test_a_cell_knows_its_prompt():
    assert PredictionCell.of_prompt("en-cues").prompt == "en-cues"
    assert PredictionCell.of_prompt("en-cues") == PredictionCell.named("prompt:en-cues")
    assert COUNTED.prompt is PredictionCell(variant="excluded").prompt is None


def test_the_names_that_networks_give_are_cells():
    assert PredictionCell.named(MIXED_OF_SYSTEMS) == PredictionCell(condition=MIXED)
    for condition in ("clean", MIXED):
        expected = PredictionCell(condition=condition, variant=SWAPPED)
        assert PredictionCell.named(swapped(condition)) == expected


# What is written


def fitted(names) -> Fitted:
    values = {name: place for place, name in enumerate(names, start=1)}
    return Fitted(
        predict=lambda split: np.zeros(len(split)),
        parameters=0,
        trainable=0,
        variants=lambda split: {name: np.full(len(split), v) for name, v in values.items()},
    )


def test_further_predictions_get_both_columns():
    corpus: Corpus = make_corpus()
    table = _predict(fitted(["excluded", "mixed, judgements swapped"]), corpus.split("test"))
    assert tuple(table) == COLUMNS
    found = table.groupby(["condition", "variant"], sort=False)["pred"].first()
    assert found.to_dict() == {
        ("clean", "plain"): 0,
        ("clean", "excluded"): 1,
        ("mixed", "judgements swapped"): 2,
    }


@pytest.mark.parametrize("names", [["clean"], ["plain"], ["excluded", "clean, excluded"]])
def test_further_predictions_never_take_the_place_of_others(names):
    with pytest.raises(RunFailed, match="names of their own"):
        _predict(fitted(names), make_corpus().split("test"))


# Stores of before


@pytest.fixture
def before(home: Home) -> RunStore:
    shutil.copytree(BEFORE, home.store)
    return RunStore(home.store)


def raw(run: StoredRun) -> pd.DataFrame:
    return pd.read_parquet(run.folder / "predictions.parquet")


def of(before: RunStore, system: str) -> StoredRun:
    return next(run for run in before if run.manifest.spec.system == system)


def test_every_prediction_of_before_is_found_in_its_cell(before):
    names = set()
    for run in before:
        stored = raw(run)
        assert "variant" not in stored
        assert tuple(run.table()) == COLUMNS
        np.testing.assert_array_equal(run.table()["pred"], stored["pred"])
        for (name, split), rows in stored.groupby(["condition", "split"]):
            found = run.predictions(split, PredictionCell.named(name))
            pd.testing.assert_series_equal(found, rows.set_index("id")["pred"], check_names=False)
            names.add(name)
    assert {"clean", "mixed", "excluded", "prompt:en-cues", "clean, judgements swapped"} < names


def test_the_grid_of_before_has_its_conditions_and_no_variants(before):
    under = of(before, "qa_moe").under()
    assert set(under) == {c.name for c in grid("sets")} | {MIXED}
    assert set(of(before, "mllm").under()) == {"clean"}


def test_what_was_stored_before_is_sound_and_says_its_form(before, home):
    found = list(verify(home))
    assert len([f for f in found if f.kind == "run"]) == 10
    assert not any(f.damage for f in found)
    assert {f.kind for f in found if not f.sealed} == {"plan"}  # which had no digest yet
    assert {run.manifest.more["format"] for run in before} == {1}


def test_boards_of_before_and_of_today_are_one(before, home, tmp_path):
    shutil.copytree(home.store, tmp_path / "today")
    today = RunStore(tmp_path / "today")
    for run in today:
        rewrite(run, run.table())
    assert all("variant" in raw(run) for run in today)
    for suite in ("judged", "asked"):
        page = leaderboards.render(before, suite)
        assert leaderboards.render(today, suite) == page
        assert leaderboards.as_records(today, suite) == leaderboards.as_records(before, suite)
    assert "answered only (clips)" in page and "(5)" in page


def rewrite(run: StoredRun, table: pd.DataFrame) -> None:
    """The run with other predictions, sealed as if it had been written so."""
    table.to_parquet(run.folder / "predictions.parquet", index=False)
    (run.folder / checksums.SUMS).unlink()
    checksums.seal(run.folder)


class Nobody:
    """Carries out nothing."""

    workers = 1

    def run(self, jobs):
        assert not list(jobs), "a run of before is run again"
        return iter(())


@pytest.mark.parametrize("suite", ["judged", "asked"])
def test_what_was_stored_before_is_not_run_again(before, home, suite):
    stored = before.plan(suite)
    places = {cell.key: (cell.corpus, cell.label, cell.seed) for cell in stored.cells}
    jobs = {key: Job(spec=before.get(key).spec, home=home) for key in places}
    plan = Plan(
        suite=Suite.parse(
            {
                "corpora": ["mosi@small"],
                "systems": [{"name": row.system, "label": row.label} for row in stored.rows],
            },
            name="again",
            where="again.toml",
        ),
        protocol=next(iter(jobs.values())).spec.protocol,
        seeds={"mosi@small": (1111,)},
        corpora=(),
        cells=tuple(
            Cell(corpus=corpus, label=label, seed=seed, job=jobs[key])
            for key, (corpus, label, seed) in places.items()
        ),
    )
    report = carry_out(plan, before, Nobody())
    assert (report.planned, report.present, report.done) == (5, 5, 0)


def test_how_predictions_are_stored_is_in_no_key():
    for name in systems:
        covered = identity.numerics(systems.module_of(name), "harness.training.fit")
        assert not {"harness.spec.prediction_cell", "harness.runs.prediction_table"} & covered


# Damage


def test_a_table_without_a_condition_is_damaged(before):
    run = of(before, "zero")
    rewrite(run, raw(run).drop(columns="condition"))
    with pytest.raises(StoreError, match="no condition"):
        StoredRun(run.folder).table()


def test_tables_of_any_type_of_text_are_mapped():
    names = ["clean", "excluded", None]
    for column in (pa.array(names), pa.array(names).dictionary_encode(), pa.array([1, 2, None])):
        found = with_variants(pa.table({"condition": column, "pred": [0.0, 1.0, 2.0]}))
        assert found.column_names == ["condition", "variant", "pred"]
        assert found["condition"].to_pylist()[2] is found["variant"].to_pylist()[2] is None
    assert with_variants(pa.table({"condition": pa.array([], pa.string())})).num_rows == 0


def test_verify_names_what_is_no_condition_and_what_is_there_twice(home):
    store = make_store(home.store, [Row(label="near", cells={1111: Off(0.5)})])
    (run,) = store
    table = run.table()
    first = table.iloc[:1]
    further = [first.assign(condition="noise=0.5"), first.assign(variant="excluded")]
    rewrite(run, pd.concat([table, *further]))
    assert damage_of(home) == ()
    rewrite(run, pd.concat([table, first.assign(condition="excluded")]))
    assert damage_of(home) == ("predictions.parquet: no condition is called 'excluded'",)
    rewrite(run, pd.concat([table, *further, *further]))
    assert damage_of(home) == (
        "predictions.parquet has two predictions of clip v4_0 under noise=0.5, plain",
    )


def damage_of(home: Home) -> tuple[str, ...]:
    (found,) = (f for f in verify(home) if f.kind == "run")
    return found.damage
