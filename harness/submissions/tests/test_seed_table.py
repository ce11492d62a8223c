"""Tables of results per seed: what is grouped, what is left out, what is refused."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import leaderboards
from harness.errors import SubmissionError
from harness.submissions.tables.means import against, read_published
from harness.submissions.tables.seeds import read_seed_table
from harness.tests.research import research_data

HEADER = "dataset,model,seed,config,MAE,Corr,Has0_acc_2"
SEEDS = (1111, 1112, 1113, 1114, 1115)


def lines(model="misa", config="aa", seeds=SEEDS, dataset="mosi", start=0.0):
    """One row per seed; no two calls with different ``start`` share a result."""
    return [
        f"{dataset},{model},{seed},{config},{0.7 + start + place / 100:.4f},0.{place}5,0.8{place}"
        for place, seed in enumerate(seeds)
    ]


@pytest.fixture
def table(tmp_path):
    def write(*rows: str, header: str = HEADER) -> Path:
        path = tmp_path / "runs.csv"
        path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
        return path

    return write


def test_a_group_is_one_dataset_model_and_config(table) -> None:
    found = read_seed_table(
        table(*lines(), *lines(config="bb", start=0.1), *lines(dataset="CMU-MOSEI", start=0.2))
    )
    assert [(g.dataset, g.model, g.config) for g in found.groups] == [
        ("mosei", "misa", "aa"),
        ("mosi", "misa", "aa"),
        ("mosi", "misa", "bb"),
    ]
    assert found.groups[1].seeds == SEEDS
    assert found.groups[1].values["mae"] == (0.70, 0.71, 0.72, 0.73, 0.74)
    assert found.metrics == ("mae", "corr", "acc2_has0")
    assert (found.rows, found.shared, found.left_out) == (15, 0, ())


def test_columns_may_have_the_names_of_this_project_and_any_order(table) -> None:
    path = table("0.5,3,lf_dnn,,mosi,note", header="mae,Seed,system,acc7,DATASET,remark")
    found = read_seed_table(path, least_seeds=1)
    (group,) = found.groups
    assert (group.model, group.config, group.seeds) == ("lf_dnn", "", (3,))
    assert group.values == {"mae": (0.5,)}
    assert found.unread == ("acc7", "remark")  # an empty column is no metric


def test_the_first_of_two_rows_of_a_seed_counts(table) -> None:
    again = lines(seeds=(1113,), start=0.5)
    (group,) = read_seed_table(table(*lines(), *again)).groups
    assert group.values["mae"] == (0.70, 0.71, 0.72, 0.73, 0.74)


def test_a_search_and_a_short_series_are_left_out_with_the_reason(table) -> None:
    search = [line for n in range(3) for line in lines(seeds=(1115,), start=0.1 * n)]
    found = read_seed_table(
        table(*lines(), *search, *lines(config="bb", seeds=SEEDS[:4], start=0.9))
    )
    assert found.groups == ()
    assert [(one.config, one.rows, one.seeds) for one in found.left_out] == [
        ("aa", 8, 5),
        ("bb", 4, 4),
    ]
    assert [one.reason for one in found.left_out] == [
        "4 rows of seed 1115: a search, not repeats",
        "4 of the 5 seeds needed",
    ]
    lenient = read_seed_table(
        table(*lines(), *search, *lines(config="bb", seeds=SEEDS[:4], start=0.9)),
        least_seeds=4,
        most_rows=4,
    )
    assert len(lenient.groups) == 2


def test_rows_under_two_models_are_dropped_in_both(table) -> None:
    extra = lines(model="mfn", config="bb", start=0.3)
    found = read_seed_table(table(*lines(), *lines(model="graph_mfn", config="cc"), *extra))
    assert [group.model for group in found.groups] == ["mfn"]
    assert found.shared == 10
    assert {one.reason for one in found.left_out} == {"every row occurs under two models"}


def test_equal_results_of_another_seed_or_in_two_metrics_are_no_copies(table) -> None:
    moved = [line.replace("0.7000", "0.7001") for line in lines(model="tfn")]
    other = [line.replace(",111", ",222") for line in lines(model="tfn")]
    assert read_seed_table(table(*lines(), *other)).shared == 0
    assert read_seed_table(table(*lines(), *moved)).shared == 8
    two_metrics = [line.rpartition(",")[0] for line in (*lines(), *lines(model="tfn"))]
    path = table(*two_metrics, header=HEADER.rpartition(",")[0])
    assert len(read_seed_table(path).groups) == 2


def test_an_empty_cell_is_an_undefined_result(table) -> None:
    rows = lines()
    rows[2] = rows[2].replace("0.7200", "")
    (group,) = read_seed_table(table(*rows)).groups
    assert math.isnan(group.values["mae"][2])
    assert not any(map(math.isnan, group.values["corr"]))


def test_the_same_results_under_two_configs_count_once(table) -> None:
    found = read_seed_table(
        table(
            *lines(),
            *lines(config="bb"),
            *lines(config="cc", start=0.1),
            *lines(model="mfn", start=0.2),
        )
    )
    assert [(g.model, g.config) for g in found.groups] == [
        ("mfn", "aa"),
        ("misa", "aa"),
        ("misa", "cc"),
    ]
    (left_out,) = found.left_out
    assert (left_out.config, left_out.reason) == ("bb", "the results of config aa once more")


def test_rows_of_different_configs_are_never_pooled(table) -> None:
    header = HEADER.replace(",config", "")
    rows = [line.replace(",aa,", ",") for line in (*lines(), *lines(start=0.1))]
    with pytest.raises(SubmissionError, match="no column config, and 2 rows of misa on mosi"):
        read_seed_table(table(*rows, header=header))
    (group,) = read_seed_table(table(*rows[:5], header=header)).groups
    assert group.config == ""


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (HEADER, "mosi,misa,x,aa,0.7,0.1,0.8", "line 2: seed should be a whole number, found 'x'"),
        (HEADER, "mosi,misa,-1,aa,0.7,0.1,0.8", "whole number"),
        (HEADER, "mosi,misa,1,,0.7,0.1,0.8", "line 2: config is empty"),
        (HEADER, "mosi,,1,aa,0.7,0.1,0.8", "model is empty"),
        (HEADER, "mosi,misa,1,aa,0.7,0.1", "line 2: 6 cells, the header has 7"),
        (HEADER, "mosi,misa,1,aa,0.7,0.1,80.5", r"Has0_acc_2 should lie in \[0, 1\], found 80.5"),
        (HEADER, "mosi,misa,1,aa,1_0,0.1,0.8", "MAE should be a number, found '1_0'"),
        (HEADER, "mosi,misa,1,aa,inf,0.1,0.8", "MAE should be a number"),
        (HEADER, "mosi,misa,1,aa,1e999,0.1,0.8", "MAE should be a number"),
        (HEADER, 'mosi,misa,1,aa,"1,234",0.1,0.8', "line 2: MAE should be a number, found '1,234'"),
        (HEADER, "mosi,misa,1,aa,0.7,0.1,0.8/0.9", "Has0_acc_2 should be a number"),
        (HEADER, "mosi,misa,1,aa,0.7±0.1,0.1,0.8", "one run has no spread"),
        ("dataset,model,seed,config,Loss", "mosi,misa,1,aa,0.7", "no metric in any column"),
        ("dataset,model,config,MAE", "mosi,misa,aa,0.7", "lacks the column seed"),
        ("dataset,model,seed,MAE,mae", "mosi,misa,1,0.7,0.7", "two columns for mae"),
        ("dataset,model,system,seed,MAE", "mosi,a,b,1,0.7", "two columns for model"),
    ],
)
def test_a_broken_table_is_one_clear_error(table, header, row, message) -> None:
    with pytest.raises(SubmissionError, match=message):
        read_seed_table(table(row, header=header))


def test_no_file_and_no_rows(table, tmp_path) -> None:
    with pytest.raises(SubmissionError, match="no such file"):
        read_seed_table(tmp_path / "none.csv")
    with pytest.raises(SubmissionError, match="holds no rows"):
        read_seed_table(table())
    (tmp_path / "latin.csv").write_bytes(b"dataset,model\n\xe9,b\n")
    with pytest.raises(SubmissionError, match="cannot be read"):
        read_seed_table(tmp_path / "latin.csv")


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_any_text_is_read_or_refused(tmp_path_factory, text) -> None:
    path = tmp_path_factory.mktemp("any") / "runs.csv"
    path.write_text(f"{HEADER}\n{text}", "utf-8", newline="")
    try:
        read_seed_table(path)
    except SubmissionError as error:
        assert "runs.csv" in str(error)


PUBLISHED = "system,dataset,metric,value"


@pytest.fixture
def published(tmp_path):
    def write(*rows: str, header: str = PUBLISHED) -> Path:
        path = tmp_path / "published.csv"
        path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
        return path

    return write


def test_equal_means_equal_to_the_last_printed_digit(table, published) -> None:
    groups = read_seed_table(table(*lines())).groups  # means: MAE .72, Corr .25, Acc-2 .82
    found = against(
        groups,
        read_published(
            published(
                "misa,CMU-MOSI,MAE,0.72",
                "lmf,CMU-MOSI,MAE,0.9504",  # four decimals are printed
                "misa,CMU-MOSI,Corr,0.26",
                "misa,CMU-MOSI,Has0_acc_2,82.0",
                "misa,CMU-MOSI,something,1",
                "misa,CMU-MOSEI,MAE,0.72",
            )
        ),
    )
    assert [(one.published.metric, one.equal) for one in found] == [
        ("mae", True),
        ("corr", False),
        ("acc2_has0", True),
    ]
    assert [one.gap for one in found] == pytest.approx([0.0, -0.01, 0.0], abs=1e-9)
    assert found[0].published.decimals == 4
    assert found[2].here == pytest.approx(82.0)


@pytest.mark.parametrize(("value", "equal"), [("0.72", True), ("0.7205", False), ("0.7", False)])
def test_rounding_is_to_the_decimals_of_the_metric(table, published, value, equal) -> None:
    groups = read_seed_table(table(*lines())).groups
    rows = (f"misa,mosi,MAE,{value}", "tfn,mosi,MAE,0.95")
    (found,) = against(groups, read_published(published(*rows)))
    assert found.equal is equal


def test_two_printed_values_for_one_cell_are_refused(published) -> None:
    rows = ("one,misa,mosi,MAE,0.7", "two,misa,mosi,MAE,0.8")
    path = published(*rows, header=f"table,{PUBLISHED}")
    with pytest.raises(SubmissionError, match=r"0.7 and 0.8 as MAE of misa") as refusal:
        read_published(path)
    assert "one, two" in str(refusal.value.hint)
    assert [cell.value for cell in read_published(path, "two")] == [0.8]
    with pytest.raises(SubmissionError, match="no table 'three'"):
        read_published(path, "three")


@pytest.mark.parametrize("value", ["?", "inf", "0.7 0.8", '"1,234"', "0.7/0.8", "1_0"])
def test_a_printed_value_is_a_number(published, value) -> None:
    with pytest.raises(SubmissionError, match="line 2: value should be a number"):
        read_published(published(f"misa,mosi,MAE,{value}"))


@pytest.mark.parametrize(
    ("metric", "cell", "value", "percent", "decimals"),
    [
        ("MAE", "0.7*", 0.7, False, 1),
        ("MAE", "0.712 ± 0.01", 0.712, False, 3),
        ("MAE", r"\textbf{.7120}", 0.712, False, 4),
        ("MAE", '"0,712"', 0.712, False, 3),
        ("Corr", "−0.5", -0.5, False, 1),
        ("Corr", "79.1%", 79.1, True, 1),
        ("Has0_acc_2", "**82.40**", 82.4, True, 2),
        ("Has0_acc_2", "0.5%", 0.5, True, 1),
    ],
)
def test_a_published_value_is_read_as_printed(
    published, metric, cell, value, percent, decimals
) -> None:
    (found,) = read_published(published(f"misa,mosi,{metric},{cell}"))
    assert (found.value, found.percent, found.decimals) == (value, percent, decimals)


def test_two_published_values_in_one_cell(published) -> None:
    path = published("misa,mosi,Acc-2 has0/non0,82.1/83.46", "misa,mosi,F1 non0/has0,-/81.0")
    assert [(one.metric, one.value) for one in read_published(path)] == [
        *(("acc2_has0", 82.1), ("acc2_non0", 83.46), ("f1_has0", 81.0)),
    ]


@pytest.mark.parametrize("rows", [("misa,mosi,MAE,-", "tfn,mosi,MAE,n/a"), ("misa,mosi,Loss,1",)])
def test_a_published_table_without_a_number_is_refused(published, rows) -> None:
    with pytest.raises(SubmissionError, match="holds no number of a known metric"):
        read_published(published(*rows))


def test_results_per_seed_are_read_as_printed(table) -> None:
    rows = (
        "mosi,misa,1,aa,０.７１２,−0.1,80.5%",
        r"mosi,misa,2,aa,\textbf{0.7},0.1*,0.8",
        'mosi,misa,3,aa,"0,70",-,n/a',
    )
    (group,) = read_seed_table(table(*rows), least_seeds=3).groups
    assert group.values["mae"] == (0.712, 0.7, 0.7)
    assert group.values["corr"][:2] == (-0.1, 0.1)
    assert group.values["acc2_has0"][:2] == (0.805, 0.8)
    assert math.isnan(group.values["corr"][2])
    assert math.isnan(group.values["acc2_has0"][2])


REPRODUCED = {
    **{("mosi", "ef_lstm"): "feb6f945", ("mosi", "graph_mfn"): "bc148ffb"},
    **{("mosi", "lf_dnn"): "81e85da7", ("mosi", "lmf"): "053726da", ("mosi", "mfn"): "4600ca58"},
    **{("mosi", "misa"): "16cac78e", ("mosi", "mult"): "1908fc5f", ("mosi", "tfn"): "45acb8dc"},
    **{("mosei", "lf_dnn"): "573ddc10", ("mosei", "lmf"): "cb79f2fe"},
    **{("mosei", "mfn"): "4952f6e9", ("mosei", "misa"): "6b3ea0a8"},
    **{("mosei", "mult"): "4680531b", ("mosei", "tfn"): "0ad553c3"},
}
"""(dataset, model) -> the config whose means are those its authors printed."""


@pytest.mark.data
def test_the_development_logs_of_mmsa() -> None:
    found = read_seed_table(research_data("mmsa_seed_runs_mosi_mosei.csv"))
    assert (found.rows, found.shared, len(found.groups), len(found.left_out)) == (712, 139, 20, 18)
    (again,) = (one for one in found.left_out if "once more" in one.reason)
    assert (again.model, again.config) == ("tfn", "65687ffb")  # but for F1
    (misa,) = (group for group in found.groups if group.config == "16cac78e")
    assert statistics.fmean(misa.values["mae"]) == pytest.approx(0.7765, abs=5e-5)
    assert statistics.stdev(misa.values["mae"]) == pytest.approx(0.0337, abs=5e-5)
    assert statistics.fmean(misa.values["corr"]) == pytest.approx(0.7781, abs=5e-5)


@pytest.mark.data
def test_fourteen_of_eighteen_published_cells_of_mmsa_are_reproduced() -> None:
    groups = read_seed_table(research_data("mmsa_seed_runs_mosi_mosei.csv")).groups
    printed = Path(leaderboards.__file__).parent / "literature" / "mmsa.csv"
    cells: dict[tuple[str, str, str], list[bool]] = {}
    for one in against(groups, read_published(printed)):
        if not one.published.metric.startswith("f1"):  # computed otherwise when it was printed
            key = one.published.dataset, one.published.system, one.config
            cells.setdefault(key, []).append(one.equal)
    assert len({key[:2] for key in cells}) == 18
    assert {len(equal) for equal in cells.values()} == {6}
    whole = {key for key, equal in cells.items() if all(equal)}
    assert whole == {(*cell, config) for cell, config in REPRODUCED.items()}
    assert not any(any(equal) for key, equal in cells.items() if key not in whole)
