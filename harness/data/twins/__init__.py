"""Twins: synthetic corpora with the shapes of the real ones and known ceilings.

``generate`` makes one from its name; the others say what a twin plants (``law``), from which
recipe, and how truth, streams, texts and words follow from it; ``census`` makes its numbers look
like those of a real file. A twin is called one everywhere.
"""

__all__ = ["census", "generate", "words"]
