"""``msa doctor``: whether this machine has what runs need."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator

import typer

from harness._util.extras import missing
from harness.cli._output import JsonFlag, echo_json, echo_table

__all__ = ["register"]

_LOW_DISK = 5 * 2**30  # bytes; a converted MOSEI needs about as much


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(_doctor)


def _doctor(as_json: JsonFlag = False) -> None:
    """Check Python, packages, devices, disk, encoders, corpora; exit 1 when runs cannot work."""
    rows = [
        {"check": name, "verdict": verdict, "found": found}
        for name, verdict, found in (
            *_packages(),
            *_device(),
            *_home(),
            *_encoders(),
            *_corpora(),
        )
    ]
    if as_json:
        echo_json(rows)
    else:
        echo_table(rows)
    if any(row["verdict"] == "fail" for row in rows):
        raise typer.Exit(1)


def _packages() -> Iterator[tuple[str, str, str]]:
    from harness.runs.provenance import environment

    versions = environment()["packages"]
    assert isinstance(versions, dict)
    yield "python", "ok", sys.version.split()[0]
    for name, version in versions.items():
        yield name, "ok" if version else "fail", str(version or _absent(name))


def _absent(name: str) -> str:
    """What to install for a distribution that is not there."""
    module = name.replace("-", "_").replace("scikit_learn", "sklearn")
    return f"not installed: {missing(module).hint}"


def _device() -> Iterator[tuple[str, str, str]]:
    if importlib.util.find_spec("torch") is None:
        yield "cuda", "note", "unknown without PyTorch"
        return
    import torch

    found = torch.cuda.get_device_name() if torch.cuda.is_available() else "none; runs use the CPU"
    yield "cuda", "ok" if torch.cuda.is_available() else "note", found


def _home() -> Iterator[tuple[str, str, str]]:
    from harness.home import Home

    root = Home.default().root
    try:
        root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(root).free
    except OSError as error:
        yield "home", "fail", str(error)
        return
    yield "disk", "ok" if free > _LOW_DISK else "warn", f"{free / 2**30:.1f} GiB free in {root}"


def _encoders() -> Iterator[tuple[str, str, str]]:
    from harness.home import Home
    from harness.text import PACKAGED, is_unpacked

    fetchable = importlib.util.find_spec("pip") is not None
    for item in PACKAGED.values():
        if is_unpacked(item, Home.default().cache):
            yield f"encoder {item.name}", "ok", "here"
        elif fetchable:
            yield f"encoder {item.name}", "note", "fetched when first used"
        else:
            yield (
                f"encoder {item.name}",
                "warn",
                str(missing("pip").hint),
            )


def _corpora() -> Iterator[tuple[str, str, str]]:
    """What the stored corpora have, as plans see it."""
    from harness.data.contents import contents_of
    from harness.data.store import CorpusStore
    from harness.errors import DataError
    from harness.home import Home

    store = CorpusStore(Home.default().corpora)
    for name in store.names():
        try:
            had = contents_of(store.load(name))
        except DataError as error:
            yield f"corpus {name}", "warn", str(error)
            continue
        clips = ", ".join(f"{count} {split}" for split, count in had.clips.items())
        held = [*sorted(had.streams), *sorted(had.texts), *had.labels]
        held += ["tokens"] if had.tokens else []
        verdict = "warn" if had.empty_splits else "ok"
        yield f"corpus {name}", verdict, f"{clips} clips; {', '.join(held) or 'labels alone'}"
