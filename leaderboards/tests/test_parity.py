"""The record of ``msa study parity``: read as it was written, and refused when it is not one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import leaderboards
from harness.errors import DataError
from harness.testing.parity import SHAPES, counterparts, pairs_of
from leaderboards.studies.parity import parity_cells, parity_page
from leaderboards.studies.parity_record import ParityRecord, ParityRow, read_parity

EQUAL = ParityRow(
    system="lf_dnn",
    source="MMSA 2.2.1",
    shape="mosi",
    model="lf_dnn",
    verdict="equal",
    dtype="float32",
    weights=32,
    eval=7.5e-9,
    first_loss=0.0,
    losses=1.2e-7,
    after=3e-8,
    gradient=1.5e-8,
    largest=0.5,
    groups=0,
    parameters=28,
    mends=("a log line",),
    remarks=("tiny | small",),
)
LEFT_OUT = ParityRow(
    system="mctn", source="MMSA 2.2.1", shape="mosi", verdict="left out", reason="on purpose"
)
RECORD = ParityRecord(
    mmsa="2.2.1",
    torch="2.13.0",
    epochs=3,
    tolerances={"float32": {"prediction": 1e-5}},
    rows=(EQUAL, LEFT_OUT),
)


@pytest.fixture
def kept(tmp_path):
    file = tmp_path / "parity.json"
    file.write_text(json.dumps(RECORD.json()))
    return file


def test_a_record_is_read_as_it_was_written(kept):
    assert read_parity(kept) == RECORD


def test_rows_in_words():
    assert parity_cells(EQUAL)[2:] == (
        *("float32", "32", "7.5e-09", "0", "1.2e-07", "3.0e-08", "1.5e-08 / 0.5"),
        *("equal", "equal"),
    )
    assert set(parity_cells(LEFT_OUT)[2:-1]) == {""}


def test_the_page_says_what_is_equal_and_what_was_done():
    page = parity_page(RECORD)
    assert page.startswith("# Parity with MMSA\n")
    assert "1 of 1 comparisons equal up to rounding" in page
    for told in ("lf_dnn: put right in MMSA first: a log line.", "mctn: left out: on purpose."):
        assert told.replace("_", r"\_") in page or told in page
    assert page.endswith("\n")


def test_the_published_page_is_that_of_the_published_record():
    folder = Path(leaderboards.__file__).parent / "published"
    record = read_parity(folder / "parity.json")
    assert record.failed == ()
    assert {row.system for row in record.rows} == set(counterparts)
    assert [(row.system, row.shape) for row in record.rows] == pairs_of(counterparts, SHAPES)
    assert (folder / "parity.md").read_text("utf-8") == parity_page(record)


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"format": "msa-parity-1"}', '{"format": "other", "rows": []}']
)
def test_other_files_are_refused(tmp_path, content):
    file = tmp_path / "parity.json"
    file.write_text(content)
    with pytest.raises(DataError, match=r"parity\.json"):
        read_parity(file)
