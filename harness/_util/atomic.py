"""Writing so that a kill at any moment leaves the old file or the new one, never half of either."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = [
    "REPLACED",
    "commit_folder",
    "folders_in",
    "is_plain_name",
    "remove_folder",
    "replaced_folder",
    "sweep",
    "sync_folder",
    "write_atomic",
    "write_pieces",
]

REPLACED = ".old-"
"""What begins so was replaced, or is about to be; the rest of the name is that of its place."""

_YOUNG = 3600  # seconds
_NOTHING_TO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_LONGEST_NAME = 200  # bytes; file systems allow 255, temporary names and suffixes take some


def is_plain_name(name: str) -> bool:
    """Whether a file may be called ``name``: no separators, no leading dot, not too long.

    Example:
        >>> is_plain_name("mosi demo-2"), is_plain_name("../mosi")
        (True, False)
    """
    plain = re.fullmatch(r"\w[\w .+=@-]*", name) is not None
    return plain and len(name.encode()) <= _LONGEST_NAME


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path``: temporary file beside it, fsync, rename, fsync the folder.

    What a kill leaves behind begins with ``.new-``; ``sweep`` removes it.
    """
    write_pieces(path, [content.encode() if isinstance(content, str) else content])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """``write_atomic`` of content that is made piece by piece and never whole in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".new-{path.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _own(handle)
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def commit_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a temporary folder that becomes ``target`` in one rename when the block ends well.

    An error drops the temporary folder. So does ``target`` appearing meanwhile (same content by
    construction), unless it is to be replaced: then it is kept beside its place until the new one
    is there, where ``replaced_folder`` finds it. What a kill leaves behind begins with ``.new-`` or
    ``.old-``; ``sweep`` removes the one and puts back the other.

    Args:
        target: The folder.
        replace: Whether a folder that is there gives way; call only as its sole writer.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".new-{target.name}-"))
    try:
        with _owned(temporary):
            yield temporary
            for file in temporary.iterdir():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
            sync_folder(temporary)
            temporary.chmod(0o755)
            if replace:
                _exchange(temporary, target)
            else:
                _rename_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(target.parent)
    if replace:
        shutil.rmtree(_kept(target), ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Delete a folder whose absence means something: it is whole, or gone, at any moment.

    What a kill leaves behind begins with ``.new-``; ``sweep`` removes it.
    """
    away = folder.with_name(f".new-{folder.name}-removed")
    shutil.rmtree(away, ignore_errors=True)
    folder.rename(away)
    sync_folder(folder.parent)
    shutil.rmtree(away, ignore_errors=True)


def replaced_folder(target: Path) -> Path:
    """Where the content of a folder is, also while another one takes its place."""
    return _kept(target) if not target.is_dir() and _kept(target).is_dir() else target


def folders_in(parent: Path) -> list[str]:
    """Names of the plainly named folders in ``parent``, sorted, one being replaced among them.

    What a listing says of an entry is believed: asked again, a folder may just have been renamed.
    """
    try:
        with os.scandir(parent) as entries:
            found = {entry.name.removeprefix(REPLACED) for entry in entries if entry.is_dir()}
    except OSError:
        return []
    return sorted(name for name in found if is_plain_name(name))


def _kept(target: Path) -> Path:
    return target.with_name(f"{REPLACED}{target.name}")


def _rename_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # else another writer was faster
            raise


def _exchange(source: Path, target: Path) -> None:
    """Put one folder in the place of another, which stays beside it."""
    kept = _kept(target)
    _put_back(kept)
    if target.exists():
        target.rename(kept)
    try:
        source.rename(target)
    except OSError:
        _put_back(kept)
        raise


def _put_back(kept: Path) -> None:
    """Undo a replacement that was not finished, or finish one that was."""
    target = kept.with_name(kept.name.removeprefix(REPLACED))
    if target.exists():
        shutil.rmtree(kept, ignore_errors=True)
    elif kept.exists():
        kept.rename(target)


def sweep(root: Path, *, shared: bool = False) -> None:
    """Remove what killed commits left anywhere under ``root``, and put back what they replaced.

    What another process is still writing is left alone.

    Args:
        root: The folder.
        shared: Whether others may write there meanwhile. If not, call as its sole writer; if so,
            what is not an hour old is left too, for not every file system says who is writing.
    """
    replaced, leftovers = _remains(root)
    for kept in replaced:
        with contextlib.suppress(OSError):  # readers find it where it is
            _put_back(kept)
    if replaced:
        _, leftovers = _remains(root)
    for leftover in leftovers:
        if _has_owner(leftover) or (shared and _is_young(leftover)):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _remains(root: Path) -> tuple[list[Path], list[Path]]:
    """What was replaced, and what was not finished, anywhere below a folder, in one pass."""
    replaced, unfinished = [], []
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            if name.startswith(REPLACED):
                replaced.append(Path(folder, name))
            elif name.startswith(".new-"):
                unfinished.append(Path(folder, name))
    return replaced, unfinished


@contextlib.contextmanager
def _owned(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _own(descriptor)
        yield
    finally:
        os.close(descriptor)


def _own(descriptor: int) -> None:
    """Mark what this process is writing; the mark goes when the process does."""
    with contextlib.suppress(OSError):  # not every file system knows such marks
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _has_owner(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _is_young(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime < _YOUNG
    return True


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable (needed after a rename).

    Some file systems of user space have nothing to sync of a folder, and say that they cannot.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOTHING_TO_SYNC:
            raise
    finally:
        os.close(descriptor)
