"""Recordings of clips: where they are, and what is decoded from them.

``locate`` finds the recording or the segment of a clip, ``decode`` reads frames and sound with
PyAV.
"""

__all__ = ["decode", "locate"]
