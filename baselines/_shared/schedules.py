"""Learning rates as released code moves them, where the harness's own schedule is another one."""

from __future__ import annotations

import math

from harness.system import TrainingParams, TrainingProgress

__all__ = ["cosine_by_epoch", "from_zero"]


def cosine_by_epoch(at: TrainingProgress, warmup: float) -> float:
    """Linear warm-up from zero, then half a cosine, once per epoch; the first one has rate zero.

    Args:
        at: Where training stands.
        warmup: Share of the epochs.
    """
    done, warm = at.epoch - 1, warmup * at.epochs
    if done <= warm:
        return done / warm
    decayed = (done - 1 - math.floor(warm)) / (at.epochs - warm)
    return 0.5 + 0.5 * math.cos(math.pi * decayed)


def from_zero(params: TrainingParams, at: TrainingProgress) -> float | None:
    """The factor of a warm-up by step whose first step has rate zero; None once it is over."""
    warm = round(params.warmup * at.steps)
    return at.step / warm if at.step < warm else None
