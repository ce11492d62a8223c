"""``python -m leaderboards.guide``: write or check the page "How to read a board"."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from leaderboards.guide import check, write

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and its figures, or say what differs from them.

    Args:
        arguments: Of the command line; the process's own when None.

    Returns:
        0, or 1 when ``--check`` found a difference.
    """
    parser = argparse.ArgumentParser(prog="python -m leaderboards.guide", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; fail on a difference")
    if parser.parse_args(arguments).check:
        differences = check()
        sys.stdout.writelines(f"{line}\n" for line in differences or ["unchanged"])
        return int(bool(differences))
    sys.stdout.writelines(f"written: {path}\n" for path in write())
    return 0


if __name__ == "__main__":
    sys.exit(main())
