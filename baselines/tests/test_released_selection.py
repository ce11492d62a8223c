"""Epochs as released code chooses them: each system's rule against its trainer's own few lines.

The references below are written from the trainers named on the cards: a list of validation values
goes in, the epoch that is tested and the last one trained come out. Here a network predicts what
gives exactly these values, and the training loop goes by the rule on the system's card.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import nn

from harness.data.batching import Batch
from harness.data.corpus import Corpus
from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.metrics import metrics
from harness.spec.protocols import protocols
from harness.spec.selection import LAST, LOSSES, SelectionRule, rule_of
from harness.system import Card, Network, Output, Stage, System, Task, TrainingParams, systems
from harness.training import fit_network, loop_of
from harness.training.selection import mean_of_batches

Outcome = tuple[int, int]
"""Epoch tested, epochs trained."""
Reference = Callable[[Sequence[float]], Outcome]


def mmsa(values: Sequence[float], patience: int) -> Outcome:
    """MMSA and DLF: a four-digit loss has to fall by a millionth; the loop has no other end."""
    best, kept = 1e8, 0
    for epoch, value in enumerate(values, start=1):
        if round(value, 4) <= best - 1e-6:
            best, kept = round(value, 4), epoch
        if epoch - kept >= patience:
            return kept, epoch
    return kept, len(values)


def text(values: Sequence[float]) -> Outcome:
    """TEXT: at least as accurate as the best so far; all epochs are trained."""
    kept, best = 0, 0.0
    for epoch, value in enumerate(values, start=1):
        if epoch == 1 or round(value, 4) >= best:
            kept, best = epoch, round(value, 4)
    return kept, len(values)


def check_and_save(values: Sequence[float], after: int, *, lower: bool = True) -> Outcome:
    """ConFEDE and ConKI: strictly better than before, once the epoch is beyond ``after``."""
    best, kept = (100.0, 0) if lower else (0.0, 0)
    for epoch, value in enumerate(values, start=1):
        value = round(value, 4)
        if epoch > after and (value < best if lower else value > best):
            best, kept = value, epoch
    return kept, len(values)


def last(values: Sequence[float]) -> Outcome:
    """KuDA's first stage, and what is left at the end of its second."""
    return len(values), len(values)


def saved(after: int, *, lower: bool = True) -> Reference:
    return functools.partial(check_and_save, after=after, lower=lower)


def lowest(values: Sequence[float]) -> Outcome:
    """MIB: the first of the lowest, as far as float32 tells; all epochs are trained."""
    return 1 + min(range(len(values)), key=lambda epoch: round(values[epoch], 6)), len(values)


def stops(patience: int) -> Reference:
    return functools.partial(mmsa, patience=patience)


MMSA = (
    *("tfn", "lmf", "ef_lstm", "lf_dnn", "mfn", "graph_mfn", "mult", "mag_bert", "mfm", "mmim"),
    *("self_mm", "tetfn", "cenet"),
)
CASES: dict[tuple[str, str, str], tuple[str, Reference]] = {
    # system, dataset, stage -> what is watched, and the trainer's lines
    **{(name, "mosi", "main"): ("l1", stops(8)) for name in MMSA},
    **{(name, "sims", "main"): ("total", stops(8)) for name in ("mlf_dnn", "mtfn", "mlmf")},
    ("misa", "mosi", "main"): ("mse", stops(8)),
    ("tfr_net", "mosi", "main"): ("l1", stops(6)),
    ("almt", "mosi", "main"): ("mse", stops(32)),
    ("clgsi", "mosi", "main"): ("mae", stops(8)),
    ("dlf", "mosi", "main"): ("l1", stops(10)),
    ("ithp", "mosi", "main"): (LAST, last),
    **{(name, "mosi", "main"): ("mse", lowest) for name in ("c_mib", "e_mib", "l_mib")},
    ("dmd", "mosi", "main"): ("l1", stops(10)),
    **{("imder", "mosi", stage): ("l1", stops(20)) for stage in ("complete", "main")},
    ("emoe", "mosi", "main"): ("l1", stops(10)),
    ("text", "mosi", "main"): ("acc2_has0", text),
    ("text", "sims", "main"): ("acc2", text),
    ("text@published", "mosi", "main"): ("acc2_has0", text),
    ("text@published", "sims", "main"): ("acc2", text),
    ("conki", "mosi", "knowledge"): ("mae", saved(1)),
    ("conki", "mosi", "main"): ("mae", saved(1)),
    ("kuda", "sims", "text_knowledge"): (LAST, last),
    ("kuda", "sims", "main"): (LAST, last),
    ("confede", "mosi", "text_head"): (LAST, last),
    ("confede", "mosi", "text"): ("mae", saved(0)),
    ("confede", "mosi", "vision"): ("mae", saved(20)),
    ("confede", "mosi", "audio"): ("mae", saved(30)),
    ("confede", "mosi", "main"): ("mae", saved(1)),
    ("confede", "mosei", "vision"): ("mae", saved(5)),
    ("confede", "mosei", "audio"): ("mae", saved(5)),
    ("confede", "mosei", "main"): ("mae", saved(1)),
    ("confede", "sims", "vision"): ("mae", saved(50)),
    ("confede", "sims", "audio"): ("mae", saved(30)),
    ("confede", "sims", "main"): ("acc2", saved(10, lower=False)),
}
EPOCHS = 60
GRID = 12  # few values: equals are common
CLIPS = {"train": 4, "valid": 12, "test": 2}
RULED = sorted(name for name, system in systems.items() if system.card.selection is not None)


class Scripted(Network):
    """Whose validation value after epoch e is the e-th of a list, whatever is watched."""

    def __init__(self, values: Sequence[float], monitor: str, stage: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.values, self.monitor, self.stage, self.epoch = values, monitor, stage, 0

    def stages(self, params: TrainingParams) -> tuple[Stage, ...]:
        return (Stage(name=self.stage, epochs=len(self.values)),)

    def begin_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def forward(self, batch: Batch) -> Output:
        if self.training:
            return Output(batch.labels + self.weight)
        value = self.values[self.epoch - 1]
        if self.monitor.startswith("acc"):
            wrong = batch.rows >= round(value * CLIPS["valid"])
            right = torch.where(batch.labels > 0, 1.0, -1.0)
            return Output(torch.where(wrong, -right, right))
        shift = math.sqrt(value) if self.monitor == "mse" else value
        off = batch.labels - torch.where(batch.labels > 0, shift, -shift)  # inside the label range
        return Output(off, {"task": torch.tensor(value)} if self.monitor == "total" else {})


@pytest.fixture(scope="module")
def corpora(make_corpus) -> dict[str, Corpus]:
    return {name: make_corpus(name, clips=CLIPS) for name in ("mosi", "mosei", "sims")}


def chosen(
    corpus: Corpus, rules: tuple[SelectionRule, ...], stage: str, monitor: str, values: list[float]
) -> Outcome:
    task = Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=None,
        protocol=dataclasses.replace(
            protocols["as_released"], rules=rules, max_epochs=len(values), patience=1
        ),
        seed=1,
        device=torch.device("cpu"),
        encoder=None,
        cache=None,  # type: ignore[arg-type]  # nothing is cached
    )
    system = System(
        name="scripted",
        card=Card(title="Scripted", paper="none", year=None),
        params=TrainingParams,
        inputs=frozenset(),
        build=lambda dims, params: Scripted(values, monitor, stage),
    )
    loop = loop_of(system, task, TrainingParams(batch_size=5))
    loop.run()
    return loop.best.epoch, len(loop.history)


def drawn(seed: int) -> list[float]:
    """Validation values with many equals, some of them apart by less than four digits."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(2, GRID, EPOCHS) / GRID
    return [float(value) for value in coarse]


@pytest.mark.parametrize(("system", "dataset", "stage"), CASES)
def test_the_rule_on_the_card_chooses_as_the_trainer_does(corpora, system, dataset, stage):
    monitor, reference = CASES[system, dataset, stage]
    rules = systems[system].card.selection.on(dataset)
    assert rule_of(rules, stage).monitor == monitor
    for seed in range(2):
        values = drawn(seed)
        if not monitor.startswith("acc"):  # counts of clips have no finer steps
            values = [v + 3e-5 * (i % 3 - 1) for i, v in enumerate(values)]
        assert chosen(corpora[dataset], rules, stage, monitor, values) == reference(values)


def test_every_system_with_a_rule_is_among_the_cases():
    assert {name for name, _, _ in CASES} == set(RULED)


def test_rounding_makes_equals_and_the_earlier_one_stays(corpora):
    rule = SelectionRule(monitor="l1", digits=4, patience=3)
    values = [0.5, 0.49996, 0.49994, 0.6, 0.6, 0.6, 0.1]
    assert mmsa(values, 3) == (3, 6)
    assert chosen(corpora["mosi"], (rule,), "main", "l1", values) == (3, 6)
    exact = dataclasses.replace(rule, digits=None)
    assert chosen(corpora["mosi"], (exact,), "main", "l1", values)[0] == 3


def test_too_few_epochs_keep_the_last(corpora):
    rule = SelectionRule(monitor="mae", first=9)
    assert chosen(corpora["mosi"], (rule,), "main", "mae", [0.1, 0.2, 0.3]) == (3, 3)


def test_patience_waits_until_an_epoch_may_be_kept(corpora):
    rule = SelectionRule(monitor="mae", first=4, patience=2)
    values = [0.1, 0.2, 0.3, 0.9, 0.95, 0.95, 0.1]
    assert chosen(corpora["mosi"], (rule,), "main", "mae", values) == (4, 6)


def test_a_small_last_batch_counts_as_much_as_the_others():
    """As ``eval_loss / len(dataloader)`` has it."""
    prediction, labels = torch.tensor([1.0, 1.0, 1.0, 1.0, 9.0]), torch.zeros(5)
    batches = torch.arange(5).split(2)
    assert mean_of_batches(prediction, labels, "l1", batches) == pytest.approx((1 + 1 + 9) / 3)
    assert mean_of_batches(prediction, labels, "mse", batches) == pytest.approx((1 + 1 + 81) / 3)
    assert mean_of_batches(prediction, labels, "l1", batches) != float(prediction.mean())


@pytest.mark.parametrize("name", RULED)
def test_rules_name_stages_that_there_are_and_metrics_of_the_dataset(fitting, task, small, name):
    system = systems[name]
    corpus = fitting(system)
    params = system.resolve(corpus.dataset.name, small(system))
    loop = loop_of(system, task(corpus), params)
    stages = [stage.name for stage in loop._stages]
    for dataset in ("mosi", "mosei", "sims", "simsv2"):
        rules = system.card.selection.on(dataset)
        assert {stage for rule in rules for stage in rule.stages} <= set(stages)
        for stage in stages:
            monitor = rule_of(rules, stage).monitor
            assert monitor in {*LOSSES, LAST} or metrics[monitor].defined_on(datasets[dataset])


@pytest.mark.slow
@pytest.mark.parametrize("name", RULED)
def test_every_system_with_a_rule_trains_by_it(fitting, task, small, name):
    """The value of the kept epoch is the best of those that may be kept."""
    system = systems[name]
    corpus = fitting(system)
    own = task(corpus, epochs=3)
    rules = system.card.selection.on(corpus.dataset.name)
    protocol = dataclasses.replace(own.protocol, selection="released", rules=rules, max_epochs=3)
    params = system.resolve(corpus.dataset.name, small(system, epochs=3))
    fitted = fit_network(system, dataclasses.replace(own, protocol=protocol), params)
    stage = fitted.history[-1].stage
    lines = [line for line in fitted.history if line.stage == stage]
    rule = rule_of(rules, stage)
    first = 3 if rule.monitor == LAST else min(rule.first, 3)
    sign = -1 if rule.monitor in metrics and metrics[rule.monitor].higher_is_better else 1
    allowed = [line for line in lines if line.epoch >= first]
    best = min(sign * line.valid for line in allowed)
    equal = [line.epoch for line in allowed if sign * line.valid == best]
    assert fitted.selected_epoch == (equal[-1] if rule.ties == "latest" else equal[0])
    assert all(rule.digits is None or round(v.valid, rule.digits) == v.valid for v in lines) or (
        rule.monitor == LAST
    )


@pytest.mark.parametrize("name", sorted(n for n, s in systems.items() if s.build is not None))
def test_the_longest_stage_is_what_a_system_says_it_is(fitting, task, small, name):
    """So that no cap on epochs cuts a schedule unseen."""
    system = systems[name]
    corpus = fitting(system)
    params = system.resolve(corpus.dataset.name, small(system))
    stages = loop_of(system, task(corpus), params)._stages
    wanted = [s.epochs if s.epochs is not None else (s.params or params).epochs for s in stages]
    assert max(wanted) == params.longest_schedule


def test_a_stage_that_no_rule_names_is_refused():
    with pytest.raises(SpecError, match="no rule says how an epoch of stage 'main' is chosen"):
        rule_of((SelectionRule(monitor="mae", stages=("other",)),), "main")


@pytest.mark.parametrize("values", [{"first": 0}, {"patience": 0}])
def test_a_rule_counts_from_one(values):
    with pytest.raises(SpecError, match="are at least 1"):
        SelectionRule(monitor="mae", **values)
