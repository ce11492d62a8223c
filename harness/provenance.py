"""Where a result came from: source fingerprint, commit, packages, hardware, time and memory."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from harness.canonical import Json

__all__ = ["code_fingerprint", "environment", "peak_memory", "reset_peak_memory"]

_FIRST_PARTY = ("harness", "baselines", "text_model", "mllm_eval")
_RECORDED = ("torch", "transformers", "numpy", "scipy", "pandas", "scikit-learn", "msa-harness")


@functools.cache
def code_fingerprint(module: str) -> str:
    """Digest of the source that can change what ``module`` computes.

    The module and everything first-party it imports, directly or through others, with comments and
    docstrings removed: formatting and prose do not invalidate runs, any change of code does.

    Args:
        module: Dotted name of the file that defines a system.

    Returns:
        16 hexadecimal digits.
    """
    marks = {name: _normalised(_source(name)) for name in sorted(_closure(module))}
    text = "\x1f".join(f"{name}\x1e{code}" for name, code in marks.items())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _closure(module: str) -> set[str]:
    """First-party modules reachable by imports, the execution path of a run included."""
    seen: set[str] = set()
    waiting = [module, "harness.execution"]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_imports(name))
    return seen


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    nodes = ast.walk(ast.parse(_source(module)))
    return tuple(name for node in nodes for name in _imported(node) if _is_module(name))


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def _is_module(name: str) -> bool:
    if name.partition(".")[0] not in _FIRST_PARTY:
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent is a module, so `name` is one of its attributes
        return False


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return Path(spec.origin).read_text("utf-8")


def _normalised(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        kept = [item for item in body if not _is_prose(item)]
        node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]  # every `body` list is one
    return ast.unparse(tree)


def _is_prose(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


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
    control = Path("/proc/self/clear_refs")
    if control.exists():
        control.write_text("5")


def peak_memory() -> int:
    """Highest resident memory since ``reset_peak_memory``, bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)
