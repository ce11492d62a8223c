"""What several systems truly share: blocks of networks, padding, memory banks."""

__all__ = [
    "bert",
    "blocks",
    "contrast",
    "dropout",
    "hidden",
    "label_bank",
    "memory",
    "missing",
    "mlp",
    "multitask",
    "padding",
    "partial",
    "retrieval",
    "schedules",
    "stages",
    "transformer",
    "windows",
    "word_rows",
    "words",
    "zero_steps",
]
