"""Stored figures of parity are read as they are written, or named as damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import DataError
from leaderboards.studies.parity_record import FORMAT, read_parity_rows

ROW = {
    "system": "tfn",
    "source": "MMSA 2.2.1",
    "shape": "mosi",
    "verdict": "equal",
    "eval": 0.0,
    "first_loss": 0,
    "losses": 3.6e-7,
    "groups": 0,
}


def written(path: Path, *rows: object, **more: object) -> Path:
    path.write_text(json.dumps({"format": FORMAT, "rows": rows, **more}), "utf-8")
    return path


def test_files_follow_each_other_and_rows_say_whose_code_it_is(tmp_path: Path) -> None:
    first = written(tmp_path / "a.json", ROW, mmsa="2.2.1")
    second = written(tmp_path / "b.json", {**ROW, "source": "someone/code"})
    ours, theirs = read_parity_rows(first, second, tmp_path / "absent.json")
    assert (ours.source, theirs.source) == ("MMSA 2.2.1", "someone/code")
    assert (ours.losses, ours.after, ours.groups) == (3.6e-7, None, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rows": []}, "parity.json is no record of the format"),
        ({"format": FORMAT}, "parity.json: rows should be there"),
        ({"format": FORMAT, "rows": {}}, "parity.json: rows should be a list"),
        ({"format": FORMAT, "rows": [ROW, {"system": "tfn"}]}, r"rows\[1\].source should be there"),
        ({"format": FORMAT, "rows": [{**ROW, "eval": "small"}]}, "eval should be a number"),
        ({"format": FORMAT, "rows": [3]}, r"rows\[0\] should be a table"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "parity.json"
    file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_parity_rows(file)
    assert "msa study parity" in caught.value.hint


def test_what_is_published_can_be_read_and_is_equal() -> None:
    rows = read_parity_rows()
    assert rows
    assert {row.verdict for row in rows} == {"equal", "left out"}, rows
