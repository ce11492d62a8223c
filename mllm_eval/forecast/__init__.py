"""What asking a model takes, said before anything is asked and without a server."""

__all__ = ["estimates", "explanations", "surveys"]
