"""Transcripts to tokens and vectors: encoders by name, folder or package, and a synthetic one.

An encoder is identified by the content of its weights, never by where it lies. ``synthetic`` is the
encoder of twins: random, small and the same everywhere.
"""

from harness.text.encoder import (
    PACKAGED,
    Blueprint,
    Encoder,
    Packaged,
    find_encoder,
    is_unpacked,
    sentence_vectors,
    split_revision,
    tokenize,
)

__all__ = [
    "PACKAGED",
    "Blueprint",
    "Encoder",
    "Packaged",
    "find_encoder",
    "hub",
    "is_unpacked",
    "sentence_vectors",
    "split_revision",
    "synthetic",
    "tokenize",
]
