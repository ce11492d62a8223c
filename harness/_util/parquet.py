"""Reading Parquet files that may be damaged or come from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness._util.budget import Budget
from harness._util.parquet_pages import pages

__all__ = ["need_affordable", "read_columns", "read_parquet"]

_NUMBER = 40  # bytes charged per number: in Arrow, in the frame, and as an object while checked
_TEXT = 96  # per text, beside its characters
_OBJECT = 160  # per value of any other kind: a date, a decimal, a list
_ROW = 64  # per row, for its place
_PART = 8192  # per page and per column of a row group, for the time that its header takes
_DELTA_TEXT = 7  # DELTA_BYTE_ARRAY: each text is the last one and a few letters
_PLAIN_TYPES = frozenset({"BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE"})


def read_parquet(
    path: Path,
    rows: pc.Expression | None = None,
    convert: Callable[[pa.Table], pa.Table] | None = None,
    budget: Budget | None = None,
) -> pd.DataFrame:
    """One Parquet file, or those of its rows for which an expression holds, as pandas has it.

    The arguments and errors are those of ``read_columns``.
    """
    table = read_columns(path, rows, convert, budget)
    try:
        frame: pd.DataFrame = table.to_pandas()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    return frame


def read_columns(
    path: Path,
    rows: pc.Expression | None = None,
    convert: Callable[[pa.Table], pa.Table] | None = None,
    budget: Budget | None = None,
    coded: Sequence[str] = (),
) -> pa.Table:
    """One Parquet file, or those of its rows for which an expression holds.

    Text is checked to be UTF-8. What pandas left about itself in the file is ignored, so an index
    is an ordinary column and a foreign file cannot mislead its conversion.

    Args:
        path: The file.
        rows: Which rows; None for all.
        convert: What brings a file in the form of an earlier version into that of today, before
            rows are chosen.
        budget: What the file may take, of one from elsewhere; None for the harness's own.
        coded: Columns of few different texts, to be had as dictionaries: that halves the time.
            Texts are had where the file lacks one of them.

    Raises:
        HarnessError: The budget's error, when the file declares more.
        OSError: When the file cannot be opened.
        ValueError: When it is not a Parquet table, or a damaged one.
    """
    try:
        if budget is not None:
            _charge(path, budget)
        with _opened(path, coded) as file:  # a third of the time of `pandas.read_parquet`
            table = file.read(use_threads=False).replace_schema_metadata()
        table.validate(full=True)
        table = table if convert is None else convert(table)
        return table if rows is None else table.filter(rows)
    except pa.ArrowException as error:  # some kinds are neither OSError nor ValueError
        raise ValueError(str(error)) from error


def _opened(path: Path, coded: Sequence[str]) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, read_dictionary=list(coded))
    except KeyError:
        return pq.ParquetFile(path)


def need_affordable(path: Path, budget: Budget) -> None:
    """Refuse a file that declares more than its budget, without reading its values.

    Raises:
        HarnessError: The budget's error.
        OSError: When the file cannot be opened.
        ValueError: When it is not a Parquet table, or a damaged one.
    """
    try:
        _charge(path, budget)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _charge(path: Path, budget: Budget) -> None:
    """Charge what reading a file takes, as its footer, its page headers and its texts say."""
    found = pq.read_metadata(path)
    budget.need_few_names(found.num_columns, "columns")
    budget.spend(_ROW * found.num_rows, f"{found.num_rows:,} rows")
    columns = [found.schema.column(index) for index in range(found.num_columns)]
    lengths = {column.path: max(0, column.length) for column in columns}  # 0 unless it is fixed
    texts = set()
    for chunk in _chunks(found):
        budget.spend(_PART, "its row groups")
        name, kind = chunk.path_in_schema, chunk.physical_type
        values = f"{chunk.num_values:,} values of {_short(name)}"
        if kind in _PLAIN_TYPES and "." not in name:
            budget.spend(_NUMBER * chunk.num_values, values)
        elif kind == "BYTE_ARRAY":
            budget.spend(_TEXT * chunk.num_values, values)
            texts.add(name)
        else:
            budget.spend((_OBJECT + lengths[name]) * chunk.num_values, values)
        _charge_pages(path, chunk, budget)
    if texts:
        _charge_texts(path, sorted(texts), budget)


def _chunks(found: pq.FileMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    for group in range(found.num_row_groups):
        row_group = found.row_group(group)
        for column in range(row_group.num_columns):
            yield row_group.column(column)


def _charge_pages(path: Path, chunk: pq.ColumnChunkMetaData, budget: Budget) -> None:
    for page in pages(path, chunk):
        budget.spend(_PART + page.size, f"the pages of {_short(chunk.path_in_schema)}")
        if page.encoding == _DELTA_TEXT:
            raise budget.error(
                f"{budget.name} stores {_short(chunk.path_in_schema)} as differences of texts,"
                " whose length cannot be told before they are read",
                hint="write it again as pandas does: frame.to_parquet(file)",
            )


def _charge_texts(path: Path, names: list[str], budget: Budget) -> None:
    """Charge texts written out, each as often as it stands there.

    They are read as the file has them first: different ones, and which of them is where.
    """
    with pq.ParquetFile(path, read_dictionary=names) as file:
        table = file.read(columns=names, use_threads=False)
    for name, column in zip(table.column_names, table.columns, strict=True):
        size = sum(_written(chunk) for chunk in column.chunks)
        budget.spend(3 * size, f"the texts of {_short(name)}, written out")


def _written(array: pa.Array) -> int:
    """Bytes of all texts in an array, those inside lists and structures too."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(array.dictionary)
        return int(pc.sum(lengths.take(array.indices)).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(map(_written, array.flatten()))
    if pa.types.is_nested(kind):
        return _written(array.values)
    return int(array.nbytes)


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:40]}…"
