"""Where a result came from: source fingerprint, commit, packages, hardware, time and memory."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.metadata
import importlib.util
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from harness._util import canonical
from harness._util.canonical import Json

__all__ = ["code_fingerprint", "environment", "peak_memory", "reset_peak_memory"]

_FIRST_PARTY = frozenset({"harness", "baselines", "text_model", "mllm_eval"})
_EXECUTION = (
    "harness.runs.cell",
    "harness.metrics.classification",  # selection metrics are found by name, not by import
    "harness.metrics.regression",
)
_RECORDED = ("torch", "transformers", "numpy", "scipy", "pandas", "scikit-learn", "msa-harness")


@functools.cache
def code_fingerprint(module: str, *named: str) -> str:
    """Digest of the source that can change what ``module`` computes.

    The modules, the execution path of a run, and everything these import from this project or the
    module's own package, directly or through others, with comments and docstrings removed:
    formatting and prose do not invalidate runs, any change of code does.

    Args:
        module: Dotted name of the file that defines a system.
        named: The same of files that a run finds by name, such as its objective's.

    Returns:
        16 hexadecimal digits.
    """
    return canonical.digest({name: _mark(name) for name in _closure(module, *named)})[:16]


def _closure(*modules: str) -> set[str]:
    """The modules a fingerprint covers."""
    seen: set[str] = set()
    waiting = [*modules, *_EXECUTION]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_imports(name))
    return seen


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    ours = _FIRST_PARTY | {_top(module)}
    nodes = ast.walk(ast.parse(_source(module)))
    pairs = (pair for node in nodes for pair in _imported(node, module))
    names = (part if _file(part) else source for source, part in pairs if _top(source) in ours)
    return tuple(name for name in names if _file(name) is not None)


def _imported(node: ast.AST, module: str) -> Iterator[tuple[str, str]]:
    """What an import statement takes from where: (source, part), the part a module or not."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        source = _absolute(node, module)
        yield from ((source, f"{source}.{alias.name}") for alias in node.names)


def _absolute(node: ast.ImportFrom, module: str) -> str:
    file = _file(module)
    is_package = file is not None and file.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    return importlib.util.resolve_name("." * node.level + (node.module or ""), package)


def _top(module: str) -> str:
    return module.partition(".")[0]


@functools.cache
def _file(module: str) -> Path | None:
    """The source file of a module, None for what is none; nothing of a package is imported."""
    top, *parts = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    if spec.submodule_search_locations is None:
        return None if parts else Path(spec.origin)
    for folder in spec.submodule_search_locations:
        place = Path(folder, *parts)
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file
    return None


def _source(module: str) -> str:
    file = _file(module)
    if file is None:
        raise ModuleNotFoundError(module)
    return file.read_text("utf-8")


@functools.cache
def _mark(module: str) -> str:
    return canonical.digest(_syntax(ast.parse(_source(module))))


def _syntax(node: object) -> str:
    """A syntax tree as text; `ast.unparse` and `ast.dump` differ between versions of Python."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
        inside = ",".join(f"{name}={_syntax(value)}" for name, value in fields)
        return f"{type(node).__name__}({inside})"
    if isinstance(node, list):
        return f"[{','.join(_syntax(item) for item in node if not _is_prose(item))}]"
    return repr(node)


def _is_prose(node: ast.AST) -> bool:
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
