"""Runs a command and says what it took, for the log of a build: ``timed.py COMMAND WORD …``."""

from __future__ import annotations

import subprocess
import sys
import time

__all__ = ["main"]


def main(command: list[str]) -> int:
    """Its exit code; the seconds are one line on standard error."""
    began = time.perf_counter()
    code = subprocess.run(command, check=False).returncode
    took = time.perf_counter() - began
    sys.stderr.write(f"took {took:.1f} s: {' '.join(command)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
