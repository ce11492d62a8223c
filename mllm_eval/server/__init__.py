"""Model servers in an environment of their own: vLLM, and transformers as the reference."""

__all__ = ["command", "environment", "process", "reference"]
