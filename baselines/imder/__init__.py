"""IMDer: streams that are missing are drawn by diffusion, given those that are there."""

from baselines.imder.system import IMDER, DiffusedStreams, IMDerParams

__all__ = ["IMDER", "DiffusedStreams", "IMDerParams"]
