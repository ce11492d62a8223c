"""``python -m harness.tests.chaos``: damage a home in every way, see that nothing is silent."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from harness.tests.chaos import attempt
from harness.tests.chaos.report import DATA, PAGE, by_way, page, record


def main() -> int:
    """Exit 1 where damage changed something without a word, or ended in a traceback."""
    parser = argparse.ArgumentParser(prog="python -m harness.tests.chaos", description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", type=Path, help="each trial, a line; those there are kept")
    parser.add_argument("--out", type=Path, help="write the counts here, as JSON")
    parser.add_argument("--page", action="store_true", help="write docs/pages/chaos.md anew")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trials = attempt(
            Path(folder),
            trials=given.trials,
            seed=given.seed,
            jobs=given.jobs,
            log=(given.log or Path(folder) / "log.jsonl").absolute(),
        )
    found = record(trials, given.seed)
    bad = [trial for trial in trials if trial.outcome not in ("healed", "named")]
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    for trial in bad:
        print(f"{trial.number} {trial.thing}, {trial.way}, {trial.path}: {trial.outcome}")  # noqa: T201
        print(trial.said)  # noqa: T201
    if given.page:
        data = json.loads(DATA.read_text("utf-8")) | {"after": found}
        DATA.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
        PAGE.write_text(page(data), "utf-8")
    print(by_way(found["counts"]))  # noqa: T201
    print(f"{len(trials)} trials, {len(bad)} that should not be")  # noqa: T201
    return bool(bad) or len(trials) < given.trials


if __name__ == "__main__":
    sys.exit(main())
