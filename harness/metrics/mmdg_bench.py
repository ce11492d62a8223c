"""The metric that MMDG-Bench chooses epochs and compares methods by."""

from harness.metrics.base import Metric
from harness.metrics.classification import ClassScore, accuracy, positive

__all__ = ["ACC2_POSITIVE"]

ACC2_POSITIVE = Metric(
    name="acc2_positive",
    title="Acc-2 positive",
    definition="mean [(p > 0) = (y > 0)] over all clips: zero counts as negative, whatever the"
    " dataset",
    functions=dict.fromkeys(("transfer_mosi", "transfer_sims"), ClassScore(accuracy, positive)),
    source="MMDG-Bench, MMSA/utils/util.py",
    percent=True,
)
