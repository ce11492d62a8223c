"""The table of a run's predictions: its columns, the rows of a cell, and the form of before."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.spec import PredictionCell

__all__ = ["CODED", "COLUMNS", "columns_of", "misfit", "rows_of", "with_variants"]

COLUMNS = ("id", "split", "condition", "variant", "pred")
CODED = ("split", "condition", "variant")
"""Columns in which few texts recur."""


def rows_of(split: str, cell: PredictionCell) -> pc.Expression:
    """What holds for the rows of a split that are of a cell."""
    return (
        (pc.field("split") == split)
        & (pc.field("condition") == cell.condition)
        & (pc.field("variant") == cell.variant)
    )


def columns_of(table: pd.DataFrame) -> pa.Table:
    """A table as Arrow has it."""
    return pa.Table.from_pandas(table[list(COLUMNS)], preserve_index=False)


def misfit(schema: pa.Schema) -> str | None:
    """Why columns are not those of a table of predictions; None where they are."""
    for name in COLUMNS:
        if schema.get_field_index(name) < 0:  # none, or several
            return f"no {name}"
    for name in COLUMNS[:-1]:
        if not _is_text(schema.field(name).type):
            return f"{name} are no texts"
    return None if pa.types.is_floating(schema.field("pred").type) else "pred are no numbers"


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return inner in (pa.string(), pa.large_string())


def with_variants(table: pa.Table) -> pa.Table:
    """A stored table with ``condition`` and ``variant``; one that has both is left alone.

    Before there were variants, ``condition`` held one name for both: ``PredictionCell.named``.
    """
    if "variant" in table.column_names or "condition" not in table.column_names:
        return table
    names = table["condition"].combine_chunks().cast(pa.string()).dictionary_encode()
    cells = [PredictionCell.named(name) for name in names.dictionary.to_pylist()]
    conditions, variants = (
        pa.array(values, pa.string()).take(names.indices)
        for values in ([cell.condition for cell in cells], [cell.variant for cell in cells])
    )
    place = table.column_names.index("condition")
    converted = table.set_column(place, "condition", conditions)
    return converted.add_column(place + 1, "variant", variants)
