"""Does an engine compute what another one does? A few questions with known behaviour."""

__all__ = ["check", "items"]
