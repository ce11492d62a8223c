"""A board in a notebook: as records, as a data frame, as what a cell shows."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.home import Home
from harness.runs.store import RunStore
from leaderboards.files import write_board
from leaderboards.model import Board, gather, parts
from leaderboards.rendering import render_markdown
from leaderboards.sections import compose, records, results

if TYPE_CHECKING:
    import pandas as pd

    from harness._util.canonical import Json
    from leaderboards.document import Table

__all__ = ["BoardView", "board"]


class BoardView:
    """The board of a suite as the store has it now.

    Args:
        found: Its content.
    """

    def __init__(self, found: Board) -> None:
        self._board = found

    @property
    def suite(self) -> str:
        """Its name."""
        return self._board.suite

    @property
    def markdown(self) -> str:
        """The whole board as ``msa board`` writes it."""
        return render_markdown(compose(self._board))

    def records(self) -> list[dict[str, Json]]:
        """As ``leaderboards.as_records``."""
        return records(self._board)

    def frame(self) -> pd.DataFrame:
        """One line per row and corpus.

        Returns:
            ``corpus, row, system, badge, n, N, rank_low, rank_high, could_be_best`` and, per metric
            of the dataset, its mean over seeds and ``<metric>_sd``: unrounded, accuracies from 0 to
            1, None or NaN where undefined.
        """
        import pandas as pd

        return pd.DataFrame([_line(record) for record in self.records()])

    def write(self, path: str | Path) -> Path:
        """Write the board to ``path``, its page and its costs beside it.

        Raises:
            StoreError: When a file cannot be written.
        """
        return write_board(self._board, Path(path))

    def __repr__(self) -> str:
        rows = sum(len(grid.rows) for grid in self._board.grids)
        return f"<board of {self.suite}: {rows} rows on {len(self._board.grids)} corpora>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the results on every corpus."""
        return "".join(self._tables())

    def _tables(self) -> Iterator[str]:
        yield f"<h3>{html.escape(self._board.title)}</h3>"
        for grid in self._board.grids:
            title = f"{grid.corpus.dataset.title}: {grid.corpus.name}"
            if grid.corpus.twin:
                title += " (SYNTHETIC TWIN: not a result on real data)"
            yield f"<h4>{html.escape(title)}</h4>"
            shared = parts(grid)
            for part in shared:
                if len(shared) > 1:  # rows that know different things never share a table
                    yield f"<h5>{html.escape(part.tracks[0].title)}</h5>"
                yield _table(results.table(part))


def board(suite: str, home: Home | None = None) -> BoardView:
    """The board of a suite that was run here.

    Args:
        suite: Its name.
        home: Where runs live; ``Home.default()`` when None.

    Raises:
        StoreError: When the suite was never run here, or a stored record is damaged.
    """
    return BoardView(gather(RunStore((home or Home.default()).store), suite))


def _line(record: dict[str, Any]) -> dict[str, object]:
    low, high = record["rank"] or (None, None)
    line = {name: record[name] for name in ("corpus", "row", "system", "badge", "n", "N")}
    line |= {"rank_low": low, "rank_high": high, "could_be_best": record["could_be_best"]}
    for name, found in record["metrics"].items():
        line |= {name: found["mean"], f"{name}_sd": found["sd"]}
    return line


def _table(shown: Table) -> str:
    """A table of a board as plain HTML."""
    heads = "".join(f"<th>{html.escape(column.title)}</th>" for column in shown.columns)
    lines = ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in shown.rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    notes = "".join(
        f"<p>{number}. {html.escape(note)}</p>" for number, note in enumerate(shown.notes, 1)
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{notes}"
