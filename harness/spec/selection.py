"""How an epoch is chosen, as data: the rule of a stage, and what a release says of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import SpecError

__all__ = ["LAST", "LOSSES", "ReleasedSelection", "SelectionRule", "described", "rule_of"]

LOSSES = {"l1": "L1 loss", "mse": "mean squared error", "total": "training loss"}
"""Monitored losses -> what they are called; each is a mean over batches of the mean of a batch."""

LAST = "last"
"""Monitored where nothing is: the last epoch stays."""


@dataclass(frozen=True, kw_only=True)
class SelectionRule:
    """What a training loop watches on the validation split, when it keeps an epoch and stops.

    Args:
        monitor: One of ``LOSSES``, the lower the better, over the training batch size and in random
            order; the name of a metric, by its own direction; or ``last``.
        digits: Decimals that it is rounded to before anything is compared; None: none.
        ties: Which of equal epochs is kept.
        patience: Epochs without a better one until the stage ends; None: all epochs are trained.
        first: First epoch that may be kept; the last one where there are fewer.
        stages: Names of the stages it is of; empty: of all.
        datasets: Datasets it is of; empty: of all.
    """

    monitor: str
    digits: int | None = None
    ties: Literal["earliest", "latest"] = "earliest"
    patience: int | None = None
    first: int = 1
    stages: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.first < 1 or (self.patience is not None and self.patience < 1):
            raise SpecError("first and patience of a selection rule are at least 1")

    @property
    def words(self) -> str:
        """The rule in a line.

        Example:
            >>> SelectionRule(monitor="l1", digits=4, patience=8).words
            'L1 loss, mean of batch means, 4 decimals, earliest on ties, patience 8'
        """
        if self.monitor == LAST:
            return "the last epoch"
        loss = self.monitor in LOSSES
        parts = [f"{LOSSES[self.monitor]}, mean of batch means" if loss else self.monitor]
        if self.digits is not None:
            parts.append(f"{self.digits} decimals")
        parts.append(f"{self.ties} on ties")
        if self.first > 1:
            parts.append(f"from epoch {self.first}")
        parts.append(f"patience {self.patience}" if self.patience else "all epochs trained")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class ReleasedSelection:
    """How the released code of a system chooses the epoch that is tested.

    Args:
        source: Project and file.
        rules: Of its stages and datasets; the first that fits counts.
        notes: What of it is not followed here, or is no rule.
    """

    source: str
    rules: tuple[SelectionRule, ...]
    notes: tuple[str, ...] = ()

    def on(self, dataset: str) -> tuple[SelectionRule, ...]:
        """The rules that count on a dataset, which they name no more; empty where none is known.

        Example:
            >>> own = SelectionRule(monitor="corr", datasets=("mosi",))
            >>> found = ReleasedSelection(source="", rules=(own, SelectionRule(monitor="mae")))
            >>> [rule.monitor for rule in (*found.on("mosi"), *found.on("sims"))]
            ['corr', 'mae']
        """
        found: list[SelectionRule] = []
        named: set[str] = set()
        for rule in self.rules:
            if rule.datasets and dataset not in rule.datasets:
                continue
            own = tuple(stage for stage in rule.stages if stage not in named)
            if own or not rule.stages:
                found.append(dataclasses.replace(rule, stages=own, datasets=()))
            if not rule.stages:
                break
            named |= set(own)
        return tuple(found)


def rule_of(rules: Sequence[SelectionRule], stage: str) -> SelectionRule:
    """The rule of a stage: the first that names it or is of all.

    Raises:
        SpecError: When there is none.
    """
    for rule in rules:
        if not rule.stages or stage in rule.stages:
            return rule
    raise SpecError(f"no rule says how an epoch of stage {stage!r} is chosen")


def described(rules: Sequence[SelectionRule]) -> str:
    """The rules in a line, each with the stages that it names.

    Example:
        >>> described([SelectionRule(monitor="last", stages=("warm",)), SelectionRule(monitor="mae",
        ... patience=8)])
        'warm: the last epoch; else mae, earliest on ties, patience 8'
    """
    parts: list[str] = []
    for rule in rules:
        named = f"{', '.join(rule.stages)}: " if rule.stages else "else " if parts else ""
        parts.append(f"{named}{rule.words}")
    return "; ".join(parts)
