"""Whether a machine has what runs need: packages, a device, room, encoders, corpora."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness._util.extras import missing
from harness.data.contents import contents_of
from harness.data.store import CorpusStore
from harness.errors import DataError
from harness.home import Home
from harness.runs.provenance import environment

__all__ = ["Examined", "Verdict", "examine"]

Verdict: TypeAlias = Literal["ok", "note", "warn", "fail"]

_LOW_DISK = 5 * 2**30  # bytes; a converted MOSEI needs about as much


@dataclass(frozen=True)
class Examined:
    """One thing that was looked at.

    Args:
        check: What.
        verdict: ``fail`` where runs cannot work, ``warn`` where some cannot.
        found: What is there.
    """

    check: str
    verdict: Verdict
    found: str


def examine(home: Home | None = None) -> Iterator[Examined]:
    """Look at Python, packages, devices, disk, encoders and corpora, in this order.

    Args:
        home: Where corpora, encoders and runs live; ``Home.default()`` when None.
    """
    home = home or Home.default()
    yield from _packages()
    yield _device()
    yield _room(home)
    yield from _encoders(home)
    yield from _corpora(home)


def _packages() -> Iterator[Examined]:
    versions = environment()["packages"]
    assert isinstance(versions, dict)
    yield Examined("python", "ok", sys.version.split()[0])
    for name, version in versions.items():
        yield Examined(name, "ok" if version else "fail", str(version or _absent(name)))


def _absent(name: str) -> str:
    """What to install for a distribution that is not there."""
    module = name.replace("-", "_").replace("scikit_learn", "sklearn")
    return f"not installed: {missing(module).hint}"


def _device() -> Examined:
    if importlib.util.find_spec("torch") is None:
        return Examined("cuda", "note", "unknown without PyTorch")
    import torch

    if torch.cuda.is_available():
        return Examined("cuda", "ok", torch.cuda.get_device_name())
    return Examined("cuda", "note", "none; runs use the CPU")


def _room(home: Home) -> Examined:
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(home.root).free
    except OSError as error:
        return Examined("home", "fail", str(error))
    said = f"{free / 2**30:.1f} GiB free in {home.root}"
    return Examined("disk", "ok" if free > _LOW_DISK else "warn", said)


def _encoders(home: Home) -> Iterator[Examined]:
    from harness.text import PACKAGED, is_unpacked

    fetchable = importlib.util.find_spec("pip") is not None
    for item in PACKAGED.values():
        check = f"encoder {item.name}"
        if is_unpacked(item, home.cache):
            yield Examined(check, "ok", "here")
        elif fetchable:
            yield Examined(check, "note", "fetched when first used")
        else:
            yield Examined(check, "warn", str(missing("pip").hint))


def _corpora(home: Home) -> Iterator[Examined]:
    """What the stored corpora have, as plans see it."""
    store = CorpusStore(home.corpora)
    for name in store.names():
        try:
            had = contents_of(store.load(name))
        except DataError as error:
            yield Examined(f"corpus {name}", "warn", str(error))
            continue
        clips = ", ".join(f"{count} {split}" for split, count in had.clips.items())
        held = [*sorted(had.streams), *sorted(had.texts), *had.labels]
        held += ["tokens"] if had.tokens else []
        said = f"{clips} clips; {', '.join(held) or 'labels alone'}"
        yield Examined(f"corpus {name}", "warn" if had.empty_splits else "ok", said)
