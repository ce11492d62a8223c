"""The readers of ``test_fuzz`` under a fuzzer that looks for branches nobody took.

``tox -e fuzz`` runs ``python fuzz_with_coverage.py FORMAT RUNS``: atheris changes a valid file over
and over and keeps what reaches new code. An error that is not deliberate ends it, with the file.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path


def main(name: str, runs: str) -> None:
    """Fuzz the readers of one format."""
    import atheris

    with atheris.instrument_imports(include=["harness"]):
        from harness.errors import HarnessError
        from harness.tests.test_fuzz import FORMATS

    suffix, content, readers = FORMATS[name]
    with tempfile.TemporaryDirectory(prefix="msa-fuzz-") as folder:
        seeds, path = Path(folder, "seeds"), Path(folder, f"file.{suffix}")
        seeds.mkdir()
        (seeds / "valid").write_bytes(content)

        def try_one(data: bytes) -> None:
            path.write_bytes(data)
            for reader in readers:
                with contextlib.suppress(HarnessError):
                    reader(path)

        how = [f"-runs={runs}", "-seed=1", "-max_len=8192", "-artifact_prefix=fuzz-", str(seeds)]
        atheris.Setup([sys.argv[0], *how], try_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
