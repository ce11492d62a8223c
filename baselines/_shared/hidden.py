"""The last hidden states of any text encoder: BERT's kin, DeBERTa, XLNet.

``_shared.bert`` is for what builds on BERT's own parts: its embeddings, its pooler.

Shapes: B clips, L tokens, H hidden size of the encoder.
"""

from __future__ import annotations

from torch import Tensor, nn

from harness.data.batching import Tokens
from harness.system import Dims

__all__ = ["HiddenStates"]


class HiddenStates(nn.Module):
    """Tokens -> last hidden states of the corpus's pretrained encoder, all layers trained.

    Its pooler, if there is one, is left out. Every text is one segment, the default of all
    encoders, some of which know no other.

    Args:
        dims: Sizes of the corpus; names the encoder.

    Raises:
        SpecError: Without an encoder.
    """

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        encoder = dims.need_encoder()
        self.size: int = encoder.hidden_size
        """H"""
        self.network = encoder.load()
        if getattr(self.network, "pooler", None) is not None:
            self.network.register_module("pooler", None)

    def forward(self, tokens: Tokens) -> Tensor:
        """(B, L, H); those of padding carry no meaning."""
        seen = tokens.attended(self.network)
        hidden: Tensor = self.network(input_ids=tokens.ids, attention_mask=seen)[0]
        return hidden
