"""From kept weights back to the network that they were selected in.

Nothing of the files is believed: system, hyper-parameters, sizes and encoder are looked at before a
network of that size is made, and no code that a file names is run.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from harness._util.documents import read_json
from harness.data.batching import Batch, BatchSource
from harness.data.corpus import LABELS, STREAMS, Split
from harness.errors import DataError, HarnessError, SpecError
from harness.runs.store import StoredRun
from harness.runs.weights.card import FORMAT, ModelFacts, WeightsCard
from harness.runs.weights.keeping import predicting_code
from harness.runs.weights.tensors import TensorFile
from harness.spec import Scalar
from harness.spec.protocols import protocols
from harness.system import Dims, Network, System, Task, TrainingParams, systems
from harness.text import Blueprint, Encoder, find_encoder
from harness.training import batches_of, built, prepared, set_precision

__all__ = [
    "CONFIG",
    "MODEL",
    "MODEL_TYPE",
    "Checkpoint",
    "Restored",
    "by_design",
    "restore",
    "without_labels",
]

CONFIG, MODEL = "config.json", "model.safetensors"
"""Files of an exported folder."""

MODEL_TYPE = "msa-harness"
_EXPORT = "msa weights RUN --to FOLDER writes such a folder"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights on disk and what they belong to.

    Args:
        name: What messages call it.
        card: What stands beside the weights.
        file: Their tensors, listed and not yet read.
    """

    name: str
    card: WeightsCard
    file: TensorFile

    @classmethod
    def of_run(cls, run: StoredRun) -> Checkpoint:
        """The weights of a stored run.

        Raises:
            StoreError: When it has none, or they are damaged.
            DataError: When their file is no file of tensors.
        """
        path, card = run.tensors(), run.weights
        assert card is not None
        return cls(name=f"run {run.key[:12]}", card=card, file=TensorFile.open(path))

    @classmethod
    def of_folder(cls, folder: Path) -> Checkpoint:
        """The weights of an exported folder.

        Raises:
            DataError: When it is none, or was changed since.
        """
        table = read_json(folder / CONFIG, "configuration", error=DataError, hint=_EXPORT)
        if table.get("model_type") != MODEL_TYPE:
            raise DataError(
                f"{folder.name}/{CONFIG}: model_type should be {MODEL_TYPE!r}, found"
                f" {str(table.get('model_type'))[:60]!r}: a folder of another project",
                hint=_EXPORT,
            )
        if table.get("format") != FORMAT:
            raise DataError(
                f"{folder.name}/{CONFIG}: format should be {FORMAT}, found"
                f" {str(table.get('format'))[:60]}",
                hint="a newer version of msa-harness may read it",
            )
        try:
            card = WeightsCard.of(table, f"{folder.name}/{CONFIG}")
        except HarnessError as error:
            raise DataError(str(error), hint=_EXPORT) from error
        return cls(name=folder.name, card=card, file=TensorFile.open(folder / MODEL))


@dataclass(frozen=True, kw_only=True, eq=False)
class Restored:
    """A network with its selected weights, ready to predict.

    Args:
        name: What messages call it.
        system: That builds such networks.
        params: Its hyper-parameters.
        network: In evaluation mode, on its device.
        encoder: Its text encoder; None without one.
        model: What it was built from.
        seed: Of the run; draws of systems whose predictions depend on the pass come from it.
        device: Where the network is.
        notices: What a reader must know.
    """

    name: str
    system: System
    params: TrainingParams
    network: Network
    encoder: Encoder | None
    model: ModelFacts
    seed: int
    device: torch.device
    notices: tuple[str, ...] = ()

    @property
    def reads(self) -> frozenset[str]:
        """What it reads of a clip in order to predict."""
        return self.params.reads(self.system.inputs) - {"unimodal"}

    @property
    def streams(self) -> tuple[str, ...]:
        """Feature streams that it reads, of those that it was built for."""
        return tuple(name for name in STREAMS if name in self.reads & self.model.streams.keys())

    def source(self, split: Split, cache: Path) -> BatchSource:
        """A split with everything that the network reads.

        Args:
            split: Clips.
            cache: Folder for tokens and frozen vectors.

        Raises:
            SpecError: When it reads stored tokens that the split has not.
        """
        task = Task(
            train=split,
            valid=split,
            watched=None,
            protocol=protocols["in_domain"],
            seed=self.seed,
            device=self.device,
            encoder=self.encoder,
            cache=cache,
        )
        source = batches_of(self.system, split, task, self.params)
        return source.through(functools.partial(without_labels, unimodal=self.model.unimodal))


def without_labels(batch: Batch, unimodal: bool) -> Batch:
    """The batch as one of clips that nobody has labelled, which a network predicts just so.

    Args:
        batch: B clips.
        unimodal: Whether the network was built for clips with labels of every modality.
    """
    unknown = torch.full_like(batch.labels, torch.nan)  # (B,)
    names = LABELS[1:] if unimodal else ()
    return dataclasses.replace(batch, labels=unknown, unimodal=dict.fromkeys(names, unknown))


def restore(
    checkpoint: Checkpoint, cache: Path, *, encoder: str | None = None, device: str = "cpu"
) -> Restored:
    """Build the network again and put its weights into it.

    Args:
        checkpoint: The weights.
        cache: ``Home.cache``, where encoders are.
        encoder: Where its text encoder is, when its name alone does not say.
        device: ``cpu`` or ``cuda`` / ``cuda:1``.

    Raises:
        DataError: When the encoder is another one, or the weights are not those of the network that
            is described beside them.
        SpecError: For a system that is not here, or hyper-parameters that it has not.
    """
    model = checkpoint.card.model
    system = _system(checkpoint)
    found = _encoder(checkpoint, encoder, cache)
    params, defaults = _params(checkpoint, system, found, encoder)
    _need_own_description(checkpoint)
    dims = _dims(model, found)
    blueprint = None if found is None else Blueprint(found.config)
    frozen = () if model.encoder is None else model.encoder.frozen
    outline = _outline(
        checkpoint.name, system, dataclasses.replace(dims, encoder=blueprint), params
    )
    checkpoint.file.need(outline.state_dict(), without=frozen)
    with torch.random.fork_rng():
        network = built(system, dims, params, torch.device("cpu"))
    network.load_state_dict(checkpoint.file.read(), strict=False)  # but for the encoder's own
    set_precision(params.precision, device)
    return Restored(
        name=checkpoint.name,
        system=system,
        params=params,
        network=prepared(network.to(torch.device(device)).eval(), params),
        encoder=found,
        model=model,
        seed=checkpoint.card.run.seed,
        device=torch.device(device),
        notices=tuple(_notices(checkpoint.card, system, params, defaults)),
    )


def _outline(name: str, system: System, dims: Dims, params: TrainingParams) -> Network:
    """The network without memory for its weights: what says which tensors it has.

    Raises:
        DataError: When there is no network of such sizes.
    """
    try:
        with torch.random.fork_rng(), torch.device("meta"):
            return built(system, dims, params, torch.device("meta"))
    except (RuntimeError, ValueError, TypeError, ArithmeticError, AssertionError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(
            f"{name}: system {system.name} has no network of these hyper-parameters and sizes:"
            f" {first}",
            hint=_EXPORT,
        ) from error


def _system(checkpoint: Checkpoint) -> System:
    name = checkpoint.card.model.system
    try:
        system = systems[name]
    except SpecError as error:
        raise SpecError(
            f"{checkpoint.name}: {error}", hint="install the plug-in that it is from"
        ) from error
    if system.build is None or not issubclass(system.params, TrainingParams):
        raise DataError(f"{checkpoint.name}: system {name} has no network and keeps no weights")
    return system


def _params(
    checkpoint: Checkpoint, system: System, found: Encoder | None, encoder: str | None
) -> tuple[TrainingParams, list[str]]:
    """Its hyper-parameters, and which of them the card does not give."""
    model = checkpoint.card.model
    names: dict[str, Scalar] = {}
    if found is not None:
        names["encoder"] = encoder or found.name
    if model.knowledge is not None:
        names["knowledge"] = model.knowledge
    given = {**model.params, **names}
    try:
        params = system.resolve("", given)
    except SpecError as error:
        raise SpecError(f"{checkpoint.name}: {error}", hint=error.hint) from error
    assert isinstance(params, TrainingParams)
    known = {item.name for item in dataclasses.fields(params)}
    external = {"encoder", "knowledge", *system.locations}
    return params, sorted(known - given.keys() - external)


def _need_own_description(checkpoint: Checkpoint) -> None:
    if checkpoint.file.model != checkpoint.card.model.digest:
        said = "names none" if checkpoint.file.model is None else "was written with another one"
        raise DataError(
            f"{checkpoint.name}: its description of the network was changed, or belongs to other"
            f" weights; {checkpoint.file.path.name} {said}",
            hint=_EXPORT,
        )


def _encoder(checkpoint: Checkpoint, given: str | None, cache: Path) -> Encoder | None:
    facts = checkpoint.card.model.encoder
    if facts is None:
        if given is not None:
            raise SpecError(f"{checkpoint.name} has no text encoder; found --encoder {given}")
        return None
    try:
        found = find_encoder(given or facts.name, cache)
    except DataError as error:
        raise DataError(
            f"{checkpoint.name} was trained with text encoder {facts.name}"
            f" ({facts.digest[:12]}): {error}",
            hint="--encoder FOLDER says where it is",
        ) from error
    if found.digest != facts.digest:
        raise DataError(
            f"{checkpoint.name} was trained with text encoder {facts.name} ({facts.digest[:12]});"
            f" found {found.name} ({found.digest[:12]})",
            hint="--encoder FOLDER says where the right one is",
        )
    return found


def _dims(model: ModelFacts, encoder: Encoder | None) -> Dims:
    shapes: Mapping[str, tuple[int, int]] = {
        name: (stream.frames, stream.dim) for name, stream in model.streams.items()
    }
    try:
        return Dims(
            **shapes,
            low=model.low,
            high=model.high,
            unimodal=model.unimodal,
            encoder=encoder,
        )
    except TypeError as error:
        raise DataError(f"streams are text, audio and vision; found {sorted(shapes)}") from error


def _notices(
    card: WeightsCard, system: System, params: TrainingParams, defaults: list[str]
) -> list[str]:
    said = []
    if predicting_code(system.name) != card.code:
        said.append(
            f"the code of system {system.name} has changed since these weights were written:"
            " predictions may be others than then"
        )
    if defaults:
        said.append(
            f"system {system.name} has hyper-parameters now that it had not: {', '.join(defaults)};"
            " they have their defaults"
        )
    return [*said, *by_design(system, params)]


def by_design(system: System, params: TrainingParams) -> list[str]:
    """What a system's card says of its predictions that concerns whoever reads them."""
    quirk = str(getattr(params, "quirk", ""))
    if system.card.declares.keys().isdisjoint({"deterministic", f"deterministic@{quirk}"}):
        return []
    return [
        f"the predictions of system {system.name} differ from pass to pass, by design: these are"
        " one draw"
    ]
