"""A random two-layer BERT whose vocabulary comes from the texts at hand: an encoder offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.synthetic_encoder import write_encoder


def tiny_encoder(folder: Path, texts: Sequence[str], *, seed: int = 0) -> Path:
    """Write configuration, tokenizer and weights; the folder is a valid encoder name."""
    return write_encoder(folder, texts, seed=seed)
