"""The command that brings a corpus here, told from its name."""

from __future__ import annotations

from harness.data.datasets import datasets

__all__ = ["command_for"]

_LABELS = "label-csv"
_EXPLAINED = "-explained"


def command_for(name: str) -> str:
    """What to type so that a corpus of real data is stored under ``name``.

    Args:
        name: ``dataset@feature-set``.

    Example:
        >>> command_for("mosi@unaligned-50")
        'msa data add unaligned_50.pkl --dataset mosi'
        >>> command_for("sims@label-csv-en")
        'msa data add label.csv --dataset sims --text text_en'
        >>> command_for("mosi@unaligned-50-explained")
        'msa data explain mosi@unaligned-50 texts.csv --kind video_mllm'
        >>> command_for("mosi@own")
        'msa data add FILE.pkl --dataset mosi --feature-set own'
    """
    dataset, mark, features = name.partition("@")
    if not (mark and features and dataset in datasets):
        return "msa data add FILE --dataset NAME"
    if features.endswith(_EXPLAINED):
        return f"msa data explain {name.removesuffix(_EXPLAINED)} texts.csv --kind video_mllm"
    add = f"--dataset {dataset}"
    if features == _LABELS:
        return f"msa data add label.csv {add}"
    if features.startswith(f"{_LABELS}-"):
        return f"msa data add label.csv {add} --text text_{features.removeprefix(_LABELS)[1:]}"
    if features in datasets[dataset].shapes:
        return f"msa data add {features.replace('-', '_')}.pkl {add}"
    return f"msa data add FILE.pkl {add} --feature-set {features}"
