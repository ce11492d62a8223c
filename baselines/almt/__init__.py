"""ALMT: language, at several depths, decides what is taken from audio and vision."""

from baselines.almt.system import ALMT

__all__ = ["ALMT", "blocks"]
