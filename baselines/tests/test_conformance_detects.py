"""Each conformance check fails on a system that breaks its rule, and only those checks do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from harness.checks.conformance import CHECKS, check
from harness.errors import SpecError
from harness.system import Card, Fitted, Network, Output, System, TrainingParams

CARD = Card(title="Probe", paper="none", year=None)


class Sound(Network):
    """A linear model of the mean of the true text frames."""

    def __init__(self, dims, params):
        super().__init__()
        self.line = nn.Linear(dims.need("text")[1], 1)

    def forward(self, batch):
        mean = batch.text.values.sum(1) / batch.text.lengths.unsqueeze(1)
        return Output(self.line(mean).squeeze(1))


class ZeroStart(Sound):
    """A correction whose last layer adds nothing at first."""

    def __init__(self, dims, params):
        super().__init__(dims, params)
        size = dims.need("text")[1]
        self.down, self.up = nn.Linear(size, 3), nn.Linear(3, 1)
        nn.init.zeros_(self.up.weight)

    def forward(self, batch):
        mean = batch.text.values.sum(1) / batch.text.lengths.unsqueeze(1)
        return Output((self.line(mean) + self.up(self.down(mean))).squeeze(1))


class ColumnVector(Sound):
    def forward(self, batch):
        return Output(super().forward(batch).prediction.unsqueeze(1))


class NotANumber(Sound):
    def forward(self, batch):
        return Output(super().forward(batch).prediction * float("nan"))


class InfiniteSlope(Sound):
    def forward(self, batch):
        value = super().forward(batch).prediction
        return Output(value + (value * 0).sqrt())


class UnusedParameter(Sound):
    def __init__(self, dims, params):
        super().__init__(dims, params)
        self.unused = nn.Parameter(torch.ones(3))


class LeftOutOfOptimiser(Sound):
    def parameter_groups(self, params):
        return [{"params": [self.line.weight]}]


class NoiseInEvaluation(Sound):
    def forward(self, batch):
        value = super().forward(batch).prediction
        return Output(value + 0.1 * torch.randn_like(value))


class ReadsNeighbours(Sound):
    def forward(self, batch):
        value = super().forward(batch).prediction
        return Output(value - value.mean())


class ReadsItsPlace(Sound):
    def forward(self, batch):
        value = super().forward(batch).prediction
        return Output(value + torch.arange(len(batch)))


class BatchStatistics(Sound):
    def __init__(self, dims, params):
        super().__init__(dims, params)
        self.norm = nn.BatchNorm1d(dims.need("text")[1], track_running_stats=False)

    def forward(self, batch):
        return Output(self.line(self.norm(batch.text.values.sum(1))).squeeze(1))


class PaddedMean(Sound):
    def forward(self, batch):
        return Output(self.line(batch.text.values.mean(1)).squeeze(1))


class TrimmedShape(Sound):
    """Weights depend on the padded length, the input is trimmed."""

    def __init__(self, dims, params):
        super().__init__(dims, params)
        frames, size = dims.need("text")
        self.line = nn.Linear(frames * size, 1)

    def forward(self, batch):
        return Output(self.line(batch.text.values.flatten(1)).squeeze(1))


class AssumesAudio(Sound):
    def forward(self, batch):
        value = super().forward(batch).prediction
        return Output(value + batch.audio.values.sum((1, 2)))


class UnsavedWeights(Sound):
    def __init__(self, dims, params):
        super().__init__(dims, params)
        self.hidden = [torch.randn(())]

    def forward(self, batch):
        return Output(super().forward(batch).prediction + self.hidden[0])


class UnseededWeights(Sound):
    def __init__(self, dims, params):
        super().__init__(dims, params)
        nn.init.constant_(self.line.bias, np.random.default_rng().normal())


def network(build, **more):
    inputs = frozenset({"text", "audio"})
    values = {"card": CARD, "params": TrainingParams, "inputs": inputs, "build": build}
    return System(name="probe", **values | more)


def fitting(fit, **more):
    return System(name="probe", card=CARD, inputs=frozenset({"text"}), fit=fit, **more)


def outcomes(system, corpus, cache):
    return {found.check: found for found in check(system, corpus, cache=cache)}


def failures(system, corpus, cache):
    return {name for name, found in outcomes(system, corpus, cache).items() if not found.passed}


def test_a_sound_network_passes_everything(trimodal, tmp_path):
    found = outcomes(network(Sound), trimodal, tmp_path)
    assert {name: f.outcome for name, f in found.items()} == dict.fromkeys(CHECKS, "passed")


def test_weights_that_start_at_zero_hide_nothing(trimodal, tmp_path):
    """The layers before them get no gradient in the first step, and do in the second."""
    assert not failures(network(ZeroStart), trimodal, tmp_path)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (ColumnVector, {"shape"}),
        (NotANumber, {"shape"}),
        (InfiniteSlope, {"gradients"}),
        (UnusedParameter, {"parameters"}),
        (LeftOutOfOptimiser, {"parameters"}),
        (NoiseInEvaluation, {"deterministic", "neighbours"}),
        (ReadsNeighbours, {"neighbours"}),
        (ReadsItsPlace, {"neighbours"}),
        (BatchStatistics, {"neighbours"}),
        (PaddedMean, {"neighbours", "padding"}),
        (TrimmedShape, {"neighbours", "padding"}),
        (AssumesAudio, {"absence"}),
        (UnsavedWeights, {"save_load"}),
        (UnseededWeights, {"seed"}),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_broken_network_is_found_out(trimodal, tmp_path, broken, expected):
    assert expected <= failures(network(broken), trimodal, tmp_path)


@pytest.mark.parametrize(
    "broken",
    [UnusedParameter, ReadsNeighbours, ReadsItsPlace, AssumesAudio, UnsavedWeights],
)
def test_one_defect_is_one_finding(trimodal, tmp_path, broken):
    assert len(failures(network(broken), trimodal, tmp_path)) == 1


def test_a_declared_failure_is_reported_with_its_reason(trimodal, tmp_path):
    card = replace(CARD, declares={"neighbours": "centres predictions within the batch"})
    found = outcomes(network(ReadsNeighbours, card=card), trimodal, tmp_path)
    assert found["neighbours"].outcome == "declared"
    assert found["neighbours"].detail == "centres predictions within the batch"
    assert found["neighbours"].passed


def test_a_declaration_does_not_hide_what_passes(trimodal, tmp_path):
    card = replace(CARD, declares={"neighbours": "centres predictions within the batch"})
    found = outcomes(network(Sound, card=card), trimodal, tmp_path)
    assert found["neighbours"].outcome == "passed"


def constant(value):
    """A fit function whose predictions are value(seed) for every clip."""

    def fit(task, params):
        number = value(task.seed)
        return Fitted(predict=lambda split: np.full(len(split), number), parameters=1, trainable=1)

    return fit


def centred(task, params):
    def predict(split):
        values = split.stream("text").values.sum((1, 2), dtype=np.float64)
        return values - values.mean()

    return Fitted(predict=predict, parameters=0, trainable=0)


def careless(task, params):
    """Looks a stream up without asking whether the corpus has it."""
    values = task.train.corpus.streams["text"].values
    return constant(lambda seed: float(values.mean()))(task, params)


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (fitting(constant(lambda seed: 0.5), deterministic=True), set()),
        (fitting(constant(lambda seed: float(seed))), set()),
        (fitting(constant(lambda seed: 0.5)), {"seed"}),
        (fitting(constant(lambda seed: float(seed)), deterministic=True), {"seed"}),
        (fitting(constant(lambda seed: float("inf")), deterministic=True), {"shape"}),
        (fitting(centred, deterministic=True), {"neighbours", "absence"}),
        (fitting(careless, deterministic=True), {"absence"}),
    ],
)
def test_fitted_systems_are_found_out(trimodal, tmp_path, system, expected):
    found = failures(system, trimodal, tmp_path)
    assert expected <= found
    assert expected or not found


def test_only_the_named_checks_run(trimodal, tmp_path):
    found = check(network(Sound), trimodal, cache=tmp_path, checks=["padding", "shape"])
    assert [finding.check for finding in found] == ["padding", "shape"]


def test_padding_is_skipped_where_there_is_none(make_corpus, tmp_path):
    corpus = make_corpus(streams={"text": (1, 4), "audio": (1, 3)})
    (found,) = check(network(Sound), corpus, cache=tmp_path, checks=["padding"])
    assert found.outcome == "skipped"


def test_an_unknown_check_is_refused(trimodal, tmp_path):
    with pytest.raises(SpecError, match="neighbors"):
        check(network(Sound), trimodal, cache=tmp_path, checks=["neighbors"])
