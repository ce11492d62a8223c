"""Small random text encoders: what tests and twins use where real weights would say nothing.

The files are the same to the last byte on every machine and with every version of the libraries:
the configuration and the vocabulary are plain text, and weights come from the raw output of a bit
generator, whose stream NumPy promises never to change. So a run with such an encoder has the same
identity everywhere.

Shapes: n texts, V words.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness._util import canonical
from harness._util.sealed import kept_folder
from harness._util.seeds import derive
from harness.data.twins.words import CLUES, ENGLISH, MANDARIN

if TYPE_CHECKING:
    from transformers import BertConfig

__all__ = ["TWIN_ENCODER", "twin_encoder", "twin_phrases", "write_encoder"]

TWIN_ENCODER = "tiny-twin"
"""Name of the encoder that knows every word the twins say."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LONGEST = 512  # tokens
_DEVIATION = 0.02  # of weights, as BERT is initialised
_VERSION = 1  # grows when the same texts begin to give other files


def write_encoder(
    folder: Path,
    texts: Sequence[str],
    *,
    hidden: int = 32,
    layers: int = 2,
    heads: int = 2,
    intermediate: int = 64,
    seed: int = 0,
) -> Path:
    """Write an untrained BERT whose vocabulary is the words of ``texts``.

    Args:
        folder: Where configuration, vocabulary and weights go; made if need be.
        texts: n texts, any language; their words are lower-cased and Chinese characters split.
        hidden: Width, a multiple of ``heads``.
        layers: Transformer layers.
        heads: Attention heads.
        intermediate: Width of the feed-forward layers.
        seed: Of the weights.

    Returns:
        ``folder``, which is now the name of an encoder.
    """
    vocabulary = (*_SPECIAL, *_words(texts))
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": len(vocabulary),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "max_position_embeddings": _LONGEST,
    }
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(canonical.dumps(config), "utf-8")
    (folder / "tokenizer_config.json").write_text(canonical.dumps(tokenizer), "utf-8")
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", "utf-8")
    _save(folder / "model.safetensors", _weights(config, seed))
    return folder


def twin_encoder(cache: Path) -> Path:
    """The folder of the encoder ``tiny-twin``, written on first use.

    Args:
        cache: ``Home.cache``.
    """
    phrases = list(twin_phrases())
    mark = canonical.digest([_VERSION, phrases])[:12]
    folder = cache / "encoders" / f"{TWIN_ENCODER}-{mark}"
    return kept_folder(folder, lambda staging: _fill(staging, phrases))


def _fill(folder: Path, phrases: Sequence[str]) -> None:
    write_encoder(folder, phrases)


def twin_phrases() -> Iterator[str]:
    """Everything that transcripts and explanations of twins are made of, in both languages."""
    for lexicon in (ENGLISH, MANDARIN):
        for item in dataclasses.fields(lexicon):
            value = getattr(lexicon, item.name)
            if isinstance(value, str):
                yield value
            elif isinstance(value, Iterable):
                yield from value
    for levels in CLUES.values():
        for phrases in levels:
            yield from phrases


def _words(texts: Iterable[str]) -> list[str]:
    """The words that a BERT tokenizer sees in the texts, sorted."""
    from transformers import BertTokenizer

    marks = {token: place for place, token in enumerate(_SPECIAL)}
    backend = BertTokenizer(vocab=marks, do_lower_case=True).backend_tokenizer
    plain, split = backend.normalizer.normalize_str, backend.pre_tokenizer.pre_tokenize_str
    return sorted({word for text in texts for word, _ in split(plain(text))})


def _weights(config: Mapping[str, object], seed: int) -> dict[str, NDArray[np.float32]]:
    """Every parameter by name: norms 1, biases 0, all else evenly spread around 0."""
    return {
        name: _values(name, shape, seed) for name, shape in _shapes(_bert_config(config)).items()
    }


def _bert_config(config: Mapping[str, object]) -> BertConfig:
    from transformers import BertConfig

    return BertConfig(**config)


def _shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    import torch
    from transformers import BertModel

    with torch.device("meta"):
        network = BertModel(config)
    return {name: tuple(weight.shape) for name, weight in sorted(network.named_parameters())}


def _values(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    if name.endswith("bias"):
        return np.zeros(shape, dtype=np.float32)
    if "LayerNorm" in name:
        return np.ones(shape, dtype=np.float32)
    bits = np.random.PCG64(derive(seed, "encoder", name)).random_raw(math.prod(shape))
    share = (bits >> np.uint64(40)).astype(np.float32) / np.float32(2**24)  # exact, in [0, 1)
    width = np.float32(_DEVIATION * math.sqrt(12))  # of a uniform distribution
    spread: NDArray[np.float32] = (share - np.float32(0.5)) * width
    return spread.reshape(shape)


def _save(file: Path, weights: Mapping[str, NDArray[np.float32]]) -> None:
    from safetensors.numpy import save_file

    save_file(dict(weights), file, metadata={"format": "pt"})
