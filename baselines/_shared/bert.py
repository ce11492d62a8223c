"""A fine-tuned text encoder as the first layer of a network.

Shapes: B clips, L tokens, H hidden size of the encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from harness.data.batching import Batch, Sequence, Tokens
from harness.errors import SpecError
from harness.system import Dims, ParameterGroup

__all__ = [
    "Change",
    "TokenEncoder",
    "audio_vision",
    "bert_groups",
    "changed",
    "masked_mean",
    "tokens_of",
]

Change = Callable[[Tensor], Tensor]
"""Hidden states (B, L, H) -> (B, L, H)."""


def tokens_of(batch: Batch) -> Tokens:
    """The tokens of a batch of a system that reads them."""
    assert batch.tokens is not None
    return batch.tokens


def audio_vision(batch: Batch) -> tuple[Sequence, Sequence]:
    """Audio and vision of a batch that has both."""
    assert batch.audio is not None
    assert batch.vision is not None
    return batch.audio, batch.vision


def masked_mean(hidden: Tensor, tokens: Tokens) -> Tensor:
    """(B, L, H) -> (B, H), the mean over true tokens, [CLS] and [SEP] included."""
    weights = tokens.mask.unsqueeze(2).to(hidden.dtype)  # (B, L, 1)
    return (hidden * weights).sum(1) / weights.sum(1)


@contextmanager
def changed(module: nn.Module, change: Change) -> Iterator[None]:
    """While open, what ``module`` returns passes through ``change``.

    This is how a method works inside an encoder (between embeddings and layers, or between two
    layers) whichever encoder it is.

    Args:
        module: Part of an encoder that returns hidden states (B, L, H).
        change: Applied to them.
    """
    handle = module.register_forward_hook(lambda _module, _inputs, hidden: change(hidden))
    try:
        yield
    finally:
        handle.remove()


class TokenEncoder(nn.Module):
    """Tokens -> the last hidden states of the corpus's pretrained encoder, all layers trained.

    Args:
        dims: Sizes of the corpus; names the encoder.
        pooler: Whether the network reads ``pooled``; otherwise the pooler is frozen, since no loss
            reaches it.

    Raises:
        SpecError: Without an encoder, or for one that lacks the pooler asked for.
    """

    def __init__(self, dims: Dims, *, pooler: bool = False) -> None:
        super().__init__()
        encoder = dims.need_encoder()
        self.size: int = encoder.hidden_size
        """H"""
        self.network = encoder.load()
        if pooler and getattr(self.network, "pooler", None) is None:
            raise SpecError("this system needs an encoder with a pooler, such as BERT")
        if not pooler:
            self.freeze_pooler()

    def freeze_pooler(self) -> None:
        """If there is one: it was trained for sentence pairs, and only some methods build on it."""
        layer = getattr(self.network, "pooler", None)
        if layer is not None:
            layer.requires_grad_(False)

    def forward(self, tokens: Tokens, *, embedded: Change | None = None) -> Tensor:
        """(B, L, H) last hidden states; those of padding carry no meaning.

        Args:
            tokens: What to encode.
            embedded: Applied to the output of the embedding layer, before the first layer.
        """
        return self._run(tokens, embedded)[0]

    def first(self, tokens: Tokens) -> Tensor:
        """(B, H) last hidden state of [CLS]."""
        return self.forward(tokens)[:, 0]

    def pooled(self, tokens: Tokens, *, embedded: Change | None = None) -> Tensor:
        """(B, H) output of the encoder's pooler: tanh of a linear map of [CLS]."""
        vector = self._run(tokens, embedded)[1]
        assert vector is not None
        return vector

    def _run(self, tokens: Tokens, embedded: Change | None) -> tuple[Tensor, Tensor | None]:
        with changed(self.network.get_submodule("embeddings"), embedded or _as_is):
            output = self.network(
                input_ids=tokens.ids,
                attention_mask=tokens.attended(self.network),
                token_type_ids=tokens.segments,
            )
        return output.last_hidden_state, output.pooler_output


def bert_groups(module: nn.Module, lr: float, weight_decay: float) -> list[ParameterGroup]:
    """Two optimiser groups of an encoder: biases and normalisations are not decayed.

    Source: the fine-tuning recipe published with BERT, which all systems here inherit.

    Args:
        module: An encoder.
        lr: Learning rate of both groups.
        weight_decay: Of everything but biases and normalisations.
    """
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    kept = [p for name, p in trained if _is_kept(name)]
    decayed = [p for name, p in trained if not _is_kept(name)]
    return [
        {"params": decayed, "lr": lr, "weight_decay": weight_decay},
        {"params": kept, "lr": lr, "weight_decay": 0.0},
    ]


def _is_kept(name: str) -> bool:
    return name.endswith("bias") or "norm" in name.lower()


def _as_is(hidden: Tensor) -> Tensor:
    return hidden
