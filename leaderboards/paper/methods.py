"""The paragraph on methods of a paper: what the protocol and the runs say, and nothing else.

Every sentence follows from the plan, the manifests or the statistics that were computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness import __version__
from harness.data.datasets import SPLITS
from harness.metrics import Metric, metrics
from harness.stats import DRAWS
from leaderboards.model import Board, Grid, Row, parts
from leaderboards.rendering import escape_latex
from leaderboards.sections.results import detectable, encoded

__all__ = ["methods"]

_KINDS: Mapping[str, str] = {
    "in_domain": "trained and tested on the same dataset",
    "reliability": "tested on clips as they are and under each condition of a grid of corruptions",
    "domain_generalization": "trained on the datasets that a transfer names and tested on another",
    "zero_shot": "asked without an example from the dataset",
}


def methods(board: Board, grids: Sequence[Grid]) -> str:
    r"""A paragraph of LaTeX with citations, and a list of the metrics.

    Args:
        board: Whose.
        grids: The corpora that the paper shows.

    Returns:
        Source that ``\input`` reads, ending in a newline.
    """
    blocks = [
        _joined(_data(grids)),
        _joined(_training(board, grids)),
        _joined(_statistics(board, grids)),
        _joined(_metrics(grids)),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _joined(sentences: Iterator[str]) -> str:
    return "\n".join(sentences)


def _cited(words: str, *keys: str) -> str:
    return rf"{escape_latex(words)}~\cite{{{','.join(keys)}}}"


def _data(grids: Sequence[Grid]) -> Iterator[str]:
    for grid in grids:
        facts = grid.corpus
        sizes = ", ".join(
            f"{facts.clips[split]} {split} clips of {facts.videos[split]} source videos"
            for split in SPLITS
        )
        told = [f"({facts.name}, content {facts.data[:12]}): {sizes}"]
        told.append("the official split" if facts.official else "an own split")
        if facts.published_as:
            told.append(f"read from the published file {facts.published_as}")
        name = _cited(facts.dataset.title, f"data:{facts.dataset.name}")
        if facts.twin:
            name = f"a synthetic twin of {name}"
            told.append("no number on it is a result on that dataset")
        yield f"We use {name} {escape_latex(', '.join(told))}."
        if facts.dataset.splits_share_videos:
            yield "Its training and test clips come from the same source videos."


def _training(board: Board, grids: Sequence[Grid]) -> Iterator[str]:
    protocol, rows = board.protocol, _rows(grids)
    kind = str(protocol.get("kind", "in_domain"))
    yield (
        f"Systems are {_KINDS[kind]}, by msa-harness {escape_latex(__version__)}"
        rf"~\cite{{msaharness}}, protocol {escape_latex(str(protocol['name']))}"
        rf" (digest \texttt{{{escape_latex(str(protocol['digest']))}}})."
    )
    if any(row.facts and not row.deterministic and not row.zero_shot for row in rows):
        yield from _epochs(board, rows)
    yield from _seeds(rows)
    yield from _encoders(rows)
    yield from _settings(rows)
    asked = [row.label for row in rows if row.zero_shot]
    if asked:
        yield escape_latex(f"Asked once, without training: {', '.join(asked)}.")


def _epochs(board: Board, rows: Sequence[Row]) -> Iterator[str]:
    protocol = board.protocol
    if protocol.get("selection", "protocol") == "released":
        yield (
            "Of every run the checkpoint is kept that the released code of the system chooses on"
            " the validation split; all metrics come from it."
        )
        return
    metric = metrics[str(protocol["selection_metric"])]
    yield escape_latex(
        f"Training lasts at most {protocol['max_epochs']} epochs and ends after"
        f" {protocol['patience']} epochs without a better validation {metric.title}; of every run"
        f" the checkpoint with the best one is kept ({protocol['selection_ties']} of equal ones),"
        " and all metrics come from it. The test split chooses nothing."
    )
    longer = {row.label: row.max_epochs for row in rows if row.max_epochs}
    if longer:
        told = ", ".join(f"{label} {epochs}" for label, epochs in longer.items())
        yield escape_latex(f"Rows whose own schedule is longer train it whole: {told} epochs.")


def _seeds(rows: Sequence[Row]) -> Iterator[str]:
    seeded = [row for row in rows if row.runs and not row.deterministic]
    if seeded:
        counts = sorted({len(row.runs) for row in seeded})
        many = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        numbers = sorted({run.seed for row in seeded for run in row.runs})
        yield f"Each is run with {many} training seeds ({', '.join(map(str, numbers))})."
    missing = sum(len(row.missing_runs) for row in rows)
    if missing:
        planned = sum(row.planned for row in rows)
        yield f"{missing} of {planned} planned runs are missing; tables count them."


def _encoders(rows: Sequence[Row]) -> Iterator[str]:
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.runs and row.text not in ("", "none"):
            found.setdefault(encoded(row), {})[row.label] = None
    if found:
        told = "; ".join(f"{how} ({', '.join(labels)})" for how, labels in found.items())
        yield escape_latex(f"Text enters as {told}.")


def _settings(rows: Sequence[Row]) -> Iterator[str]:
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.settings:
            found.setdefault(row.settings, {})[row.label] = None
    if set(found) == {"preset"}:
        yield "All hyper-parameters are presets of the harness."
        return
    for settings, labels in found.items():
        yield escape_latex(f"Hyper-parameters, {settings}: {', '.join(labels)}.")


def _statistics(board: Board, grids: Sequence[Grid]) -> Iterator[str]:
    compared = [
        (part, found) for grid in grids for part in parts(grid) if (found := detectable(part))
    ]
    if not compared:
        return
    selection = compared[0][0].selection.title
    level = escape_latex(f"{100 * board.alpha:.3g} %")
    yield (
        "Two rows are compared on the same test clips. The variance of a difference is that of two"
        " crossed factors, training seeds of a system and source videos that systems share, with"
        r" degrees of freedom after Satterthwaite~\cite{satterthwaite1946}."
    )
    yield (
        "p-values are adjusted for all pairs of a table together by the step-down smallest p-value"
        rf" of equal systems~\cite{{westfall1993}}, {DRAWS:,} draws."
        f" Rank sets hold every true rank in {escape_latex(selection)} together with"
        rf" {100 * (1 - board.alpha):.3g}\,\% probability~\cite{{mogstad2024}};"
        f" claims are at a level of {level}."
    )
    if board.look is not None:
        looks = ", ".join(map(str, board.look.looks))
        yield (
            f"Seeds were added until decided, at looks declared before the first run ({looks}),"
            " with the level of the look reached."
        )
    for part, found in compared:
        yield escape_latex(
            f"On {part.corpus.name} one comparison finds a true difference with 80 % probability"
            f" from about {found} (median over pairs)."
        )


def _metrics(grids: Sequence[Grid]) -> Iterator[str]:
    yield (
        "Metrics are computed from unrounded predictions, p, and labels, y, and averaged over"
        " seeds."
    )
    found: dict[Metric, None] = {}
    for grid in grids:
        found |= dict.fromkeys(grid.metrics)
    yield " ".join(escape_latex(f"{one.title}: {one.definition}.") for one in found)


def _rows(grids: Sequence[Grid]) -> list[Row]:
    return [row for grid in grids for row in grid.rows if not row.reference]
