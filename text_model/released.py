"""Released weights of TEXT into a network: what rows that are not trained here consist of.

Only tensors are read from a file, and nothing in it is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from harness._util.budget import Budget
from harness._util.tensors import load_tensors, need_plain_tensors
from harness.errors import DataError
from harness.system import Dims
from text_model.layout import released_names
from text_model.model import TextModel
from text_model.params import TextParams

__all__ = ["load_released_state", "released_network"]


def released_network(file: Path, dims: Dims, params: TextParams) -> TextModel:
    """A network with the weights of a released checkpoint.

    Args:
        file: ``{"epoch", "state_dict", "optimizer"}``, written by ``torch.save``.
        dims: Sizes of the corpus, with the text encoder whose weights the file holds.
        params: Hyper-parameters.

    Raises:
        DataError: When the file is no such checkpoint, holds anything but tensors, or does not fit
            the sizes.
    """
    state = _read(file)
    network = TextModel(dims, params)
    load_released_state(network, state)
    return network


def load_released_state(network: TextModel, state: Mapping[str, Tensor]) -> None:
    """Copy a released state dict into a network of the same sizes.

    Raises:
        DataError: For missing or unknown names, and for shapes that differ; names some of them.
    """
    names = released_names(network)
    own = network.state_dict()
    _refuse("lacks", sorted(set(names.values()) - set(state)))
    _refuse("has unknown", sorted(set(state) - set(names.values())))
    shapes = [
        f"{theirs} should be {tuple(own[ours].shape)}, found {_shape(state[theirs])}"
        for ours, theirs in names.items()
        if _shape(state[theirs]) != tuple(own[ours].shape)
    ]
    _refuse("does not fit:", shapes)
    network.load_state_dict({ours: state[theirs] for ours, theirs in names.items()})


def _read(path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint file; nothing in the file is executed."""
    budget = Budget.of(path, "a checkpoint")
    try:
        need_plain_tensors(path, budget)
        content = load_tensors(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path.name} is no checkpoint of tensors only: {error}",
            hint="expected a dict of epoch, state_dict and optimizer, written by torch.save",
        ) from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise DataError(f"{path.name} should hold named tensors under state_dict, and does not")
    return state


def _refuse(what: str, items: list[str]) -> None:
    """Raise when there is anything to complain about."""
    if items:
        more = f" and {len(items) - 5} more" if len(items) > 5 else ""
        raise DataError(
            f"the checkpoint {what} {', '.join(items[:5])}{more}",
            hint="it goes with the features, the text encoder and the sizes it was trained with",
        )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
