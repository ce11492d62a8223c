"""Damage, kills and full disks by chance: the board stays what it was, or the damage is named."""

from __future__ import annotations

import dataclasses
import json
import os
import traceback
from collections.abc import Iterable
from pathlib import Path

from harness.tests.chaos.homes import Homes, a_server, build, fewer_draws, in_this_process
from harness.tests.chaos.processes import forked
from harness.tests.chaos.trials import Clean, Trial, carry_out, look

__all__ = ["Trial", "attempt", "read_log"]


def attempt(folder: Path, *, trials: int, seed: int, jobs: int = 1, log: Path) -> list[Trial]:
    """So many trials, in order.

    Args:
        folder: An empty one for homes.
        trials: How many.
        seed: With its number, all that a trial follows from but for the moment of a kill.
        jobs: How many at once.
        log: Where each is written when it ends; those that are there are not done again.
    """
    done = {trial.number for trial in read_log(log)}
    left = [number for number in range(trials) if number not in done]
    with a_server() as server, in_this_process(), fewer_draws():
        homes = build(folder, server)
        clean = forked(lambda: look(homes.copy(folder / "look")), seconds=600)
        children = [
            _start(folder / f"share-{job}", left[job::jobs], seed, homes, clean, log)
            for job in range(jobs)
        ]
        for child in children:
            os.waitpid(child, 0)
    return read_log(log)


def read_log(log: Path) -> list[Trial]:
    """The trials that are done, in order."""
    lines = log.read_text("utf-8").splitlines() if log.is_file() else []
    return sorted((Trial(**json.loads(line)) for line in lines), key=lambda trial: trial.number)


def _start(
    share: Path, numbers: Iterable[int], seed: int, homes: Homes, clean: Clean, log: Path
) -> int:
    """The process that does a share of the trials."""
    child = os.fork()
    if not child:
        code = 1
        try:
            for number in numbers:
                trial = carry_out(number, seed, homes, clean, share / f"trial-{number}")
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(dataclasses.asdict(trial)) + "\n")
            code = 0
        except Exception:  # noqa: BLE001 - of the harness's own trial: said here, for nobody else can
            traceback.print_exc()
        finally:
            os._exit(code)
    return child
