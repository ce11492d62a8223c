"""What a Parquet file would take is known from its headers, whatever its footer says."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness._util.budget import Budget, memory_allowed
from harness._util.parquet import read_parquet
from harness._util.parquet_pages import pages
from harness.errors import DataError

ROWS = 5000
TABLE = {
    "id": [f"v_{i}" for i in range(ROWS)],
    "pred": np.arange(ROWS, dtype=np.float64),
    "none": pa.nulls(ROWS, pa.int32()),
    "flag": [row % 2 == 0 for row in range(ROWS)],
    "lists": [["a", "bb"]] * ROWS,
    "tables": [{"x": "q", "y": [1, 2]}] * ROWS,
    "map": pa.array([[("key", "value")]] * ROWS, pa.map_(pa.string(), pa.string())),
    "fixed": pa.array([b"abcd"] * ROWS, pa.binary(4)),
}


def written(path: Path, table: dict[str, object], **options: object) -> Path:
    pq.write_table(pa.table(table), path, **options)
    return path


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_pages_are_found_in_files_of_every_kind(tmp_path, version, compression, dictionary):
    path = written(
        tmp_path / "x.parquet",
        TABLE,
        data_page_version=version,
        compression=compression,
        use_dictionary=dictionary,
        data_page_size=2000,
    )
    group = pq.read_metadata(path).row_group(0)
    for index in range(group.num_columns):
        chunk = group.column(index)
        found = list(pages(path, chunk))
        headers = chunk.total_uncompressed_size - sum(page.size for page in found)
        assert 10 * len(found) < headers < 200 * len(found)
    frame = read_parquet(path, budget=Budget.of(path, "a table"))
    assert frame["id"].tolist() == TABLE["id"]
    assert list(frame) == list(TABLE)


def varint(value: int, length: int) -> bytes:
    """A number of Thrift in so many bytes."""
    groups = [(2 * value) >> (7 * place) & 0x7F for place in range(length)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def test_a_footer_that_understates_is_not_believed(tmp_path):
    table = {"id": pa.array([b"\0" * (64 << 20)], pa.binary())}
    path = written(tmp_path / "x.parquet", table, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 10_000
    size = pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size
    content, stated = path.read_bytes(), varint(size, 4)
    assert stated in content
    path.write_bytes(content.replace(stated, varint(100, 4)))
    assert pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size == 100
    with memory_allowed("16M"), pytest.raises(DataError, match="with the pages of id"):
        read_parquet(path, budget=Budget.of(path, "a table"))


def test_damaged_headers_are_a_value_error(tmp_path):
    path = written(tmp_path / "x.parquet", {"id": TABLE["id"]}, data_page_size=2000)
    whole, chunk = path.read_bytes(), pq.read_metadata(path).row_group(0).column(0)
    draw = random.Random(0)
    refused = 0
    for _ in range(500):
        content = bytearray(whole)
        for _ in range(draw.randrange(1, 6)):
            content[4 + draw.randrange(60)] = draw.randrange(256)
        path.write_bytes(content)
        try:
            list(pages(path, chunk))
        except ValueError:
            refused += 1
    assert refused > 100
