"""Corpora and encoders on their way to nodes that share no file system with the driver.

The driver puts a folder's files into the cluster's object store, in blocks. A node that does not
hold that content yet fetches it once, under a lock, into a folder named by its digest; every worker
of the node, of this session and of later ones, maps the same files. What was damaged there since is
fetched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import filelock
import ray

from harness._util import canonical, checksums
from harness._util.atomic import commit_folder, is_plain_name
from harness._util.known_digests import KnownDigests
from harness.errors import DataError
from harness.home import Home
from harness.runs.cell import Job
from harness.runs.checkpoints import CHECKPOINT
from harness.text import find_encoder

__all__ = ["RayInput", "RayInputStore", "RayInputs", "node_folder", "unpacked"]

log = logging.getLogger(__name__)

_BLOCK = 64 * 2**20  # bytes
_SENT = {".json", ".npy", ".parquet", ".txt", ".model", ".safetensors"}  # never a pickle

RayInputs = Mapping[str, "RayInput"]
"""Role (``corpus``, ``knowledge``, ``encoder``) -> what to fetch."""


@dataclass(frozen=True, kw_only=True)
class RayInput:
    """A folder's content.

    Args:
        name: Of the corpus or encoder.
        digest: Of the whole, as a specification pins it.
        files: The blocks of each of its files.
        sums: SHA-256 of each of its files.
    """

    name: str
    digest: str
    files: Mapping[str, tuple[ray.ObjectRef[bytes], ...]]
    sums: Mapping[str, str] = field(default_factory=dict)


class RayInputStore:
    """The driver's side: each content enters the object store once a session.

    Args:
        home: Where corpora and encoders are.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._packed: dict[str, RayInput] = {}

    def inputs_of(self, job: Job) -> dict[str, RayInput]:
        """What a node needs for a job.

        Raises:
            DataError: When an input is not here any more, or is not sent: released weights.
        """
        if CHECKPOINT in job.spec.artifacts:
            raise DataError(
                "released weights are evaluated on this machine, not sent to a cluster",
                hint="--executor local",
            )
        wanted = {"corpus": (job.spec.corpus, job.spec.data)}
        for role in ("knowledge", "encoder"):
            if role in job.spec.artifacts:
                wanted[role] = (job.names[role], job.spec.artifacts[role])
        return {role: self._input(role, *item) for role, item in wanted.items()}

    def _input(self, role: str, name: str, digest: str) -> RayInput:
        if digest not in self._packed:
            folder = self._home.corpora / name
            if role == "encoder":
                encoder = find_encoder(name, self._home.cache)
                name, folder = encoder.name, encoder.folder
            self._packed[digest] = _pack(name, digest, folder)
        return self._packed[digest]


def _pack(name: str, digest: str, folder: Path) -> RayInput:
    try:
        sent = {
            path.name: _put(path)
            for path in sorted(folder.iterdir())
            if (path.suffix in _SENT or path.name == checksums.SUMS) and path.is_file()
        }
    except OSError as error:
        raise DataError(f"{name} cannot be sent to the cluster: {error}") from error
    return RayInput(
        name=name,
        digest=digest,
        files={file: blocks for file, (blocks, _) in sent.items()},
        sums={file: mark for file, (_, mark) in sent.items()},
    )


def _put(path: Path) -> tuple[tuple[ray.ObjectRef[bytes], ...], str]:
    """A file in the object store, in blocks, and the SHA-256 of what was put there."""
    state, blocks = hashlib.sha256(), []
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
            blocks.append(ray.put(block))
    return tuple(blocks), state.hexdigest()


def node_folder() -> Path:
    """Where this node keeps what it was sent: ``$MSA_NODE_DIR``, else one of the user's own.

    Raises:
        DataError: When another user owns the folder.
    """
    user = os.getuid()
    chosen = os.environ.get("MSA_NODE_DIR")
    folder = Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"msa-node-{user}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != user:
        raise DataError(f"{folder} belongs to another user", hint="set MSA_NODE_DIR on every node")
    return folder


def unpacked(job: Job, inputs: RayInputs) -> Job:
    """The job as a node carries it out, its inputs unpacked here.

    Args:
        job: As planned by the driver.
        inputs: Its inputs.
    """
    root = node_folder()
    places = {role: _unpack(one, root) for role, one in inputs.items()}
    names = dict(job.names)
    if "encoder" in places:
        names["encoder"] = str(places["encoder"])
    corpora = {inputs[role].name: places[role] for role in places if role != "encoder"}
    return replace(job, home=_home(root, corpora), names=names)


def _unpack(one: RayInput, root: Path) -> Path:
    target = root / "content" / one.digest
    target.parent.mkdir(parents=True, exist_ok=True)
    if not _is_sound(one, target):
        with filelock.FileLock(root / "content" / f".{one.digest}.lock"):
            if not _is_sound(one, target):
                if target.is_dir():
                    log.warning("%s was damaged on this node and is fetched again", one.name)
                    shutil.rmtree(target)
                with commit_folder(target) as folder:
                    for name, blocks in one.files.items():
                        if not is_plain_name(name):
                            raise DataError(f"a sent file has a plain name, found {name!r}")
                        _write(folder / name, blocks)
    return target


def _is_sound(one: RayInput, folder: Path) -> bool:
    if not folder.is_dir():
        return False
    expected = {folder / name: mark for name, mark in one.sums.items()}
    return not KnownDigests(folder.parent / ".checked.json").differing(expected)


def _write(path: Path, blocks: tuple[ray.ObjectRef[bytes], ...]) -> None:
    with path.open("wb") as file:
        for block in blocks:
            file.write(ray.get(block))


def _home(root: Path, corpora: Mapping[str, Path]) -> Home:
    """A home whose corpora are exactly these, by content, and whose cache is the node's."""
    mark = canonical.digest({name: path.name for name, path in corpora.items()})[:32]
    home = Home(root / "homes" / mark)
    home.corpora.mkdir(parents=True, exist_ok=True)
    (root / "cache").mkdir(exist_ok=True)
    links = {home.cache: root / "cache", **{home.corpora / n: p for n, p in corpora.items()}}
    for link, target in links.items():
        with contextlib.suppress(FileExistsError):
            link.symlink_to(target, target_is_directory=True)
    return home
