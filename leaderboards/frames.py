"""Studies as data frames: published numbers beside ours, and where scores vary."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from harness.home import Home
from harness.metrics import metrics
from harness.runs.store import RunStore
from harness.stats.variance import SOURCES
from leaderboards.literature import table as published_table
from leaderboards.studies.reproduce import as_records
from leaderboards.studies.reproduce import reproduce as beside_ours
from leaderboards.studies.variance import CorpusStudy, RowStudy, study_suite

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["reproduce", "variance"]


def reproduce(
    table: str,
    dataset: str | None = None,
    system: str | None = None,
    *,
    home: Home | None = None,
) -> pd.DataFrame:
    """A published table beside the stored runs, as ``msa reproduce`` compares them.

    Args:
        table: Its name.
        dataset: Only this dataset.
        system: Only this system.
        home: Where runs live; ``Home.default()`` when None.

    Returns:
        One line per number, with the columns of ``msa reproduce --json``: ``verdict`` and
        ``reason``, the number as ``published`` and as ``ours`` with ``seeds``, the gap with its
        interval. Unrounded, accuracies from 0 to 1, None where there is nothing.

    Raises:
        SpecError: For an unknown table, or a dataset or system that it does not have.
        StoreError: When a stored record is damaged.
    """
    import pandas as pd

    rows = published_table(table, dataset, system)
    store = RunStore((home or Home.default()).store)
    return pd.DataFrame(as_records(beside_ours(store, rows)))


def variance(
    suite: str, metric: str = "mae", *, rows: Collection[str] = (), home: Home | None = None
) -> pd.DataFrame:
    """Where the scores of a suite vary, as ``msa study variance`` estimates it.

    Args:
        suite: A suite that was run here.
        metric: MAE or an accuracy.
        rows: Labels of rows; all when empty.
        home: Where runs live; ``Home.default()`` when None.

    Returns:
        One line per row and corpus: ``corpus, row, runs, mean``, the ``standard_error`` of that
        mean for new seeds and clips, the share of each source in the variance of one run on one
        clip (``seed, video, clip, seed_video, seed_clip``, which add up to 1), and ``left_out``,
        why there are none.

    Raises:
        SpecError: For an unknown row, or a metric that is no mean over clips.
        StoreError: When the suite was never run here, or a record is damaged.
    """
    import pandas as pd

    store = RunStore((home or Home.default()).store)
    studies = study_suite(store, suite, metrics[metric], rows)
    return pd.DataFrame([_line(study, row) for study in studies for row in study.rows])


def _line(study: CorpusStudy, row: RowStudy) -> dict[str, object]:
    found = row.components
    return {
        "corpus": study.corpus.name,
        "row": row.row.label,
        "runs": len(row.row.runs),
        "mean": None if found is None else found.mean,
        "standard_error": None if found is None else found.standard_error(),
        **{source: None if found is None else found.shares[source] for source in SOURCES},
        "left_out": row.left_out,
    }
