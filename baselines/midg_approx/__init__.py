"""An approximation of MIDG: invariant experts over subsets of modalities, cross-modal adapters."""

from baselines.midg_approx.system import MIDG_APPROX

__all__ = ["MIDG_APPROX", "system"]
