"""Published sizes, and what the store says of one system: twins and published numbers."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from harness.errors import DataError
from harness.tests.stores import SEEDS, Constant, NotRun, Off, Row, make_corpus, make_store, predict
from leaderboards.literature import COUNTS_FILE, parameter_counts, read_counts
from leaderboards.studies.fidelity import published_verdicts, twin_results

ROWS = (
    Row(label="near", cells={s: Off(0.4) for s in SEEDS}),
    Row(label="never", cells={s: NotRun() for s in SEEDS}),
    Row(label="mean", cells={0: Constant()}, epochs=0, deterministic=True, reference=True),
)
SYSTEMS = {row.label: row.system.name for row in ROWS}
HEADER, GOOD, *_ = COUNTS_FILE.read_text("utf-8").splitlines()


def test_sizes_are_listed_once_with_their_source():
    counts = parameter_counts()
    assert len({(one.system, one.dataset) for one in counts}) == len(counts) > 80
    assert all(one.source for one in counts)
    bert = {one.encoder_parameters for one in counts if one.encoder_parameters in (0, 109_482_240)}
    assert bert == {0, 109_482_240}
    assert {one.system for one in counts if one.indicative} == {"kuda"}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((HEADER, GOOD, GOOD), "line 3: .* twice"),
        ((HEADER, GOOD.replace("mosi", "mars")), "line 2: .*mars"),
        ((HEADER, GOOD.replace("unaligned-50", "unaligned-51")), "feature set 'unaligned-51'"),
        ((HEADER, GOOD.replace("885605,0", "many,0")), "line 2: "),
        ((HEADER, GOOD.replace("885605,0", "5,5")), "an encoder of 5 in 5"),
        ((HEADER.replace("source", "sauce"), GOOD), "sauce"),
        ((HEADER.replace("parameters", "number", 1), GOOD), "number"),
        ((HEADER, GOOD + ",more"), "line 2: "),
        ((HEADER, GOOD.rpartition(",")[0].rpartition(",")[0]), "line 2: "),
    ],
)
def test_a_damaged_table_of_sizes_is_refused_with_its_line(tmp_path, lines, reason):
    path = tmp_path / "sizes.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(DataError, match=rf"^sizes\.csv, line \d: ?.*{reason.split(': ')[-1]}"):
        read_counts(path)


def test_the_table_reads_as_it_is_written():
    with COUNTS_FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["parameters"]) for row in rows] == [c.parameters for c in parameter_counts()]


def test_twin_results_stand_between_constant_and_ceiling(tmp_path):
    corpus = make_corpus("mosi-twin@compact")
    store = make_store(tmp_path, ROWS, [corpus, make_corpus("mosi@own")])
    (found,) = twin_results(store, [SYSTEMS["near"], SYSTEMS["never"]])
    labels = corpus.split("test").labels
    maes = [np.abs(predict(Off(0.4), labels, seed) - labels).mean() for seed in SEEDS]
    assert (found.label, found.corpus, found.runs) == ("near", "mosi-twin@compact", 3)
    assert found.mae == pytest.approx(np.mean(maes))
    assert (found.ceiling, found.constant) == (0.5, 1.0), "as the corpus says"
    assert found.reached == pytest.approx((1.0 - found.mae) / 0.5)


def test_other_systems_and_real_corpora_are_left_out(tmp_path):
    store = make_store(tmp_path, ROWS, [make_corpus("mosi@own")])
    assert list(twin_results(store, SYSTEMS.values())) == []
    twins = make_store(tmp_path / "twins", ROWS, [make_corpus("mosi-twin@compact")])
    assert list(twin_results(twins, ["tfn"])) == []


def test_verdicts_are_counted_per_system(tmp_path):
    store = make_store(tmp_path, ROWS)
    found = published_verdicts(store, ["tfn", "feature_ridge"])
    assert found.keys() == {"tfn"}
    assert found["tfn"]["not run"] == sum(found["tfn"].values()) > 0
