"""Python environments of their own, for programs whose pins do not agree with the harness's.

They are made and filled by uv, which the extra ``mllm`` brings.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from filelock import FileLock

from harness._util.atomic import write_atomic
from harness._util.child import NETWORK, passed_on
from harness._util.extras import missing
from harness.errors import RunFailed

__all__ = ["interpreter", "make_environment"]

log = logging.getLogger(__name__)

_STAMP: Final = "complete"


def interpreter(folder: Path) -> Path:
    """The Python of the environment in ``folder``."""
    return folder / "bin" / "python"


def make_environment(
    folder: Path,
    requirements: Sequence[str],
    *,
    repair: Path | None = None,
    cpu: bool = True,
    lock: Path | None = None,
) -> Path:
    """Install ``requirements`` into an environment, unless an earlier call finished doing so.

    An interrupted installation is made anew, two processes wait for each other, and find-links of
    pip serve uv.

    Args:
        folder: Of the environment.
        requirements: Pinned, the most telling one first.
        repair: A script that the new interpreter runs once, after the installation.
        cpu: Whether torch's build without a GPU will do.
        lock: What the requirements resolve to, with the SHA-256 of every file that may be
            installed; None takes whatever fits best.

    Returns:
        Its interpreter.

    Raises:
        RunFailed: When a package cannot be installed.
        MissingExtra: Where uv is not installed.
    """
    uv = _uv()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not (folder / _STAMP).exists():
            log.warning("installing %s into %s (once)", requirements[0], folder)
            shutil.rmtree(folder, ignore_errors=True)
            variables = _variables(cpu=cpu)
            for command in _commands(folder, requirements, uv, lock):
                _run(command, variables)
            if repair is not None:
                _run([str(interpreter(folder)), str(repair)], variables)
            write_atomic(folder / _STAMP, "\n".join(requirements) + "\n")
    return interpreter(folder)


def _commands(
    folder: Path, requirements: Sequence[str], uv: str, lock: Path | None = None
) -> list[list[str]]:
    """Making and filling the environment."""
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode"]
    wanted = requirements if lock is None else ["--require-hashes", "-r", str(lock)]
    return [
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [*install, "--python", str(interpreter(folder)), *wanted],
    ]


def _uv() -> str:
    """The program beside this interpreter, else that of the path."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("uv", path=os.pathsep.join((beside, os.environ.get("PATH", ""))))
    if found is None:
        raise missing("uv")
    return found


def _variables(*, cpu: bool) -> dict[str, str]:
    named = [name for name in os.environ if name.startswith(("UV_", "PIP_"))]
    variables = passed_on("UV_", "PIP_", "CC", "CXX", "CFLAGS", *NETWORK, secrets=named)
    links = variables.get("UV_FIND_LINKS") or variables.get("PIP_FIND_LINKS")
    if links:
        variables["UV_FIND_LINKS"] = links
    elif cpu:
        variables.setdefault("UV_TORCH_BACKEND", "cpu")
    return variables


def _run(command: Sequence[str], variables: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise RunFailed(
            f"cannot install an environment: {' '.join(said[-4:]) or 'no reason given'}",
            hint="check the connection to the package index and the space on the disk, then repeat"
            " the same command",
        )
