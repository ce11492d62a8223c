"""Model servers in an environment of their own: vLLM, and transformers as the reference."""

__all__ = ["environment", "process", "reference"]
