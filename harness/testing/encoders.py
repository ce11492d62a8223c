"""A text encoder that is made instead of fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.text.synthetic import write_encoder

__all__ = ["tiny_encoder"]


def tiny_encoder(folder: Path, texts: Sequence[str], *, seed: int = 0) -> Path:
    """A random two-layer BERT whose vocabulary comes from the texts at hand.

    Args:
        folder: Where configuration, tokenizer and weights are written.
        texts: What it will read; every word gets an entry.
        seed: Of the weights; the same bytes everywhere.

    Returns:
        The folder, a valid name wherever an encoder is asked for.
    """
    return write_encoder(folder, texts, seed=seed)
