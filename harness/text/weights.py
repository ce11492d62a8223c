"""Whether the weights of an encoder are those of the network that it is configured as.

Transformers draws what a checkpoint lacks at random and leaves out what it does not know, with a
line on the terminal. Half a copy of a checkpoint would so pass for a pre-trained encoder.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness._util.budget import Budget
from harness._util.documents import read_json
from harness.errors import DataError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["need_affordable", "need_all_weights"]

_COUNTERS = re.compile(r"(.*\.)?(position_ids|token_type_ids|inv_freq)")
"""Tensors that older versions stored and newer ones count out; none is learnt."""

_POOLER = re.compile(r"(.*\.)?pooler\..*")
"""Trained on sentence pairs beside the encoder; many checkpoints have none."""

_HEADS = re.compile(
    r"(cls|lm_head|classifier|qa_outputs|score|seq_relationship|predictions|sop_classifier"
    r"|vocab_transform|vocab_layer_norm|vocab_projector|lm_predictions|mask_predictions"
    r"|discriminator_predictions|generator_predictions|generator_lm_head)\..*"
)
"""What checkpoints carry on top of the encoder for the tasks that they were trained on."""

_SHOWN = 3
_ANYHOW = 200  # layers that any network may have: built in a moment, and compared with its weights
_LONGEST_HEADER = 100 << 20  # bytes of the list of tensors in a safetensors file
_LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_attention_layers")
_WIDTH = ("hidden_size", "d_model", "n_embd", "dim")
_INNER = ("intermediate_size", "d_ff", "n_inner", "ffn_dim", "hidden_dim")
_ROWS = ("vocab_size", "max_position_embeddings", "n_positions", "type_vocab_size")


def need_affordable(name: str, folder: Path) -> None:
    """Refuse an encoder whose configuration asks for a far larger network than its weights are.

    The network is built before its weights are compared with it, so a line of the configuration
    could take all memory, or all time.

    Args:
        name: Of the encoder.
        folder: Its files.

    Raises:
        DataError: Naming what is too large, or the file that cannot be read.
    """
    weights = sorted(folder.glob("*.safetensors"))
    budgets = [Budget.of(path, "a file of weights") for path in weights]
    stored = sum(_tensors(path) for path in weights)
    budget = Budget(f"encoder {name}", sum(b.size for b in budgets))
    for table in _tables(read_json(folder / "config.json", "configuration", error=DataError)):
        layers = _largest(table, _LAYERS)
        if layers > max(stored, _ANYHOW):
            raise DataError(
                f"the configuration of encoder {name!r} has {layers:,} layers, its weights have"
                f" {stored:,} tensors",
                hint="copy the whole folder again: config.json and every *.safetensors",
            )
        width, inner = _largest(table, _WIDTH), _largest(table, _INNER)
        rows = sum(_largest(table, (key,)) for key in _ROWS)
        numbers = width * rows + max(1, layers) * width * (4 * width + 2 * inner)
        budget.spend(4 * numbers, f"the {numbers:,} numbers that its configuration asks for")


def _tables(table: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A configuration, and those of the networks inside it."""
    yield table
    for value in table.values():
        if isinstance(value, Mapping):
            yield from _tables(value)


def _largest(table: Mapping[str, Any], keys: Collection[str]) -> int:
    found: list[int] = [table[key] for key in keys if isinstance(table.get(key), int)]
    return max([0, *found])


def _tensors(path: Path) -> int:
    """How many tensors a safetensors file lists."""
    with path.open("rb") as file:
        head = file.read(8)
        size = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        return file.read(min(size, _LONGEST_HEADER)).count(b'"data_offsets"')


def need_all_weights(name: str, network: nn.Module, found: Mapping[str, Collection[Any]]) -> None:
    """Refuse an encoder whose checkpoint lacks tensors, or has some that its network does not.

    Heads of other tasks, counters and a pooler that is absent as a whole are fine.

    Args:
        name: Of the encoder.
        network: As loaded.
        found: The loading info of transformers: ``missing_keys``, ``unexpected_keys``,
            ``mismatched_keys``.

    Raises:
        DataError: Naming the first few tensors.
    """
    missing = {key for key in found["missing_keys"] if not _COUNTERS.fullmatch(key)}
    pooler = {key for key, _ in network.named_parameters() if _POOLER.fullmatch(key)}
    if pooler <= missing:
        missing -= pooler
    wrong = {
        "lack": missing,
        "have, and its network has not,": {
            key
            for key in found["unexpected_keys"]
            if not any(rule.fullmatch(key) for rule in (_COUNTERS, _POOLER, _HEADS))
        },
        "have in another shape": {str(key[0]) for key in found["mismatched_keys"]},
    }
    said = [f"{what} {_some(keys)}" for what, keys in wrong.items() if keys]
    if said:
        raise DataError(
            f"the weights of encoder {name!r} {'; they '.join(said)}"
            f" ({len(list(network.parameters()))} tensors expected)",
            hint="copy the whole folder again: config.json and every *.safetensors of one model",
        )


def _some(keys: Collection[str]) -> str:
    shown = ", ".join(sorted(keys)[:_SHOWN])
    return shown if len(keys) <= _SHOWN else f"{shown} and {len(keys) - _SHOWN} more"
