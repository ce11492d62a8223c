"""Multimodal language models as data: one TOML card each, what is served, how, and what is known.

A card is what ``msa mllm serve`` starts and what a board says about a row. A model without a card
is served as well, by hub id or folder, with what can be assumed of any.
"""

from __future__ import annotations

import math
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
from harness.home import Home
from mllm_eval.client import AudioPart, TokenSampling

__all__ = ["Input", "ModelCard", "known", "models", "resolve"]

Input = Literal["text", "image", "video", "audio"]
Refusable = Literal[
    "n",
    "temperature",
    "top_p",
    "top_k",
    "repetition_penalty",
    "seed",
    "logprobs",
    "top_logprobs",
]
"""Sampling fields that some servers do not know or do not take."""
Tiling = Literal["patches", "tiles", "fixed"]

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
    """Sampling fields that the server refuses; without ``logprobs`` it is asked for no letters."""
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls the longest answer."""
    thinking_tokens: Annotated[int, Integer(low=0, named="a whole number of tokens")] = 0
    """Tokens that the model may spend on thoughts, on top of the longest answer."""
    request: Annotated[Mapping[str, Json], TableOf(item=JSON)] = field(default_factory=dict)
    """Further request fields, e.g. how much the model is to think."""
    asked_as: str = ""
    """Name that requests give, such as a dated snapshot; empty: the card's name."""
    audio_part: AudioPart = "input_audio"
    """In which kind of part sound is sent; vLLM chooses a model's adapter by it."""
    frame_part: Literal["image_url", "video_url"] = "image_url"
    """In which kind of part frames are sent: as pictures, or joined to one video."""
    tiling: Tiling | None = None
    """How pictures become tokens: ``patches``, one token a square of ``tile`` pixels; ``tiles``, up
    to ``most_tiles`` tiles and one of the whole, ``tile_tokens`` each; ``fixed``, ``tile_tokens`` a
    picture. None where that is not known."""
    tile: Annotated[int, Integer(low=0, named="a number of pixels")] = 0
    """Side of the square that is one token."""
    tile_tokens: Annotated[int, Integer(low=0, named="a number of tokens")] = 0
    most_tiles: Annotated[int, Integer(low=1, named="a number of tiles")] = 1
    """1: the whole alone."""
    system: str = ""
    """System line that the model was trained with, put before a prompt's own."""
    parameters: Annotated[float | None, Number(expected="a number of billions")] = None
    """Billions, all towers and embeddings; None where unpublished."""
    price: Annotated[
        Mapping[str, float],
        TableOf(item=Number(expected="dollars a million tokens"), keys=("prompt", "completion")),
    ] = field(default_factory=dict)
    """Dollars for a million tokens, ``prompt`` and ``completion``; empty where none is known."""
    licence: str = "unknown"
    trained_on: str = "unknown"
    """What is known of its training data, for the risk that test clips are among them."""
    notes: str = ""
    """What limits its use."""
    retired: str = ""
    """When its provider ended it, and what takes its place; empty while it is there."""
    source: str = ""
    checked: str = ""
    """ISO date on which what the card says was last compared with its source."""

    def __post_init__(self) -> None:
        if bool(self.weights) == bool(self.base_url):
            raise SpecError("has either weights or a base_url")
        if self.price and set(self.price) != {"prompt", "completion"}:
            raise SpecError("price has prompt and completion, dollars a million tokens each")
        if unknown := sorted(set(self.limits).difference(self.inputs)):
            known = ", ".join(self.inputs)
            raise SpecError(f"limits has {unknown[0]!r}, which inputs has not ({known})")
        if self.frame_part == "video_url" and "video" not in self.inputs:
            raise SpecError(f"frame_part is video_url, and inputs has no video ({self.inputs})")
        if (self.tiling == "patches") != bool(self.tile):
            raise SpecError("tile goes with tiling patches, and only with it")
        if (self.tiling in ("tiles", "fixed")) != bool(self.tile_tokens):
            raise SpecError("tile_tokens goes with tiling tiles or fixed, and only with them")

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

    def frame_tokens(self, size: int) -> int | None:
        """Tokens that a frame takes at most, None where its tiling is not known.

        Args:
            size: Longest side, pixels; a square frame takes the most.
        """
        if self.tiling is None:
            return None
        if self.tiling == "patches":
            return math.ceil(size / self.tile) ** 2
        extra = 1 if self.most_tiles > 1 else 0
        return self.tile_tokens * (self.most_tiles + extra)

    def check_budget(self, frames: int, size: int, asker: str) -> None:
        """Whether a request with so many frames has room in the model's context.

        Raises:
            SpecError: When the frames alone may take more than there is.
        """
        tokens = self.frame_tokens(size)
        if tokens is None or self.max_model_len is None or "vision" not in self.senses:
            return
        if (together := frames * tokens) >= self.max_model_len:
            raise SpecError(
                f"{frames} frames of {size} pixels take up to {together:,} tokens of {self.name},"
                f" which takes {self.max_model_len:,} in all ({asker})",
                hint="show fewer or smaller frames: frames, size",
            )

    def check_answer(self, answer: str, asker: str) -> None:
        """Whether the model can be asked for an answer of this form.

        Raises:
            SpecError: For letters, where its server tells no log-probabilities.
        """
        if answer == "letters" and "logprobs" in self.unsupported:
            raise SpecError(
                f"{asker} reads letters by their probabilities, which {self.name} does not tell",
                hint='prompt = "en-direct", or another that asks for a number or JSON',
            )

    @property
    def media_limits(self) -> dict[str, int]:
        """Parts of each medium that one request may have; empty for a text model."""
        return {kind: self.limits.get(kind, most) for kind, most in self._media()}

    def _media(self) -> Iterator[tuple[str, int]]:
        return ((kind, most) for kind, most in _MEDIA.items() if kind in self.inputs)

    def sampling(self, **fields: Any) -> TokenSampling:  # noqa: ANN401  fields of Sampling
        """Sampling fields as the server takes them."""
        unset: dict[str, Any] = {
            name: None for name in ("top_k", "repetition_penalty") if name in self.unsupported
        }
        return TokenSampling(
            **{**fields, **unset},
            refused=frozenset(map(str, self.unsupported)) - unset.keys(),
            length_field=self.length_field,
            thinking=self.thinking_tokens,
        )

    @property
    def sent(self) -> dict[str, Json]:
        """What of the card changes requests in other places than their fields, for an identity."""
        told = {
            "asked_as": self.asked_as,
            "audio_part": self.audio_part,
            "frame_part": self.frame_part,
        }
        usual = ("", "input_audio", "image_url")
        return {name: value for name, value in told.items() if value not in usual}

    @property
    def extra(self) -> dict[str, Json]:
        """Further request fields."""
        request = {name: plain(value) for name, value in self.request.items()}
        if self.chat_template_kwargs:
            request["chat_template_kwargs"] = plain(self.chat_template_kwargs)
        return request

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
    files("mllm_eval.model") / "cards",
    noun="model",
    load=ModelCard.load,
    hint="msa list mllms",
    own=lambda: Home.default().models,
)
"""Those that come with the code, and the user's own."""


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
