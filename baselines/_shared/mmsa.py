"""Numbers of MMSA's result table, which most later papers copy."""

from __future__ import annotations

from harness.system import Published

__all__ = ["mmsa_results"]

_SOURCE = "MMSA results/result-stat.md, regression"
_MOSI = ("acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "acc5", "acc7", "mae", "corr")
_SIMS = ("acc2", "acc3", "acc5", "f1", "mae", "corr")
_METRICS = {"mosi": _MOSI, "mosei": _MOSI, "sims": _SIMS, "simsv2": _SIMS}


def mmsa_results(**rows: tuple[float, ...]) -> tuple[Published, ...]:
    """One table row per dataset: accuracies and F1 in percent, MAE and Corr undivided.

    Args:
        rows: Dataset name -> values in the column order of ``_METRICS``.
    """
    return tuple(
        Published(
            dataset=dataset,
            metric=metric,
            value=value,
            source=_SOURCE,
            note="mean of seeds 1111-1115" + _percent(metric),
        )
        for dataset, values in rows.items()
        for metric, value in zip(_METRICS[dataset], values, strict=True)
    )


def _percent(metric: str) -> str:
    return "; printed times 100, divided here" if metric in ("mae", "corr") else "; percent"
