"""Rows of published tables other than MMSA's."""

from __future__ import annotations

from harness.system import Published

__all__ = ["table_rows"]


def table_rows(
    source: str, metrics: str, *, note: str = "", **rows: tuple[float, ...]
) -> tuple[Published, ...]:
    """The numbers that a table prints for one system.

    Args:
        source: Paper and table.
        metrics: Names of the columns, separated by spaces.
        note: How to read them.
        rows: Dataset name -> values in the order of ``metrics``.
    """
    return tuple(
        Published(dataset=dataset, metric=metric, value=value, source=source, note=note)
        for dataset, values in rows.items()
        for metric, value in zip(metrics.split(), values, strict=True)
    )
