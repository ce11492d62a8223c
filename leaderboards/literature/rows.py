"""One published number, and what it must keep to be listed."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from harness._util.printed import Printed, read_number
from harness.data.datasets import datasets
from harness.errors import SpecError, SubmissionError
from harness.metrics import CONVENTIONS, Score, metrics

__all__ = ["PublishedRow", "Reliability", "Selection", "problems"]

Selection = Literal["validation", "test", "best run", "none", ""]
Readout = Literal["", "generated", "expected", "hidden"]
Reliability = Literal["authors' file", "paper", "re-run", "third-party summary"]

_NEEDED = ("source", "title", "condition", "clips")
_CONVENTIONS = {convention.name: convention for convention in CONVENTIONS}


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One printed number.

    Args:
        table: Name of the published table.
        source: Where it is printed.
        year: Of the source, None when it does not say.
        dataset: Registered name.
        system: Name under which this harness registers, or will register, the system; empty for
            systems it does not have.
        title: The system as printed.
        metric: Registered name.
        printed: The number as printed.
        value: In the metric's own unit: a fraction where per cent is printed.
        convention: Whose metric code, a name of ``CONVENTIONS``; empty when not stated.
        selection: What chose the checkpoint; ``none`` where nothing is trained, empty when not
            stated. ``best run`` is the best of several runs, whatever chose the epoch.
        seeds: Number of runs averaged, None when not stated.
        text: How text enters, as boards print it; empty when not stated.
        features: Feature set, or what a prompted model was shown; empty when not stated.
        side_info: What the system knows of a clip, or was trained on, besides the usual; empty for
            nothing.
        condition: ``clean``, or what sets the test data or the system apart.
        clips: ``all`` test clips, or which of them.
        reliability: Who vouches for the digits.
        note: Anything else a reader must know.
        device: What it was trained on; empty when not stated, which is usual.
        readout: How a value was had of a language model: ``generated``, a text that is read;
            ``expected``, of labels by their probabilities; ``hidden``, a head trained on its
            states. Empty for other systems.
    """

    table: str
    source: str
    year: int | None
    dataset: str
    system: str
    title: str
    metric: str
    printed: str
    value: float
    convention: str
    selection: Selection
    seeds: int | None
    text: str
    features: str
    side_info: str
    condition: str
    clips: str
    reliability: Reliability
    note: str
    device: str = ""
    readout: Readout = ""

    @property
    def definition(self) -> Score:
        """The metric as the source computes it, by canonical definition where it does not say.

        It takes predictions and labels as they come.

        Raises:
            SpecError: When the dataset, metric or convention is unknown, or the convention has no
                such metric.
        """
        dataset = datasets[self.dataset]
        canonical = metrics[self.metric]
        canonical.on(dataset)
        if not self.convention:
            return functools.partial(canonical, dataset=dataset)
        convention = _CONVENTIONS.get(self.convention)
        if convention is None or dataset.family not in convention.rules:
            raise SpecError(f"no convention {self.convention!r} scores {self.dataset}")
        functions = convention.functions(dataset)
        if self.metric not in functions:
            raise SpecError(f"convention {self.convention!r} has no metric {self.metric!r}")
        return functions[self.metric]

    @functools.cached_property
    def number(self) -> Printed:
        """What is printed, read.

        Raises:
            SubmissionError: When it is no number.
        """
        found = read_number(self.printed, "printed")
        if found is None:
            raise SubmissionError(f"printed should be a number, found {self.printed!r}")
        return found

    @property
    def rounding(self) -> float:
        """Half a unit of the last printed digit, in the unit of ``value``."""
        return 0.5 * 10.0**-self.number.decimals / (100.0 if self.times_100 else 1.0)

    @property
    def shown(self) -> str:
        """The number in the unit of a board, to the last digit its source prints."""
        factor = 100.0 if metrics[self.metric].percent else 1.0
        decimals = max(0, round(-math.log10(2.0 * self.rounding * factor)))
        return f"{factor * self.value:z.{decimals}f}"

    @property
    def times_100(self) -> bool:
        """Whether the source prints the number times 100."""
        return not math.isclose(self.value, float(self.number.value), abs_tol=1e-12)

    @property
    def line(self) -> tuple[str, ...]:
        """What rows on one printed line have in common; with the metric it is unique."""
        return (
            *(self.table, self.source, self.dataset, self.title, self.features),
            *(self.side_info, self.condition),
        )


def problems(row: PublishedRow) -> Iterator[str]:
    """What is wrong with a row, in words; unknown names raise.

    Raises:
        SpecError: For an unknown dataset, metric or convention.
        SubmissionError: When what is printed is no number.
    """
    yield from (f"{column} is empty" for column in _NEEDED if not getattr(row, column))
    words = {"selection": Selection, "reliability": Reliability, "readout": Readout}
    for column, allowed in words.items():
        if getattr(row, column) not in get_args(allowed):
            yield f"{column} {getattr(row, column)!r} is none of {', '.join(get_args(allowed))}"
    if (row.selection == "none") != (row.readout in ("generated", "expected")):
        yield "what nothing was trained for is read generated or expected, and nothing else is"
    _ = row.definition  # unknown names raise
    metric, printed = metrics[row.metric], float(row.number.value)
    if not metric.low <= row.value <= metric.high:
        yield f"{row.metric} lies in [{metric.low:g}, {metric.high:g}], found {row.value:g}"
    scales = (100.0,) if metric.percent else (1.0, 100.0)
    if not any(math.isclose(row.value * scale, printed, abs_tol=1e-12) for scale in scales):
        yield f"value {row.value:g} is not the printed {row.printed}"
