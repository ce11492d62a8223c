"""What one cell takes: what runs like it took, and nothing where none is stored.

``recorded``
    Median of stored runs of the same system and hyper-parameters on the same data and kind of
    device, under the same ceiling on epochs and the same patience.
``scaled``
    Median of the nearest stored runs of the same system and text encoder, per training clip and
    epoch allowed: those with the same hyper-parameters before those on the same corpus. Twins do
    not tell of real data, nor compact shapes full ones.
``not yet measured``
    No stored run of the system on data of that layout. Counting the arithmetic of a network instead
    was off by a quarter to five times, since small operations are bound by other things.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.data.corpus import Corpus
from harness.data.trials import is_trial
from harness.data.twins.generate import is_twin
from harness.runs.cell import Job
from harness.runs.checkpoints import CHECKPOINT
from harness.runs.costs import Cost
from harness.runs.inventory import stored_encoder
from harness.runs.pricing.placeholders import AtHand, is_absent
from harness.system import System, systems
from harness.text import Encoder

__all__ = ["UNMEASURED", "CostEstimate", "Target", "alike", "estimate", "expected_epochs"]

UNMEASURED: Final = "not yet measured"
"""Basis of a cell whose like was never run."""

USUAL_EPOCHS: Final = 30
"""Epochs until MMSA's early stop, about, where a system names no ceiling of its own."""


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """What one cell takes.

    Args:
        seconds: Training and prediction; None when not yet measured.
        memory: Largest peak seen, bytes, of the process; None when not yet measured.
        basis: ``recorded``, ``scaled`` or ``not yet measured``.
        detail: What the basis rests on.
    """

    seconds: float | None = None
    memory: int | None = None
    basis: str = UNMEASURED
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A cell whose cost is estimated.

    Args:
        job: The cell; of cells that differ in their seed any one.
        system: Its system.
        corpus: What it is trained on, or its placeholder.
        encoder: Its text encoder, if that is here.
    """

    job: Job
    system: System
    corpus: Corpus
    encoder: Encoder | None

    @classmethod
    def of(cls, job: Job, corpus: Corpus, at_hand: AtHand) -> Target:
        """The target that a planned job on ``corpus`` is."""
        encoder = job.names.get("encoder")
        return cls(
            job=job,
            system=systems[job.spec.system],
            corpus=corpus,
            encoder=None if encoder is None else stored_encoder(encoder, at_hand.home.cache),
        )

    @property
    def needs(self) -> tuple[str, ...]:
        """What must be brought or made first."""
        spec = self.job.spec
        names = {"corpus": spec.corpus, **self.job.names}
        marks = {"corpus": spec.data, **spec.artifacts}
        return tuple(_need(role, names[role]) for role, mark in marks.items() if is_absent(mark))

    @property
    def released(self) -> bool:
        """Whether released weights are evaluated and nothing is trained."""
        return CHECKPOINT in self.job.spec.artifacts

    @property
    def encoder_name(self) -> str | None:
        """The encoder as records call it."""
        return self.job.names.get("encoder") if self.encoder is None else self.encoder.name

    def repeats(self, cost: Cost) -> bool:
        """Whether a stored run did the same work."""
        spec = self.job.spec
        here = not is_absent(spec.data)
        return (
            self._same_params(cost)
            and (cost.data == spec.data if here else cost.corpus == spec.corpus)
            and cost.max_epochs == spec.protocol.max_epochs
            and cost.patience == spec.protocol.patience
        )

    def resembles(self, cost: Cost) -> bool:
        """Whether a stored run tells anything about this one."""
        return (
            cost.system == self.system.name
            and cost.released == self.released
            and cost.encoder == self.encoder_name
            and cost.train_clips > 0
            and _layout(cost.corpus) == _layout(self.job.spec.corpus)
        )

    def nearness(self, cost: Cost) -> tuple[bool, bool]:
        """The greater the nearer: same hyper-parameters, same corpus."""
        return self._same_params(cost), cost.corpus == self.job.spec.corpus

    def ratio(self, cost: Cost) -> float:
        """Work of this cell over that of a run which resembles it, in clips times epochs."""
        clips = len(self.corpus.split("train")) / cost.train_clips
        if self.system.build is None or self.released:
            return clips
        spec = self.job.spec
        epochs = expected_epochs(int(spec.params["epochs"]), spec.protocol.max_epochs)
        return clips * epochs / expected_epochs(int(cost.params.get("epochs", 0)), cost.max_epochs)

    def _same_params(self, cost: Cost) -> bool:
        spec = self.job.spec
        return (
            cost.system == spec.system
            and cost.released == self.released
            and cost.params == spec.params
            and cost.encoder == self.encoder_name
        )


def _need(role: str, name: str) -> str:
    noun = "encoder" if role == "encoder" else "corpus"
    return f"{'makes' if is_twin(name) or is_trial(name) else 'needs'} {noun} {name}"


def alike(costs: Iterable[Cost]) -> list[list[Cost]]:
    """Stored runs in groups that an estimate need but look at once: all but what they took is one.

    A group is one where ``params`` are the same object; equal ones may be in several.
    """
    groups: dict[tuple[object, ...], list[Cost]] = defaultdict(list)
    for cost in costs:
        kind = (cost.system, cost.corpus, cost.data, id(cost.params), cost.encoder, cost.device)
        rest = (cost.max_epochs, cost.patience, cost.train_clips, cost.released)
        groups[(*kind, *rest)].append(cost)
    return list(groups.values())


def estimate(target: Target, groups: Sequence[Sequence[Cost]]) -> CostEstimate:
    """The best estimate of one cell.

    Args:
        target: The cell.
        groups: ``alike`` of stored runs on the same kind of device.
    """
    return _recorded(target, groups) or _scaled(target, groups) or CostEstimate()


def expected_epochs(own: int, protocol_epochs: int) -> int:
    """Epochs to expect: the system's own number (0: it has none), capped by the protocol's."""
    return min(own or USUAL_EPOCHS, protocol_epochs)


def _recorded(target: Target, groups: Sequence[Sequence[Cost]]) -> CostEstimate | None:
    same = [cost for group in groups if target.repeats(group[0]) for cost in group]
    return _median("recorded", same, [cost.seconds for cost in same], _runs(same))


def _scaled(target: Target, groups: Sequence[Sequence[Cost]]) -> CostEstimate | None:
    like = [group for group in groups if target.resembles(group[0])]
    nearest = max((target.nearness(group[0]) for group in like), default=None)
    like = [group for group in like if target.nearness(group[0]) == nearest]
    where = ", ".join(sorted({group[0].corpus for group in like}))
    changed = "" if nearest and nearest[0] else ", other parameters"
    costs, seconds = list[Cost](), list[float]()
    for group in like:
        ratio = target.ratio(group[0])
        costs += group
        seconds += [cost.seconds * ratio for cost in group]
    return _median("scaled", costs, seconds, f"{_runs(costs)} on {where}{changed}, per clip")


def _median(
    basis: str, costs: Sequence[Cost], seconds: Sequence[float], detail: str
) -> CostEstimate | None:
    if not costs:
        return None
    memory = max(cost.memory for cost in costs)
    return CostEstimate(
        seconds=statistics.median(seconds), memory=memory, basis=basis, detail=detail
    )


def _runs(costs: Sequence[Cost]) -> str:
    return f"{len(costs)} stored run{'' if len(costs) == 1 else 's'}"


def _layout(corpus: str) -> tuple[bool, str]:
    """Twin or not; ``compact``, ``unaligned``, ...: corpora alike in it tell of each other."""
    return is_twin(corpus), corpus.partition("@")[2].partition("-")[0]
