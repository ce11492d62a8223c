"""What a model is shown of a clip: frames, sound and transcript, cut here and not by a server."""

__all__ = ["clips", "content", "sampling"]
