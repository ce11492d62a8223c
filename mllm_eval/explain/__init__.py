"""Explanations for TEXT: asked for, checked against rules, and paraphrased as a control."""

__all__ = ["paraphrase", "write"]
