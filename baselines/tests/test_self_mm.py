"""Self-MM: sizes, the labels it makes (by hand and against a reference), their exact resume."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines._shared.label_bank import UNIMODAL, LabelBank
from baselines.self_mm import SELF_MM
from harness.data.batching import Batch, BatchSource
from harness.data.datasets import datasets
from harness.spec.protocols import protocols
from harness.system import Task
from harness.system.network import Dims
from harness.text import Blueprint, Encoder
from harness.training import batches_of, fit_network, total_loss

COUNTS = {"mosi": 109_641_572, "mosei": 109_647_908, "sims": 102_649_028, "simsv2": 102_513_396}
FEATURES = {"sims": "unaligned-39"}
NAMES = ("fusion", *UNIMODAL)


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset, quirk):
    known = datasets[dataset]
    shapes = known.shapes[FEATURES.get(dataset, "unaligned-50")]
    blueprint = Blueprint.bert_base(known.language)
    with torch.device("meta"):
        dims = Dims(**shapes, low=known.low, high=known.high, encoder=blueprint)
        network = SELF_MM.build(dims, SELF_MM.resolve(dataset, {"quirk": quirk}))
    assert sum(p.numel() for p in network.parameters()) == COUNTS[dataset]


# Four clips and one-dimensional features. The clip with label 0 lies far off and must not matter.
TRUTH = [2.0, 1.0, -1.0, 0.0]
FUSED = [3.0, 1.0, -1.0, 100.0]  # centres 2 and -1
OWN = [2.0, 4.0, -2.0, 100.0]  # centres 3 and -2


def column(values):
    return torch.tensor(values).unsqueeze(1)


def opened(bound=3.0, truth=TRUTH):
    bank = LabelBank(dict.fromkeys(NAMES, 1), bound)
    bank.open(torch.tensor(truth))
    bank.update(torch.arange(4), {n: column(FUSED if n == "fusion" else OWN) for n in NAMES})
    return bank


@pytest.mark.parametrize(
    ("name", "feature", "epoch", "label"),
    [
        # delta_f = (4 - 1) / 1 = 3; delta_m = (7 - 2) / 2; new = 5/6 + 3/4; 2/3 + 2/3 new
        pytest.param("text", 5.0, 2, 2 / 3 + 2 / 3 * (5 / 6 + 3 / 4), id="moved"),
        # the same in epoch 5: 4/6 of the old label, 2/6 of the new one
        pytest.param("text", 5.0, 5, 4 / 3 + 1 / 3 * (5 / 6 + 3 / 4), id="later-epochs-move-less"),
        # delta_m = (5.5 - 0.5) / 0.5 = 10; new = 10/3 + 9/2, clamped to 3
        pytest.param("audio", 3.5, 2, 2 / 3 + 2 / 3 * 3, id="clamped"),
        # delta_m = (0 - 5) / 5 = -1; new = -1/3 - 1
        pytest.param("vision", -2.0, 2, 2 / 3 - 2 / 3 * 4 / 3, id="to-the-other-sign"),
        pytest.param("text", 5.0, 1, 2.0, id="not-in-the-first-epoch"),
    ],
)
def test_labels_move_as_computed_by_hand(name, feature, epoch, label):
    bank = opened()
    bank.epoch = epoch
    features = {n: column([3.0]) if n == "fusion" else column([2.0]) for n in NAMES}
    bank.update(torch.tensor([0]), {**features, name: column([feature])})
    assert bank.labels(name)[0].item() == pytest.approx(label, abs=1e-5)
    assert bank.labels(name)[1:].tolist() == TRUTH[1:]
    assert bank.labels("fusion").tolist() == TRUTH


@pytest.mark.parametrize("truth", [[2.0, 1.0, 1.0, 0.0], [-2.0, -1.0, -1.0, 0.0], [0.0] * 4])
def test_labels_stay_while_a_centre_has_no_clip(truth):
    bank = opened(truth=truth)
    bank.epoch = 2
    bank.update(torch.arange(4), {name: torch.randn(4, 1) for name in NAMES})
    for name in UNIMODAL:
        assert bank.labels(name).tolist() == truth


def test_loss_weighs_by_disagreement_with_the_clips_label():
    bank = opened()
    bank.labels("audio").copy_(torch.tensor([1.0, 1.0, 0.5, 3.0]))
    rows, prediction = torch.tensor([0, 1, 3]), torch.tensor([0.0, 9.0, 1.0])
    expected = (np.tanh(1) * 1 + 0 * 8 + np.tanh(3) * 2) / 3
    assert bank.loss("audio", prediction, rows).item() == pytest.approx(expected, rel=1e-6)
    assert bank.loss("text", prediction, rows).item() == 0


class Reference:
    """The published procedure, centres kept and recomputed after every batch."""

    def __init__(self, truth, sizes, bound):
        self.truth, self.bound = truth, bound
        self.labels = {name: truth.copy() for name in sizes}
        self.features = {name: np.zeros((len(truth), size)) for name, size in sizes.items()}
        self.centres = {}

    def update(self, rows, features, epoch):
        if epoch > 1:
            leaning = {name: self._leaning(name, features[name]) for name in features}
            for name in UNIMODAL:
                ratio = leaning[name] / (leaning["fusion"] + 1e-8)
                shift = leaning[name] - leaning["fusion"]
                new = 0.5 * ratio * self.truth[rows] + 0.5 * (self.truth[rows] + shift)
                new = np.clip(new, -self.bound, self.bound)
                old = self.labels[name][rows]
                self.labels[name][rows] = (epoch - 1) / (epoch + 1) * old + 2 / (epoch + 1) * new
        for name, values in features.items():
            self.features[name][rows] = values
            labels = self.labels[name]
            self.centres[name] = tuple(
                self.features[name][chosen].mean(0) for chosen in (labels > 0, labels < 0)
            )

    def _leaning(self, name, features):
        near, far = (np.linalg.norm(features - c, axis=1) for c in self.centres[name])
        return (far - near) / (near + 1e-8)


SIZES = {"fusion": 5, "text": 4, "audio": 2, "vision": 3}


def epochs_of(seed, epochs=4, clips=20, size=6):
    """(epoch, rows, features) of a training."""
    rng = np.random.default_rng(seed)
    for epoch in range(1, epochs + 1):
        for rows in np.array_split(rng.permutation(clips), clips // size):
            yield epoch, rows, {n: rng.normal(size=(len(rows), k)) for n, k in SIZES.items()}


def run(bank, steps):
    for epoch, rows, features in steps:
        bank.epoch = epoch
        bank.update(torch.from_numpy(rows), {n: torch.from_numpy(f) for n, f in features.items()})


@pytest.mark.parametrize("bound", [1.0, 3.0])
def test_labels_follow_the_published_procedure(bound):
    truth = np.random.default_rng(7).uniform(-bound, bound, 20)
    truth[:3] = 0
    bank, reference = LabelBank(SIZES, bound), Reference(truth, SIZES, bound)
    bank.open(torch.from_numpy(truth))
    run(bank, epochs_of(3))
    for epoch, rows, features in epochs_of(3):
        reference.update(rows, features, epoch)
    for name in UNIMODAL:
        np.testing.assert_allclose(bank.labels(name), reference.labels[name], atol=1e-6)
        assert np.abs(reference.labels[name] - truth).max() > 0.1
        assert bank.labels(name).abs().max() <= bound


def test_a_bank_resumes_exactly_from_its_state():
    steps, truth = list(epochs_of(5)), torch.linspace(-2, 2, 20, dtype=torch.float64)
    whole, first, second = (LabelBank(SIZES, 3.0) for _ in range(3))
    for bank in (whole, first, second):
        bank.open(truth)
    run(whole, steps)
    run(first, steps[:7])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(second, steps[7:])
    for name, values in whole.state_dict().items():
        assert torch.equal(values, second.state_dict()[name])


@pytest.fixture
def task(trimodal, encoder, tmp_path):
    return Task(
        train=trimodal.split("train"),
        valid=trimodal.split("valid"),
        watched=None,
        protocol=protocols["in_domain"],
        seed=1,
        device=torch.device("cpu"),
        encoder=Encoder("tiny", Path(encoder)),
        cache=tmp_path,
    )


@pytest.fixture
def ready(task, small):
    """A network, its parameters and its clips before the first step."""

    def make(**changes):
        params = SELF_MM.resolve("mosi", small(SELF_MM, **changes))
        source: BatchSource = batches_of(SELF_MM, task.train, task, params)
        torch.manual_seed(0)
        network = SELF_MM.build(Dims.of(task.train.corpus, task.encoder), params)
        network.begin(source, params)
        return network.train(), params, source

    return make


def step(network, batch: Batch):
    output = network(batch)
    with torch.no_grad():
        network.after_step(batch, output)
    return output


def test_first_epoch_trains_the_fused_prediction_only_then_all(ready):
    network, params, source = ready()
    batch = source.gather(torch.arange(len(source)))
    for epoch, idle in ((1, True), (2, True), (3, False)):  # labels move at the end of epoch 2
        network.begin_epoch(epoch)
        output = step(network, batch)
        assert all((output.losses[name] == 0).item() == idle for name in UNIMODAL)
    for _ in range(4):
        total_loss(network(batch), batch, params).backward()
    trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
    assert all(p.grad is not None and p.grad.any() for p in trained.values())


def test_labels_start_at_the_clips_labels_and_features_come_from_the_heads(ready):
    network, _, source = ready()
    for name in NAMES:
        assert torch.equal(network.bank.labels(name), source.labels)
    rows = torch.tensor([4, 1, 9])
    network.begin_epoch(1)
    output = step(network, source.gather(rows))
    for name, features in output.features.items():
        stored = network.bank.get_buffer(f"feature_{name}")
        assert torch.equal(stored[rows], features)
        assert not stored.requires_grad
        assert (features >= 0).all()  # rectified
        assert stored.any(1).sum() <= len(rows)


def test_training_keeps_labels_finite_and_within_bounds(task, small):
    params = SELF_MM.resolve("mosi", small(SELF_MM, epochs=3))
    networks = []
    build = SELF_MM.build

    def remember(dims, params):
        networks.append(build(dims, params))
        return networks[-1]

    fit_network(dataclasses.replace(SELF_MM, build=remember), task, params)
    bank = networks[0].bank
    for name in UNIMODAL:
        labels = bank.labels(name)
        assert labels.isfinite().all()
        assert labels.abs().max() <= 3


@pytest.mark.parametrize(("quirk", "bound"), [("fixed", 1.0), ("published", 3.0)])
def test_labels_keep_to_the_label_range_unless_as_published(encoder, quirk, bound):
    dims = Dims(
        audio=(9, 5), vision=(7, 4), low=-1.0, high=1.0, encoder=Encoder("tiny", Path(encoder))
    )
    params = SELF_MM.resolve("simsv2", {"quirk": quirk})
    assert SELF_MM.build(dims, params).bank.bound == bound


def test_each_part_has_its_rate_and_decay(ready):
    network, params, _ = ready(
        encoder_lr=1e-5, audio_lr=2e-3, vision_lr=3e-3, audio_decay=0.02, vision_decay=0.03
    )
    groups = network.parameter_groups(params)
    owner = {id(p): group for group in groups for p in group["params"]}
    rates = {"encoder": 1e-5, "audio": 2e-3, "vision": 3e-3, "heads": None}
    decays = {"audio": 0.02, "vision": 0.03, "heads": None}
    for name, values in network.named_parameters():
        if not values.requires_grad:
            assert ".pooler." in name
            continue
        part, group = name.split(".")[0], owner[id(values)]
        assert group.get("lr") == rates[part]
        if part == "encoder":
            kept = "LayerNorm" in name or name.endswith(".bias")
            assert group["weight_decay"] == (0.0 if kept else params.encoder_decay)
        else:
            assert group.get("weight_decay") == decays[part]


def test_evaluation_tells_the_unimodal_predictions(ready):
    network, _, source = ready()
    network.eval()
    output = network(source.gather(torch.arange(3)))
    assert set(output.diagnostics) == set(UNIMODAL)
    assert all(values.shape == (3,) for values in output.diagnostics.values())
    assert not output.losses
