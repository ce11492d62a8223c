"""Released weights in place of training: evaluated as what the training loop returns is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness._util.seeds import derive
from harness.data.corpus import Split
from harness.errors import SpecError
from harness.spec import PredictionCell
from harness.system import Dims, Fitted, System, Task, TrainingParams
from harness.training.features import batches_of
from harness.training.fit import evaluated, prepared, seed_torch

__all__ = ["PASSES", "fit_released"]

PASSES = 5
"""Over the clips of a split where the next pass gives other predictions: the first counts."""


def fit_released(system: System, task: Task, params: TrainingParams, file: Path) -> Fitted:
    """The network of a released checkpoint, ready to predict; nothing is trained.

    Where its predictions change from pass to pass, further passes are stored as variants
    (``PredictionCell.of_pass``), so that the noise can be measured in any metric.

    Args:
        system: One with a released layout.
        task: Where it predicts; the seed is that of the noise, if there is any.
        params: Sizes and how it is evaluated; what is about training is not read.
        file: The checkpoint.

    Raises:
        SpecError: For a system without a released layout.
        DataError: For a file that is no such checkpoint, or does not fit the corpus or encoder.
    """
    if system.released is None:
        raise SpecError(f"system {system.name} has no released layout")
    seed_torch(derive(task.seed, "weights"))
    network = system.released(file, Dims.of(task.train.corpus, task.encoder), params)
    network = prepared(network.to(task.device), params)
    seed_torch(derive(task.seed, "evaluation"))
    valid = batches_of(system, task.valid, task, params)
    fitted = evaluated(system, task, params, network, valid)
    if fitted.stability is None or not fitted.stability["again"]["max"]:
        return fitted

    def passes(split: Split) -> dict[str, NDArray[np.float64]]:
        found = {} if fitted.variants is None else dict(fitted.variants(split))
        for number in range(2, PASSES + 1):
            found[str(PredictionCell.of_pass(number))] = fitted.predict(split)
        return found

    return dataclasses.replace(fitted, variants=passes, report={**fitted.report, "passes": PASSES})
