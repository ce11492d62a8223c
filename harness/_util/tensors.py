"""Reading files of tensors that may be damaged or hostile."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import struct
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from harness._util.budget import Budget

if TYPE_CHECKING:
    import torch

__all__ = ["load_tensors", "need_plain_tensors"]

_MOST_MEMBERS = 20_000  # tensors of a checkpoint, each a file of the archive
_STEP = 1024  # bytes charged per instruction of its pickle: what it makes, and its time
_PICKLES = 5  # that an old file of torch.save begins with
_END = b"PK\x05\x06"
_NAMES = re.compile(
    r"collections OrderedDict|torch (Size|device|\w+Storage|(b?float|u?int|complex)\d+|bool)"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch\.storage \w+Storage"
    r"|torch\.serialization _get_layout"
)
"""What a file of tensors calls; of what torch allows beside them, some take memory that they name
(``bytearray`` a number of bytes)."""

_RAISED = (  # by torch, for files that are damaged, hostile or something else
    *(pickle.UnpicklingError, struct.error, zipfile.BadZipFile, RuntimeError, EOFError),
    *(LookupError, ValueError, TypeError, AttributeError, AssertionError, OverflowError),
    MemoryError,
)


def load_tensors(
    source: Path | IO[bytes], device: torch.device | str = "cpu", *, mapped: bool = False
) -> object:
    """The content of a file written by ``torch.save``, tensors and plain containers only.

    Args:
        source: The file, or its bytes opened.
        device: Where tensors go.
        mapped: Whether tensors of a file are read only where somebody looks at them.

    Raises:
        OSError: When the file cannot be opened.
        ValueError: When it cannot be read, in one line; nothing in it was executed.
    """
    import torch

    try:
        content: object = torch.load(
            source, map_location=device, weights_only=True, mmap=mapped or None
        )
    except _RAISED as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(first) from error
    return content


def need_plain_tensors(path: Path, budget: Budget) -> None:
    """Refuse a file of ``torch.save`` that would unfold: nothing in it is executed to tell.

    What torch writes is not compressed, so that no part of it is larger than the file.

    Args:
        path: The file.
        budget: What its content is charged to.

    Raises:
        OSError: When it cannot be read.
        HarnessError: The budget's error.
        ValueError: When it is compressed, has parts that overlap or too many of them, or calls
            anything but what makes tensors.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) == b"PK\x03\x04":
                _need_plain_archive(path, budget)
                return
            file.seek(0)
            for _ in range(_PICKLES):
                _need_tensor_calls(file, budget)
    except (*_RAISED, NotImplementedError) as error:
        raise ValueError(str(error)) from error


def _need_plain_archive(path: Path, budget: Budget) -> None:
    if (count := _members(path, budget.size)) > _MOST_MEMBERS:
        raise ValueError(f"{count:,} parts, {_MOST_MEMBERS:,} at most")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            if member.compress_type or member.file_size != member.compress_size:
                raise ValueError(f"the part {member.filename[:100]} is compressed")
        if (size := sum(member.file_size for member in members)) > budget.size:
            raise ValueError(f"parts of {size:,} bytes in a file of {budget.size:,}")
        for member in members:
            if member.filename.endswith("/data.pkl"):
                _need_tensor_calls(io.BytesIO(archive.read(member)), budget)


def _members(path: Path, size: int) -> int:
    """How many parts the end of an archive announces, before each is looked at."""
    with path.open("rb") as file:
        file.seek(max(0, size - (1 << 16) - 22))
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + 12 > len(tail):
        raise ValueError("an archive that is cut off")
    (count,) = struct.unpack_from("<H", tail, at + 10)
    if count == 0xFFFF and tail[at - 20 : at - 16] == b"PK\x06\x07":
        with path.open("rb") as file:
            file.seek(struct.unpack_from("<Q", tail, at - 12)[0] + 32)
            (count,) = struct.unpack("<Q", file.read(8))
    return int(count)


def _need_tensor_calls(file: IO[bytes], budget: Budget) -> None:
    for code, argument, _ in pickletools.genops(file):
        budget.spend(_STEP, "its list of tensors")
        if code.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            raise ValueError(f"the instruction {code.name}")
        if code.name == "GLOBAL" and not _NAMES.fullmatch(str(argument)):
            raise ValueError(f"a call of {str(argument)[:100]!r}")
