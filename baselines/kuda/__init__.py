"""KuDA: encoders taught by a corpus with uni-modal labels, fused by how far each can be trusted."""

from baselines.kuda.system import KUDA

__all__ = ["KUDA"]
