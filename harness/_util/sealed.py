"""Files that carry the digest of their content, so that a damaged one is never taken for another.

The last line of such a file is ``sha256 <64 hexadecimal digits>``, of all bytes before it and the
name of the file: one under the name of another is damaged too. Readers that stop at the end of
their content, as ``numpy.load`` does, read it as it is. A JSON object has its digest under a key of
its own, one that is a line as the last of its keys; a folder of a cache has a list of those of its
files.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness._util import canonical, checksums
from harness._util.atomic import commit_folder, write_atomic
from harness._util.canonical import Json
from harness._util.known_digests import KnownDigests
from harness.errors import StoreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "kept",
    "kept_array",
    "kept_folder",
    "read_array",
    "read_sealed",
    "seal_file",
    "sealed",
    "sealed_line",
    "stamped",
    "unsealed_line",
    "unstamped",
]

log = logging.getLogger(__name__)

T = TypeVar("T", bound="np.generic")

_MARK = b"\nsha256 "
_LENGTH = len(_MARK) + 64 + 1
_STAMP = "digest"
_KEY = b',"sha256":"'
_TAIL = len(_KEY) + 64 + len(b'"}\n')


def sealed(content: bytes, name: str) -> bytes:
    """The content with its digest behind it, as a file of this name holds it."""
    return content + _line(content, name)


def seal_file(path: Path, name: str) -> None:
    """Write the digest of a file behind its content.

    Args:
        path: The file.
        name: What it will be called.

    Raises:
        OSError: When the disk refuses.
    """
    with path.open("r+b") as file:
        state = hashlib.file_digest(file, "sha256")
        state.update(name.encode())
        file.seek(0, io.SEEK_END)
        file.write(_MARK + state.hexdigest().encode() + b"\n")


def read_sealed(path: Path) -> bytes:
    """The content of a file that was written ``sealed`` under this name.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it carries no digest, or another than that of its content and name.
    """
    found = path.read_bytes()
    content, line = found[:-_LENGTH], found[-_LENGTH:]
    if line == _line(content, path.name):
        return content
    raise ValueError(
        "its content is not what was written under this name"
        if line.startswith(_MARK)
        else "it does not end with a digest (cut off, or of an earlier version)"
    )


def stamped(table: Mapping[str, Json]) -> dict[str, Json]:
    """A JSON object with the digest of all of it."""
    return {**table, _STAMP: canonical.digest(table)}


def unstamped(table: Mapping[str, Json]) -> dict[str, Json]:
    """A JSON object without its digest; one of before there were any is as it is.

    Raises:
        ValueError: When it is not what was stamped.
    """
    content = dict(table)
    listed = content.pop(_STAMP, None)
    if listed is not None and listed != canonical.digest(content):
        raise ValueError("its content is not what was written")
    return content


def sealed_line(content: bytes) -> bytes:
    """A JSON object as a line of a file, with the digest of its bytes as its last key.

    Args:
        content: The object, without white space around it.
    """
    return content[:-1] + _KEY + hashlib.sha256(content).hexdigest().encode() + b'"}\n'


def unsealed_line(line: bytes) -> bytes:
    """The JSON object that was sealed; a line of before there were digests is as it is.

    Raises:
        ValueError: When it is not what was sealed.
    """
    tail = line[-_TAIL:]
    if not tail.startswith(_KEY):
        return line
    content = line[:-_TAIL] + b"}"
    if sealed_line(content) != line:
        raise ValueError("its content is not what was written")
    return content


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
        write_atomic(path, sealed(content, path.name))
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


def kept_folder(path: Path, fill: Callable[[Path], None]) -> Path:
    """A folder of a cache; filled when it is not there, or when a file of it is damaged.

    A folder of before there were lists of digests gets one.

    Args:
        path: Its name says what it should hold.
        fill: Writes its files into an empty folder.
    """
    if path.is_dir():
        wrong = _damage_of_folder(path)
        if not wrong:
            return path
        place = f"{path.parent.name}/{path.name}"
        log.warning("%s in the cache is damaged and made again: %s", place, wrong)
        shutil.rmtree(path)
    with commit_folder(path) as staging:
        fill(staging)
        checksums.seal(staging)
    return path


def _damage_of_folder(folder: Path) -> str:
    """What is wrong with a kept folder; nothing where nobody can know."""
    try:
        sums = checksums.read_sums(folder)
    except (OSError, ValueError) as error:
        return str(error)
    if not sums:
        with contextlib.suppress(OSError):  # a read-only home is trusted anew each time
            write_atomic(folder / checksums.SUMS, checksums.listing(folder))
        return ""
    known = KnownDigests(folder.parent / ".checked.json")
    return "; ".join(known.differing({folder / name: sums[name] for name in sums}).values())


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


def _line(content: bytes, name: str) -> bytes:
    state = hashlib.sha256(content)
    state.update(name.encode())
    return _MARK + state.hexdigest().encode() + b"\n"
