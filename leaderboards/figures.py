"""Figures of a board as self-contained SVG: no script, font or request, readable in the dark."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from harness.metrics import Metric
from leaderboards.select import Grid, Row
from leaderboards.summary import ordered, summarise

__all__ = ["seed_strip"]

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.faint { fill: #59636e } .title { font-weight: 600; font-size: 15px }
.grid { stroke: #d1d9e0 } .ceiling { stroke: #1a7f37; stroke-dasharray: 4 3 }
.seed { fill: #0969da; fill-opacity: .55 } .floor { fill: #9a6700; fill-opacity: .7 }
.mean { stroke: #1f2328; stroke-width: 2 } .page { fill: #ffffff } .good { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #3d444d } .page { fill: #0d1117 }
.seed { fill: #4493f8 } .floor { fill: #d29922 } .mean { stroke: #e6edf3 }
.ceiling { stroke: #3fb950 } .good { fill: #3fb950 } }
"""
_VIEWS = ("text", "all")  # the two questions a board on a twin answers
_ROW, _TOP, _LEFT, _WIDTH, _RIGHT = 24, 76, 250, 420, 130  # pixels


@dataclass(frozen=True)
class _Axis:
    """A linear axis of the metric, low to high from left to right."""

    low: float
    high: float

    def __call__(self, value: float) -> float:
        """Horizontal position of a value, pixels."""
        return _LEFT + _WIDTH * (value - self.low) / (self.high - self.low)

    def ticks(self) -> Iterator[float]:
        """Round values inside the axis, four to ten of them."""
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 2))
        while (self.high - self.low) / step > 10:
            step *= 2
        tick = math.ceil(self.low / step) * step
        while tick <= self.high + 1e-9:
            yield tick
            tick += step


def seed_strip(grid: Grid, metric: Metric | None = None) -> str:
    """One line per system, one dot per seed, a bar at the mean; for twins, the planted ceilings.

    Args:
        grid: The rows of a suite on one corpus.
        metric: What the axis shows; the selection metric when None.

    Returns:
        An SVG document whose bytes depend on the stored predictions alone.
    """
    shown = metric or grid.selection
    rows = [row for row in ordered(grid) if any(map(math.isfinite, row.values(shown.name)))]
    ceilings = _ceilings(grid, shown)
    axis = _axis([*(v for row in rows for v in row.values(shown.name)), *ceilings.values()])
    height = _TOP + _ROW * len(rows) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}"'
        f' role="img" aria-label="{escape(_title(grid, shown))}">',
        f"<style>{_STYLE}</style>",
        '<rect class="page" width="100%" height="100%"/>',
        _text(16, 26, _title(grid, shown), "title"),
        *_frame(axis, ceilings, height),
        *(part for place, row in enumerate(rows) for part in _line(row, shown, axis, place)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(grid: Grid, metric: Metric) -> str:
    dataset = grid.corpus.dataset.title
    where = f"SYNTHETIC TWIN of {dataset}" if grid.corpus.twin else dataset
    return f"{where} ({grid.corpus.name}): test {metric.title}, one dot per seed"


def _ceilings(grid: Grid, metric: Metric) -> dict[str, float]:
    views = {name: grid.corpus.ceilings.get(name, {}).get(metric.name) for name in _VIEWS}
    return {name: value for name, value in views.items() if value is not None}


def _axis(values: list[float]) -> _Axis:
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    margin = 0.05 * (max(finite) - min(finite)) or 0.5
    return _Axis(min(finite) - margin, max(finite) + margin)


def _frame(axis: _Axis, ceilings: dict[str, float], height: int) -> Iterator[str]:
    bottom = height - 26
    for tick in axis.ticks():
        yield _vertical(axis(tick), _TOP - 8, bottom, "grid")
        yield _text(axis(tick), height - 9, f"{tick:g}", "faint", "middle")
    for name, value in ceilings.items():
        yield _vertical(axis(value), _TOP - 12, bottom, "ceiling")
        yield _text(axis(value), _TOP - 18, f"best: {name}", "good", "middle")


def _line(row: Row, metric: Metric, axis: _Axis, place: int) -> Iterator[str]:
    middle = _TOP + _ROW * place + _ROW / 2
    summary = summarise(row, metric)
    yield _text(_LEFT - 12, middle + 4, row.label, "", "end")
    kind = "floor" if row.reference else "seed"
    for value in summary.values:
        if math.isfinite(value):
            yield f'<circle class="{kind}" cx="{axis(value):.1f}" cy="{middle:.1f}" r="5"/>'
    if math.isfinite(summary.mean):
        yield _vertical(axis(summary.mean), middle - 8, middle + 8, "mean")
        spread = f" ± {summary.sd:.3f}" if math.isfinite(summary.sd) else ""
        yield _text(_LEFT + _WIDTH + 14, middle + 4, f"{summary.mean:.3f}{spread}", "faint")


def _vertical(x: float, top: float, bottom: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
