"""Probes of a model: has it seen the test set, does it hear, does it look; with intervals."""

__all__ = ["estimate", "probes", "questions"]
