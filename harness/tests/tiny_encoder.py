"""A random two-layer BERT whose vocabulary comes from the texts at hand: an encoder offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_encoder(folder: Path, texts: Sequence[str], *, seed: int = 0) -> Path:
    """Write configuration, tokenizer and weights; the folder is a valid encoder name."""
    _tokenizer(texts).save_pretrained(folder)
    vocabulary = len(SPECIAL) + len(_words(texts))
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=140,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(folder)
    return folder


def _words(texts: Sequence[str]) -> list[str]:
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    plain = normalizers.BertNormalizer().normalize_str
    return sorted({word for text in texts for word, _ in split(plain(text))})


def _tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    vocabulary = {word: place for place, word in enumerate((*SPECIAL, *_words(texts)))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **dict(zip(names, SPECIAL, strict=True))
    )
