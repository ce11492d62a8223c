"""Finding the operations at which the host would wait for a device, on a machine that has none.

Tensors on ``meta`` stand for those on a GPU: an operation that has to know a value of theirs is one
that would wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["NoWaiting", "Waits"]

_READING = frozenset(
    {
        *("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select"),
        *("_unique", "_unique2", "unique_dim", "unique_consecutive"),
    }
)
_INDEXING = frozenset({"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"})


class Waits(AssertionError):
    """The host would wait for the device here."""


class NoWaiting(TorchDispatchMode):
    """Refuses, while it is entered, what reads a value of a device or copies to or from it.

    Raises:
        Waits: Naming the operation.
    """

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - as PyTorch calls it
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Carry out ``func`` unless it waits."""
        name = func.overloadpacket.__name__
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = any(_is_there(tensor) for tensor in given)
        if there and name in _READING:
            raise Waits(f"{func} asks the device for a value")
        if there and name in _INDEXING:
            _check_places([leaf for leaf in tree_leaves(args[1]) if isinstance(leaf, Tensor)], func)
        ends = [tensor.device for tensor in given[:2]] if name in ("_to_copy", "copy_") else []
        if name == "_to_copy" and (to := (kwargs or {}).get("device")) is not None:
            ends.append(to)
        if len({end.type == "cpu" for end in ends}) > 1:
            raise Waits(f"{func} copies {tuple(given[0].shape)} between host and device")
        return func(*args, **(kwargs or {}))


def _check_places(places: Sequence[Tensor], func: object) -> None:
    if any(place.dtype in (torch.bool, torch.uint8) for place in places):
        raise Waits(f"{func} counts what a mask marks")
    if not all(_is_there(place) for place in places):
        raise Waits(f"{func} sends an index from the host")


def _is_there(tensor: Tensor) -> bool:
    return tensor.device.type != "cpu"
