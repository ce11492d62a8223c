"""Becomes the program named by its arguments, which ends when the process that started it ends.

``python _launch.py PARENT PROGRAM ARGUMENTS...``; standard library only, for it runs in the
server's environment. Ending with the parent, however that dies, needs Linux; elsewhere a killed
parent leaves the program running.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["main"]

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>; kept over exec


def main(parent: int, program: list[str]) -> None:
    """Tie this process to its parent, then become the program."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:  # died before the line above
            sys.exit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
