"""One model of MMSA, an epoch at a time; run by the interpreter of MMSA's own environment.

``python _mmsa_epochs.py JOB``: the job is JSON with ``model``, ``config``, ``folder`` and ``seed``.
Each line on standard input asks for an epoch of training, validation and keeping the best weights;
the answer on standard output is JSON with its processor seconds and the trainable parameters. The
end of the input ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import torch
from torch.optim import lr_scheduler


class _Plateau(lr_scheduler.ReduceLROnPlateau):
    """As before torch 2.7: newer ones refuse ``verbose``, which MMSA passes."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - handed on
        named.pop("verbose", None)
        super().__init__(*arguments, **named)


class _Turns:
    """Epochs on demand.

    Args:
        answers: Where their seconds go.
    """

    def __init__(self, answers: TextIO) -> None:
        self._answers, self._began = answers, 0.0
        self.parameters = 0

    def begin(self) -> None:
        """Wait until an epoch is asked for; leave when none will be."""
        if not sys.stdin.readline():
            sys.exit(0)
        self._began = time.process_time()

    def end(self) -> None:
        """Answer."""
        seconds = time.process_time() - self._began
        self._answers.write(json.dumps([seconds, self.parameters]) + "\n")
        self._answers.flush()


def _mmsa() -> ModuleType:
    """What runs models in MMSA, imported after what it must find changed."""
    setattr(lr_scheduler, "ReduceLROnPlateau", _Plateau)  # noqa: B010 - a class is no variable
    setattr(torch.cuda, "set_device", lambda _: None)  # noqa: B010 - called with the CPU
    from MMSA import run

    module: ModuleType = run
    return module


def _paced(run: ModuleType, turns: _Turns) -> type:
    """MMSA's choice of trainers, whose epochs end with their validation and take turns."""

    class Paced(run.ATIO):  # type: ignore[misc, name-defined]  # MMSA is not typed
        def getTrain(self, args: Any) -> Any:  # noqa: ANN401 - MMSA's names and classes
            trainer = super().getTrain(args)
            validate = trainer.do_test

            def do_test(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - handed on
                results = validate(*arguments, **named)
                turns.end()
                turns.begin()
                return results

            trainer.do_test = do_test
            turns.begin()
            return trainer

    return Paced


def main() -> None:
    """Train until nobody asks any more."""
    job = json.loads(sys.argv[1])
    turns = _Turns(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)  # whatever MMSA prints is no answer
    run = _mmsa()
    count = run.count_parameters

    def counted(model: torch.nn.Module) -> int:
        turns.parameters = count(model)
        return turns.parameters

    setattr(run, "ATIO", _paced(run, turns))  # noqa: B010 - a module's names
    setattr(run, "count_parameters", counted)  # noqa: B010 - likewise
    folder = Path(job["folder"])
    torch.set_num_threads(1)
    run.MMSA_run(
        job["model"],
        "mosi",
        config={**job["config"], "early_stop": sys.maxsize},
        seeds=[job["seed"]],
        gpu_ids=[],
        num_workers=0,
        verbose_level=0,
        model_save_dir=folder,
        res_save_dir=folder,
        log_dir=folder,
    )


if __name__ == "__main__":
    main()
