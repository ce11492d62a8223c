"""An audit as a Markdown page: a section for each corpus, what to look at first.

Nothing licensed enters it: ids, counts and figures, no transcript and no clip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from harness._util.printed import defined
from harness._util.shown import shown
from harness.data.audit.census import take_census
from harness.data.audit.check import Check, Verdict
from harness.data.corpus import Corpus

__all__ = ["Row", "markdown"]

Row = Mapping[str, object]
"""A line of a table: heading -> cell. Floats are printed with three decimals."""

_CONCERN: tuple[Verdict, ...] = ("fail", "warn", "note", "ok")
_LONGEST = 400  # characters of a cell


def markdown(
    corpora: Sequence[Corpus], checks: Sequence[Check], clips: Mapping[str, Sequence[Row]]
) -> str:
    """The report of an audit.

    Args:
        corpora: What was looked at.
        checks: What was found, of any of them.
        clips: Corpus name -> a line for each clip whose recording was decoded.
    """
    lines = ["# Data audit", ""]
    for corpus in corpora:
        mine = [check for check in checks if check.corpus == corpus.name]
        lines += [f"## {corpus.name}", "", *_facts(corpus), "", _tally(mine), ""]
        lines += _found([check for check in mine if check.verdict != "ok"])
        lines += _census(corpus)
        if corpus.name in clips:
            lines += ["### Recordings, clip by clip", "", *_table(clips[corpus.name]), ""]
        passed = ", ".join(check.name for check in mine if check.verdict == "ok")
        lines += [f"Passed: {passed or 'nothing'}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _facts(corpus: Corpus) -> Iterator[str]:
    sizes = ", ".join(f"{len(part)} {name}" for name, part in corpus.splits.items())
    yield f"{corpus.dataset.title}, {len(corpus.clips)} clips ({sizes}), data"
    yield f"`{corpus.fingerprint[:12]}`. Licence of the clips: {corpus.dataset.licence}."


def _tally(checks: Sequence[Check]) -> str:
    counted = Counter(check.verdict for check in checks)
    return "**" + ", ".join(f"{counted[verdict]} {verdict}" for verdict in _CONCERN) + "**"


def _found(checks: Sequence[Check]) -> list[str]:
    if not checks:
        return []
    order = sorted(checks, key=lambda check: _CONCERN.index(check.verdict))
    rows = [
        {
            "verdict": check.verdict,
            "check": check.name,
            "expected": check.expected,
            "found": check.found,
            "detail": check.detail,
        }
        for check in order
    ]
    return ["### To look at", "", *_table(rows), ""]


def _census(corpus: Corpus) -> list[str]:
    """Range, zeros and padding of each stream."""
    rows = []
    for name, stream in corpus.streams.items():
        counted = take_census(stream)
        rows.append(
            {
                "stream": name,
                "frames x features": f"{counted.frames} x {counted.features}",
                "lengths": f"{counted.shortest} to {counted.longest}, median {counted.median:g}",
                "padding": f"{counted.padding:.1%}",
                "range": f"{counted.low:.4g} to {counted.high:.4g}",
                "mean ± sd": f"{counted.mean:.3g} ± {counted.deviation:.3g}",
                "zero values": f"{counted.zero_values:.1%}",
                "zero frames": f"{counted.zero_frames:.1%}",
                "zero clips": f"{counted.zero_clips:.1%}",
                "features always 0": counted.zero_features,
            }
        )
    return ["### Streams", "", *_table(rows), ""] if rows else []


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """A pipe table."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    yield _line(columns)
    yield _line(["---"] * len(columns))
    for row in rows:
        yield _line([_cell(row.get(name)) for name in columns])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return defined(value, ".3f")
    return shown(value, _LONGEST).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
