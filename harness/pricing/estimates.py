"""What one cell takes, by the best of four bases.

``recorded``
    Median of stored runs of the same system and hyper-parameters on the same data and kind of
    device, under the same ceiling on epochs and the same patience.
``scaled``
    Median of the nearest stored runs of the same system and text encoder, per training clip and
    epoch allowed: those with the same hyper-parameters before those on the same corpus. Twins do
    not price real data, nor compact shapes full ones.
``counted``
    Operations of the network at the device's rate; see ``harness.pricing.counting``.
``unknown``
    No records, and no network to count.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.costs import Cost
from harness.data.corpus import Corpus
from harness.data.twin import is_twin
from harness.errors import SpecError
from harness.execution import Job
from harness.params import Params, TrainingParams
from harness.pricing.counting import Rate, Training, count, expected_epochs
from harness.pricing.standins import AtHand, blueprint, is_absent, stored_encoder
from harness.system import System, systems
from harness.text import Blueprint, Encoder

__all__ = ["Estimate", "Target", "estimate"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What one cell takes.

    Args:
        seconds: Training and prediction; None when unknown.
        memory: Peak bytes, of the process and of its share of the device; None when unknown.
            Those from stored runs are the largest seen; counted ones leave out activations.
        basis: ``recorded``, ``scaled``, ``counted`` or ``unknown``.
        detail: What the basis rests on.
    """

    seconds: float | None = None
    memory: int | None = None
    basis: str = "unknown"
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A cell to be priced.

    Args:
        job: The cell; of cells that differ in their seed any one.
        system: Its system.
        params: Its hyper-parameters, with encoder and knowledge corpus.
        corpus: What it is trained on, or the stand-in.
        encoder: Its text encoder, if that is here.
        at_hand: Where other corpora are.
    """

    job: Job
    system: System
    params: Params
    corpus: Corpus
    encoder: Encoder | None
    at_hand: AtHand

    @classmethod
    def of(cls, job: Job, corpus: Corpus, at_hand: AtHand) -> Target:
        """The target that a planned job on ``corpus`` is."""
        system, encoder = systems[job.spec.system], job.names.get("encoder")
        return cls(
            job=job,
            system=system,
            params=system.params(**job.spec.params, **job.names),
            corpus=corpus,
            encoder=None if encoder is None else stored_encoder(encoder, at_hand.home.cache),
            at_hand=at_hand,
        )

    @property
    def needs(self) -> tuple[str, ...]:
        """What must be brought or made first."""
        spec = self.job.spec
        names = {"corpus": spec.corpus, **self.job.names}
        marks = {"corpus": spec.data, **spec.artifacts}
        return tuple(_need(role, names[role]) for role, mark in marks.items() if is_absent(mark))

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
        if self.system.build is None:
            return clips
        spec = self.job.spec
        epochs = expected_epochs(int(spec.params["epochs"]), spec.protocol.max_epochs)
        return clips * epochs / expected_epochs(int(cost.params.get("epochs", 0)), cost.max_epochs)

    def _same_params(self, cost: Cost) -> bool:
        spec = self.job.spec
        return (
            cost.system == spec.system
            and cost.params == spec.params
            and cost.encoder == self.encoder_name
        )

    def training(self) -> Training | None:
        """What to count, None when there is no network."""
        if self.system.build is None:
            return None
        assert isinstance(self.params, TrainingParams)
        knowledge = self.job.names.get("knowledge")
        return Training(
            system=self.system,
            params=self.params,
            protocol=self.job.spec.protocol,
            corpus=self.corpus,
            knowledge=None if knowledge is None else self.at_hand.corpus(knowledge),
            encoder=self._blueprint(),
        )

    def _blueprint(self) -> Blueprint | None:
        name = self.job.names.get("encoder")
        if name is None:
            return None
        known = blueprint(name) if self.encoder is None else Blueprint(self.encoder.config)
        if known is None:
            raise SpecError(f"the size of encoder {name} is not known here")
        return known


def _need(role: str, name: str) -> str:
    noun = "encoder" if role == "encoder" else "corpus"
    return f"{'makes' if is_twin(name) else 'needs'} {noun} {name}"


def estimate(target: Target, costs: Sequence[Cost], rate: Rate) -> Estimate:
    """The best estimate of one cell.

    Args:
        target: The cell.
        costs: Stored runs on the same kind of device.
        rate: Of that device.
    """
    return _recorded(target, costs) or _scaled(target, costs) or _counted(target, rate)


def _recorded(target: Target, costs: Sequence[Cost]) -> Estimate | None:
    same = [cost for cost in costs if target.repeats(cost)]
    return _median("recorded", same, [cost.seconds for cost in same], _runs(same))


def _scaled(target: Target, costs: Sequence[Cost]) -> Estimate | None:
    alike = [cost for cost in costs if target.resembles(cost)]
    nearest = max(map(target.nearness, alike), default=None)
    alike = [cost for cost in alike if target.nearness(cost) == nearest]
    where = ", ".join(sorted({cost.corpus for cost in alike}))
    changed = "" if nearest and nearest[0] else ", other parameters"
    seconds = [cost.seconds * target.ratio(cost) for cost in alike]
    return _median("scaled", alike, seconds, f"{_runs(alike)} on {where}{changed}, per clip")


def _median(
    basis: str, costs: Sequence[Cost], seconds: Sequence[float], detail: str
) -> Estimate | None:
    if not costs:
        return None
    memory = max(cost.memory for cost in costs)
    return Estimate(seconds=statistics.median(seconds), memory=memory, basis=basis, detail=detail)


def _runs(costs: Sequence[Cost]) -> str:
    return f"{len(costs)} stored run{'' if len(costs) == 1 else 's'}"


def _counted(target: Target, rate: Rate) -> Estimate:
    try:
        training = target.training()
        work = None if training is None else count(training)
    except SpecError as error:  # a run would end so too, or nobody knows the encoder's size
        return Estimate(detail=str(error))
    if work is None:
        return Estimate(detail="never run, and no network to count")
    return Estimate(
        seconds=work.seconds(rate),
        memory=work.memory,
        basis="counted",
        detail=f"{work.parameters / 1e6:.1f} M parameters",
    )


def _layout(corpus: str) -> tuple[bool, str]:
    """What corpora that price each other share: twin or not; ``compact``, ``unaligned``, ..."""
    return is_twin(corpus), corpus.partition("@")[2].partition("-")[0]
