"""The fidelity report: what was found of each system, as records, as lines and as Markdown."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.checks.conformance import CHECKS
from harness.checks.fidelity import FALL, ByHeart, CheckedSystem, SystemSize
from harness.data.datasets import datasets
from harness.system import System
from leaderboards.literature import ParameterCount
from leaderboards.studies.fidelity import TwinResult

__all__ = ["FidelityReport", "SizeCell", "facts", "page", "summary"]

Row = dict[str, str]

_MARKS = {"passed": "✓", "failed": "✗", "declared": "D", "skipped": "·"}

_INTRODUCTION = f"""\
Made by `msa study fidelity`; nothing here needs the papers' data.

- **Size**: parameters of the network as published (`quirk = "published"` where there is one), text
  encoder of BERT-base size included. `=`: the published number, to the last parameter. `(±n)`: ours
  less the published one, for the reason given below. No mark: no size is published.
- **Conformance**: ✓ passed, ✗ failed, D broken by the published design and declared on the card,
  · does not apply. Checked with the preset's sizes on a small synthetic twin, with a tiny encoder.
- **By heart**: training on eight clips without dropout and weight decay, at one learning rate,
  until the training loss, auxiliary losses included, has fallen by {100 * FALL:.0f} %. Error: how
  far the MAE on these clips, in evaluation mode, is below that of their mean. One of the two has to
  fall so far: contrastive losses have a floor above zero.
- **Twins**: stored runs on synthetic twins. Reached: 0 % is the training mean, 100 % the best MAE
  that the planted signals allow.
- **Published**: verdicts of `msa reproduce` on stored runs with real features."""


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
    checked: tuple[CheckedSystem, ...] = ()
    by_heart: ByHeart | None = None
    twins: tuple[TwinResult, ...] = ()
    published: Mapping[str, int] = field(default_factory=dict)


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
        "conformance": [dataclasses.asdict(checked) for checked in report.checked],
        "by_heart": heart and {**dataclasses.asdict(heart), "passed": heart.passed},
        "twins": [{**dataclasses.asdict(twin), "reached": twin.reached} for twin in report.twins],
        "published": dict(report.published),
    }


def summary(report: FidelityReport) -> Row:
    """The system on one line."""
    compared = [cell for cell in report.sizes if cell.difference is not None]
    equal = sum(cell.difference == 0 for cell in compared)
    found = [finding for checked in report.checked for finding in checked.findings]
    outcomes = {o: sum(finding.outcome == o for finding in found) for o in _MARKS}
    reached = [twin.reached for twin in report.twins if not math.isnan(twin.reached)]
    tested = sum(report.published.get(v, 0) for v in ("reproduced", "differs"))
    return {
        "system": report.system.name,
        "sizes equal": f"{equal} of {len(compared)}" if compared else "",
        "checks": ", ".join(f"{n} {o}" for o, n in outcomes.items() if n and o != "skipped"),
        "by heart": _heart_in_words(report.by_heart),
        "twins, reached": _span(reached),
        "published": f"{report.published['reproduced']} of {tested} reproduced" if tested else "",
    }


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


def page(reports: Sequence[FidelityReport]) -> str:
    """The whole report as Markdown, ending in a newline."""
    sections: tuple[tuple[str, Sequence[Row], Iterable[str]], ...] = (
        ("Summary", [summary(report) for report in reports], ()),
        ("Size", [_sizes(one) for one in reports if one.sizes], _size_notes(reports)),
        ("Conformance", list(_conformance(reports)), _finding_notes(reports)),
        ("By heart", [_heart(one) for one in reports if one.by_heart is not None], ()),
        ("Twins", [_twin(twin) for one in reports for twin in one.twins], ()),
        ("Published", [_published(one) for one in reports if any(one.published.values())], ()),
    )
    blocks = ["# Fidelity report", _INTRODUCTION]
    for title, rows, notes in sections:
        if rows:
            blocks += [f"## {title}", _table(rows), "\n".join(notes)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _table(rows: Sequence[Row]) -> str:
    from tabulate import tabulate

    from leaderboards.rendering import escape

    shown = [{name: escape(cell) for name, cell in row.items()} for row in rows]
    return tabulate(shown, headers="keys", tablefmt="pipe", disable_numparse=True)


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
        yield from (f"- {report.system.name}: {note}" for note in notes)


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
                yield f"- {_place(report, checked)}, {', '.join(checks)} {words}"


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


def _published(report: FidelityReport) -> Row:
    counts = {verdict: str(count) for verdict, count in report.published.items()}
    return {"system": report.system.name, **counts}
