"""Optional packages: which extra brings each of them, and the one line where one is missing.

``pip install msa-harness`` scores, compares, submits and draws boards. Training, trackers, figures,
recordings and language models need packages of their own, grouped into extras. They are imported
where they are used, and nothing has to check for them first: the command line turns the import that
fails into ``MissingExtra``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from harness.errors import MissingExtra

__all__ = ["EXTRAS", "explained", "load", "missing"]

EXTRAS: Final[Mapping[str, Mapping[str, str]]] = {
    "train": {
        "torch": "PyTorch",
        "transformers": "Transformers",
        "huggingface_hub": "Hugging Face Hub",
        "tokenizers": "Tokenizers",
        "safetensors": "Safetensors",
        "sklearn": "scikit-learn",
    },
    "mlflow": {"mlflow": "MLflow", "sqlalchemy": "SQLAlchemy"},
    "tensorboard": {"tensorboard": "TensorBoard"},
    "postgresql": {"psycopg": "the driver psycopg"},
    "figures": {"matplotlib": "Matplotlib"},
    "encoders": {"pip": "pip"},
    "media": {"av": "PyAV"},
    "mllm": {"gguf": "gguf", "accelerate": "Accelerate", "uv": "uv", "PIL": "Pillow"},
    "ray": {"ray": "Ray"},
    "tune": {"optuna": "Optuna"},
    "mamba": {"mamba_ssm": "mamba-ssm with its compiled kernels"},
    "extract": {
        "opensmile": "openSMILE",
        "librosa": "librosa",
        "mediapipe": "MediaPipe 0.10.14",
        "faster_whisper": "faster-whisper",
    },
}
"""Extra -> module imported -> what people call it. A module stands under its smallest extra."""


def load(module: str) -> Any:  # noqa: ANN401 - modules that may be absent where types are checked
    """Import a module of an optional package.

    Raises:
        MissingExtra: When the package, or one that it needs, is not installed.
    """
    with explained():
        return importlib.import_module(module)


@contextmanager
def explained() -> Iterator[None]:
    """Turn a failed import of an optional package into the line that says what to install.

    Raises:
        MissingExtra: In place of the ``ModuleNotFoundError`` of an optional package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or _home_of(error.name) is None:
            raise
        raise missing(error.name) from error


def missing(module: str) -> MissingExtra:
    """The error of an optional package that is not installed, or not whole.

    Args:
        module: What is imported of it, dotted; of no extra of ours for the package of a plug-in.
    """
    extra, called = _home_of(module) or (None, module)
    wanted = called if extra is None else f'"msa-harness[{extra}]"'
    return MissingExtra(
        f"this needs {called}, which is not installed", hint=f"pip install {wanted}"
    )


def _home_of(module: str) -> tuple[str, str] | None:
    """The extra that brings a module, and what its package is called."""
    top = module.partition(".")[0]
    return next(((extra, called[top]) for extra, called in EXTRAS.items() if top in called), None)
