"""Finding a model's weights and saying exactly which they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from mllm_eval.model import small as small_models
from mllm_eval.model.card import ModelCard
from mllm_eval.model.revision import folder_digest

__all__ = ["Weights", "folder_of", "locate"]

_MADE = "made:"
_HUB_PATIENCE = 30.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What to load.

    Args:
        source: Folder or hub id.
        revision: SHA-256 of a folder's files, or the hub's commit.
        local: Whether the source is a folder.
    """

    source: str
    revision: str
    local: bool


def locate(card: ModelCard, cache: Path) -> Weights:
    """The weights of a card; those to be made are made, those on the hub are looked up.

    Args:
        card: Of a model that is not hosted.
        cache: Where made models are kept.

    Raises:
        DataError: When they cannot be had.
    """
    if card.weights.startswith(_MADE):
        return _of_folder(small_models.make(card.weights.removeprefix(_MADE), cache))
    folder = Path(card.weights)
    if folder.is_absolute():
        return _of_folder(folder)
    return Weights(source=card.weights, revision=_commit(card), local=False)


def _of_folder(folder: Path) -> Weights:
    return Weights(source=str(folder), revision=folder_digest(folder), local=True)


def folder_of(weights: Weights) -> Path:
    """The folder of the weights; those on the hub are downloaded when they are not there yet."""
    if weights.local:
        return Path(weights.source)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(weights.source, revision=weights.revision))


def _commit(card: ModelCard) -> str:
    """The commit that the revision names: the one in the hub's cache, else the newest one."""
    from huggingface_hub import HfApi, errors, snapshot_download

    http_error = errors.HTTPError  # type: ignore[attr-defined]  # that of the client's HTTP library
    try:
        cached = snapshot_download(
            card.weights,
            revision=card.revision,
            allow_patterns=["config.json"],
            local_files_only=True,
        )
        return Path(cached).name
    except errors.LocalEntryNotFoundError:
        pass
    try:
        info = HfApi().model_info(card.weights, revision=card.revision, timeout=_HUB_PATIENCE)
    except (errors.HFValidationError, http_error, OSError) as error:
        raise DataError(
            f"model {card.weights!r} at {card.revision} is neither in the hub's cache nor reachable"
            f" on the hub: {type(error).__name__}",
            hint="name a local folder that holds config.json and *.safetensors, or accept the"
            " model's terms on the hub and log in: hf auth login",
        ) from error
    return str(info.sha)
