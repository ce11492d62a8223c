"""Audio and vision by word piece, where features are word by word: pieces share their word's row.

Shapes: B clips, L tokens, T frames, W words, D features of a stream, V tokens of the vocabulary.
"""

from __future__ import annotations

import unicodedata

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from baselines.ef_lstm import pool_to
from harness.data.batching import Sequence, Tokens
from harness.system import Dims
from harness.text import Blueprint, Encoder

__all__ = ["WordRows", "word_marks"]

_INSIDE = ("'", "\u2019", "-")
"""Punctuation within words."""


class WordRows(nn.Module):
    """A row of a stream for every token: that of its word, zeros for the first and last token.

    Frames are averaged into as many windows as the clip has words, which leaves word-aligned
    streams as they are. Where the corpus stores the tokens, its frames belong to those.

    Args:
        dims: Sizes of the corpus; names the encoder.
        tokens: ``TokenParams.tokens``.
    """

    marks: Tensor
    """Of ``word_marks``, saved with the weights: a restored network may know no tokenizer."""

    def __init__(self, dims: Dims, tokens: str) -> None:
        super().__init__()
        self.stored = tokens == "corpus"
        if not self.stored:
            self.register_buffer("marks", word_marks(dims.need_encoder()))

    def forward(self, tokens: Tokens, stream: Sequence) -> Tensor:
        """(B, L, D)."""
        places = tokens.mask.unsqueeze(2)  # (B, L, 1), read for its length alone
        lengths = tokens.mask.sum(1)  # (B,)
        if self.stored:
            return pool_to(Sequence(places, lengths, places.shape[1]), stream)
        inside, word = self.words(tokens)
        count = word.max(1).values + 1  # (B,), at least 1
        rows = pool_to(Sequence(places, count, places.shape[1]), stream)  # (B, L, D), W of them
        spread = rows.gather(1, word.unsqueeze(2).expand(-1, -1, rows.shape[2]))  # (B, L, D)
        return spread * inside.unsqueeze(2)

    def words(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """(B, L) bool, True on pieces of words, and (B, L) the word each belongs to, from 0."""
        place = torch.arange(tokens.ids.shape[1], device=tokens.ids.device)  # (L,)
        last = tokens.mask.sum(1, keepdim=True) - 1  # (B, 1)
        inside = (place > 0) & (place < last)
        begins, joins = self.marks[:, tokens.ids]  # (B, L) each
        begins = begins & ~pad(joins[:, :-1], (1, 0))
        # what follows the opening token begins a word, whatever it looks like
        begins = inside & (begins | (place == 1))
        return inside, (begins.cumsum(1) - 1).clamp(min=0)


def word_marks(encoder: Encoder) -> Tensor:
    """(2, V) bool: tokens that begin a word, and tokens after which the same word goes on.

    Words are what white space parts. SentencePiece and byte-level BPE mark what begins one.
    WordPiece marks what continues one (``##``) and cuts off punctuation, which belongs to the word
    before it; an apostrophe or a hyphen is in the midst of one.
    """
    size = encoder.vocabulary
    begins = [True] * size
    joins = [False] * size
    if not isinstance(encoder, Blueprint):  # that is a shape without tokenizer
        names = [name or "" for name in encoder.tokenizer().convert_ids_to_tokens(range(size))]
        marked = [name.startswith(("\u2581", "\u0120")) for name in names]
        if any(name.startswith("##") for name in names):
            begins = [not name.startswith("##") and not _is_punctuation(name) for name in names]
            joins = [name in _INSIDE for name in names]
        elif any(marked):
            begins = marked
    return torch.tensor([begins, joins])


def _is_punctuation(name: str) -> bool:
    return bool(name) and all(unicodedata.category(sign).startswith("P") for sign in name)
