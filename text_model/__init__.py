"""TEXT: text-routed sparse mixture of experts with explanations and temporal alignment."""

__all__: list[str] = []
