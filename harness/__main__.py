"""``python -m harness`` is ``msa``."""

from harness.cli import main

if __name__ == "__main__":
    main()
