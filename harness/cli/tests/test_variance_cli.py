"""``msa study variance`` as a user runs it."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from harness.home import Home
from harness.tests.research import research_data
from harness.tests.stores import SEEDS, Constant, Off, Row, make_store

ROWS = [
    Row(label="floor", cells={0: Constant()}, deterministic=True, reference=True),
    Row(label="near", cells={s: Off(0.5 + s % 7 / 10) for s in SEEDS}, epochs=0),
    Row(label="far", cells={s: Off(2.0 + s % 5 / 10) for s in SEEDS}, epochs=0),
    Row(label="once", cells={1111: Off(1.0)}, epochs=0),
]
SEED_TABLE = [
    "dataset,model,seed,config,MAE,Corr,note",
    *(f"mosi,misa,{seed},aa,0.{70 + seed},0.{60 + seed},x" for seed in range(1, 6)),
    *(f"mosi,misa,{seed},bb,0.{80 + seed},0.{50 + seed},x" for seed in range(1, 4)),
]


@pytest.fixture
def msa(msa, home: Home, tmp_path: Path):
    """``msa study variance`` beside a stored suite and a table of seed results."""
    make_store(home.store, ROWS)
    (tmp_path / "runs.csv").write_text("\n".join(SEED_TABLE))
    return functools.partial(msa, "study", "variance")


def test_a_stored_suite(msa) -> None:
    code, text, _ = msa("small", "--delta", 0.5, "--delta", 3)
    assert code == 0
    assert "24 test clips of 12 source videos" in text
    assert "left out: once: one run" in text
    assert "seeds for 0.01    seeds for 0.5    seeds for 3" in text  # the margin is always there
    assert "no epochs" in text


def test_a_difference_below_what_clips_leave_is_never_found(msa) -> None:
    code, text, _ = msa("small", "--row", "floor", "--row", "far")
    assert code == 0
    (line,) = (line for line in text.splitlines() if line.startswith("floor  far"))
    assert line.split()[-3:] == ["never", "never", "never"]


def test_its_numbers_unrounded(msa) -> None:
    code, text, _ = msa("small", "--json")
    (corpus,) = json.loads(text)["corpora"]
    assert code == 0
    rows = {row["row"]: row for row in corpus["rows"]}
    near = rows["near"]["components"]
    assert sum(near["percent"].values()) == pytest.approx(100)
    assert sum(near["variances_of_mean"].values()) == pytest.approx(near["standard_error"] ** 2)
    assert rows["once"]["components"] is None
    assert rows["near"]["seeds"] == list(SEEDS)
    assert set(rows["near"]["best_of_k"]["mae"]) == {"2", "3"}
    (pair,) = corpus["pairs"]
    assert pair["mean"] == pytest.approx(near["mean"] - rows["far"]["components"]["mean"])
    assert set(pair["seeds_needed"]) == {"0.01", "0.02", "0.05"}


@pytest.mark.parametrize(
    ("corrs", "shown", "word"),
    [
        (("0.6", "nan", "0.5"), "undefined in 1 of 3 runs", "undefined"),
        (("", "", ""), "undefined in 3 of 3 runs", "undefined"),
        (("-", "n/a", "0.5"), "undefined in 2 of 3 runs", "undefined"),
        (("0.6", "0.6"), "0.6000 ± 0.0000", "0.6000 to 0.6000"),
        (("nan", "–"), "undefined in 2 of 2 runs", "undefined"),
        (("0.6",), "0.6000 ± undefined (1 run)", "0.6000 to 0.6000"),
        (("nan",), "undefined in 1 of 1 run", "undefined"),
        (("0.6", "0.5"), "0.5500 ± 0.0707", "0.5000 to 0.6000"),
    ],
)
def test_what_is_undefined_over_seeds_is_said_and_never_nan(
    msa, tmp_path: Path, corrs: tuple[str, ...], shown: str, word: str
) -> None:
    rows = [f"mosi,one,{seed},aa,0.7,{corr}" for seed, corr in enumerate(corrs)]
    rows += [f"mosi,other,{seed},aa,0.8,0.4" for seed in range(5)]
    path = tmp_path / "some.csv"
    path.write_text("\n".join(["dataset,model,seed,config,MAE,Corr", *rows]))
    published = tmp_path / "published.csv"
    published.write_text("system,dataset,metric,value\none,mosi,Corr,0.55\n")
    arguments = ("--csv", path, "--metric", "corr", "--least-seeds", 1, "--against", published)
    code, text, errors = msa(*arguments)
    assert (code, errors) == (0, "")
    lines = [line for line in text.splitlines() if line.startswith("mosi       one")]
    assert shown in lines[0]
    assert word in lines[0]
    assert "nan" not in text
    if "undefined in" in shown:
        assert lines[1].split()[3:7] == ["0.55", "undefined", "undefined", "no"]


def test_a_suite_of_constants_prints_no_nan(msa, home: Home) -> None:
    make_store(
        home.store,
        [
            Row(label="dead", cells={s: Constant() for s in SEEDS}, epochs=0),
            Row(label="dead once", cells={1111: Constant()}, epochs=0),
            Row(label="dead too", cells={s: Constant() for s in SEEDS}, epochs=0),
        ],
        suite="dead",
    )
    code, text, _ = msa("dead", "--row", "dead", "--row", "dead too")
    assert code == 0
    assert "undefined" in text
    assert "nan" not in text


def test_a_table_of_results_per_seed(msa, tmp_path: Path) -> None:
    code, text, _ = msa("--csv", tmp_path / "runs.csv")
    assert code == 0
    assert "0.7300 ± 0.0158" in text
    assert "3 of the 5 seeds needed" in text
    assert "columns not read: note" in text
    code, text, _ = msa("--csv", tmp_path / "runs.csv", "--least-seeds", 3, "--json")
    found = json.loads(text)
    assert code == 0
    assert [group["config"] for group in found["groups"]] == ["aa", "bb"]
    assert found["groups"][0]["metrics"]["mae"]["best_of_k"]["5"] == pytest.approx(0.02)
    assert found["groups"][0]["metrics"]["corr"]["best_of_k"]["5"] == pytest.approx(0.02)


def test_against_published_means(msa, tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("system,dataset,metric,value\nmisa,CMU-MOSI,MAE,0.73\nmisa,mosi,Corr,0.64\n")
    code, text, _ = msa("--csv", tmp_path / "runs.csv", "--against", path)
    assert code == 0
    assert "MAE: 1 of 1 published means reproduced" in text
    assert "Corr: 0 of 1 published means reproduced" in text
    (line,) = (line for line in text.splitlines() if "1 of 2" in line)
    assert line.split()[:7] == ["mosi", "misa", "aa", "0.73", "0.73", "+0.00", "yes"]


@pytest.mark.parametrize("source", [("small",), ("--csv", "runs.csv", "--metric", "corr")])
def test_figures_are_written(msa, tmp_path: Path, monkeypatch, source) -> None:
    monkeypatch.chdir(tmp_path)
    code, text, _ = msa(*source, "--figures", "out")
    assert code == 0
    drawn = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert drawn
    assert [line for line in text.splitlines() if line.startswith("figure: ")]
    assert {name.rpartition(".")[2] for name in drawn} == {"png", "svg", "pdf"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "expected a suite, --csv FILE or --reference-runs"),
        (("small", "--csv", "runs.csv"), 2, "expected a suite, --csv FILE or --reference-runs"),
        (("--reference-runs", "--csv", "runs.csv"), 2, "leave out --csv"),
        (("small", "--model", "misa"), 2, "--model can only be used with --csv FILE"),
        (("--csv", "runs.csv", "--row", "near"), 2, "--row can only be used with a suite"),
        (("--csv", "runs.csv", "--table", "one"), 2, "--against FILE"),
        (("small", "--metric", "corr"), 2, "not a mean over clips"),
        (("small", "--metric", "mea"), 2, "unknown metric 'mea'"),
        (("small", "--row", "nere"), 2, "no row 'nere'"),
        (("small", "--delta", "0"), 2, "above zero"),
        (("other",), 1, "has not been run here"),
        (("--csv", "runs.csv", "--model", "lmf"), 2, "no model 'lmf'"),
        (("--csv", "runs.csv", "--dataset", "sims"), 2, "no dataset 'sims'"),
        (("--csv", "runs.csv", "--metric", "acc7"), 2, "no metric 'acc7'"),
        (("--csv", "runs.csv", "--least-seeds", "6"), 2, "no config counts"),
        (("--csv", "none.csv"), 2, "no such file"),
    ],
)
def test_a_mistake_is_one_clear_error(msa, monkeypatch, tmp_path, arguments, code, message) -> None:
    monkeypatch.chdir(tmp_path)
    found, _, errors = msa(*arguments)
    assert found == code
    assert message in errors
    assert "Traceback" not in errors


def test_rows_of_different_configs_are_refused(msa, tmp_path: Path) -> None:
    pooled = [line.replace(",aa,", ",").replace(",bb,", ",") for line in SEED_TABLE]
    (tmp_path / "pooled.csv").write_text("\n".join(pooled).replace("seed,config", "seed"))
    code, _, errors = msa("--csv", tmp_path / "pooled.csv")
    assert code == 2
    assert "rows of different configs would be pooled" in errors


@pytest.mark.data
def test_the_development_logs_of_mmsa(msa) -> None:
    file = research_data("mmsa_seed_runs_mosi_mosei.csv")
    code, text, _ = msa("--csv", file, "--model", "misa", "--dataset", "CMU-MOSI")
    assert code == 0
    assert "0.7765 ± 0.0337" in text
    assert "51 rows of seed 1115" in text


def test_reference_runs_say_how_often_a_few_seeds_find_the_best(msa) -> None:
    code, text, _ = msa("--reference-runs")
    assert code == 0
    assert "Finding the best of 21 on mosi by MAE" in text
    code, text, _ = msa("--reference-runs", "--json")
    assert code == 0
    chances = json.loads(text)["finding_the_best"]
    one, three, five = chances["mae"]["mosi"]
    assert [round(each["probability"], 2) for each in (one, three, five)] == [0.30, 0.60, 0.74]
    assert one["low"] < 0.15 < 0.45 < one["high"]
    assert {each["systems"] for each in chances["acc7"]["mosi"]} == {21}
    assert {each["systems"] for each in chances["acc5"]["mosi"]} == {20}, "one source leaves it out"
