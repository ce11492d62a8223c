"""Multimodal language models as data: one TOML card each, what is served, how, and what is known.

A card is what ``msa mllm serve`` starts and what a board says about a row. A model without a card
is served as well, by hub id or folder, with what can be assumed of any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from harness._util.canonical import Json, plain
from harness._util.documents import read_toml
from harness._util.registry import TomlRegistry
from harness._util.schema import JSON, Integer, Number, TableOf, parse
from harness.errors import SpecError
from mllm_eval.client import TokenSampling

__all__ = ["Input", "ModelCard", "known", "models", "resolve"]

Input = Literal["text", "image", "video", "audio"]
Refusable = Literal["top_k", "repetition_penalty"]
"""Sampling fields that some servers do not know."""

_MEDIA: Final = {"image": 32, "video": 1, "audio": 1}
"""Parts of one request at most, where a card says nothing else."""
_INPUT_OF: Final[Mapping[str, Input]] = {"vision": "image", "audio": "audio"}
"""What a model must take to be shown frames, which are sent as pictures, and sound."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One model.

    Raises:
        SpecError: For values that a card cannot have.
    """

    name: str
    title: str
    weights: str = ""
    """Hub id, folder, or ``made:NAME`` for a model made on this machine; empty: not to be had."""
    revision: str = "main"
    """Branch, tag or commit on the hub; the snapshot's date for a closed model."""
    base_url: str = ""
    """Of a model served by its provider; such a model has no weights."""
    key_variable: str = ""
    """Environment variable that holds the provider's API key."""
    inputs: tuple[Input, ...] = get_args(Input)
    limits: Annotated[
        Mapping[str, int], TableOf(item=Integer(low=0, named="a count"), keys=get_args(Input))
    ] = field(default_factory=dict)
    """Parts of each kind in one request; kinds of input left out have the default."""
    max_model_len: Annotated[int | None, Integer(low=1, named="a whole number of tokens")] = None
    """Tokens of prompt and answer together; None: the weights' own limit."""
    flags: tuple[str, ...] = ()
    """Further arguments of ``vllm serve``; ``{weights}`` stands for the folder of the weights."""
    chat_template_kwargs: Annotated[Mapping[str, Json], TableOf(item=JSON)] = field(
        default_factory=dict
    )
    """Sent with each request, e.g. to switch thinking off."""
    unsupported: tuple[Refusable, ...] = ()
    """Sampling fields that the server refuses."""
    system: str = ""
    """System line that the model was trained with, put before a prompt's own."""
    parameters: Annotated[float | None, Number(expected="a number of billions")] = None
    """Billions, all towers and embeddings; None where unpublished."""
    licence: str = "unknown"
    trained_on: str = "unknown"
    """What is known of its training data, for the risk that test clips are among them."""
    notes: str = ""
    """What limits its use."""
    source: str = ""

    def __post_init__(self) -> None:
        if bool(self.weights) == bool(self.base_url):
            raise SpecError("has either weights or a base_url")
        if unknown := sorted(set(self.limits).difference(self.inputs)):
            known = ", ".join(self.inputs)
            raise SpecError(f"limits has {unknown[0]!r}, which inputs has not ({known})")

    @property
    def hosted(self) -> bool:
        """Whether its provider serves it."""
        return bool(self.base_url)

    @property
    def senses(self) -> frozenset[str]:
        """Which of ``vision`` and ``audio`` it can be shown."""
        return frozenset(sense for sense, kind in _INPUT_OF.items() if kind in self.inputs)

    def check_senses(self, wanted: Collection[str], asker: str) -> None:
        """Whether it takes what a question needs.

        Args:
            wanted: ``vision``, ``audio``; any of them will do, and none needs none.
            asker: What asks for it, for the message.

        Raises:
            SpecError: When it takes none of them.
        """
        if wanted and not self.senses.intersection(wanted):
            lacking = " or ".join(_INPUT_OF[sense] for sense in sorted(wanted))
            raise SpecError(
                f"model {self.name} takes {', '.join(self.inputs)}, not {lacking},"
                f" which {asker} shows",
                hint="msa list mllms shows what each model takes",
            )

    @property
    def media_limits(self) -> dict[str, int]:
        """Parts of each medium that one request may have; empty for a text model."""
        return {kind: self.limits.get(kind, most) for kind, most in self._media()}

    def _media(self) -> Iterator[tuple[str, int]]:
        return ((kind, most) for kind, most in _MEDIA.items() if kind in self.inputs)

    def sampling(self, **fields: Any) -> TokenSampling:  # noqa: ANN401  fields of Sampling
        """Sampling fields, without those that the server refuses."""
        return TokenSampling(**{**fields, **{str(name): None for name in self.unsupported}})

    @property
    def extra(self) -> dict[str, Json]:
        """Further request fields."""
        if not self.chat_template_kwargs:
            return {}
        return {"chat_template_kwargs": plain(self.chat_template_kwargs)}

    @classmethod
    def load(cls, file: Traversable) -> ModelCard:
        """Read and validate a card; its file's name is the model's.

        Raises:
            SpecError: Naming the file, the key and what was expected.
        """
        table = read_toml(file, "model card")
        return cls.parse(table, name=file.name.removesuffix(".toml"))

    @classmethod
    def parse(cls, table: Mapping[str, object], *, name: str) -> ModelCard:
        """Validate a card given as a table.

        Raises:
            SpecError: Naming the model, the key and what was expected.
        """
        return parse(cls, table, f"model {name}", name=name)


models = TomlRegistry(
    files("mllm_eval.model") / "cards", noun="model", load=ModelCard.load, hint="msa list mllms"
)


def known(model: str) -> ModelCard | None:
    """The card of a model that a server knows by its card's name or its hub id; None without one.

    Example:
        >>> known("Qwen/Qwen2.5-VL-7B-Instruct").name
        'qwen2.5-vl-7b'
    """
    if model in models:
        return models[model]
    return next((card for card in models.values() if model and card.weights == model), None)


def resolve(model: str) -> ModelCard:
    """The card of a model named by card, folder or hub id; the latter two may have none.

    Raises:
        SpecError: When there is neither.

    Example:
        >>> resolve("somebody/some-model").weights
        'somebody/some-model'
    """
    if model in models:
        return models[model]
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise SpecError(f"expected a folder with config.json and weights, found none: {folder}")
        return ModelCard(name=folder.resolve().name, title=model, weights=str(folder.resolve()))
    owner, _, name = model.partition("/")
    if owner.strip(".") and name and "/" not in name:
        return known(model) or ModelCard(name=name, title=model, weights=model)
    return models[model]
