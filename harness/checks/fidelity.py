"""Is a system what its paper describes? What can be measured without the paper's data.

Three measurements: the size of the published network, the conformance checks on a small twin, and
whether the network can learn eight clips by heart. Learning by heart is no merit, but a network
that cannot has a fault between its inputs and its loss.

Shapes: n clips of a split.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from harness.checks import conformance
from harness.checks.findings import ConformanceFinding
from harness.data.corpus import Corpus, Split
from harness.data.datasets import Dataset
from harness.errors import HarnessError, SpecError
from harness.spec import Scalar
from harness.spec.protocols import protocols
from harness.system import Dims, Network, Params, System, Task, TrainingParams
from harness.text import Blueprint, Encoder, find_encoder
from harness.training import Loop, batches_of, loop_of, predict

__all__ = [
    "FALL",
    "TWINS",
    "ByHeart",
    "CheckedSystem",
    "SystemSize",
    "conform",
    "learn_by_heart",
    "measure_size",
    "quirks",
    "twin_for",
]

FALL = 0.9
"""Share by which the training loss on eight clips, or the error there, has to fall."""

TWINS = ("mosi-twin@compact-x1", "sims-twin@compact-x1")
"""Where systems are checked: the second has uni-modal labels, which some methods are trained on.

Both have 23 training clips: of an odd number the signs that an L1 loss sends back cannot cancel, so
that a gradient of zero means what the check takes it for."""

_EPOCHS = 300  # of learning eight clips by heart: one batch each
_PATIENCE = 20  # for systems in several stages, which train each of them to its end
_RATE = 1e-3  # of everything: presets fine-tune a trained encoder, here nothing is trained yet
_FITTED: Mapping[str, Scalar] = {"adapter_heads": 2, "diffusion_steps": 5}
"""Instead of presets: what suits the tiny encoder here and not one of BERT's width, and few steps
where a stream is drawn step by step."""
_ENCODERS = {"bert-base-uncased": "en", "bert-base-chinese": "zh"}


@dataclass(frozen=True, kw_only=True)
class SystemSize:
    """Number of parameters of a network on one dataset, in one quirk.

    ``parameters`` is None where the network cannot be built there; ``reason`` says why.
    """

    dataset: str
    quirk: str
    parameters: int | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckedSystem:
    """The conformance findings of a system in one quirk."""

    quirk: str
    findings: tuple[ConformanceFinding, ...]

    def outcomes(self, outcome: str) -> tuple[ConformanceFinding, ...]:
        """The findings with this outcome."""
        return tuple(finding for finding in self.findings if finding.outcome == outcome)


@dataclass(frozen=True, kw_only=True)
class ByHeart:
    """What came of training on eight clips.

    Args:
        loss_fall: Share by which the training loss fell from its highest value, which need not be
            the first: some methods switch a loss on later. NaN without an epoch.
        error_fall: Share by which the MAE on the same clips, in evaluation mode, is below that of
            their mean.
        epochs: Trained.
        reason: Why nothing was trained, or why it ended early.
    """

    loss_fall: float = math.nan
    error_fall: float = math.nan
    epochs: int = 0
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether loss or error fell far enough: a contrastive loss has a floor above zero."""
        return max(self.loss_fall, self.error_fall) >= FALL


def quirks(system: System) -> tuple[str, ...]:
    """The quirks of a system, its default first; ``""`` alone where it has none."""
    for item in dataclasses.fields(system.params):
        if item.name == "quirk":
            choices: tuple[str, ...] = item.metadata["choices"]
            return choices
    return ("",)


def measure_size(system: System, dataset: Dataset, features: str, quirk: str) -> SystemSize:
    """Count a network's parameters at the sizes of a public feature file, without memory.

    The text encoder has the size of BERT-base, in the language that the preset names, or of
    DeBERTa-v3-base where it names that.

    Args:
        system: One that has a network.
        dataset: Whose presets, streams and labels.
        features: One of its feature sets.
        quirk: Of the system; empty where it has none.
    """
    try:
        params = system.resolve(dataset.name, {"quirk": quirk} if quirk else {})
        with torch.device("meta"):
            dims = Dims(
                **dataset.shapes[features],
                low=dataset.low,
                high=dataset.high,
                unimodal=dataset.unimodal_labels,
                encoder=_blueprint(params, dataset),
            )
            assert system.build is not None
            network = system.build(dims, params)
    except HarnessError as error:
        return SystemSize(dataset=dataset.name, quirk=quirk, parameters=None, reason=str(error))
    count = sum(parameter.numel() for parameter in network.parameters())
    return SystemSize(dataset=dataset.name, quirk=quirk, parameters=count)


def _blueprint(params: Params, dataset: Dataset) -> Encoder:
    name = params.encoder
    if name == "microsoft/deberta-v3-base":
        return _deberta_base()
    return Blueprint.bert_base(_ENCODERS.get(name, dataset.language))


def _deberta_base() -> Encoder:
    """The size of DeBERTa-v3-base, the table of its relative positions included."""
    from transformers import DebertaV2Config

    return Blueprint(
        DebertaV2Config(
            vocab_size=128_100,
            hidden_size=768,
            num_hidden_layers=12,
            num_attention_heads=12,
            intermediate_size=3072,
            relative_attention=True,
            position_buckets=256,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            position_biased_input=False,
            type_vocab_size=0,
        )
    )


def twin_for(system: System) -> str:
    """The twin to check a system on: the one with uni-modal labels for what is trained on them."""
    mosi, sims = TWINS
    return sims if "unimodal" in system.inputs else mosi


def conform(system: System, corpus: Corpus, encoder: Path, cache: Path) -> Iterator[CheckedSystem]:
    """Run every conformance check in every quirk, hyper-parameters as in the preset.

    Args:
        system: What to check.
        corpus: A small twin.
        encoder: Folder of a tiny text encoder.
        cache: For frozen features.
    """
    for quirk in quirks(system):
        small: dict[str, Scalar] = {"encoder": str(encoder), "quirk": quirk, "epochs": 1}
        changes = _own(system, {**_FITTED, **small})
        found = conformance.check(system, corpus, changes, cache=cache)
        yield CheckedSystem(quirk=quirk, findings=tuple(_refused(found)))


def _refused(findings: Sequence[ConformanceFinding]) -> Iterator[ConformanceFinding]:
    """A system that refuses the twin's stream sizes breaks no rule: nothing could be checked."""
    reason = next((f.detail for f in findings if f.detail.startswith(SpecError.__name__)), None)
    for finding in findings:
        refused = finding.outcome == "failed" and finding.detail == reason
        yield dataclasses.replace(finding, outcome="skipped") if refused else finding


def learn_by_heart(system: System, corpus: Corpus, encoder: Path, cache: Path) -> ByHeart:
    """Train on the first eight clips, without dropout or decay, and validate on the same.

    Raises:
        SpecError: For a system that is not trained by gradient.
    """
    params = system.resolve(corpus.dataset.name, _undisturbed(system, encoder))
    if not isinstance(params, TrainingParams):
        raise SpecError(f"{system.name} is not trained by gradient")
    rows = slice(corpus.split("train").rows.start, corpus.split("train").rows.start + 8)
    eight = Split(corpus, "train", rows)
    task = Task(
        train=eight,
        valid=Split(corpus, "valid", rows),
        watched=None,
        protocol=dataclasses.replace(
            protocols["in_domain"], max_epochs=_EPOCHS, patience=_PATIENCE
        ),
        seed=1111,
        device=torch.device("cpu"),
        encoder=find_encoder(str(encoder), cache) if hasattr(params, "encoder") else None,
        cache=cache,
        knowledge=corpus if params.knowledge else None,
    )
    try:
        losses, network = _fit(loop_of(system, task, params), params)
        found = predict(network, batches_of(system, eight, task, params))
    except (HarnessError, AssertionError) as error:  # the latter from layers whose sizes differ
        return ByHeart(reason=str(error))
    constant = float(np.abs(eight.labels - eight.labels.mean()).mean())
    return ByHeart(
        loss_fall=1 - min(losses) / max(losses),
        error_fall=1 - float(np.abs(found - eight.labels).mean()) / constant,
        epochs=len(losses),
    )


def _fit(loop: Loop, params: TrainingParams) -> tuple[list[float], Network]:
    """Losses of the last stage's epochs, which end once they have fallen, and the network."""
    network = loop.network
    if len(network.stages(params)) > 1:  # only the whole training knows how to change stages
        loop.run()
        final = loop.history[-1].stage
        return [epoch.train_loss for epoch in loop.history if epoch.stage == final], network
    losses: list[float] = []
    while len(losses) < loop.epochs and (not losses or losses[-1] > (1 - FALL) * max(losses)):
        losses.append(loop.train_epoch(len(losses) + 1))
    return losses, network


def _undisturbed(system: System, encoder: Path) -> dict[str, Scalar]:
    """Hyper-parameters under which nothing keeps a network from fitting its training clips."""
    names = [item.name for item in dataclasses.fields(system.params)]
    calm: dict[str, Scalar] = {
        **{name: 0.0 for name in names if name.endswith(("dropout", "weight_decay"))},
        **{name: _RATE for name in names if name == "lr" or name.endswith("_lr")},
        **{"schedule": "constant", "warmup": 0.0, "plateau": 0, "accumulate": 1},
        **{"batch_size": 8, "epochs": 0, "encoder": str(encoder)},
    }
    return _own(system, {**_FITTED, **calm})


def _own(system: System, changes: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Those of ``changes`` that the system has a hyper-parameter for, and allows."""
    fields = {item.name: item.metadata for item in dataclasses.fields(system.params)}

    def fits(name: str, value: Scalar) -> bool:
        choices = fields[name].get("choices") if name in fields else ()
        return choices is None or value in choices

    return {name: value for name, value in changes.items() if fits(name, value)}
