"""The hyper-parameters of TEXT: sizes, training, ablations, and each repair by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.errors import SpecError
from harness.system import ClueParams, TrainingProgress, WarmParams, param
from text_model.encoders import EncoderSize
from text_model.routing import Routing

__all__ = ["TextParams"]

_WHEN = ("training", "always", "never")


@dataclass(frozen=True, kw_only=True)
class TextParams(ClueParams, WarmParams):
    """Hyper-parameters of TEXT; ``max_tokens`` is also what audio and vision are shortened to.

    Raises:
        SpecError: When ``top_k`` exceeds ``experts``, or nothing is left of audio or vision.
    """

    tokens: str = param(
        "transcript+summary",
        choices=("transcript", "corpus", "transcript+summary"),
        source="released command: transcript, a bar, the overall comment",
    )
    hidden: int = param(128, low=2, source="released code")
    heads: int = param(8, low=1, source="released code")
    head_size: int = param(64, low=1, source="released code")
    smoe_layers: int = param(3, low=1, source="released code, MOSI")
    dropout: float = param(0.1, low=0.0, high=1.0, source="released code: in the head only")

    lr: float = param(1e-4, low=0.0, source="released code: the text encoder included")
    weight_decay: float = param(1e-4, low=0.0, source="released code")
    batch_size: int = param(64, low=2, source="released code")
    loss: str = param("mse", choices=("l1", "mse"), source="released code")
    optimizer: str = param("adamw", choices=("adam", "adamw"), source="released code")
    schedule: str = param("cosine", choices=("cosine",), source="released code, by the epoch")
    warmup: float = param(0.1, low=0.0, high=1.0, source="released code: share of the horizon")
    horizon: int = param(200, low=2, source="released code: epochs until the rate is zero")
    epochs: int = param(200, low=0, source="released command")

    experts: int = param(5, low=1, source="released code; 1: a plain Transformer")
    top_k: int = param(3, low=1, source="released code")
    capacity_factor: float = param(1.0, low=0.0, source="released code")
    routing: str = param(
        "sparse", choices=("sparse", "dense"), source="released code; dense: every expert"
    )
    tokens_routed: int = param(
        153,
        choices=(153, 102),
        source="released code: text, audio and vision; 102, the figure: audio and vision",
    )
    audio_clue: bool = param(True, source="released code; False: the audio explanation is not read")
    visual_clue: bool = param(True, source="released code; False: the visual one is not read")
    streams: str = param(
        "all",
        choices=("all", "text"),
        source="released code; text: explanations in place of audio and vision features",
    )
    alignment: str = param("cross", choices=("cross", "linear"), source="released code")
    temporal: str = param(
        "conv", choices=("conv", "mamba", "cross", "none"), source="released code"
    )
    scan: str = param(
        "torch", choices=("torch", "mamba_ssm"), source="ours; what computes temporal = mamba"
    )
    gate: bool = param(True, source="released code; False: the mean of the three streams")

    noise: str = param("training", choices=_WHEN, source="repaired; released: always")
    capacity: str = param("training", choices=_WHEN, source="repaired; released: always")
    masks: bool = param(True, source="repaired; released: padding is read like anything else")
    frames: str = param(
        "pooled",
        choices=("pooled", "first"),
        source="repaired; released: 50 frames from the first that is not zero",
    )
    evaluation: str = param(
        "stored",
        choices=("stored", "shuffled"),
        source="repaired; released: in random order, in batches of the size of training's",
    )
    early_stop: bool = param(True, source="repaired; released: all epochs are trained")
    idle_epoch: bool = param(False, source="repaired; released: the first epoch has a rate of 0")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k > self.experts:
            raise SpecError(f"top_k should be at most experts, {self.experts}; found {self.top_k}")
        for name, explained in (("audio", self.hears), ("vision", self.sees)):
            if self.streams == "text" and not explained:
                raise SpecError(
                    f"of {name}, neither features nor an explanation would be read",
                    hint="bert_text is the system that reads the transcript only",
                )

    @property
    def hears(self) -> bool:
        """Whether the audio explanation is read."""
        return self.audio_clue and self.explanations != "none"

    @property
    def sees(self) -> bool:
        """Whether the visual explanation is read."""
        return self.visual_clue and self.explanations != "none"

    @property
    def streams_routed(self) -> int:
        """How many streams the mixture of experts encodes: 3, or 2 without the text."""
        return 3 if self.tokens_routed == 153 else 2

    @property
    def size(self) -> EncoderSize:
        """Widths of the blocks."""
        return EncoderSize(hidden=self.hidden, heads=self.heads, head_size=self.head_size)

    @property
    def routes(self) -> Routing:
        """How clips find their experts."""
        return Routing(
            experts=self.experts,
            top_k=self.experts if self.routing == "dense" else self.top_k,
            noise=self.noise,
            capacity=self.capacity,
            capacity_factor=self.capacity_factor,
        )

    def reads(self, inputs: frozenset[str]) -> frozenset[str]:
        """All inputs, less what the ablations leave out."""
        unread = {
            "audio_clue": not self.audio_clue,
            "visual_clue": not self.visual_clue,
            "summary": self.tokens != "transcript+summary",
            "audio": self.streams == "text",
            "vision": self.streams == "text",
        }
        return super().reads(inputs) - {name for name, left_out in unread.items() if left_out}

    def settled(self, epochs: int) -> int:
        """Epochs until the rate is at its peak."""
        return round(self.warmup * self.horizon) + self.idle_epoch

    def lr_factor(self, at: TrainingProgress) -> float:
        """By the epoch: linear warm-up, then half a cosine to zero at the horizon.

        The peak is held for one epoch more, as released.
        """
        epoch = at.epoch - 1 if self.idle_epoch else at.epoch
        warm = round(self.warmup * self.horizon)
        if epoch <= warm:
            return epoch / max(1, warm)
        share = (epoch - warm - 1) / max(1, self.horizon - warm)
        return 0.5 + 0.5 * math.cos(math.pi * min(1.0, share))
