"""The two codes at work on the same weights and clips, each by its own trainer.

Shapes: n clips, E epochs, B batches of all epochs and passes together.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode

from harness.data import mmsa_export
from harness.data.batching import Batch, BatchSource
from harness.data.corpus import STREAMS, Corpus
from harness.data.datasets import datasets
from harness.errors import RunFailed
from harness.spec import Scalar
from harness.system import Dims, Network, Stage, System, TrainingParams
from harness.testing.formula import (
    BERT,
    LAYOUTS,
    Rehearsed,
    draws,
    epoch_batches,
    rehearsed_clips,
    weight,
)
from harness.testing.golden import (
    WatchedPass,
    formula_corpus,
    formula_encoder,
    predicted,
    without_dropout,
)
from harness.testing.mmsa import MmsaProcess
from harness.testing.parity.counterpart import SHAPES, CorpusShape, Counterpart
from harness.text.synthetic import write_encoder

__all__ = [
    "EPOCHS",
    "Figures",
    "Group",
    "Play",
    "show_ours",
    "show_theirs",
    "staged",
    "write_encoders",
]

EPOCHS: Final = 3
_SEED: Final = 7  # of the clips
_LAYERS: Final = 2  # of the text encoder
_ACCUMULATED: Final = 2  # batches of a step, where the settings have several
_ENCODERS: Final = ("bert-base-uncased", "bert-base-chinese")
_NO_CLIPPING: Final = {"clip_value": 0.0, "clip_norm": 0.0}
_HUGE: Final = 1e9  # a norm that no gradient has
_WEIGHTS: Final = (".weight", ".bias", "running_mean", "running_var")

Floats = NDArray[np.float64]
Group = tuple[str, float, float, float]
"""Kind of an optimiser, rate, decay, epsilon."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Figures:
    """What a code computes, by our names.

    Args:
        weights: How many were given to both.
        eval: (n,) predictions before training.
        losses: (B,) in order; NaN for batches that were not trained on.
        curve: (E, n) predictions after each epoch.
        gradients: Of the first batch of each pass, parameter -> gradient; of ours for whatever
            the pass trains, zero where none came, of MMSA for whatever one came to.
        groups: Parameter -> its optimiser group; without those that no step can move.
    """

    weights: int
    eval: Floats
    losses: Floats
    curve: Floats
    gradients: Sequence[Mapping[str, NDArray[Any]]]
    groups: Mapping[str, Group]


@dataclass(frozen=True, eq=False, kw_only=True)
class Play:
    """A system of ours with weights by formula, and its clips.

    Args:
        counterpart: What is known of it.
        shape: Name of the corpus shape.
        params: Its hyper-parameters.
        network: With the weights.
        source: The clips, in the network's number format.
        corpus: Their corpus.
        tokens: (n, 3, L) ids, mask, segments.
    """

    counterpart: Counterpart
    shape: str
    params: TrainingParams
    network: Network
    source: BatchSource
    corpus: Corpus
    tokens: NDArray[np.int32]

    @property
    def orders(self) -> list[list[list[int]]]:
        """Rows of the batches of each epoch."""
        known = self.counterpart
        return [
            [rows.tolist() for rows in epoch_batches(known.clips, known.batch, epoch)]
            for epoch in range(1, EPOCHS + 1)
        ]

    @property
    def names(self) -> dict[str, str]:
        """Our names of all weights -> names over there."""
        trained = [name for name, _ in self.network.named_parameters()]
        kept = [name for name, _ in self.network.named_buffers() if name.endswith(_WEIGHTS)]
        return self.counterpart.renamed([*trained, *kept])


def staged(system: System, known: Counterpart, shape: str, folder: Path) -> Play:
    """Build a system and give it weights by formula.

    Args:
        system: The one that ``known`` names.
        known: Its counterpart.
        shape: Name of the corpus shape.
        folder: Where the clips are stored.
    """
    assert system.build is not None
    form = SHAPES[shape]
    params = system.resolve(form.dataset, _changes(system, known, form))
    assert isinstance(params, TrainingParams)
    made = _clips(form, known.clips)
    corpus = formula_corpus(
        folder, form.dataset, made, unimodal=datasets[form.dataset].unimodal_labels
    )
    dtype = _dtype(known)
    network = system.build(Dims.of(corpus, formula_encoder(_LAYERS)), params).to(dtype)
    without_dropout(network)
    tokens = made.tokens.astype(np.int32)
    clips = BatchSource(corpus.split("train"), inputs=system.inputs, tokens={"tokens": tokens})
    play = Play(
        counterpart=known,
        shape=shape,
        params=params,
        network=network,
        source=clips.through(functools.partial(_in, dtype)),
        corpus=corpus,
        tokens=tokens,
    )
    _fill(network, play.names)
    return play


def _changes(system: System, known: Counterpart, form: CorpusShape) -> dict[str, Scalar]:
    names = {item.name for item in dataclasses.fields(system.params)}
    preset = system.resolve(form.dataset, {"quirk": "published"})
    assert isinstance(preset, TrainingParams)
    wanted: dict[str, Scalar] = {
        **{name: 0.0 for name in names if name.endswith("dropout")},
        **_NO_CLIPPING,
        "quirk": "published",
        "batch_size": known.batch,
        "accumulate": min(preset.accumulate, _ACCUMULATED),
        "tokens": "corpus",
        "max_tokens": LAYOUTS[form.layout].text[0],
        **known.ours,
    }
    return {name: value for name, value in wanted.items() if name in names}


def _clips(form: CorpusShape, count: int) -> Rehearsed:
    """The formula's; aligned ones have a frame per word."""
    made = rehearsed_clips(form.layout, count, _SEED)
    if not form.aligned:
        return made
    words = made.lengths["text"]
    inside = np.arange(LAYOUTS[form.layout].text[0]) < words[:, np.newaxis]
    return dataclasses.replace(
        made,
        lengths=dict.fromkeys(STREAMS, words),
        streams={name: v * inside[:, :, np.newaxis] for name, v in made.streams.items()},
    )


def _dtype(known: Counterpart) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, known.dtype)
    return dtype


def _in(dtype: torch.dtype, batch: Batch) -> Batch:
    """The batch with features and labels in a number format."""
    streams = {
        name: dataclasses.replace(stream, values=stream.values.to(dtype))
        for name in STREAMS
        if (stream := getattr(batch, name)) is not None
    }
    unimodal = {name: values.to(dtype) for name, values in batch.unimodal.items()}
    return dataclasses.replace(batch, **streams, labels=batch.labels.to(dtype), unimodal=unimodal)


@torch.no_grad()
def _fill(network: nn.Module, names: Mapping[str, str]) -> None:
    values = network.state_dict()
    for name in names:
        values[name].copy_(torch.from_numpy(weight(name, tuple(values[name].shape))))


def show_theirs(
    play: Play, process: MmsaProcess, folder: Path, encoders: Path
) -> tuple[Figures, Mapping[str, Any]]:
    """What MMSA computes with the weights of a network of ours, and which steps it kept.

    Args:
        play: The network, as it was staged.
        process: Of MMSA.
        folder: An empty one, for what the two hand over.
        encoders: As ``write_encoders`` made it.

    Raises:
        RunFailed: When a weight has no counterpart, or MMSA ends early.
    """
    known, names = play.counterpart, play.names
    mmsa_export.write(dataclasses.replace(play.corpus, tokens=play.tokens), folder / "clips.pkl")
    values = play.network.state_dict()
    order = {name: find(play.params) for name, find in known.columns.items()}
    np.savez(
        folder / "weights.npz",
        **{
            theirs: values[ours].numpy()[..., order[ours]] if ours in order else values[ours]
            for ours, theirs in names.items()
        },
    )
    answer = process.ask(
        {
            "task": "figures",
            "model": known.model,
            "dataset": SHAPES[play.shape].dataset,
            "folder": str(folder),
            "encoders": str(encoders),
            "dtype": known.dtype,
            "config": _config(play),
            "batches": play.orders,
            "own": known.own,
            "mends": known.mended(play.shape),
            "single_step": known.single_step,
        }
    )
    _all_mapped(known, answer)
    with np.load(folder / "figures.npz") as found:
        arrays = dict(found)
    return _named_as_ours(play, arrays, answer["groups"], order), {
        name: arrays[f"kept/{name}"] for name in STREAMS if f"kept/{name}" in arrays
    }


def _config(play: Play) -> dict[str, object]:
    """MMSA's settings that differ from its own for the dataset."""
    known, params = play.counterpart, play.params
    return {
        "need_data_aligned": SHAPES[play.shape].aligned,
        "batch_size": known.batch,
        "train_samples": known.clips,
        "update_epochs": params.accumulate,
        "grad_clip": _HUGE if known.model == "mmim" else -1.0,
        **known.theirs,
    }


def write_encoders(folder: Path) -> Path:
    """A text encoder of the right sizes by the names that MMSA asks for; its weights are given.

    Args:
        folder: Where both go.
    """
    for name in _ENCODERS:
        write_encoder(
            folder / name,
            [f"w{place}" for place in range(int(BERT["vocab_size"]) - 5)],
            hidden=int(BERT["hidden_size"]),
            layers=_LAYERS,
            heads=int(BERT["num_attention_heads"]),
            intermediate=int(BERT["intermediate_size"]),
        )
    return folder


def _all_mapped(known: Counterpart, answer: Mapping[str, Sequence[str]]) -> None:
    where = f"harness/testing/parity/systems/{known.name}.py"
    if answer["given"]:
        raise RunFailed(f"MMSA's {known.model} has no weight {answer['given'][0]}", hint=where)
    if answer["missing"]:
        raise RunFailed(
            f"no weight of {known.name} stands for {answer['missing'][0]} of MMSA's {known.model}",
            hint=where,
        )


def _named_as_ours(
    play: Play,
    arrays: Mapping[str, NDArray[Any]],
    groups: Mapping[str, Sequence[Any]],
    order: Mapping[str, NDArray[np.int64]],
) -> Figures:
    ours = {theirs: name for name, theirs in play.names.items()}
    shapes = {name: tuple(v.shape) for name, v in play.network.state_dict().items()}
    gradients: list[dict[str, NDArray[Any]]] = []
    for key, values in arrays.items():
        if not key.startswith("grad/"):
            continue
        _, place, theirs = key.split("/", 2)
        while len(gradients) <= int(place):
            gradients.append({})
        name = ours.get(theirs)
        if name is not None:
            shaped = values.reshape(shapes[name])
            back = np.argsort(order[name]) if name in order else slice(None)
            gradients[int(place)][name] = shaped[..., back]
    return Figures(
        weights=len(ours),
        eval=arrays["eval"],
        losses=arrays["losses"],
        curve=arrays["curve"],
        gradients=gradients,
        groups={
            ours[theirs]: (str(kind), rate, decay, eps)
            for theirs, (kind, rate, decay, eps) in groups.items()
            if theirs in ours and rate > 0
        },
    )


def show_ours(play: Play, kept: Mapping[str, Any]) -> Figures:
    """Train ours as the harness does, on the same batches.

    Args:
        play: The network, as it was staged.
        kept: Stream -> (n, T) bool, steps that damaged inputs keep, where a system damages them.
    """
    network, params = play.network, play.params
    network.begin(play.source, params)
    network.to(_dtype(play.counterpart))  # what it keeps of the clips, too
    stage = network.stages(params)[-1]
    stage.enter()
    sweeps = list(_sweeps(play, stage))
    names = {id(p): name for name, p in network.named_parameters()}
    groups = {
        names[id(p)]: (type(s.optimizer).__name__, g["lr"], g["weight_decay"], g["eps"])
        for s in sweeps
        for g in s.optimizer.param_groups
        for p in g["params"]
    }
    untrained = predicted(network, play.source)
    losses: list[float] = []
    curve = []
    with _Given(kept) as given:
        for epoch, order in enumerate(play.orders, 1):
            network.train()
            network.begin_epoch(epoch)
            for sweep in sweeps:
                losses += _one_epoch(play, sweep, order, epoch, given)
            curve.append(predicted(network, play.source))
    return Figures(
        weights=len(play.names),
        eval=untrained,
        losses=np.array(losses),
        curve=np.array(curve),
        gradients=[_first_gradient(sweep, names) for sweep in sweeps],
        groups=groups,
    )


def _first_gradient(sweep: WatchedPass, names: Mapping[int, str]) -> dict[str, NDArray[Any]]:
    """Of all that a pass trains."""
    found = sweep.gradients or {}
    trained = (p for group in sweep.optimizer.param_groups for p in group["params"])
    return {
        names[id(p)]: found.get(names[id(p)], torch.zeros_like(p)).detach().numpy() for p in trained
    }


def _sweeps(play: Play, stage: Stage) -> Iterator[WatchedPass]:
    batches = math.ceil(play.counterpart.clips / play.counterpart.batch)
    for plan in stage.passes:
        yield WatchedPass(play.network, plan, stage, play.params, batches=batches, epochs=EPOCHS)


def _one_epoch(
    play: Play, sweep: WatchedPass, order: list[list[int]], epoch: int, given: _Given
) -> list[float]:
    """Losses of the epoch's batches, NaN for those that were not trained on, never for others."""
    sweep.losses = []
    source = play.source.through(lambda batch: given.note(_in(_dtype(play.counterpart), batch)))
    sweep.epoch(source, [torch.tensor(rows) for rows in order], epoch)
    losses = [loss if math.isfinite(loss) else math.inf for loss in sweep.losses]
    return [*losses, *[math.nan] * (len(order) - len(losses))]


class _Given(TorchFunctionMode):
    """While open, what networks draw at random is given.

    Normal draws are the formula's. Uniform ones decide which steps of text, audio and vision a
    damaged batch keeps, in this order: they are 1 for those that are kept and 0 for others.

    Args:
        kept: Stream -> (n, T) bool; empty where nothing is damaged.
    """

    def __init__(self, kept: Mapping[str, Any]) -> None:
        super().__init__()
        self._kept = kept
        self._rows, self._turns = torch.empty(0), iter(STREAMS)

    def note(self, batch: Batch) -> Batch:
        """The batch, whose clips are remembered."""
        self._rows, self._turns = batch.rows, iter(STREAMS)
        return batch

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's signature
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - likewise
        if func is torch.randn_like:
            return torch.from_numpy(draws(tuple(args[0].shape))).to(args[0].dtype)
        if func is torch.rand and self._kept:
            steps = torch.from_numpy(self._kept[next(self._turns)])
            return steps[self._rows, : args[0][1]].float()
        return func(*args, **(kwargs or {}))
