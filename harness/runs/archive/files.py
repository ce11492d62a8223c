"""The file of an archive: a ZIP of plainly stored members in a fixed order, with fixed times.

Equal members are equal bytes, whoever packs them and when. Nothing is compressed, so no archive is
larger unpacked than packed, and reading one takes no more memory than its largest member.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness._util import canonical
from harness._util.atomic import is_plain_name
from harness._util.checksums import SUMS
from harness.errors import DataError

__all__ = ["BOARD", "MANIFEST", "PLAN", "SUITE", "listing", "refused", "unpack", "write"]

MANIFEST = "MANIFEST.json"
PLAN = "plan.json"
SUITE = "suite.toml"
BOARD = ("board/board.md", "board/board.html")

_LARGEST = 8 * 2**30  # bytes of an archive
_LARGEST_TEXT = 32 * 2**20  # bytes of a member that is read as a whole
_MOST = 500_000  # members
_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP can hold
_BLOCK = 2**20  # bytes

_KEY = "[0-9a-f]{32}"
_TABLES = "(?:predictions|diagnostics|curve_[a-z]+).parquet"
_PLAIN = "[^/]+"
_MEMBER = re.compile(
    rf"{MANIFEST}|{SUMS}|{PLAN}|{SUITE}|board/board.(?:md|html)|failures/{_KEY}.json"
    rf"|runs/{_KEY}/(?:manifest.json|history.json|{SUMS}|{_TABLES})"
    rf"|equivalences/{_KEY}.json"
    rf"|submissions/{_PLAIN}/{_PLAIN}/(?:manifest.json|predictions.parquet|{SUMS})"
)


def listing(members: Mapping[str, Path | bytes]) -> bytes:
    """The digests of members as coreutils list them."""
    return "".join(f"{_digest(members[name])}  {name}\n" for name in sorted(members)).encode()


def write(path: Path, members: Mapping[str, Path | bytes]) -> None:
    """Write an archive; a file that is there gives way once the new one is whole.

    Args:
        path: Where.
        members: Name -> content, or the file that holds it.

    Raises:
        OSError: When the disk refuses; nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".new-{path.name}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(members):
                _add(archive, name, members[name])
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _add(archive: zipfile.ZipFile, name: str, content: Path | bytes) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system = 3  # as on Unix, wherever it is packed
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    if isinstance(content, bytes):
        archive.writestr(entry, content)
        return
    entry.file_size = content.stat().st_size
    with content.open("rb") as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target, _BLOCK)


def unpack(path: Path, folder: Path) -> tuple[str, ...]:
    """Write the members of an archive that nobody vouches for below a folder.

    Args:
        path: The archive.
        folder: An empty folder.

    Returns:
        The names of its members, sorted.

    Raises:
        DataError: For what is no such archive, naming the member: a link, a name that could leave
            the folder or that no archive has, a name twice, compressed or hidden content, too much.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}", hint="msa publish SUITE --out FILE")
    if path.stat().st_size > _LARGEST:
        raise refused(path, f"it is larger than {_LARGEST // 2**30} GiB")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for why in _wrong_with(entries, path.stat().st_size):
                raise refused(path, why)
            for entry in entries:
                _copy(archive, entry, folder / entry.filename)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise refused(path, str(error)) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise refused(path, "it has a member outside of itself") from error
    return tuple(sorted(entry.filename for entry in entries))


def refused(path: Path, why: str) -> DataError:
    """The error of a file that is no archive."""
    return DataError(
        f"{path.name} is no archive of msa publish, or a damaged one: {why}",
        hint="get it again from where it was published",
    )


def _wrong_with(entries: list[zipfile.ZipInfo], size: int) -> Iterator[str]:
    """Why these members are not read, one sentence each."""
    if len(entries) > _MOST:
        yield f"it has {len(entries)} members, more than {_MOST}"
    if sum(entry.file_size for entry in entries) > size:
        yield "its members are larger than itself"
    seen: set[str] = set()
    for entry in entries:
        shown = ascii(entry.filename[:100])
        if not _is_member(entry.filename):
            yield f"it has a member {shown}, which no archive has"
        if entry.filename in seen:
            yield f"it has two members {shown}"
        seen.add(entry.filename)
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            yield f"its member {shown} is no plain file"
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            yield f"its member {shown} is compressed or encrypted"
        if not entry.filename.endswith(".parquet") and entry.file_size > _LARGEST_TEXT:
            yield f"its member {shown} is larger than {_LARGEST_TEXT // 2**20} MiB"


def _is_member(name: str) -> bool:
    if _MEMBER.fullmatch(name) is None:
        return False
    return not name.startswith("submissions/") or all(map(is_plain_name, name.split("/")[1:3]))


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _BLOCK)


def _digest(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    return canonical.file_digest(content)
