"""MMSA at work; run by the interpreter of an environment that has it, see ``harness.testing.mmsa``.

``python _driver.py FORMULA``: each line on standard input is a request in JSON, each answer on
standard output one in JSON. FORMULA is the file of ``harness.testing.formula``. A request has a
``task``:

- ``epochs``, with ``model``, ``config``, ``folder`` and ``seed``: MMSA trains as it does. Every
  further line asks for an epoch of training, validation and keeping the best weights; the answer is
  its processor seconds and the number of trainable parameters.
- ``study``, with ``models``, ``config``, ``folder`` and ``seeds``: MMSA trains and tests each model
  with each seed as it comes, and writes its table. The answer is how many epochs each run took.
- ``figures``: MMSA's trainer goes through given batches with given weights, and what it computes is
  written to a file, see ``_figures``.

The end of the input ends the process.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import numpy as np
import torch
from torch.optim import Adam, Optimizer, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader

_MULTITASK = ("MLF_DNN", "MLMF", "MTFN")
_DROPOUT = "dropout"  # in the names of attributes that switch it on


class _Plateau(lr_scheduler.ReduceLROnPlateau):
    """As before torch 2.7: newer ones refuse ``verbose``, which MMSA passes."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - handed on
        named.pop("verbose", None)
        super().__init__(*arguments, **named)


def _put_right() -> None:
    """What keeps MMSA from running on a CPU at all, changed before it is imported."""
    setattr(lr_scheduler, "ReduceLROnPlateau", _Plateau)  # noqa: B010 - a class is no variable
    setattr(torch.cuda, "set_device", lambda _: None)  # noqa: B010 - called with the CPU


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
        _answer(self._answers, [seconds, self.parameters])


def _answer(answers: TextIO, value: object) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


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


def _epochs(job: Mapping[str, Any], answers: TextIO) -> None:
    """Train until nobody asks any more."""
    from MMSA import run

    turns = _Turns(answers)
    count = run.count_parameters

    def counted(model: torch.nn.Module) -> int:
        turns.parameters = count(model)
        return turns.parameters

    setattr(run, "ATIO", _paced(run, turns))  # noqa: B010 - a module's names
    setattr(run, "count_parameters", counted)  # noqa: B010 - likewise
    folder = Path(job["folder"])
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


def _study(job: Mapping[str, Any]) -> list[int]:
    """Everything from the file to the table, with MMSA's own settings; epochs of each run."""
    from MMSA import run

    epochs: list[int] = []
    folder = Path(job["folder"])
    setattr(run, "ATIO", _counted(run, epochs))  # noqa: B010 - a module's names
    for model in job["models"]:
        run.MMSA_run(
            model,
            "mosi",
            config=job["config"],
            seeds=job["seeds"],
            gpu_ids=[],
            verbose_level=0,
            model_save_dir=folder,
            res_save_dir=folder,
            log_dir=folder,
        )
    return epochs


def _counted(run: ModuleType, epochs: list[int]) -> type:
    """MMSA's choice of trainers, whose epochs are counted; an evaluation of clips ends each."""

    class Counted(run.ATIO):  # type: ignore[misc, name-defined]  # MMSA is not typed
        def getTrain(self, args: Any) -> Any:  # noqa: ANN401 - MMSA's names and classes
            trainer, place = super().getTrain(args), len(epochs)
            evaluate = trainer.do_test
            epochs.append(-1)  # the last evaluation is of the test clips

            def do_test(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - handed on
                epochs[place] += 1
                return evaluate(*arguments, **named)

            trainer.do_test = do_test
            return trainer

    return Counted


def _figures(job: Mapping[str, Any], formula: ModuleType) -> dict[str, Any]:
    """What MMSA's trainer computes on given weights and batches, without dropout.

    ``folder`` has the clips in MMSA's layout (``clips.pkl``) and the weights (``weights.npz``, by
    the names of MMSA's network), ``encoders`` a folder by the name of each that MMSA asks for.
    ``batches`` are the rows of each batch of each epoch. Where axes of one are in a weight or its
    gradient is MMSA's own affair: only values are of interest.

    Written to ``figures.npz`` in the folder: ``eval`` (n,) predictions before training, ``losses``
    of every backward pass in order, ``curve`` (epochs, n) predictions after each epoch, and
    ``grad/PASS/NAME``, the first gradient of each pass. Where inputs are damaged, ``kept/STREAM``
    (n, T) are the steps that were not. The answer has the weights that were ``given`` in vain or
    ``missing``, and ``groups``: parameter -> kind of its optimiser, rate, decay and epsilon.
    """
    folder = Path(job["folder"])
    os.chdir(job["encoders"])  # MMSA finds encoders by name: folders in this one
    torch.set_default_dtype(getattr(torch, job["dtype"]))
    _mend(job["mends"])
    args = _arguments(job)
    dataset = _clips(args)
    from MMSA.models import AMIO

    model = AMIO(args)
    _calm(model)
    weights = np.load(folder / "weights.npz")
    holders = dict(_holders(model))
    named = _Named(holders, weights)
    trainer = _trainer(args)
    trainer.model = model  # MMIM's reads it in evaluation, too
    watch = _Watch(model, named, dataset, args, trainer, job["batches"])
    if job["single_step"]:
        setattr(torch.optim, "Adam", _SingleStep)  # noqa: B010 - a module's name
    with watch, _Fixed(formula):
        named.load()
        watch.curve.append(watch.predictions())
        try:
            trainer.do_train(model, {"train": watch, "valid": None, "test": None})
        except _EnoughError:
            pass
        finally:
            setattr(torch.optim, "Adam", Adam)  # noqa: B010 - a module's name
    np.savez(folder / "figures.npz", **watch.arrays(), **_kept(dataset))
    return {
        "given": sorted(weights.keys() - holders),
        "missing": sorted(holders.keys() - weights.keys() - set(job["own"])),
        "groups": watch.groups,
    }


def _arguments(job: Mapping[str, Any]) -> Any:  # noqa: ANN401 - MMSA's dictionary
    import MMSA
    from MMSA.config import get_config_regression

    settings = Path(MMSA.__file__).parent / "config" / "config_regression.json"
    args = get_config_regression(job["model"], job["dataset"], settings)
    args.update(
        {
            "featurePath": str(Path(job["folder"], "clips.pkl")),
            "device": torch.device("cpu"),
            "train_mode": "regression",
            "custom_feature": None,
            "cur_seed": 1,
            "early_stop": sys.maxsize,
            **dict.fromkeys(("feature_T", "feature_A", "feature_V")),
            **job["config"],
        }
    )
    return args


def _clips(args: Any, *, complete: bool = False) -> Any:  # noqa: ANN401 - MMSA's classes
    """MMSA's dataset; without holes if ``complete``."""
    from MMSA.data_loader import MMDataset

    rate = args.get("missing_rate")
    if complete and rate is not None:
        args["missing_rate"] = [0.0] * len(rate)
    clips = MMDataset(args, "train")
    args["missing_rate"] = rate
    args["seq_lens"] = clips.get_seq_len()
    return clips


def _calm(model: torch.nn.Module) -> None:
    """Switch dropout off, wherever a module keeps its share."""
    for module in model.modules():
        kept = vars(module)
        for name in [n for n, value in kept.items() if _DROPOUT in n and isinstance(value, float)]:
            setattr(module, name, 0.0)
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def _holders(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and running statistics by name, those of modules in dictionaries included."""
    yield from model.named_parameters()
    yield from ((n, b) for n, b in model.named_buffers() if n.endswith(("_mean", "_var")))
    for prefix, module in model.named_modules():
        for attribute, value in vars(module).items():
            if isinstance(value, dict) and not attribute.startswith("_"):
                for key, part in value.items():
                    if isinstance(part, torch.nn.Module):
                        place = f"{prefix}.{attribute}.{_spelled(key)}"
                        yield from part.named_parameters(place)


def _spelled(key: object) -> str:
    return "-".join(map(str, key)) if isinstance(key, tuple) else str(key)


class _Named:
    """The tensors of a network and what they begin as."""

    def __init__(self, holders: dict[str, torch.Tensor], weights: Mapping[str, Any]) -> None:
        self._holders, self._weights = holders, weights

    @torch.no_grad()
    def load(self) -> None:
        """Give every tensor its weights; axes of one may be elsewhere."""
        for name, tensor in self._holders.items():
            if name in self._weights:
                tensor.copy_(torch.from_numpy(self._weights[name]).reshape(tensor.shape))


def _trainer(args: Any) -> Any:  # noqa: ANN401 - MMSA's classes
    from MMSA.trains import ATIO

    return ATIO().getTrain(args)


class _EnoughError(Exception):
    """The last epoch is over."""


class _SingleStep(Adam):
    """Steps only when asked twice after one backward pass: TFR-Net's trainer does so per group."""

    asked = False

    def step(self, closure: Any = None) -> Any:  # noqa: ANN401 - torch's signature
        """Step, or wait to be asked again."""
        if not _SingleStep.asked:
            _SingleStep.asked = True
            return None
        return super().step(closure)


class _Watch:
    """Serves the batches and keeps what the trainer makes of them.

    It stands in the place of MMSA's loader of training clips: one pass is one epoch's batches.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        named: _Named,
        dataset: Any,  # noqa: ANN401 - MMSA's classes
        args: Any,  # noqa: ANN401 - likewise
        trainer: Any,  # noqa: ANN401 - likewise
        batches: list[list[list[int]]],
    ) -> None:
        self._model, self._named, self._dataset = model, named, dataset
        self._args, self._batches = args, batches
        self._names = {id(p): name for name, p in model.named_parameters()}
        self._validate = trainer.do_test
        trainer.do_test, trainer.metrics = self._end_epoch, self._scored
        self._everything = _clips(args, complete=True) if args.get("data_missing") else dataset
        self._seen: list[torch.Tensor] | None = None
        self._begins = False
        self.losses: list[float] = []
        self.curve: list[np.ndarray[Any, Any]] = []
        self.gradients: list[dict[str, np.ndarray[Any, Any]]] = []
        self.groups: dict[str, tuple[str, float, float, float]] = {}

    def __enter__(self) -> None:
        self._backward = torch.autograd.backward
        setattr(torch.autograd, "backward", self._hooked())  # noqa: B010 - what tensors call
        self._handle = register_optimizer_step_pre_hook(self._note)

    def __exit__(self, *_: object) -> None:
        setattr(torch.autograd, "backward", self._backward)  # noqa: B010 - likewise
        self._handle.remove()

    def __len__(self) -> int:
        return len(self._batches[0])

    def __iter__(self) -> Iterator[Any]:
        if not self.losses:
            self._named.load()  # MMIM's trainer draws the weights again
        self._begins = True
        epoch = self._batches[len(self.curve) - 1]
        return iter(DataLoader(self._dataset, batch_sampler=epoch))

    def _hooked(self) -> Callable[..., None]:
        backward = self._backward

        def watched(loss: torch.Tensor, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
            backward(loss, *arguments, **named)
            _SingleStep.asked = False
            self.losses.append(loss.item())
            if self._begins and len(self.curve) == 1:  # of the first epoch
                self.gradients.append(
                    {
                        name: p.grad.numpy().copy()
                        for name, p in self._model.named_parameters()
                        if p.grad is not None
                    }
                )
            self._begins = False

        return watched

    def _note(self, optimizer: Optimizer, *_: object) -> None:
        kind = next(c.__name__ for c in type(optimizer).__mro__ if not c.__name__.startswith("_"))
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                told = kind, group["lr"], group["weight_decay"], group["eps"]
                self.groups.setdefault(self._names[id(parameter)], told)

    def _scored(self, prediction: torch.Tensor, *_: object) -> dict[str, float]:
        """In place of MMSA's metrics; the first call of an evaluation is the fused prediction."""
        if self._seen is not None:
            self._seen.append(prediction.detach())
        return {}

    def predictions(self) -> np.ndarray[Any, Any]:
        """(n,) of all clips as one batch, by MMSA's evaluation."""
        self._seen = []
        rows = [list(range(len(self._everything)))]
        self._validate(self._model, DataLoader(self._everything, batch_sampler=rows))
        first, self._seen = self._seen[0], None
        return first.double().numpy().reshape(-1)

    def _end_epoch(self, *_: object, **__: object) -> dict[str, float]:
        """In place of MMSA's validation: nothing is better than what is no number."""
        self.curve.append(self.predictions())
        if len(self.curve) > len(self._batches):
            raise _EnoughError
        return {"Loss": math.nan}

    def arrays(self) -> dict[str, Any]:
        """What goes into the file."""
        return {
            "eval": self.curve[0],
            "curve": np.array(self.curve[1:]),
            "losses": np.array(self.losses),
            **{
                f"grad/{place}/{name}": values
                for place, gradients in enumerate(self.gradients)
                for name, values in gradients.items()
            },
        }


def _kept(dataset: Any) -> dict[str, Any]:  # noqa: ANN401 - MMSA's classes
    masks = {name: getattr(dataset, f"{name}_missing_mask", None) for name in _STREAMS}
    return {f"kept/{name}": mask.astype(bool) for name, mask in masks.items() if mask is not None}


_STREAMS = ("text", "audio", "vision")


class _Fixed(torch.overrides.TorchFunctionMode):
    """While open, normal draws are the formula's, and ``float()`` means the format computed in."""

    def __init__(self, formula: ModuleType) -> None:
        super().__init__()
        self._formula = formula

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's signature
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - likewise
        if func is torch.randn:
            drawn = torch.from_numpy(self._formula.draws(tuple(torch.Size(*args))))
            return drawn.to(torch.get_default_dtype())
        if func is torch.Tensor.float:
            return args[0].to(torch.get_default_dtype())
        return func(*args, **(kwargs or {}))


def _mend(mends: list[str]) -> None:
    """Repair what the package does wrong and its repository put right later."""
    if "log_line" in mends:
        for name in _MULTITASK:
            _without_log_line(name)
    if "windows" in mends:
        from MMSA.models.subNets import AlignNets

        setattr(AlignNets.AlignSubNet, "forward", _windows)  # noqa: B010 - a class's method


def _without_log_line(name: str) -> None:
    """These trainers name their results in a log line before they have any, and end there."""
    module = importlib.import_module(f"MMSA.trains.multiTask.{name}")
    source = inspect.getsource(module).replace(" {dict_to_str(train_results)}", "", 1)
    exec(compile(source, str(module.__file__), "exec"), vars(module))
    setattr(sys.modules["MMSA.trains.ATIO"], name, getattr(module, name))


def _windows(network: Any, text: Any, audio: Any, vision: Any) -> Any:  # noqa: ANN401 - tensors
    """(B, N, D) -> (B, T, D), means of neighbouring frames; the package takes every T-th one."""
    count = network.dst_len

    def pooled(stream: torch.Tensor) -> torch.Tensor:
        size = -(-stream.shape[1] // count)
        rest = stream[:, -1:].expand(-1, size * count - stream.shape[1], -1)
        windows: torch.Tensor = torch.cat([stream, rest], dim=1).unflatten(1, (count, size))
        return windows.mean(2)

    return text, pooled(audio), pooled(vision)


def _formula(file: str) -> ModuleType:
    """A module of the harness that needs NumPy alone, and not the harness."""
    spec = importlib.util.spec_from_file_location("formula", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["formula"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever MMSA prints is no answer
    if threads := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    _put_right()
    formula = _formula(sys.argv[1])
    for line in sys.stdin:
        job = json.loads(line)
        if job["task"] == "epochs":
            _epochs(job, answers)
            return
        studied = job["task"] == "study"
        _answer(answers, _study(job) if studied else _figures(job, formula))


if __name__ == "__main__":
    main()
