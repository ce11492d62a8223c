"""QA-MoE (ACL 2026) once more, from what a digest of its paper says of it.

Each modality is a Gaussian with a variance per feature; meaning alone chooses experts, and quality
acts on what they answer. The first reconstruction and its parts are ``baselines.qa_moe``.

Shapes: B clips, M = 3 modalities (text, audio, vision), H hidden size, E experts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, softplus

from baselines._shared.bert import TokenEncoder, audio_vision, masked_mean, tokens_of
from baselines.qa_moe.parts import (
    GatedExpert,
    QAMoEStreamEncoder,
    bounded,
    gaussian_nll,
    top_weights,
)
from baselines.qa_moe.system import presence
from harness.data.batching import Batch
from harness.data.corpus import STREAMS
from harness.spec import Scalar
from harness.system import (
    Card,
    Dims,
    Network,
    Output,
    ParameterGroup,
    Stage,
    System,
    TokenParams,
    TrainingParams,
    param,
)
from harness.system.gates import Gate

__all__ = ["QA_MOE_PAPER", "QAMoEPaperParams", "QualityAfterExperts"]

_A, _B, _GUESS = "[A]", "[B]", "[guess]"
"""Where a statement comes from; the card says what they are."""


@dataclass(frozen=True, kw_only=True)
class QAMoEPaperParams(TokenParams):
    """Hyper-parameters of QA-MoE by its paper; ``lr`` is that of all but the text encoder."""

    hidden: int = param(128, low=1, source=f"{_B}; divisible by heads and fusion_heads")
    feed_size: int = param(256, low=1, source=f"{_B}, Transformer width, read as feed-forward")
    heads: int = param(4, low=1, source=_B)
    layers: int = param(2, low=1, source=f"{_B}; of the encoders of streams")
    spread: str = param(
        "deviation",
        choices=("deviation", "variance"),
        source=f"{_GUESS} what the Softplus is of: σ or σ²; the digest's formula lost its signs",
    )
    experts: int = param(8, low=1, source=_A)
    top_k: int = param(3, low=1, source=f"{_A}; experts per modality")
    expert_size: int = param(256, low=1, source=f"{_GUESS} hidden units of an expert")
    fusion: str = param(
        "concat",
        choices=("concat", "attention"),
        source=f"{_GUESS} the paper's standard layer: linear and GELU on three tokens side by side,"
        " or a Transformer layer over them and their mean",
    )
    fusion_heads: int = param(4, low=1, source=f"{_GUESS} of the fusion by attention")
    gate: bool = param(True, source=f"{_A}, ablation; false: every r is 1, no prior is heard")
    dropout: float = param(
        0.1,
        low=0.0,
        high=1.0,
        source=f"{_A}; where: {_GUESS} encoders of streams, tokens, fusion",
    )
    frozen_epochs: int = param(5, low=0, source=f"{_B}; then the text encoder learns")
    encoder_lr: float = param(1e-5, low=0.0, source=_B)
    lr: float = param(1e-4, low=0.0, source=f"{_B}; the paper's is unknown")
    weight_decay: float = param(0.0, low=0.0, source=f"{_GUESS} none with Adam")
    batch_size: int = param(16, low=2, source=f"{_B}; the paper's is unknown")
    optimizer: str = param("adam", choices=("adam", "adamw"), source=_A)
    schedule: str = param(
        "cosine", choices=("constant", "linear", "cosine"), source=f"{_A}, annealing"
    )
    clip_norm: float = param(1.0, low=0.0, source=f"{_A} for the clipping, {_GUESS} for its norm")
    epochs: int = param(30, low=0, source=f"{_B}; the paper's are unknown")
    patience: int = param(
        30, low=1, source=f"{_GUESS} as many as epochs, so that annealing ends; [B] stops after 7"
    )
    training_corruption: str = param(
        "none",
        source=f"{_A}: none for clean tables; batch for the spectrum, where the bound of 1 on both"
        " strengths and noise of one deviation are guesses (batch@0.7: up to those tested)",
    )


class FeatureGaussian(nn.Module):
    """N(μ, diag σ²): μ = W_μ u + b_μ, and Softplus(W_σ u + b_σ) is σ, or σ².

    Args:
        hidden: H.
        spread: ``deviation`` or ``variance``: what the Softplus is.
    """

    def __init__(self, hidden: int, spread: str) -> None:
        super().__init__()
        self.mean = nn.Linear(hidden, hidden)
        self.spread = nn.Linear(hidden, hidden)
        self._is_variance = spread == "variance"

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H) -> μ and σ², (B, H) each."""
        positive = softplus(self.spread(vector))
        return self.mean(vector), positive if self._is_variance else positive.square()


def quality_of(variances: Tensor) -> Tensor:
    """(..., H) -> (...), in (0, 1): 1 / (1 + the mean of the variances)."""
    return 1 / (1 + variances.mean(-1))


def drawn(means: Tensor, variances: Tensor) -> Tensor:
    """One sample of N(μ, diag σ²) for every row; a variance of zero has a gradient, too."""
    tiny = torch.finfo(variances.dtype).tiny
    return means + torch.randn_like(means) * (variances + tiny).sqrt()


@dataclass(frozen=True, eq=False)
class Answers:
    """What the experts make of B clips.

    Args:
        tokens: (B, M, H) y_m.
        weights: (B, M, E) g_k, zero for experts that are not chosen.
    """

    tokens: Tensor
    weights: Tensor


class QualityAfterExperts(Network):
    """y = W_y h + b_y, h = fusion(y_text, y_audio, y_vision).

    y_m = r_m Σ_k g_k(μ_m) E_k(z_m) + (1 - r_m) y_prior, z_m ~ N(μ_m, diag σ_m²). Experts E_k and
    prior are common to all modalities; the mean alone chooses and weighs three of eight experts;
    the quality r_m falls as the mean of σ_m² grows.
    """

    def __init__(self, dims: Dims, params: QAMoEPaperParams) -> None:
        super().__init__()
        self.params = params
        self.unit = (dims.high - dims.low) / 6  # labels counted as on [-3, 3]
        hidden, sizes = params.hidden, {name: dims.need(name)[1] for name in STREAMS[1:]}
        self.encoder = TokenEncoder(dims)
        self.learned = [p for p in self.encoder.parameters() if p.requires_grad]
        self.project = nn.Linear(self.encoder.size, hidden)
        self.streams = nn.ModuleDict(
            {
                name: QAMoEStreamEncoder(
                    size,
                    hidden,
                    heads=params.heads,
                    layers=params.layers,
                    feed_size=params.feed_size,
                    dropout=params.dropout,
                )
                for name, size in sizes.items()
            }
        )
        self.features = nn.ModuleDict({m: FeatureGaussian(hidden, params.spread) for m in STREAMS})
        self.judgement = Gate("quality", of=STREAMS) if params.gate else nn.Identity()
        self.routers = nn.ModuleDict({m: nn.Linear(hidden, params.experts) for m in STREAMS})
        self.experts = nn.ModuleList(
            GatedExpert(hidden, params.expert_size) for _ in range(params.experts)
        )
        self.prior = nn.Parameter(0.02 * torch.randn(hidden))
        self.dropout = nn.Dropout(params.dropout)
        self.fusion = _fusion(params)
        self.head = nn.Linear(hidden, 1)
        self.doubt = nn.Linear(hidden, 1)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; features are drawn in training, their means in evaluation."""
        means, variances = self.read(batch)  # (B, M, H) each
        own = quality_of(variances)  # (B, M)
        quality = self.judgement(own if self.params.gate else torch.ones_like(own))
        answers = self.answer(means, drawn(means, variances) if self.training else means, quality)
        whole = self.fuse(answers.tokens)  # (B, H)
        score = self.head(whole).squeeze(1)  # (B,) on [-3, 3]
        doubt = bounded(self.doubt(whole).squeeze(1))  # log σ² of the prediction
        told = {
            "quality": quality,
            "routing": answers.weights.mean(1),
            "deviation": (doubt / 2).exp() * self.unit,
        }
        if not self.training:
            return Output(score * self.unit, diagnostics=told)
        likelihood = gaussian_nll(score - batch.labels / self.unit, doubt)
        return Output(score * self.unit, {"task": likelihood.mean()}, told)

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Means and variances (B, M, H); a missing modality is a vector of zeros."""
        tokens, streams = tokens_of(batch), zip(STREAMS[1:], audio_vision(batch), strict=True)
        vectors = {"text": self.project(masked_mean(self.encoder(tokens), tokens))}
        vectors |= {name: self.streams[name](stream) for name, stream in streams}
        there = dict(zip(STREAMS, presence(batch).unbind(1), strict=True))  # (B,) each
        found = [self.features[m](vectors[m] * there[m].unsqueeze(1)) for m in STREAMS]
        means, variances = zip(*found, strict=True)
        return torch.stack(means, dim=1), torch.stack(variances, dim=1)

    def answer(self, means: Tensor, features: Tensor, quality: Tensor) -> Answers:
        """What is made of features (B, M, H) by experts that their means (B, M, H) choose.

        Args:
            means: μ.
            features: z, samples or the means again.
            quality: (B, M) how far the experts are heard, the prior being heard for the rest.
        """
        places = enumerate(STREAMS)
        logits = torch.stack([self.routers[m](means[:, i]) for i, m in places], dim=1)  # (B, M, E)
        weights = top_weights(logits, self.params.top_k)
        said = torch.stack([expert(features) for expert in self.experts], dim=2)  # (B, M, E, H)
        heard = (weights.unsqueeze(3) * said).sum(2)  # (B, M, H)
        share = quality.unsqueeze(2)
        return Answers(share * heard + (1 - share) * self.prior, weights)

    def fuse(self, tokens: Tensor) -> Tensor:
        """Three tokens (B, M, H) -> (B, H)."""
        tokens = self.dropout(tokens)
        if self.params.fusion == "attention":
            mean: Tensor = self.fusion(tokens).mean(1)
            return mean
        fused: Tensor = self.dropout(gelu(self.fusion(tokens.flatten(1))))
        return fused

    def begin_epoch(self, epoch: int) -> None:
        """Freeze the text encoder, its projection included, or let it learn."""
        for weight in (*self.learned, *self.project.parameters()):
            weight.requires_grad_(epoch > self.params.frozen_epochs)

    def parameter_groups(self, params: TrainingParams) -> list[ParameterGroup]:
        """The text encoder at its own rate, all else at ``lr``."""
        encoder = {id(p) for p in self.encoder.parameters()}
        return [
            {"params": [p for p in self.parameters() if id(p) not in encoder]},
            {"params": self.learned, "lr": self.params.encoder_lr},
        ]

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        """One, that ends with its rate."""
        return (Stage(patience=self.params.patience),)


def _fusion(params: QAMoEPaperParams) -> nn.Module:
    hidden = params.hidden
    if params.fusion == "attention":
        return nn.TransformerEncoderLayer(
            hidden, params.fusion_heads, params.feed_size, params.dropout, batch_first=True
        )
    return nn.Linear(len(STREAMS) * hidden, hidden)


_PRESETS: dict[str, dict[str, Scalar]] = {
    "mosi": {"encoder": "bert-base-uncased", "max_tokens": 50},
    "mosei": {"encoder": "bert-base-uncased", "max_tokens": 50},
    "sims": {"encoder": "bert-base-chinese", "max_tokens": 39},
    "simsv2": {"encoder": "bert-base-chinese", "max_tokens": 50},
}

QA_MOE_PAPER = System(
    name="qa_moe@paper",
    card=Card(
        title="QA-MoE (ACL 2026), by a digest of its paper",
        paper="Zhu, Jiang, Jiang, Hou, Zhou, Lin, Wang. QA-MoE: Towards a Continuous Reliability"
        " Spectrum with Quality-Aware Mixture of Experts for Robust Multimodal Sentiment Analysis."
        " ACL 2026, pages 31689-31703; arXiv 2604.05704",
        year=2026,
        url="https://aclanthology.org/2026.acl-long.1461/",
        text="T-BERT",
        deviations=(
            f"{_GUESS} A reconstruction: neither the paper's body nor its released code was at"
            " hand. [A] is a digest of the official PDF, with five formulas, that a language model"
            " wrote (nanless/audio-paper-digest-blog, bd18e96); [B] a program that imports the"
            " authors' code (Pineapplee01/CMATHUAWEI2026, 97ce344); [guess] is ours",
            f"{_A} Not the QA-MoE of Sun and Sheng (IJCAI 2026), another method of the same name",
            f"{_A} Every modality is N(μ, diag σ²): μ = W_μ u + b, and a Softplus of W_σ u + b"
            " keeps the spread of each feature above zero",
            f"{_GUESS} The Softplus is σ (spread = variance: σ²); each modality has maps of its"
            " own; features are drawn in training and are their means in evaluation",
            f"{_A} Quality is the reciprocal of the mean of the variances, in (0, 1)",
            f"{_GUESS} 1 is added to that mean, which keeps quality below 1",
            f"{_A} A softmax of the mean μ alone weighs eight gated linear units, of which three"
            " are heard",
            f"{_GUESS} Experts are common to all modalities, routers are not; the softmax is over"
            " the three chosen; experts are 256 wide, and no loss balances them",
            f"{_A} Quality acts on the answer: y = r Σ g E(z) + (1 - r) y_prior, with one"
            " learnable prior for all",
            f"{_A} Three such tokens, a standard fusion layer, and two heads: the prediction, and"
            " the logarithm of its variance",
            f"{_GUESS} That layer is linear with GELU on the tokens side by side (fusion ="
            " attention: a Transformer layer and the mean); the logarithm is kept within [-8, 5]",
            f"{_A} One loss, the heteroscedastic negative log-likelihood of the final prediction:"
            " quality is learned through it alone",
            f"{_GUESS} Labels count as on [-3, 3] in it, so that its variance means the same"
            " everywhere",
            f"{_A} Clean tables are of a network trained on clean clips: training_corruption ="
            " none is the default, and 53.6 % Acc-7 on CMU-MOSI is its number",
            f"{_A} For the spectrum, training_corruption = batch: one λ and one η ~ U for each"
            " batch, noise in proportion to the deviation of audio and vision, words lost with"
            " probability λ, then whole modalities with probability η: (1 - I)(u + ε)",
            f"{_GUESS} There λ and η reach 1 (batch@0.7: the greatest that are tested), noise of λ"
            " = 1 has one deviation of the training frames, a lost word is [UNK] and end tokens"
            " stay, as in every condition here; modalities are lost clip by clip",
            f"{_B} Of a clip's three modalities one is never lost",
            f"{_GUESS} A missing modality is u = 0, that formula at the encoder's output, so that"
            " biases alone say what it means; no flag sets its quality to zero",
            f"{_A} Adam, dropout 0.1, clipped gradients, cosine annealing",
            f"{_GUESS} Dropout is in the encoders of streams, on the tokens and after the fusion;"
            " gradients are clipped at a norm of 1; Adam has no decay; nothing stops annealing"
            " before its end",
            f"{_B} Encoders (Transformers of two layers, width 128, four heads), learning rates,"
            " batches of 16, 30 epochs, and a text encoder that is frozen for five of them, its"
            " projection, too",
            f"{_GUESS} Positions, means over true steps, BERT alone (the paper has GloVe, too);"
            " MOSEI, CH-SIMS and v2 have the settings of MOSI",
        ),
        declares={
            "parameters": "an expert that no clip chooses gets no gradient, and no loss balances"
            " them, as the digest tells it"
        },
    ),
    params=QAMoEPaperParams,
    presets=_PRESETS,
    inputs=frozenset({"tokens", "audio", "vision"}),
    build=QualityAfterExperts,
)
