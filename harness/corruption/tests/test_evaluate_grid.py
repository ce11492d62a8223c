"""A grid of conditions from plan to store: one checkpoint answers every cell."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from harness import data
from harness.corruption import Corrupter, split_under
from harness.corruption.evaluate_grid import answer_grid, draws_digest, obstacle
from harness.errors import RunFailed
from harness.home import Home
from harness.runs.store import RunStore
from harness.spec.conditions import CLEAN, Condition, grid, told
from harness.spec.protocols import protocols
from harness.system import (
    Card,
    Dims,
    Fitted,
    Network,
    Output,
    System,
    Task,
    TrainingParams,
    systems,
)
from harness.tests.stores import Off, Row, make_store
from harness.training import checkpoint as resume
from harness.training import evaluation, fit_network, loop_of

STREAMS = frozenset({"text", "audio", "vision"})
FEW = tuple(
    Condition.parse(name) for name in ("noise=0.5", "element=0.5", "only:audio", "audio:block=0.3")
)


class Probe(Network):
    """A linear model of mean frames; tells how loud audio is, and remembers what it was shown."""

    def __init__(self, dims: Dims, params: TrainingParams) -> None:
        super().__init__()
        self.line = nn.Linear(dims.need("text")[1] + dims.need("audio")[1], 1)
        self.seen: list[torch.Tensor] = []

    def forward(self, batch):
        text, audio = batch.text.values.sum(1), batch.audio.values.sum(1)
        if self.training:
            self.seen.append(audio.clone())
        energy = batch.audio.values.square().sum((1, 2))
        prediction = self.line(torch.cat([text, audio], 1)).squeeze(1)
        return Output(prediction, diagnostics={"energy": energy})


PROBE = System(
    name="probe",
    card=Card(title="Probe", paper="none", year=None),
    params=TrainingParams,
    inputs=STREAMS,
    build=Probe,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return data.load("mosi-twin@compact-x5", Home(tmp_path_factory.mktemp("home")))


@pytest.fixture
def task(corpus, tmp_path) -> Task:
    return Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=None,
        protocol=dataclasses.replace(protocols["reliability"], max_epochs=3),
        seed=1,
        device=torch.device("cpu"),
        encoder=None,
        cache=tmp_path,
    )


# Evaluation


@pytest.fixture
def fitted(task) -> Fitted:
    return fit_network(PROBE, task, TrainingParams())


def test_batches_and_conditions_asked_together_change_no_answer(corpus, fitted, monkeypatch):
    split = corpus.split("test")
    together = fitted.predict_under(split, FEW)
    assert together.shape == (len(FEW), len(split))
    alone = np.concatenate([fitted.predict_under(split, [condition]) for condition in FEW])
    np.testing.assert_array_equal(together, alone)
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", 5)
    np.testing.assert_allclose(fitted.predict_under(split, FEW), together, atol=1e-5)


def test_networks_and_other_systems_meet_the_same_clips(corpus, fitted):
    """Asked about splits, a system says what it says when its batches are corrupted."""
    split = corpus.split("test")
    corrupter = Corrupter(split)
    for condition, answer in zip(FEW, fitted.predict_under(split, FEW), strict=True):
        changed = split_under(split, condition, corrupter, STREAMS)
        np.testing.assert_allclose(fitted.predict(changed), answer, atol=1e-5)


def test_every_cell_is_answered_and_the_empty_one_by_the_training_mean(corpus, fitted):
    split = corpus.split("test")
    found = answer_grid(fitted, PROBE, TrainingParams(), split, "curves")
    names = [condition.name for condition in grid("curves")[1:]]
    table = found.predictions
    assert list(dict.fromkeys(table["condition"])) == names
    assert all(rows["id"].tolist() == split.ids for _, rows in table.groupby("condition"))
    empty = table[table["condition"] == "modality=1"]["pred"]
    np.testing.assert_allclose(empty, corpus.split("train").labels.mean())
    assert found.record["train_mean"] == ["modality=1"]
    assert found.record["cells"] == len(names) + 1
    assert found.record["draws"] == draws_digest(split, "curves")


def test_what_a_system_tells_is_kept_where_one_modality_is_hit(corpus, fitted):
    split = corpus.split("test")
    found = answer_grid(fitted, PROBE, TrainingParams(), split, "sets").diagnostics
    names = [c.name for c in told(grid("sets")[1:])]
    assert (
        list(dict.fromkeys(found["condition"]))
        == names
        == [
            *("only:text+audio", "only:text+vision", "only:audio+vision"),
        ]
    )
    silent = found[found["condition"] == "only:text+vision"]
    assert (silent["energy"] == 0).all()


def test_a_prediction_that_is_not_finite_fails_the_run(corpus):
    def predict(split):
        frames = split.stream("audio").values
        return np.where(np.abs(frames).sum((1, 2)) == 0, np.nan, 0.0)

    broken = Fitted(predict=predict, parameters=0, trainable=0)
    with pytest.raises(RunFailed, match="only:text"):
        answer_grid(broken, PROBE, TrainingParams(), corpus.split("test"), "sets")


def test_who_cannot_be_corrupted_says_why():
    for name, system in systems.items():
        reason = obstacle(system, system.params())
        reads = system.params().reads(system.inputs)
        clues = reads & {"audio_clue", "visual_clue", "summary", "clue_vectors"}
        if clues:
            assert reason is not None and "clue" in reason, name
        elif system.supervision == "train":
            assert reason is None, name


# Training


@pytest.mark.parametrize("law", ["spectrum", "code", "lnln", "element=0.5"])
def test_training_clips_change_with_the_epoch_and_validation_clips_do_not(task, law):
    clean = loop_of(PROBE, task, TrainingParams())
    loop = loop_of(PROBE, task, TrainingParams(training_corruption=law))
    for each in (clean, loop):
        each.train_epoch(1)
        each.train_epoch(1)
        each.train_epoch(2)
    size = len(loop.network.seen) // 3
    first, again, second = (
        torch.cat(loop.network.seen[i * size : (i + 1) * size]) for i in range(3)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.cat(clean.network.seen[:size]))
    assert not torch.equal(first.sort(0).values, second.sort(0).values)
    valid, same = (each.sources["valid"].gather(torch.arange(5)) for each in (loop, clean))
    assert torch.equal(valid.audio.values, same.audio.values)


def test_an_interrupted_training_on_corrupted_clips_ends_in_the_same_bits(
    task, tmp_path, monkeypatch
):
    params = TrainingParams(training_corruption="spectrum")
    whole = loop_of(PROBE, task, params)
    whole.run()
    monkeypatch.setattr(resume, "EVERY", 0.0)
    kept = dataclasses.replace(task, resume=tmp_path / "kept.pt")
    next(loop_of(PROBE, kept, params).walk())  # one epoch, then nothing
    resumed = loop_of(PROBE, kept, params)
    resumed.run()
    assert len(resumed.history) == len(whole.history)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value), name


def test_the_clips_that_select_may_be_corrupted_once_for_all(task):
    protocol = dataclasses.replace(task.protocol, selection_corruption="spectrum")
    loops = [
        loop_of(PROBE, dataclasses.replace(task, protocol=protocol, seed=seed), TrainingParams())
        for seed in (1, 2)
    ]
    rows = torch.arange(len(task.valid))
    one, two = (loop.sources["valid"].gather(rows).audio.values for loop in loops)
    clean = loop_of(PROBE, task, TrainingParams()).sources["valid"].gather(rows).audio.values
    assert torch.equal(one, two)
    assert not torch.equal(one, clean)
    assert torch.equal(*(loop.sources["train"].gather(rows).audio.values for loop in loops))


# The command line


SUITE = """
title = "Curves"
corpora = ["mosi-twin@compact-x5"]
seeds = [1]

[protocol]
name = "reliability"
corruption = "sets"
max_epochs = 2

[[systems]]
name = "feature_ridge"

[[systems]]
name = "lf_dnn"
params = { epochs = 1 }

[[systems]]
name = "lf_dnn"
label = "specialist"
params = { epochs = 1, training_corruption = "only:text" }

[[systems]]
name = "lf_dnn"
label = "augmented"
params = { epochs = 1, training_corruption = "spectrum" }

[[systems]]
name = "explanation_ridge"
"""


@pytest.mark.slow
def test_a_suite_under_a_grid_from_run_to_board(home, msa):
    (home.suites / "sets.toml").write_text(SUITE)
    code, _, error = msa("run", "sets")
    assert code == 0, error
    store = RunStore(home.store)
    keys = {cell.label: cell.key for cell in store.plan("sets").cells}
    under = store.get(keys["feature_ridge"]).under()
    assert set(under) == {condition.name for condition in grid("sets")}
    np.testing.assert_array_equal(
        under.loc[:, CLEAN.name], store.get(keys["feature_ridge"]).predictions().loc[under.index]
    )
    reasons = {c.label: c.reason for c in store.plan("sets").cells if c.reason}
    assert set(reasons) == {"explanation_ridge"}
    draws = {store.get(keys[n]).manifest.result.corruption.draws for n in keys if keys[n]}
    assert len(draws) == 1

    code, out, error = msa("study", "reliability", "sets", "--json")
    assert code == 0, error
    (facts,) = json.loads(out)["corpora"]
    (gain_clean, gain_augmented) = facts["one_checkpoint_for_all"]
    assert gain_clean["condition"] == gain_augmented["condition"] == "only:text"
    assert {gain_clean["checkpoint"], gain_augmented["checkpoint"]} == {"lf_dnn", "augmented"}
    code, out, _ = msa("study", "reliability", "sets", "--figures", home.root / "figures")
    assert code == 0 and "One checkpoint for all" in out
    board = (home.root / "boards" / "sets.md").read_text()
    assert "Fixed sets of modalities" in board and "Trained on corrupted clips: spectrum" in board
    code, _, error = msa("board", "sets", "--check")
    assert code == 0, error


def test_a_suite_on_clean_clips_has_nothing_to_study(home, msa):
    make_store(home.store, [Row(label="near", cells={1111: Off(0.5)})])
    code, _, error = msa("study", "reliability", "small")
    assert code == 2 and "clips as they are" in error


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("corruption", "everything", "no grid"),
        ("selection_corruption", "blur", "training_corruption is one of"),
    ],
)
def test_unknown_grids_and_laws_fail_before_anything_runs(home, msa, field, value, said):
    changed = SUITE.replace('corruption = "sets"', f'{field} = "{value}"')
    (home.suites / "wrong.toml").write_text(changed)
    code, _, error = msa("run", "wrong")
    assert code == 2 and said in error


def test_masks_are_exported(home, msa, tmp_path):
    out = tmp_path / "masks.parquet"
    code, text, error = msa("data", "masks", "mosi-twin@compact-x5", "-o", out, "--json")
    assert code == 0, error
    again = msa("data", "masks", "mosi-twin@compact-x5", "-o", tmp_path / "b.parquet", "--json")
    assert json.loads(text)["masks"] == json.loads(again[1])["masks"]
    assert out.read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_grids_set_runs_apart():
    names = ("reliability", "reliability_lnln", "in_domain")
    assert len({protocols[name].digest for name in names}) == 3
