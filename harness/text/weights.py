"""Whether the weights of an encoder are those of the network that it is configured as.

Transformers draws what a checkpoint lacks at random and leaves out what it does not know, with a
line on the terminal. Half a copy of a checkpoint would so pass for a pre-trained encoder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import DataError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["need_all_weights"]

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
