"""Reading files of tensors that may be damaged or hostile."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["load_tensors"]

_RAISED = (  # by torch, for files that are damaged, hostile or something else
    *(pickle.UnpicklingError, struct.error, zipfile.BadZipFile, RuntimeError, EOFError),
    *(LookupError, ValueError, TypeError, AttributeError, AssertionError, OverflowError),
    MemoryError,
)


def load_tensors(source: Path | IO[bytes], device: torch.device | str = "cpu") -> object:
    """The content of a file written by ``torch.save``, tensors and plain containers only.

    Args:
        source: The file, or its bytes opened.
        device: Where tensors go.

    Raises:
        OSError: When the file cannot be opened.
        ValueError: When it cannot be read, in one line; nothing in it was executed.
    """
    import torch

    try:
        content: object = torch.load(source, map_location=device, weights_only=True)
    except _RAISED as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(first) from error
    return content
