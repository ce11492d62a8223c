"""Multimodal language models as data: one TOML card each, what is served, how, and what is known.

A card is what ``msa mllm serve`` starts and what a board says about a row. A model without a card
is served as well, by hub id or folder, with what can be assumed of any.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal, get_args

from harness._util.canonical import Json, plain
from harness._util.registry import TomlRegistry
from harness.errors import SpecError
from harness.spec import check_keys
from mllm_eval.client import Sampling

__all__ = ["Input", "ModelCard", "known", "models", "resolve"]

Input = Literal["text", "image", "video", "audio"]

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
    limits: Mapping[str, int] = field(default_factory=dict)
    """Parts of each kind in one request; kinds of input left out have the default."""
    max_model_len: int | None = None
    """Tokens of prompt and answer together; None: the weights' own limit."""
    flags: tuple[str, ...] = ()
    """Further arguments of ``vllm serve``; ``{weights}`` stands for the folder of the weights."""
    chat_template_kwargs: Mapping[str, Json] = field(default_factory=dict)
    """Sent with each request, e.g. to switch thinking off."""
    unsupported: tuple[str, ...] = ()
    """Sampling fields that the server refuses."""
    system: str = ""
    """System line that the model was trained with, put before a prompt's own."""
    parameters: float | None = None
    """Billions, all towers and embeddings; None where unpublished."""
    licence: str = "unknown"
    trained_on: str = "unknown"
    """What is known of its training data, for the risk that test clips are among them."""
    notes: str = ""
    """What limits its use."""
    source: str = ""

    def __post_init__(self) -> None:
        if bool(self.weights) == bool(self.base_url):
            raise SpecError(f"model {self.name}: has either weights or a base_url")
        for field_name, found, known in (
            ("inputs", self.inputs, get_args(Input)),
            ("limits", self.limits, self.inputs),
            ("unsupported", self.unsupported, ("top_k", "repetition_penalty")),
        ):
            if unknown := sorted(set(found).difference(known)):
                raise SpecError(
                    f"model {self.name}: {field_name} has {unknown[0]!r}"
                    f" (known: {', '.join(known)})"
                )

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

    def sampling(self, **fields: Any) -> Sampling:  # noqa: ANN401  fields of Sampling
        """Sampling fields, without those that the server refuses."""
        return Sampling(**{**fields, **dict.fromkeys(self.unsupported)})

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
        try:
            table = tomllib.loads(file.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise SpecError(f"cannot read model card {file.name}: {error}") from error
        return cls.parse(table, name=file.name.removesuffix(".toml"))

    @classmethod
    def parse(cls, table: Mapping[str, object], *, name: str) -> ModelCard:
        """Validate a card given as a table.

        Raises:
            SpecError: Naming the model, the key and what was expected.
        """
        where = f"model {name}"
        check_keys(table, {f.name for f in dataclasses.fields(cls) if f.name != "name"}, where)
        if "title" not in table:
            raise SpecError(f"{where}: title is missing")
        values = {key: _value(key, value, where) for key, value in table.items()}
        return cls(name=name, **values)  # type: ignore[arg-type]  # each has been read as its type


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


_Reader = Callable[[Any], object]


def _of(kind: type, reader: _Reader = lambda value: value) -> _Reader:
    def read(value: object) -> object:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeError
        return reader(value)

    return read


_strings = _of(list, lambda found: tuple(_of(str)(item) for item in found))
_READERS: Final[Mapping[str, tuple[str, _Reader]]] = {
    **dict.fromkeys(("inputs", "flags", "unsupported"), ("a list of texts", _strings)),
    "limits": (
        "a table of counts",
        _of(dict, lambda found: {kind: _of(int)(count) for kind, count in found.items()}),
    ),
    "chat_template_kwargs": ("a table", _of(dict)),
    "max_model_len": ("a whole number", _of(int)),
    "parameters": ("a number of billions", lambda found: float(_of(int | float)(found))),  # type: ignore[arg-type]  # isinstance takes unions
}


def _value(key: str, value: object, where: str) -> object:
    expected, reader = _READERS.get(key, ("text", _of(str)))
    try:
        return reader(value)
    except TypeError:
        raise SpecError(f"{where}: {key} is {expected}, found {value!r}") from None
