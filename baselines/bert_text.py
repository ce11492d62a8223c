"""BERT-text and RoBERTa-text: a fine-tuned text encoder and one linear layer.

Without these rows a board misleads: a strong encoder alone rivals many multimodal systems.

Shapes: B clips, L tokens, H hidden size of the encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from harness.data.batching import Batch
from harness.spec import Scalar
from harness.system import Card, Dims, Network, Output, System, TokenParams, param

__all__ = ["BERT_TEXT", "ROBERTA_TEXT", "BertText", "BertTextParams", "RobertaTextParams"]


@dataclass(frozen=True, kw_only=True)
class BertTextParams(TokenParams):
    """Hyper-parameters for BERT-base; the presets adapt them to smaller encoders."""

    encoder: str = param("minilm-l6", source="ours: small, permissive, fetched as a package")
    max_tokens: int = param(128, low=3, high=512, source="ours; MMSA keeps 50")
    dropout: float = param(0.1, low=0.0, high=1.0, source="BERT")
    lr: float = param(2e-5, low=0.0, source="BERT")
    weight_decay: float = param(0.01, low=0.0, source="BERT")
    optimizer: str = param("adamw", choices=("adam", "adamw"), source="BERT")
    schedule: str = param("linear", choices=("constant", "linear"), source="BERT")
    warmup: float = param(0.1, low=0.0, high=1.0, source="BERT")
    epochs: int = param(5, low=0, source="ours; the BERT paper fine-tunes for 2 to 4")


@dataclass(frozen=True, kw_only=True)
class RobertaTextParams(BertTextParams):
    """As for BERT-base, with the larger encoder."""

    encoder: str = param("roberta-large", source="RoBERTa; the log whose numbers the card shows")


class BertText(Network):
    """y = w · dropout(h_[CLS]) + b.

    Segment ids are not passed: every text is one segment, the encoder's default, and RoBERTa knows
    no second one. RoBERTa counts positions by its own padding id, which ours (0) is not; padding
    stands behind the text, so that the text's positions are right and the mask hides the rest.
    """

    def __init__(self, dims: Dims, params: BertTextParams) -> None:
        super().__init__()
        self.encoder = dims.need_encoder().load()
        pooler = getattr(self.encoder, "pooler", None)
        if pooler is not None:  # trained for sentence pairs, absent from many checkpoints: unused
            pooler.requires_grad_(False)
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(dims.need_encoder().hidden_size, 1)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch."""
        assert batch.tokens is not None
        tokens = batch.tokens
        seen = tokens.attended(self.encoder)
        hidden: Tensor = self.encoder(input_ids=tokens.ids, attention_mask=seen)[0]
        return Output(self.head(self.dropout(hidden[:, 0])).squeeze(1))  # (B, L, H) -> (B,)


# Of 2e-5 and 1e-4 the larger wins for both, on the validation splits of MOSI and CH-SIMS, one seed.
_ENGLISH: Mapping[str, Scalar] = {"encoder": "minilm-l6", "lr": 1e-4}
_CHINESE: Mapping[str, Scalar] = {"encoder": "m3e-small", "lr": 1e-4}

BERT_TEXT = System(
    name="bert_text",
    card=Card(
        title="Fine-tuned text encoder",
        paper="Devlin, Chang, Lee, Toutanova. BERT: Pre-training of Deep Bidirectional"
        " Transformers for Language Understanding. NAACL 2019",
        year=2019,
        url="https://aclanthology.org/N19-1423",
        text="T-BERT",
        unlisted="the paper scores none of these datasets",
        deviations=(
            "The presets use small encoders at a larger learning rate (ours). BERT-base is one"
            ' argument away: encoder = "bert-base-uncased" (or "bert-base-chinese"), lr = 2e-5',
            "The pre-trained pooler is kept but neither used nor trained",
        ),
    ),
    params=BertTextParams,
    presets={"mosi": _ENGLISH, "mosei": _ENGLISH, "sims": _CHINESE, "simsv2": _CHINESE},
    inputs=frozenset({"tokens"}),
    build=BertText,
)

ROBERTA_TEXT = System(
    name="roberta_text",
    card=Card(
        title="Fine-tuned RoBERTa-large",
        paper="Liu, Ott, Goyal, Du, Joshi, Chen, Levy, Lewis, Zettlemoyer, Stoyanov. RoBERTa: A"
        " Robustly Optimized BERT Pretraining Approach. arXiv:1907.11692",
        year=2019,
        url="https://arxiv.org/abs/1907.11692",
        text="T-BERT",
        deviations=(
            "Learning rate and schedule are those of BERT-text; the log does not state its own",
            "The Chinese presets take a BERT of the same size that was trained as RoBERTa is",
            "The pre-trained pooler is kept but neither used nor trained",
        ),
    ),
    params=RobertaTextParams,
    presets={
        "sims": {"encoder": "hfl/chinese-roberta-wwm-ext-large"},
        "simsv2": {"encoder": "hfl/chinese-roberta-wwm-ext-large"},
    },
    inputs=frozenset({"tokens"}),
    build=BertText,
)
