"""The only training loop: seeds, batches, optimisers, schedules, stages, selection, early stop.

A network sees batches and nothing else. After every epoch the loop predicts the validation split
(for selection) and the watched split (kept as a curve for selection studies, never scored here).
"""

from harness.training.checkpoint import kept_epoch
from harness.training.evaluation import predict
from harness.training.features import batches_of
from harness.training.fit import built, fit_network, loop_of, prepared, untrained
from harness.training.loop import Loop
from harness.training.optimisation import OptimiserPass, clip_losses, total_loss
from harness.training.precision import set_precision
from harness.training.released import fit_released

__all__ = [
    "Loop",
    "OptimiserPass",
    "batches_of",
    "built",
    "clip_losses",
    "fit_network",
    "fit_released",
    "kept_epoch",
    "loop_of",
    "predict",
    "prepared",
    "set_precision",
    "total_loss",
    "untrained",
]
