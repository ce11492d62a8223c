"""Conformance: what every system must do, found out by running it on a small corpus.

A check raises when the system breaks a rule. A system that breaks one by design names the check on
its card (``Card.declares``) and is reported as ``declared``; a check without object is ``skipped``.

Shapes: B clips of a batch, n clips of a split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from harness.checks.findings import CRASHES, Broken, ConformanceFinding, Skipped, outcome_of
from harness.data.batching import Batch, BatchSource, Sequence, Tokens
from harness.data.corpus import STREAMS, Corpus, Split
from harness.errors import SpecError
from harness.runs.weights.keeping import kept_state
from harness.runs.weights.restoring import without_labels
from harness.spec import Scalar
from harness.spec.protocols import protocols
from harness.system import Dims, Fitted, Network, Params, System, Task, TrainingParams
from harness.text import find_encoder
from harness.training import (
    OptimiserPass,
    batches_of,
    built,
    fit_network,
    prepared,
    untrained,
)

__all__ = ["CHECKS", "TOLERANCE", "check"]

TOLERANCE = 1e-5
"""Largest difference between two float32 predictions that should be equal, on the label scale."""


def check(
    system: System,
    corpus: Corpus,
    changes: Mapping[str, Scalar] | None = None,
    *,
    cache: Path,
    checks: Iterable[str] | None = None,
) -> list[ConformanceFinding]:
    """Check a system on a corpus.

    Args:
        system: What to check.
        corpus: A small corpus with clips of unequal lengths; an epoch on it should take seconds.
        changes: Hyper-parameters other than the preset (a small encoder, a smaller batch).
        cache: Folder for encoders and frozen features.
        checks: Names from ``CHECKS``, all when None.

    Raises:
        SpecError: For an unknown check or hyper-parameter.
        DataError: For an encoder that is not here.
    """
    names = tuple(CHECKS if checks is None else checks)
    unknown = sorted(set(names) - set(CHECKS))
    if unknown:
        raise SpecError(f"unknown check {unknown[0]!r} (known: {', '.join(CHECKS)})")
    subject = _Subject.of(system, corpus, changes or {}, cache)
    return [_finding(name, subject) for name in names]


@dataclass(frozen=True, eq=False)
class _Subject:
    """A system in the situation in which it is checked."""

    system: System
    params: Params
    task: Task

    @classmethod
    def of(
        cls, system: System, corpus: Corpus, changes: Mapping[str, Scalar], cache: Path
    ) -> _Subject:
        params = system.resolve(corpus.dataset.name, changes)
        encoder = params.encoder
        task = Task(
            train=corpus.split("train"),
            valid=corpus.split("valid"),
            watched=None,
            protocol=dataclasses.replace(protocols["in_domain"], max_epochs=1),
            seed=1111,
            device=torch.device("cpu"),
            encoder=find_encoder(encoder, cache) if encoder else None,
            cache=cache,
        )
        return cls(system, params, task)

    def varied(self, **changes: object) -> _Subject:
        """The same system in another situation; ``changes`` are fields of ``Task``."""
        task = dataclasses.replace(self.task, **changes)  # type: ignore[arg-type]  # by name
        return _Subject(self.system, self.params, task)

    def on(self, corpus: Corpus) -> _Subject:
        """The same system on another corpus."""
        return self.varied(train=corpus.split("train"), valid=corpus.split("valid"))

    @property
    def training(self) -> TrainingParams:
        """The hyper-parameters of a network; other systems skip the check."""
        if not isinstance(self.params, TrainingParams):
            raise Skipped("not a network")
        return self.params

    def network(self) -> Network:
        """The untrained network, ready for its first step, in evaluation mode."""
        network = untrained(self.system, self.task, self.training)
        network.begin(self.source, self.training)
        network.begin_epoch(1)
        network.eval()
        return network

    @cached_property
    def source(self) -> BatchSource:
        """The training clips."""
        return batches_of(self.system, self.task.train, self.task, self.params)

    def all_clips(self) -> Batch:
        """The training clips as one batch."""
        return self.source.gather(torch.arange(len(self.source)))

    @property
    def trained(self) -> Fitted:
        """As ``fitted``, once for all checks that only look at it."""
        return self._trained[0]

    @property
    def predicted(self) -> NDArray[np.float64]:
        """(n,) predictions of valid, the first that ``trained`` made."""
        return self._trained[1]

    @cached_property
    def _trained(self) -> tuple[Fitted, NDArray[np.float64]]:
        fitted = self.fitted()
        return fitted, fitted.predict(self.task.valid)

    def fitted(self) -> Fitted:
        """Trained for one epoch."""
        if self.system.fit is not None:
            return self.system.fit(self.task, self.params)
        return fit_network(self.system, self.task, self.training)


def _finding(name: str, subject: _Subject) -> ConformanceFinding:
    finding = outcome_of(name, CHECKS[name], subject)
    declares = subject.system.card.declares
    quirk = getattr(subject.params, "quirk", "")
    declared = declares.get(name) or declares.get(f"{name}@{quirk}")
    if finding.passed or declared is None:
        return finding
    return ConformanceFinding(check=name, outcome="declared", detail=declared)


def _shape(subject: _Subject) -> None:
    """One finite prediction per clip."""
    split = subject.task.valid
    values = subject.predicted
    if values.shape != (len(split),) or values.dtype != np.float64:
        raise Broken(f"expected ({len(split)},) float64, found {values.shape} {values.dtype}")
    if not np.isfinite(values).all():
        raise Broken("predictions are not finite")
    if subject.system.build is not None:
        batch = subject.all_clips()
        found = tuple(subject.network()(batch).prediction.shape)
        if found != (len(batch),):
            raise Broken(f"a batch of {len(batch)} clips gave predictions of shape {found}")


def _gradients(subject: _Subject) -> None:
    """Finite loss and gradients."""
    network, batch = subject.network(), subject.all_clips()
    for one_pass in _optimiser_passes(network, subject.training):
        network.train().zero_grad()
        loss = one_pass.backward(batch, len(batch))
        if loss.shape != () or not loss.isfinite():
            raise Broken(f"the loss should be one finite number, found {loss}")
        broken = [n for n, p in network.named_parameters() if not _finite(p.grad)]
        if broken:
            raise Broken(f"gradients are not finite: {_listed(broken)}")


def _parameters(subject: _Subject) -> None:
    """Every parameter that is not frozen gets a gradient and is in an optimiser group."""
    network, source = subject.network(), subject.source
    _wake(network)
    odd = len(source) - 1 + len(source) % 2
    batch = source.gather(torch.arange(odd))
    trained, optimised, reached = set[str](), set[str](), set[str]()
    for one_pass in _optimiser_passes(network, subject.training):
        network.train().zero_grad()
        in_groups = {id(p) for group in one_pass.optimizer.param_groups for p in group["params"]}
        # Dropout may silence a unit once, a loss begin after an epoch; over an odd number of clips
        # and epochs the signs of absolute errors cannot cancel.
        for epoch in range(1, 6):
            network.begin_epoch(epoch)
            one_pass.backward(batch, len(batch))
        for name, weight in network.named_parameters():
            trained |= {name} if weight.requires_grad else set()
            optimised |= {name} if id(weight) in in_groups else set()
            reached |= {name} if weight.grad is not None and weight.grad.any() else set()
    if idle := sorted(trained - reached):
        raise Broken(f"no gradient reaches {_listed(idle)}; freeze what is not trained")
    if left_out := sorted(trained - optimised):
        raise Broken(f"in no optimiser group: {_listed(left_out)}; freeze what is not trained")


def _wake(network: Network) -> None:
    """Move weights that start at zero (adapters do): no gradient reaches what lies before them."""
    for weight in network.parameters():
        if weight.ndim > 1 and weight.requires_grad and not weight.any():
            torch.nn.init.normal_(weight, std=0.01)


def _optimiser_passes(network: Network, params: TrainingParams) -> Iterator[OptimiserPass]:
    """Each pass of each stage, its stage entered."""
    for stage in network.stages(params):
        stage.enter()
        for plan in stage.passes:
            yield OptimiserPass(network, plan, stage, params, batches=1, epochs=1)


def _deterministic(subject: _Subject) -> None:
    """Evaluating twice gives the same numbers."""
    fitted, split = subject.trained, subject.task.valid
    first, second = fitted.predict(split), fitted.predict(split)
    if not np.array_equal(first, second):
        raise Broken(f"two evaluations differ by up to {_gap(first, second):.2g}")


def _neighbours(subject: _Subject) -> None:
    """A clip's prediction does not depend on the clips predicted with it, nor on their order."""
    if subject.system.build is None:
        _neighbours_in_split(subject)
        return
    network, source = subject.network(), subject.source
    rows = torch.arange(len(source))
    together = _predict(network, source.gather(rows))
    for what, parts in {
        "one by one": list(rows.split(1)),
        "in threes": list(rows.split(3)),
        "in reverse": [rows.flip(0)],
    }.items():
        values = np.concatenate([_predict(network, source.gather(part)) for part in parts])
        _same(values, together[torch.cat(parts).numpy()], f"predicted {what}")


def _neighbours_in_split(subject: _Subject) -> None:
    fitted, split = subject.trained, subject.task.valid
    together = fitted.predict(split)
    for clip in range(len(split)):
        start = split.rows.start + clip
        alone = fitted.predict(Split(split.corpus, split.name, slice(start, start + 1)))
        _same(alone, together[clip : clip + 1], "predicted one by one")


def _padding(subject: _Subject) -> None:
    """Trimming a batch, or padding it with more zeros, changes nothing."""
    network, source = subject.network(), subject.source
    shortest = torch.argsort(_padded_steps(subject.all_clips()), descending=True)[:2]
    trimmed = source.gather(shortest)
    padded = _padded(trimmed)
    if padded is None:
        raise Skipped("no input with padding")
    _same(_predict(network, padded), _predict(network, trimmed), "padded")


def _absence(subject: _Subject) -> None:
    """An input the corpus lacks is handled or refused, never a crash."""
    corpus, system = subject.task.train.corpus, subject.system
    lesser = {
        name: subject.on(_without(corpus, name))
        for name in STREAMS
        if name in system.inputs and name in corpus.streams
    }
    if subject.task.encoder is not None:
        lesser["encoder"] = subject.varied(encoder=None)
    if not lesser:
        raise Skipped("nothing to leave out")
    for name, case in lesser.items():
        try:
            values = case.fitted().predict(case.task.valid)
        except SpecError:
            continue
        except CRASHES as error:
            raise Broken(f"without {name}: {type(error).__name__}: {error}") from error
        if not np.isfinite(values).all():
            raise Broken(f"without {name}: predictions are not finite")


def _save_load(subject: _Subject) -> None:
    """Saved weights carry the whole network."""
    network, batch = subject.network(), subject.all_clips()
    state = {name: tensor.contiguous().clone() for name, tensor in network.state_dict().items()}
    other = subject.varied(seed=subject.task.seed + 1).network()
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(state)))
    _same(_predict(other, batch), _predict(network, batch), "loaded into another seed's network")
    _kept_weights(subject)


def _kept_weights(subject: _Subject) -> None:
    """What a run keeps of a trained network predicts the same in a new one, of bare clips."""
    trained = subject.trained.network
    assert trained is not None
    dims = Dims.of(subject.task.train.corpus, subject.task.encoder)
    state, frozen = kept_state(trained, subject.system, subject.training, dims)
    with torch.random.fork_rng():
        fresh = built(subject.system, dims, subject.training, subject.task.device)
    lost = fresh.load_state_dict(state, strict=False).missing_keys
    if strange := sorted(set(lost) - set(frozen)):
        raise Broken(f"a run would not keep {_listed(strange)}")
    batch = subject.all_clips()
    bare = without_labels(batch, dims.unimodal)
    prepared(fresh.eval(), subject.training)
    values, expected = _predict(fresh, bare), _predict(trained.eval(), batch)
    if not np.array_equal(values, expected):
        raise Broken(f"kept weights move predictions by up to {_gap(values, expected):.2g}")


def _seed(subject: _Subject) -> None:
    """The seed decides everything, and, unless the system is deterministic, something."""
    split = subject.task.valid
    first, again = subject.predicted, subject.fitted().predict(split)
    if not np.array_equal(first, again):
        raise Broken(f"the same seed gave predictions {_gap(first, again):.2g} apart")
    other = subject.varied(seed=subject.task.seed + 1).fitted().predict(split)
    if subject.system.deterministic and not np.array_equal(first, other):
        raise Broken("called deterministic, but another seed changes its predictions")
    if not subject.system.deterministic and np.array_equal(first, other):
        raise Broken("another seed changes nothing; call the system deterministic")


CHECKS: Mapping[str, Callable[[_Subject], None]] = {
    "shape": _shape,
    "gradients": _gradients,
    "parameters": _parameters,
    "deterministic": _deterministic,
    "neighbours": _neighbours,
    "padding": _padding,
    "absence": _absence,
    "save_load": _save_load,
    "seed": _seed,
}


def _predict(network: Network, batch: Batch) -> NDArray[np.float32]:
    """(B,) in evaluation mode; what is random there (``_deterministic`` looks) is drawn alike."""
    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(0)
        values: NDArray[np.float32] = network(batch).prediction.float().numpy()
    return values


def _same(values: ArrayLike, expected: ArrayLike, how: str) -> None:
    gap = _gap(values, expected)
    if not gap <= TOLERANCE:
        raise Broken(f"{how}, predictions move by up to {gap:.2g}")


def _gap(values: ArrayLike, expected: ArrayLike) -> float:
    with np.errstate(invalid="ignore"):  # infinities have no difference: NaN, which is no match
        return float(np.abs(np.asarray(values, float) - np.asarray(expected, float)).max())


def _finite(gradient: Tensor | None) -> bool:
    return gradient is None or bool(gradient.isfinite().all())


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _padded_steps(batch: Batch) -> Tensor:
    """(B,) padded steps of each clip over all inputs."""
    total = torch.zeros(len(batch), dtype=torch.int64)
    for sequence in (batch.text, batch.audio, batch.vision):
        if sequence is not None:
            total += sequence.frames - sequence.lengths
    for tokens in (batch.tokens, *batch.clues.values()):
        if tokens is not None:
            total += (tokens.mask == 0).sum(1)
    return total


def _padded(batch: Batch) -> Batch | None:
    """The batch with every stream at the corpus's length and more padding tokens; None if equal."""
    longer: dict[str, Sequence | Tokens | Mapping[str, Tokens]] = {}
    for name in STREAMS:
        sequence: Sequence | None = getattr(batch, name)
        if sequence is not None and sequence.values.shape[1] < sequence.frames:
            values = sequence.untrimmed()
            longer[name] = dataclasses.replace(sequence, values=values)
    if batch.tokens is not None:
        longer["tokens"] = _longer(batch.tokens)
    if batch.clues:
        longer["clues"] = {name: _longer(clue) for name, clue in batch.clues.items()}
    return dataclasses.replace(batch, **longer) if longer else None  # type: ignore[arg-type]  # by name


def _longer(tokens: Tokens) -> Tokens:
    """Four more padding tokens."""
    parts = (tokens.ids, tokens.mask, tokens.segments)
    return Tokens(*(torch.nn.functional.pad(part, (0, 4)) for part in parts))


def _without(corpus: Corpus, stream: str) -> Corpus:
    streams = {name: values for name, values in corpus.streams.items() if name != stream}
    return dataclasses.replace(corpus, streams=streams)
