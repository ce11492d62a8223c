"""Recordings of clips: where they are, and what is decoded from them.

``locate`` finds the recording or the segment of a clip, ``decode`` reads frames and sound with
PyAV, ``measure`` decodes a whole recording and holds it against what its header says.
"""

__all__ = ["decode", "locate", "measure"]
