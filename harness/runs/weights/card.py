"""What stands beside kept weights: the network that they belong to, and the run they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness._util import canonical
from harness._util.canonical import Json
from harness._util.records import Record
from harness.spec import Scalar

__all__ = [
    "CARD",
    "FORMAT",
    "LARGEST",
    "TENSORS",
    "WEIGHTS_FILES",
    "EncoderFacts",
    "ModelFacts",
    "RunFacts",
    "StreamFacts",
    "WeightsCard",
]

CARD = "weights.json"
TENSORS = "weights.safetensors"
WEIGHTS_FILES = frozenset({CARD, TENSORS})
"""What a run's folder has of weights."""

FORMAT = 1

LARGEST = 64 << 20
"""Bytes of weights that are kept unasked."""


@dataclass(frozen=True, kw_only=True)
class StreamFacts(Record):
    """Sizes of a feature stream: frames (padded) and features of each."""

    frames: int
    dim: int


@dataclass(frozen=True, kw_only=True)
class EncoderFacts(Record):
    """The text encoder that a network was built from.

    Args:
        name: As the run named it; of a local folder, its name alone.
        digest: Of its configuration, tokenizer and weights.
        frozen: Tensors that nothing trains and that every network built from this encoder has:
            they are not kept.
    """

    name: str
    digest: str
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelFacts(Record):
    """All that a network is built from, but for its tensors.

    Args:
        system: Registered name.
        params: Every resolved hyper-parameter but those that name an external input.
        knowledge: Corpus that it also learned from; None for most.
        dataset: Dataset that it was trained on.
        feature_set: That of the corpus.
        twin: Whether that corpus is synthetic.
        streams: Of the corpus, those that the system reads.
        low: Smallest label.
        high: Largest label.
        unimodal: Whether training clips had labels of every modality.
        encoder: None without one.
        space: Of features that ``msa extract`` made: by what, and how; None for others.
        space_encoder: Name of the frozen encoder that made their text stream.
    """

    hint: ClassVar[str] = "export it again with msa weights RUN --to FOLDER"

    system: str
    params: Mapping[str, Scalar]
    knowledge: str | None = None
    dataset: str
    feature_set: str
    twin: bool
    streams: Mapping[str, StreamFacts]
    low: float
    high: float
    unimodal: bool
    encoder: EncoderFacts | None = None
    space: Mapping[str, Json] | None = None
    space_encoder: str | None = None

    @property
    def digest(self) -> str:
        """What the file of tensors says of the network that it belongs to."""
        return canonical.digest(self.json())


@dataclass(frozen=True, kw_only=True)
class RunFacts(Record):
    """The run that selected the weights.

    Args:
        key: Its identity.
        corpus: Name of the corpus.
        data: The corpus's fingerprint.
        seed: Training seed.
        code: Fingerprint of the source that trained it.
        version: Of this software.
        selection_metric: What chose the epoch, on valid, unless ``rule`` did.
        selected_epoch: The one chosen, from 1.
        valid: Metric -> score on the validation split; undefined ones are left out.
        rule: The released rule that chose the epoch; None where the protocol did.
    """

    key: str
    corpus: str
    data: str
    seed: int
    code: str
    version: str
    selection_metric: str
    selected_epoch: int | None
    valid: Mapping[str, float]
    rule: str | None = None


@dataclass(frozen=True, kw_only=True)
class WeightsCard(Record):
    """``weights.json`` of a run.

    Args:
        format: Of this file.
        model: What they are weights of.
        run: What trained them.
        code: Fingerprint of the source that builds the network, reads clips and predicts.
        parameters: Of the network.
        tensors: In the file.
        bytes: Of the file.
        digest: SHA-256 of the file.
        removed: Whether the file was removed on purpose; None where it is there.
    """

    format: int
    model: ModelFacts
    run: RunFacts
    code: str
    parameters: int
    tensors: int
    bytes: int
    digest: str
    removed: bool | None = None
