"""ConFEDE: each stream split into a similar and a dissimilar half, contrasted with like clips."""

from baselines.confede.system import CONFEDE

__all__ = ["CONFEDE"]
