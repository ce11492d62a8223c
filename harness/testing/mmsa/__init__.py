"""MMSA, the library whose numbers most papers copy, at work in an environment of its own.

``MmsaProcess`` is a process of it that answers requests: to train an epoch or a whole study, which
``harness.benchmarks`` times, or to show what its trainers compute on given weights and clips, which
``harness.testing.parity`` compares with ours.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from harness._util.child import passed_on
from harness._util.venv import make_environment
from harness.errors import RunFailed
from harness.home import Home
from harness.testing import formula

__all__ = ["MMSA_VERSION", "MmsaProcess", "mmsa_process", "mmsa_python"]

MMSA_VERSION: Final = "2.2.1"
"""Of the package on PyPI, the last one; its repository has moved on."""

_REQUIREMENTS: Final = (
    f"MMSA=={MMSA_VERSION}",
    "torch==2.13.0",
    "transformers==4.57.6",  # newer ones lack what its MAG-BERT calls
)
_DRIVER: Final = Path(__file__).with_name("_driver.py")
_QUIET: Final = MappingProxyType({"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"})
_THREAD: Final = MappingProxyType({"OMP_NUM_THREADS": "1"})


def mmsa_python(home: Home) -> Path:
    """The interpreter of MMSA's environment, which is made on first use.

    Raises:
        RunFailed: When a package cannot be installed.
        MissingExtra: Where uv is not installed.
    """
    pins = "-".join(_REQUIREMENTS).replace("==", "-")
    return make_environment(home.cache / "mmsa" / pins, _REQUIREMENTS)


class MmsaProcess:
    """A process that answers requests, one at a time."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    def tell(self, request: Mapping[str, Any]) -> None:
        """Hand over a request; see the module ``_driver`` for what there is to ask."""
        self._write(json.dumps(request))

    def ask(self, request: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """The answer to a request; None: to the next turn of the one that was told.

        Raises:
            RunFailed: When the process ends instead, with the last thing it said.
        """
        self._write("" if request is None else json.dumps(request))
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            said = self._log.read_text("utf-8", errors="replace").strip().splitlines()
            raise RunFailed(f"MMSA stopped: {said[-1] if said else 'it gave no reason'}")
        return json.loads(answer)

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it said why in its log
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


@contextlib.contextmanager
def mmsa_process(python: Path, log: Path, *, alone: bool = False) -> Iterator[MmsaProcess]:
    """A process of MMSA, which ends with the block.

    Args:
        python: As ``mmsa_python`` gives it.
        log: Where all that MMSA prints goes.
        alone: With as many threads as PyTorch takes by itself, instead of one.
    """
    command = [str(python), "-I", str(_DRIVER), str(formula.__file__)]
    with log.open("w", encoding="utf-8") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            env={**passed_on(), **_QUIET, **({} if alone else _THREAD)},
        )
        with process:
            try:
                yield MmsaProcess(process, log)
            finally:
                process.kill()
                assert process.stdin is not None
                with contextlib.suppress(BrokenPipeError):  # a request that nobody took
                    process.stdin.close()
