"""ConKI: adapters that were taught by another corpus, beside encoders that were not."""

from baselines.conki.system import CONKI

__all__ = ["CONKI"]
