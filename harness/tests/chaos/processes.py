"""Commands in processes that are forked for a trial: everything is imported, nothing remembered."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from harness.cli import main
from harness.home import Home


@dataclass(frozen=True)
class Said:
    """What a command came to.

    Args:
        code: Its exit code; None where it ended in a traceback.
        output: On standard output.
        errors: On standard error, a traceback included.
    """

    code: int | None
    output: str
    errors: str


def msa(home: Home, *words: object) -> Said:
    """A command in this process, as if the console had called it."""
    output, errors = io.StringIO(), io.StringIO()
    logging.getLogger().handlers.clear()
    arguments = ["msa", "--home", str(home.root), *map(str, words)]
    code: int | None = 0
    with (
        mock.patch.object(sys, "argv", arguments),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except Exception:  # noqa: BLE001 - what a user would see as a traceback
            code = None
            traceback.print_exc()
    return Said(code, output.getvalue(), errors.getvalue())


def forked(
    work: Callable[[], Any], *, seconds: float, kill: Callable[[], bool] = lambda: False
) -> Any:
    """What ``work`` gives in a process of its own; None where that was killed or took too long.

    Args:
        work: What to do there.
        seconds: How long it may take.
        kill: Asked again and again; true kills the process.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result"
        child = os.fork()
        if not child:
            _work_and_leave(work, result)
        _wait(child, time.monotonic() + seconds, kill)
        return pickle.loads(result.read_bytes()) if result.is_file() else None


def _work_and_leave(work: Callable[[], Any], result: Path) -> None:
    code = 1
    try:
        content = pickle.dumps(work())
        result.with_suffix(".new").write_bytes(content)
        result.with_suffix(".new").rename(result)
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, deadline: float, kill: Callable[[], bool]) -> None:
    while not os.waitpid(child, os.WNOHANG)[0]:
        if kill() or time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return
        time.sleep(0.002)
