"""Where a result came from: commit, packages, hardware, time and memory."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path

import psutil

from harness._util.canonical import Json

__all__ = ["environment", "peak_memory", "reset_peak_memory"]

_RECORDED = ("torch", "transformers", "numpy", "scipy", "pandas", "scikit-learn", "msa-harness")


@functools.cache
def environment() -> dict[str, Json]:
    """Commit, packages and hardware; host names, paths and user names are left out."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
        "packages": {name: _version(name) for name in _RECORDED},
        **_commit(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Json]:
    """The checkout's commit and whether it has changes; nulls outside a checkout."""
    root = Path(__file__).parents[1]
    head = _git(root, "rev-parse", "HEAD")
    status = _git(root, "status", "--porcelain") if head else None
    return {"commit": head, "dirty": None if status is None else bool(status)}


def _git(root: Path, *arguments: str) -> str | None:
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def reset_peak_memory() -> None:
    """Start a new high-water mark for this process (Linux; elsewhere the mark is the process's)."""
    with contextlib.suppress(OSError):  # no such file elsewhere, no permission in some containers
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Highest resident memory since ``reset_peak_memory``, bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)
