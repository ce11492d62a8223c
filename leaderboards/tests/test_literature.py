"""The published numbers are what they claim to be, and a broken file is found by line."""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.datasets import datasets
from harness.errors import DataError, SpecError
from harness.metrics import metrics, metrics_for
from leaderboards.literature import (
    COUNTS_FILE,
    REFERENCE_FILE,
    for_board,
    lines,
    literature,
    read,
    read_reference_runs,
    reference_of,
    reference_runs,
    table,
    tables,
)
from leaderboards.literature import numbers as published_numbers

FOLDER = Path(published_numbers.__file__).parent
SETS = ("mosi", "mosei", "sims", "simsv2")


def by_line(rows):
    """Rows of one line together, wherever they stand in the file."""
    return lines(sorted(rows, key=lambda row: row.line))


def only(name: str, dataset: str, system: str, metric: str):
    """The one row with these names."""
    (row,) = (row for row in table(name, dataset, system) if row.metric == metric)
    return row


# The data


def test_every_file_is_a_table_and_ships_in_the_wheel() -> None:
    files = {path.stem for path in FOLDER.glob("*.csv")}
    assert tables() == tuple(sorted(files - {COUNTS_FILE.stem}))
    assert REFERENCE_FILE.stem in tables()
    root = FOLDER.parents[1]
    packaging = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    patterns = packaging["tool"]["setuptools"]["package-data"]["leaderboards"]
    (pattern,) = [pattern for pattern in patterns if pattern.endswith(".csv")]
    assert {path.stem for path in FOLDER.parent.glob(pattern)} == files


@pytest.mark.parametrize("name", tables())
def test_every_number_is_known_in_range_once_and_sourced(name: str) -> None:
    rows = table(name)
    assert {row.dataset for row in rows} <= set(SETS)
    for row in rows:
        metric = metrics[row.metric]
        assert metric in metrics_for(row.dataset)
        assert metric.low <= row.value <= metric.high
        assert row.source.strip() == row.source != ""
        assert row.value in (float(row.printed), pytest.approx(float(row.printed) / 100))
        assert row.times_100 or not metric.percent
    keys = Counter((*row.line, row.metric) for row in rows)
    assert keys.most_common(1)[0][1] == 1


def test_rounding_is_half_the_last_printed_digit() -> None:
    in_percent, plain = only("text", "mosi", "text", "acc2_has0"), only("dlf", "mosi", "dlf", "mae")
    assert (in_percent.printed, in_percent.rounding) == ("86.44", pytest.approx(0.00005))
    assert (plain.printed, plain.rounding) == ("0.731", pytest.approx(0.0005))


@pytest.mark.parametrize(
    ("name", "dataset", "system", "metric", "value"),
    [
        ("mmsa", "mosi", "tfn", "mae", 0.9473),
        ("mmsa", "mosi", "misa", "corr", 0.7781),
        ("mmsa", "sims", "lf_dnn", "acc5", 0.3974),
        ("mmsa", "mosei", "self_mm", "acc2_non0", 0.8515),
        ("chsimsv2", "simsv2", "tfn", "corr", 0.6665),
        ("text", "sims", "text", "mae", 0.353),
        ("qa_moe", "mosi", "qa_moe@paper", "acc7", 0.536),
        ("lnln", "sims", "lnln", "f1", 0.6918),
    ],
)
def test_numbers_on_record(name, dataset, system, metric, value) -> None:
    rows = [row for row in table(name, dataset, system) if row.metric == metric]
    assert value in [pytest.approx(row.value, abs=6e-5) for row in rows]


@pytest.mark.parametrize(
    ("name", "system", "metric"),
    [
        ("text", "text", "acc2_has0"),
        ("text", "text", "acc2_non0"),
        ("text", "GPT-4o", "acc2_has0"),
        ("almt", "almt", "acc2_non0"),
        ("almt", "almt", "acc7"),
        ("dlf", "dlf", "acc2_non0"),
        ("dlf", "dlf", "acc5"),
    ],
)
def test_accuracies_of_single_runs_are_whole_numbers_of_clips(name, system, metric) -> None:
    row, test = only(name, "mosi", system, metric), datasets["mosi"].splits["test"]
    clips = test.clips - (test.zero if metric.endswith("non0") else 0)
    possible = np.arange(clips + 1) / clips
    assert np.abs(possible - row.value).min() <= row.rounding
    assert row.seeds == 1


def test_the_collapsed_row_equals_the_constant_so_its_f1_is_weighted_by_labels() -> None:
    """MMSA's EF-LSTM on CH-SIMS predicts one sign: swapped arguments would have printed 81.91."""
    test = datasets["sims"].splits["test"]
    share = (test.negative + test.zero) / test.clips
    accuracy, f1 = (only("mmsa", "sims", "ef_lstm", metric) for metric in ("acc2", "f1"))
    assert accuracy.value == pytest.approx(share, abs=accuracy.rounding)
    assert f1.value == pytest.approx(share * 2 * share / (1 + share), abs=f1.rounding)
    assert f1.convention == "mmsa"


@pytest.mark.parametrize("name", ["dlf", "mods"])
def test_what_mmsa_measured_is_not_listed_again_where_it_is_quoted(name: str) -> None:
    measured = {(r.dataset, r.system, r.metric): r.value for r in table("mmsa")}
    for line in by_line(table(name)):
        known = [row for row in line if (row.dataset, row.system, row.metric) in measured]
        equal = [row for row in known if _same(row, measured)]
        assert len(equal) < max(2, len(line) - 1)


def _same(row, measured) -> bool:
    return abs(row.value - measured[row.dataset, row.system, row.metric]) <= row.rounding


LINES = [{row.metric: row for row in line} for name in tables() for line in by_line(table(name))]


def test_accuracies_that_contradict_each_other_are_marked() -> None:
    """Five classes are the seven with their ends merged, three the five: no rarer to be right."""
    for line in LINES:
        for finer, coarser in (("acc7", "acc5"), ("acc5", "acc3")):
            if finer in line and coarser in line:
                wrong = line[finer].value > line[coarser].value + line[finer].rounding * 2
                assert wrong == line[finer].note.startswith("impossible"), line[finer]


def test_has0_and_non0_differ_by_no_more_than_the_zero_clips() -> None:
    pairs = [line for line in LINES if {"acc2_has0", "acc2_non0"} <= line.keys()]
    assert len(pairs) > 50
    for line in pairs:
        has0, non0 = line["acc2_has0"], line["acc2_non0"]
        test = datasets[has0.dataset].splits["test"]
        zeros_right = has0.value * test.clips - non0.value * (test.clips - test.zero)
        slack = test.clips * (has0.rounding + non0.rounding)
        assert -slack <= zeros_right <= test.zero + slack, has0


def test_whoever_selected_on_test_says_so() -> None:
    chosen = {row.selection for row in table("almt")}
    assert chosen == {"test"}
    assert {row.selection for row in table("mmsa")} == {"validation"}
    assert {row.selection for row in table("text", system="text")} == {"best run"}


# What boards show


@pytest.mark.parametrize("dataset", SETS)
def test_a_board_shows_one_block_of_moderate_size(dataset: str) -> None:
    rows = for_board(dataset)
    shown = lines(rows)
    assert 20 <= len(shown) <= 80
    assert len({line[0].line for line in shown}) == len(shown)  # no line is torn apart
    assert sum(map(len, shown)) == len(rows)
    assert {(row.dataset, row.condition, row.clips) for row in rows} == {(dataset, "clean", "all")}
    for line in shown:
        assert len({row.metric for row in line}) == len(line)


@pytest.mark.parametrize("dataset", SETS)
def test_authors_come_first_then_years(dataset: str) -> None:
    trust = ("authors' file", "paper", "re-run", "third-party summary")
    places = [(trust.index(row.reliability), row.year or 0) for row in for_board(dataset)]
    assert places == sorted(places)


def test_an_unknown_dataset_has_no_block() -> None:
    with pytest.raises(SpecError, match="did you mean mosi"):
        for_board("mosii")


# Asking for a table


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("mmsaa",), "unknown published table: 'mmsaa'; did you mean mmsa"),
        (("mmsa", "simsv3"), "did you mean simsv2"),
        (("chsimsv2", "mosi"), "unknown dataset of table chsimsv2: 'mosi'"),
        (("mmsa", None, "tfm"), "did you mean tfn"),
        (("chsimsv2", None, "ALMT"), "unknown system of table chsimsv2"),
    ],
)
def test_unknown_names(asked: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        table(*asked)
    assert caught.value.hint == "msa list tables"
    assert caught.value.exit_code == 2


def test_a_system_goes_by_its_registered_or_its_printed_name() -> None:
    assert table("chsimsv2", system="mag_bert") == table("chsimsv2", system="Bert_MAG")


def test_an_unknown_name_comes_with_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"there are: mosi, mosei, sims, simsv2\)"):
        table("mmsa", "simsv3")
    with pytest.raises(SpecError, match=r"there are: ef_lstm, lf_dnn, tfn, lmf, mfn"):
        table("mmsa", None, "tfm")


# Reference runs


def test_reference_runs_are_twenty_one_systems_in_ten_seeds() -> None:
    runs = reference_runs()
    assert len(runs) == 21
    assert {one.seeds for one in runs} == {tuple(range(42, 52))}
    assert {(one.dataset, one.selection, one.device) for one in runs} == {
        ("mosi", "validation", "one GPU")
    }
    assert sum(bool(one.registered) for one in runs) == 18
    assert {name for one in runs for name in one.values} == set(METRICS_OF_RUNS)


METRICS_OF_RUNS = ("mae", "corr", "acc2_non0", "acc2_has0", "acc5", "acc7")


@pytest.mark.parametrize("one", reference_runs(), ids=lambda one: one.model)
def test_accuracies_of_reference_runs_are_whole_numbers_of_clips(one) -> None:
    test = datasets["mosi"].splits["test"]
    for name in set(one.values) - {"mae", "corr"}:
        clips = test.clips - (test.zero if name.endswith("non0") else 0)
        counts = np.array(one.values[name]) * clips
        assert np.abs(counts - counts.round()).max() <= 0.5e-4 * clips
    if {"acc5", "acc7"} <= one.values.keys():
        assert (np.array(one.values["acc7"]) <= one.values["acc5"]).all()


def test_their_means_are_a_table_and_stand_on_no_board() -> None:
    rows = table("reference_runs", "mosi", "misa")
    assert [row.metric for row in rows] == list(METRICS_OF_RUNS)
    found = reference_of("mosi", "misa")
    assert found is not None
    for row in rows:
        assert row.value == pytest.approx(np.mean(found.values[row.metric]), abs=row.rounding)
        assert (row.seeds, row.selection, row.device) == (10, "validation", "one GPU")
    assert reference_of("mosi", "text") is reference_of("mosei", "misa") is None
    assert "reference_runs" not in {row.table for row in for_board("mosi")}


RUN_HEADER, *RUNS = REFERENCE_FILE.read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("lines_of_file", "message"),
    [
        ((RUN_HEADER.replace("seed", "sead"), RUNS[0]), "line 1: expected columns"),
        ((RUN_HEADER, RUNS[0] + ",more"), "line 2: expected one cell per column"),
        ((RUN_HEADER, RUNS[0].replace(",42,", ",x,")), "line 2: seed should be a whole number"),
        ((RUN_HEADER, RUNS[0].replace("0.7882", "7.882")), r"line 2: corr lies in \[-1, 1\]"),
        ((RUN_HEADER, RUNS[0].replace("0.7882", "high")), "line 2: could not convert"),
        ((RUN_HEADER, RUNS[0].replace("one GPU", "")), "line 2: device is empty"),
        ((RUN_HEADER, RUNS[0], RUNS[0]), "has a seed twice"),
        ((RUN_HEADER, RUNS[0], RUNS[1].replace("0.7867", "")), "give different metrics"),
        ((RUN_HEADER, RUNS[0], RUNS[1].replace("unaligned", "aligned")), "runs of almt differ"),
        ((RUN_HEADER, RUNS[0], RUNS[10], RUNS[1]), "almt on mosi comes in two places"),
        ((RUN_HEADER, RUNS[0].replace(",mosi,", ",mars,")), "unknown dataset 'mars'"),
        ((RUN_HEADER, RUNS[0].replace("validation", "luck")), "selection 'luck' is none of"),
    ],
)
def test_damaged_reference_runs_are_refused(tmp_path: Path, lines_of_file, message: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines_of_file) + "\n", "utf-8")
    with pytest.raises(DataError, match=rf"^runs\.csv.*{message}"):
        read_reference_runs(path)


# Broken files

HEADER, GOOD, *_ = (FOLDER / "mmsa.csv").read_text("utf-8").splitlines()
COLUMNS = HEADER.split(",")


def with_cell(column: str, cell: str) -> str:
    """The good record with one cell replaced."""
    (record,) = csv.DictReader([HEADER, GOOD])
    return ",".join(f'"{cell}"' if name == column else record[name] for name in COLUMNS)


def write(folder: Path, *records: str, header: str = HEADER) -> Path:
    (folder / "broken.csv").write_text("\n".join((header, *records)) + "\n", "utf-8")
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: with_cell("dataset", "mosii"), "unknown dataset 'mosii'; did you mean mosi"),
        (lambda: with_cell("metric", "acc9"), "unknown metric 'acc9'"),
        (lambda: with_cell("metric", "acc2"), "metric 'acc2' is not defined for 'mosi'"),
        (lambda: with_cell("convention", "mmsb"), "no convention 'mmsb' scores mosi"),
        (lambda: with_cell("convention", "dlf"), "'dlf' has no metric 'acc2_has0'"),
        (lambda: with_cell("convention", "chsims_v2"), "no convention 'chsims_v2' scores mosi"),
        (lambda: with_cell("value", "0.7839"), "value 0.7839 is not the printed 77.38"),
        (lambda: with_cell("value", "77.38"), r"acc2_has0 lies in \[0, 1\], found 77.38"),
        (lambda: with_cell("value", "nan"), "value should be one number and no percentage"),
        (lambda: with_cell("value", "77.38%"), "value should be one number and no percentage"),
        (lambda: with_cell("value", "high"), "value should be a number, found 'high'"),
        (lambda: with_cell("printed", "77,380"), "printed should be a number, found '77,380'"),
        (lambda: with_cell("printed", "77.38/79.01"), "does not say which of these is which"),
        (lambda: with_cell("printed", "n/a"), "printed should be a number, found 'n/a'"),
        (lambda: with_cell("seeds", "five"), "positive whole number, found 'five'"),
        (lambda: with_cell("seeds", "0"), "positive whole number, found '0'"),
        (lambda: with_cell("year", "-5"), "positive whole number, found '-5'"),
        (lambda: with_cell("source", ""), "source is empty"),
        (lambda: with_cell("title", ""), "title is empty"),
        (lambda: with_cell("selection", "luck"), "selection 'luck' is none of validation"),
        (lambda: with_cell("reliability", "rumour"), "reliability 'rumour' is none of"),
        (lambda: GOOD + ",more", "one cell per column"),
        (lambda: GOOD.rpartition(",")[0], "one cell per column"),
        (lambda: GOOD, "ef_lstm, acc2_has0 repeats line 2"),
    ],
)
def test_a_broken_row_is_named_with_file_and_line(
    tmp_path: Path, change: Callable[[], str], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(write(tmp_path, GOOD, change()))
    assert str(caught.value).startswith("broken.csv, line 3: ")


@pytest.mark.parametrize("header", ["", HEADER.replace("printed,", ""), HEADER + ",more"])
def test_other_columns_are_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match=r"broken\.csv, line \d+: expected columns"):
        read(write(tmp_path, GOOD, header=header))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"broken\.csv"):
        read(tmp_path)


@settings(max_examples=200, deadline=None)
@given(column=st.sampled_from(COLUMNS), cell=st.text(max_size=12))
def test_whatever_stands_in_a_cell_gives_a_row_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, column: str, cell: str
) -> None:
    folder = tmp_path_factory.mktemp("literature")
    (record,) = csv.DictReader([HEADER, GOOD])
    with (folder / "any.csv").open(
        "w", encoding="utf-8", newline="", errors="surrogatepass"
    ) as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow({**record, column: cell})
    try:
        (row,) = read(folder)
    except DataError as error:
        assert "any.csv, line " in str(error)
    else:
        assert row.table == "any"
        assert 0.0 <= row.value <= 1.0


@pytest.mark.parametrize(
    "printed", ["77.38 ± 0.41", "77,38", r"\textbf{77.38}", "77.38†", "７７.38", "77.38%"]
)
def test_a_number_is_kept_and_read_as_its_source_prints_it(tmp_path: Path, printed: str) -> None:
    (row,) = read(write(tmp_path, with_cell("printed", printed)))
    assert row.printed == printed
    assert (row.value, row.rounding, row.shown, row.times_100) == (0.7738, 0.00005, "77.38", True)


def test_reading_is_pure() -> None:
    assert read(FOLDER) == literature()
