"""What several systems truly share: blocks of networks, padding, memory banks, ridges."""

__all__ = [
    "bert",
    "blocks",
    "contrast",
    "label_bank",
    "memory",
    "missing",
    "mlp",
    "multitask",
    "padding",
    "partial",
    "retrieval",
    "ridge",
    "schedules",
    "transformer",
    "words",
    "zero_steps",
]
