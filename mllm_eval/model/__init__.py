"""Zero-shot models: their cards (``cards/*.toml``), revisions, and small packaged ones."""

__all__ = ["card", "revision", "weights"]
