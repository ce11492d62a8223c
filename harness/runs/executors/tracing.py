"""Where a cell broke: the system's own code first, then the whole way there.

Files are named from the folder that Python imports them from on, so that no folder of the machine
is told. Secrets are masked.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import harness.own
from harness._util.redaction import redacted
from harness._util.shown import bounded

__all__ = ["package_of", "place_of", "traced"]

_LONGEST = 20_000  # characters


def package_of(module: str) -> str:
    """What is a system's own code: its top package, of a file of the user's own all such files.

    Args:
        module: Dotted name of the module that defines it.

    Example:
        >>> package_of("their_plugin.models.net"), package_of("harness.own.systems.mine")
        ('their_plugin', 'harness.own')
    """
    own = harness.own.__name__
    return own if module.startswith(f"{own}.") else module.partition(".")[0]


def traced(error: BaseException, own: str) -> str:
    """The traceback of an error, its own frames first.

    Args:
        error: As caught.
        own: ``package_of`` the system's module; empty where nobody knows.
    """
    found = traceback.TracebackException.from_exception(error)
    for part in _chained(found):
        for frame in part.stack:
            frame.filename = _short(frame.filename)
    (said, *_) = "".join(found.format_exception_only()).strip().splitlines() or [""]
    head = [said]
    for frame in _frames_of(error, own):
        head.append(f"  {_short(frame.filename)}:{frame.lineno}, in {frame.name}")
        head += [f"    {frame.line}"] if frame.line else []
    return bounded(redacted("\n".join([*head, "", "".join(found.format())])), _LONGEST)


def place_of(error: BaseException, own: str) -> str:
    """File and line where an error arose: in the system's own code, where that is on the way."""
    frames = list(_frames_of(error, own)) or list(traceback.extract_tb(error.__traceback__))[::-1]
    return f"{Path(frames[0].filename).name}:{frames[0].lineno}" if frames else "nowhere"


def _frames_of(error: BaseException, own: str) -> Iterator[traceback.FrameSummary]:
    """Frames of the package ``own``, where the error arose first."""
    whole = traceback.extract_tb(error.__traceback__)
    modules = list(_modules(error.__traceback__))
    for frame, module in reversed(list(zip(whole, modules, strict=True))):
        if own and f"{module}.".startswith(f"{own}."):
            yield frame


def _modules(step: TracebackType | None) -> Iterator[str]:
    while step is not None:
        yield str(step.tb_frame.f_globals.get("__name__", ""))
        step = step.tb_next


def _chained(
    found: traceback.TracebackException,
) -> Iterator[traceback.TracebackException]:
    """The error, what it came of, and what was being handled meanwhile."""
    waiting = [found]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += [part for part in (one.__cause__, one.__context__) if part is not None]
        waiting += one.exceptions or []


def _short(file: str) -> str:
    """A file from the folder it is imported from on; a bare name where there is none."""
    path = Path(file)
    roots = [Path(root) for root in sys.path if root and path.is_relative_to(root)]
    if roots:
        return path.relative_to(max(roots, key=lambda root: len(root.parts))).as_posix()
    return path.name
