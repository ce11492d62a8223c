"""Names that several systems have in common."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.system import TrainingParams
from harness.testing.parity.counterpart import Rules, per_stream

__all__ = [
    "CONSTANT_RANGE",
    "HEADS",
    "LOW_RANK",
    "NETS",
    "audio_first",
    "bert",
    "encoder",
    "memory",
    "mfn",
]

NETS: Final[Rules] = (
    *per_stream(r"nets\.{}\.0\.(.+)", r"Model.{}_subnet.norm.\1", audio="audio", vision="video"),
    *(
        rule
        for ours, theirs in ((2, 1), (4, 2), (6, 3))
        for rule in per_stream(
            rf"nets\.{{}}\.{ours}\.(.+)",
            rf"Model.{{}}_subnet.linear_{theirs}.\1",
            audio="audio",
            vision="video",
        )
    ),
    (r"nets\.text\.lstm\.(.+)", r"Model.text_subnet.rnn.\1"),
    (r"nets\.text\.project\.(.+)", r"Model.text_subnet.linear_1.\1"),
    (r"head\.1\.(.+)", r"Model.post_fusion_layer_1.\1"),
    (r"head\.3\.(.+)", r"Model.post_fusion_layer_2.\1"),
    (r"head\.5\.(.+)", r"Model.post_fusion_layer_3.\1"),
)
"""Sub-networks of the streams, and what follows the fusion."""

HEADS: Final[Rules] = tuple(
    rule
    for ours, theirs in ((1, 1), (3, 2), (5, 3))
    for rule in per_stream(
        rf"heads\.{{}}\.{ours}\.(.+)",
        rf"Model.post_{{}}_layer_{theirs}.\1",
        text="text",
        audio="audio",
        vision="video",
    )
)
"""Predictors on one stream."""

LOW_RANK: Final[Rules] = (
    ("weights", "Model.fusion_weights"),
    ("bias", "Model.fusion_bias"),
    (r"factors\.0", "Model.text_factor"),
    (r"factors\.1", "Model.audio_factor"),
    (r"factors\.2", "Model.video_factor"),
)

CONSTANT_RANGE: Final = ("Model.output_range", "Model.output_shift")

_MEMORY: Final = {"proposal": "att2", "retain": "gamma1", "update": "gamma2"}


def mfn(ours: str, theirs: str) -> Rules:
    """Names of a memory fusion network that lies in another network.

    Args:
        ours: Beginning of our names, a pattern.
        theirs: Beginning of the names over there.
    """
    return (
        *per_stream(
            rf"{ours}cells\.{{}}\.(.+)",
            rf"{theirs}lstm_{{}}.\1",
            **{"0": "l", "1": "a", "2": "v"},
        ),
        (rf"{ours}attention\.0\.(.+)", rf"{theirs}att1_fc1.\1"),
        (rf"{ours}attention\.3\.(.+)", rf"{theirs}att1_fc2.\1"),
        *memory(ours, theirs),
    )


def memory(ours: str, theirs: str) -> Rules:
    """Names of a gated memory."""
    return tuple(
        rule
        for place, layer in ((0, 1), (3, 2))
        for rule in per_stream(
            rf"{ours}memory\.{{}}\.{place}\.(.+)", rf"{theirs}{{}}_fc{layer}.\1", **_MEMORY
        )
    )


def bert(theirs: str) -> Rules:
    """Names of the text encoder."""
    return ((r"encoder\.network\.(.+)", rf"{theirs}.\1"),)


def encoder(ours: str, theirs: str) -> Rules:
    """Names of a cross-modal encoder.

    Args:
        ours: Beginning of our names, a pattern without groups.
        theirs: Beginning of the names over there.
    """
    layer, over_there = rf"{ours}\.layers\.(\d+)\.", rf"{theirs}.layers.\1."
    return (
        (rf"{layer}attention\.inputs\.(.+)", rf"{over_there}self_attn.in_proj_\2"),
        (rf"{layer}attention\.output\.(.+)", rf"{over_there}self_attn.out_proj.\2"),
        (rf"{layer}norms\.(.+)", rf"{over_there}layer_norms.\2"),
        (rf"{layer}feed\.0\.(.+)", rf"{over_there}fc1.\2"),
        (rf"{layer}feed\.3\.(.+)", rf"{over_there}fc2.\2"),
        (rf"{ours}\.norm\.(.+)", rf"{theirs}.layer_norm.\1"),
    )


def audio_first(params: TrainingParams) -> NDArray[np.int64]:
    """Columns of [text; audio; vision] in the order [audio; vision; text]."""
    text = int(getattr(params, "text_out"))  # noqa: B009 - of some systems' parameters
    others = int(getattr(params, "audio_hidden")) + int(getattr(params, "vision_hidden"))  # noqa: B009
    return np.concatenate([np.arange(text, text + others), np.arange(text)])
