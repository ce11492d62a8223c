"""Where a network acts on what it thinks of a clip: a quality score, a gate, a trust.

A network passes such values through a ``Gate``, which leaves them as they are. The mark lets
the harness ask whether the value matters: values are collected clip by clip, and a network can
be made to act on those of another clip.

Shapes: B clips of a batch, n clips of a split, K values per clip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

__all__ = ["Gate", "collected", "gates_of", "replaced"]


class Gate(nn.Identity):
    """A place in a network where (B,) or (B, K) gate values pass, once for each batch.

    Args:
        name: Unique within the network, whose diagnostics have the values under this name, too.
        of: The modality that each of the K values is about, ``text``, ``audio`` or ``vision``.
    """

    def __init__(self, name: str, *, of: tuple[str, ...]) -> None:
        super().__init__()
        self.name, self.of = name, of


def gates_of(network: nn.Module) -> tuple[Gate, ...]:
    """All places where a network acts on a gate value."""
    return tuple(module for module in network.modules() if isinstance(module, Gate))


@contextmanager
def collected(network: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """While open, what passes is kept: name of the gate -> (B,) or (B, K) of each batch."""
    kept: dict[str, list[Tensor]] = {place.name: [] for place in gates_of(network)}
    with ExitStack() as stack:
        for place in gates_of(network):
            handle = place.register_forward_hook(lambda m, _inputs, own: kept[m.name].append(own))
            stack.callback(handle.remove)
        yield kept


@contextmanager
def replaced(network: nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """While open, the network acts on these values instead of its own.

    Args:
        network: Its weights and inputs stay as they are.
        values: Name of the gate -> (B,) or (B, K), for the batch that it is shown.
    """
    with ExitStack() as stack:
        for place in gates_of(network):
            handle = place.register_forward_hook(lambda m, _inputs, _own: values[m.name])
            stack.callback(handle.remove)
        yield
