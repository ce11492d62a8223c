"""Files that carry the digest of their content, so that a damaged one is never taken for another.

The last line of such a file is ``sha256 <64 hexadecimal digits>``, of all bytes before it. Readers
that stop at the end of their content, as ``numpy.load`` does, read it as it is.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness._util import canonical
from harness._util.atomic import write_atomic
from harness.errors import StoreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["kept", "kept_array", "read_array", "read_sealed", "seal_file", "sealed"]

log = logging.getLogger(__name__)

T = TypeVar("T", bound="np.generic")

_MARK = b"\nsha256 "
_LENGTH = len(_MARK) + 64 + 1


def sealed(content: bytes) -> bytes:
    """The content with its digest behind it, as a file holds it."""
    return content + _line(content)


def seal_file(path: Path) -> None:
    """Write the digest of a file behind its content.

    Raises:
        OSError: When the disk refuses.
    """
    line = _MARK + canonical.file_digest(path).encode() + b"\n"
    with path.open("ab") as file:
        file.write(line)


def read_sealed(path: Path) -> bytes:
    """The content of a file that was written ``sealed``.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it carries no digest, or another than that of its content.
    """
    found = path.read_bytes()
    content, line = found[:-_LENGTH], found[-_LENGTH:]
    if line == _line(content):
        return content
    raise ValueError(
        "its content is not what was written"
        if line.startswith(_MARK)
        else "it does not end with a digest (cut off, or of an earlier version)"
    )


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a file of a cache; made and written there when it is not there, or damaged.

    Args:
        path: Its name says what it should hold.
        make: Makes the content.

    Raises:
        StoreError: When the disk refuses.
    """
    try:
        return read_sealed(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        place = f"{path.parent.name}/{path.name}"
        log.warning("%s in the cache is damaged and made again: %s", place, error)
    content = make()
    try:
        write_atomic(path, sealed(content))
    except OSError as error:
        raise StoreError(
            f"{path.parent.name}/{path.name} of the cache could not be stored: {error}",
            hint="free some space or fix the permissions; the same command continues",
        ) from error
    return content


def kept_array(path: Path, compute: Callable[[], NDArray[T]]) -> NDArray[T]:
    """As ``kept``, of an array."""
    import numpy as np

    def make() -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, compute())
        return buffer.getvalue()

    return _array(kept(path, make))


def read_array(path: Path) -> NDArray[T]:
    """The array that ``kept_array`` wrote.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is damaged.
    """
    return _array(read_sealed(path))


def _array(content: bytes) -> NDArray[T]:
    import numpy as np

    array: NDArray[T] = np.load(io.BytesIO(content))
    return array


def _line(content: bytes) -> bytes:
    return _MARK + hashlib.sha256(content).hexdigest().encode() + b"\n"
