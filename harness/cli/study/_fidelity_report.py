"""The fidelity report: what was found of each system, as records, as lines and as a page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.checks.conformance import CHECKS
from harness.checks.fidelity import FALL, ByHeart, CheckedSystem, SystemSize
from harness.data.datasets import datasets
from harness.metrics import metrics
from harness.system import System
from leaderboards.document import (
    Block,
    Bullets,
    Column,
    Document,
    Heading,
    Part,
    Table,
    text,
)
from leaderboards.literature import ParameterCount
from leaderboards.studies import reproduce_page
from leaderboards.studies.fidelity import TwinResult
from leaderboards.studies.parity_record import ParityRow
from leaderboards.studies.reproduce import ReproducedNumber, as_records

__all__ = ["FidelityReport", "SizeCell", "declared", "document", "facts", "summary"]

Row = dict[str, str]

_MARKS = {"passed": "✓", "failed": "✗", "declared": "D", "skipped": "·"}
_NOTHING = "·"
_QUIRK = "quirk="
"""How a sentence of a card begins that tells one quirk from another."""
_OPEN = ("not comparable", "not run")
_NOT_MEASURED = "not measured here"
_WORDS = frozenset(
    {
        *("system", "suite", "row", "corpus", "dataset", "metric", "quirk", "code", "shape"),
        *("checks", "by heart", "parity", "published verdicts", "verdict", "beside released code"),
        *("learns", "remark", "groups"),
    }
)
"""Columns of words; the others hold numbers."""

_LEGEND = {
    "Size": "parameters of the network as published (quirk published, where there is one), a text"
    " encoder of BERT-base size included. =: the published number, to the last parameter; (±n):"
    " ours less the published one, for the reason given below; no mark: no size is published.",
    "Parity": "our system with the quirk published beside released code, on the same weights, clips"
    " and batches, both by formula; largest absolute differences. Rounding leaves some 1e-6 in"
    " float32. Where only figures of the code are kept, gradients are compared by their norms.",
    "Conformance": "✓ passed, ✗ failed, D broken by the published design and declared on the card,"
    " · does not apply. Checked with the preset's sizes on a small synthetic twin, with a tiny"
    " encoder.",
    "By heart": "training on eight clips without dropout and weight decay, at one learning rate,"
    f" until the training loss, auxiliary losses included, has fallen by {100 * FALL:.0f} %. Error:"
    " how far the MAE on these clips, in evaluation mode, is below that of their mean. One of the"
    " two has to fall so far: contrastive losses have a floor above zero.",
    "Twins": "stored runs on synthetic twins. Reached: 0 % is the training mean, 100 % the best MAE"
    " that the planted signals allow.",
    "Published, reached, ours": "what the code's authors list, what the code reached in ten runs of"
    " others (mean ± standard deviation), and stored runs on the published features. Verdicts are"
    " those of msa reproduce.",
    "Declared differences": "what the quirk fixed, the default, does otherwise than the released"
    " code, as the system's card says it.",
}
"""Title of a part -> how to read it."""


@dataclass(frozen=True, kw_only=True)
class SizeCell:
    """Our size of a network and, where there is one, the published size."""

    ours: SystemSize
    published: ParameterCount | None

    @property
    def difference(self) -> int | None:
        """Ours less the published one."""
        if self.published is None or self.ours.parameters is None:
            return None
        return self.ours.parameters - self.published.parameters


@dataclass(frozen=True, kw_only=True, eq=False)
class FidelityReport:
    """All that was found of one system; what was not asked for is empty."""

    system: System
    sizes: tuple[SizeCell, ...] = ()
    parity: tuple[ParityRow, ...] = ()
    checked: tuple[CheckedSystem, ...] = ()
    by_heart: ByHeart | None = None
    twins: tuple[TwinResult, ...] = ()
    reached: tuple[ReproducedNumber, ...] = ()
    published: Mapping[str, int] = field(default_factory=dict)


def declared(system: System) -> tuple[str, ...]:
    """What a system's card declares of one quirk against the other, a sentence each."""
    return tuple(line for line in system.card.deviations if line.startswith(_QUIRK))


def facts(report: FidelityReport) -> dict[str, object]:
    """The report with stable keys and unrounded numbers."""
    heart = report.by_heart
    return {
        "system": report.system.name,
        "sizes": [
            {
                **dataclasses.asdict(cell.ours),
                "published": None if cell.published is None else cell.published.parameters,
                "difference": cell.difference,
                "source": None if cell.published is None else cell.published.source,
            }
            for cell in report.sizes
        ],
        "parity": [row.json() for row in report.parity],
        "conformance": [dataclasses.asdict(checked) for checked in report.checked],
        "by_heart": heart and {**dataclasses.asdict(heart), "passed": heart.passed},
        "twins": [{**dataclasses.asdict(twin), "reached": twin.reached} for twin in report.twins],
        "reached": as_records(report.reached),
        "published": dict(report.published),
        "declared": list(declared(report.system)),
    }


def summary(report: FidelityReport) -> Row:
    """The system on one line."""
    compared = [cell for cell in report.sizes if cell.difference is not None]
    equal = sum(cell.difference == 0 for cell in compared)
    found = [finding for checked in report.checked for finding in checked.findings]
    outcomes = {o: sum(finding.outcome == o for finding in found) for o in _MARKS}
    reached = [twin.reached for twin in report.twins if not math.isnan(twin.reached)]
    return {
        "system": report.system.name,
        "sizes equal": f"{equal} of {len(compared)}" if compared else "",
        "parity": _parity_in_words(report.parity),
        "checks": ", ".join(f"{n} {o}" for o, n in outcomes.items() if n and o != "skipped"),
        "by heart": _heart_in_words(report.by_heart),
        "twins, reached": _span(reached),
        "published verdicts": _judged(report.published),
        "declared": str(len(declared(report.system)) or ""),
    }


def _parity_in_words(rows: Sequence[ParityRow]) -> str:
    """``equal on 3 of 3``; empty where nothing was compared."""
    compared = [row for row in rows if row.eval is not None]
    equal = sum(row.verdict == "equal" for row in compared)
    return f"equal on {equal} of {len(compared)}" if compared else ""


def _judged(published: Mapping[str, int]) -> str:
    """Verdicts on numbers that could be compared."""
    open_ = ("not comparable", "not run")
    return ", ".join(
        f"{n} {verdict}" for verdict, n in published.items() if n and verdict not in open_
    )


def _heart_in_words(heart: ByHeart | None) -> str:
    if heart is None:
        return ""
    if math.isnan(heart.loss_fall):
        return heart.reason
    return f"{'yes' if heart.passed else 'NO'}, {_percent(heart.loss_fall)}"


def _span(shares: Sequence[float]) -> str:
    if not shares:
        return ""
    low, high = _percent(min(shares)), _percent(max(shares))
    return low if low == high else f"{low} to {high}"


def _percent(share: float) -> str:
    return "undefined" if math.isnan(share) else f"{100 * share:z.0f} %"


def document(reports: Sequence[FidelityReport]) -> Document:
    """The whole report."""
    sections: tuple[tuple[str, Sequence[Row], Iterable[str]], ...] = (
        ("Summary", [summary(report) for report in reports], ()),
        ("Size", [_sizes(one) for one in reports if one.sizes], _size_notes(reports)),
        ("Parity", [_parity(row) for one in reports for row in one.parity], _parity_notes(reports)),
        ("Conformance", list(_conformance(reports)), _finding_notes(reports)),
        ("By heart", [_heart(one) for one in reports if one.by_heart is not None], ()),
        ("Twins", [_twin(twin) for one in reports for twin in one.twins], ()),
        (
            "Published, reached, ours",
            [_reached(cell) for one in reports for cell in one.reached],
            reproduce_page.drift_lines([cell for one in reports for cell in one.reached]),
        ),
        ("Verdicts", [_published(one) for one in reports if _any_run(one)], ()),
        ("Declared differences", (), _declared(reports)),
    )
    drawn = (_part(title, rows, tuple(notes)) for title, rows, notes in sections)
    parts = [part for part in drawn if len(part.blocks) > 1]
    titles = [part.title for part in parts]
    legend = [f"{title}: {words}" for title, words in _LEGEND.items() if title in titles]
    return Document(
        title="Fidelity",
        about=(
            "Is every system what its paper and its released code are? Made by msa study fidelity;"
            " but for stored runs, nothing here needs the papers' data."
        ),
        parts=(*parts, _part("How to read this", (), legend, reference=True)),
    )


def _part(
    title: str, rows: Sequence[Row], notes: Sequence[str], *, reference: bool = False
) -> Part:
    name = title.lower().replace(",", "").replace(" ", "-")
    blocks: list[Block] = [Heading(2, text(title))]
    if rows:
        shown = [name for name in rows[0] if any(row[name] for row in rows)]
        blocks.append(
            Table(
                columns=tuple(map(_column, shown)),
                rows=tuple(tuple(row[name] or _NOTHING for name in shown) for row in rows),
                caption=f"{title} of every system",
            )
        )
    if notes:
        blocks.append(Bullets(tuple(map(text, notes))))
    return Part(name=name, title=title, blocks=tuple(blocks), reference=reference)


def _column(name: str) -> Column:
    return Column(name[0].upper() + name[1:], "left" if name in _WORDS else "right")


def _sizes(report: FidelityReport) -> Row:
    by_dataset = {cell.ours.dataset: _size(cell) for cell in report.sizes}
    cells = {known.title: by_dataset.get(name, "") for name, known in datasets.items()}
    return {"system": report.system.name, **cells}


def _size(cell: SizeCell) -> str:
    if cell.ours.parameters is None:
        return "·"
    difference = cell.difference
    mark = "" if difference is None else " =" if difference == 0 else f" ({difference:+,})"
    return f"{cell.ours.parameters:,}{mark}"


def _size_notes(reports: Sequence[FidelityReport]) -> Iterator[str]:
    for report in reports:
        notes: dict[str, None] = {}
        for cell in report.sizes:
            if cell.difference and cell.published is not None:
                notes.setdefault(f"{cell.published.source}; {cell.published.note}".rstrip("; "))
            if cell.ours.parameters is None:
                notes.setdefault(f"{datasets[cell.ours.dataset].title}: {cell.ours.reason}")
        yield from (f"{report.system.name}: {note}" for note in notes)


def _parity(row: ParityRow) -> Row:
    groups = "" if row.groups is None else f"{row.groups} differ" if row.groups else "equal"
    gradient = "" if row.gradient is None else f"{_far(row.gradient)} / {row.largest or 0:.3g}"
    return {
        "system": row.system,
        "code": row.source,
        "shape": row.shape,
        "eval": _far(row.eval),
        "first loss": _far(row.first_loss),
        "all losses": _far(row.losses),
        "after": _far(row.after),
        "gradient / largest": gradient,
        "groups": groups,
        "verdict": row.verdict,
    }


def _far(difference: float | None) -> str:
    return "" if difference is None else "0" if difference == 0.0 else f"{difference:.1e}"


def _parity_notes(reports: Sequence[FidelityReport]) -> Iterator[str]:
    for report in reports:
        reasons = dict.fromkeys(row.reason for row in report.parity if row.reason)
        yield from (f"{report.system.name}: {reason}" for reason in reasons)
    absent = [
        one.system.name
        for one in reports
        if not one.parity and any(cell.published is not None for cell in one.sizes)
    ]
    if absent:
        yield f"{_NOT_MEASURED}: {', '.join(absent)}"


def _conformance(reports: Sequence[FidelityReport]) -> Iterator[Row]:
    for report in reports:
        for checked in report.checked:
            outcomes = {finding.check: _MARKS[finding.outcome] for finding in checked.findings}
            yield {
                "system": report.system.name,
                "quirk": checked.quirk or "·",
                **{check: outcomes.get(check, "") for check in CHECKS},
            }


def _finding_notes(reports: Sequence[FidelityReport]) -> Iterator[str]:
    for report in reports:
        for checked in report.checked:
            said: dict[str, list[str]] = {}
            for finding in checked.findings:
                if finding.outcome in ("failed", "declared") or "Error: " in finding.detail:
                    said.setdefault(f"{finding.outcome}: {finding.detail}", []).append(
                        finding.check
                    )
            for words, checks in said.items():
                yield f"{_place(report, checked)}, {', '.join(checks)} {words}"


def _place(report: FidelityReport, checked: CheckedSystem) -> str:
    return f"{report.system.name} ({checked.quirk})" if checked.quirk else report.system.name


def _heart(report: FidelityReport) -> Row:
    heart = report.by_heart
    assert heart is not None
    nothing = math.isnan(heart.loss_fall)
    return {
        "system": report.system.name,
        "learns": "·" if nothing else "yes" if heart.passed else "NO",
        "loss fell by": "" if nothing else _percent(heart.loss_fall),
        "error below the mean's by": "" if nothing else _percent(heart.error_fall),
        "epochs": str(heart.epochs or ""),
        "remark": heart.reason,
    }


def _twin(twin: TwinResult) -> Row:
    return {
        "system": twin.system,
        "suite": twin.suite,
        "row": twin.label,
        "corpus": twin.corpus,
        "runs": str(twin.runs),
        "MAE": f"{twin.mae:.3f}",
        "training mean": f"{twin.constant:.3f}",
        "ceiling": f"{twin.ceiling:.3f}",
        "reached": _percent(twin.reached),
    }


def _reached(cell: ReproducedNumber) -> Row:
    row, ours = cell.published, cell.ours
    listed = cell.reached is None or row.table != cell.reached.runs.row(row.metric).table
    return {
        "system": row.system,
        "dataset": datasets[row.dataset].title,
        "metric": metrics[row.metric].title,
        "published": reproduce_page.number(row.value, row) if listed else "",
        "reached": reproduce_page.reached(cell),
        "ours": reproduce_page.number(ours.mean, row) if ours else "",
        "verdict": reproduce_page.verdict_of(cell) if listed or not ours else "",
        "beside released code": reproduce_page.code_verdict(cell),
    }


def _any_run(report: FidelityReport) -> bool:
    return any(n for verdict, n in report.published.items() if verdict != "not run")


def _published(report: FidelityReport) -> Row:
    counts = {verdict: str(count) for verdict, count in report.published.items()}
    return {"system": report.system.name, **counts}


def _declared(reports: Sequence[FidelityReport]) -> Iterator[str]:
    for report in reports:
        yield from (f"{report.system.name}, {line}" for line in declared(report.system))
