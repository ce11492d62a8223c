"""ConFEDE: sizes, contrast, retrieval, and what each stage trains."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from baselines._shared.contrast import nt_xent
from baselines._shared.retrieval import nearest_clips
from baselines.confede.parts import ConFEDEStreamEncoder, contrast_pairs
from baselines.confede.system import CONFEDE
from harness.data.batching import Sequence
from harness.data.datasets import datasets
from harness.spec.protocols import protocols
from harness.system import Dims, Task
from harness.text import Blueprint, Encoder
from harness.training import batches_of, fit_network, total_loss, untrained

COUNTS = {"mosi": 129_601_154, "mosei": 136_919_426, "sims": 119_618_690}
FEATURES = {"sims": "unaligned-39"}
# Halves t, v, a similar, then dissimilar, each of seven clips, as the released code lists them.
POSITIVE = [
    [0, 0, 7, 7, 14, 14, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6],
    [1, 2, 8, 9, 15, 16, 7, 14, 8, 15, 9, 16, 10, 17, 11, 18, 12, 19, 13, 20],
]
NEGATIVE = [
    [*[0] * 4, *[7] * 4, *[14] * 4, *(clip for clip in range(7) for _ in range(3))],
    [
        *(3, 4, 5, 6, 10, 11, 12, 13, 17, 18, 19, 20),
        *(21, 28, 35, 22, 29, 36, 23, 30, 37, 24, 31, 38, 25, 32, 39, 26, 33, 40, 27, 34, 41),
    ],
]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def build_full(dataset, **changes):
    known = datasets[dataset]
    shapes = known.shapes[FEATURES.get(dataset, "unaligned-50")]
    with torch.device("meta"):
        dims = Dims(
            **shapes,
            low=known.low,
            high=known.high,
            unimodal=known.unimodal_labels,
            encoder=Blueprint.bert_base(known.language),
        )
        return CONFEDE.build(dims, CONFEDE.resolve(dataset, changes))


def size(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def prepare(make_corpus, small, encoder, tmp_path):
    """(task, params) of a small corpus."""

    def make(dataset="mosi", **changes):
        corpus = make_corpus(dataset)
        task = Task(
            train=corpus.split("train"),
            valid=corpus.split("valid"),
            watched=None,
            protocol=dataclasses.replace(protocols["in_domain"], max_epochs=2),
            seed=1111,
            device=torch.device("cpu"),
            encoder=Encoder("tiny", Path(encoder)),
            cache=tmp_path,
        )
        return task, CONFEDE.resolve(dataset, small(CONFEDE, **changes))

    return make


def begun(task, params):
    """A network that knows the training clips, and those clips."""
    network = untrained(CONFEDE, task, params)
    source = batches_of(CONFEDE, task.train, task, params)
    network.begin(source, params)
    return network, source


@pytest.mark.parametrize("dataset", COUNTS)
def test_published_fusion_network_has_the_published_size(dataset):
    """Besides the three predictors of the uni-modal stages, which the authors keep apart."""
    network = build_full(dataset, quirk="published")
    assert size(network) - size(network.alone) == COUNTS[dataset]
    assert size(network.alone) == 3 * (768 * 384 + 384 + 384 * 192 + 192 + 192 * 96 + 96 + 97)


@pytest.mark.parametrize("dataset", COUNTS)
def test_repairs_leave_out_the_linear_layers_that_are_never_called(dataset):
    published, fixed = (build_full(dataset, quirk=quirk) for quirk in ("published", "fixed"))
    idle = size(published.vision.unused) + size(published.audio.unused)
    assert size(fixed) == size(published) - idle
    assert not any(
        p.requires_grad
        for encoder in (published.vision, published.audio)
        for p in encoder.unused.parameters()
    )


def test_pairs_are_those_of_the_released_code():
    for found, expected in zip(contrast_pairs(7), (POSITIVE, NEGATIVE), strict=True):
        assert set(map(tuple, found.T.tolist())) == set(zip(*expected, strict=True))
        assert found.shape == (2, len(expected[0]))


def test_pairs_of_a_clip_alone():
    positive, negative = contrast_pairs(1)
    assert positive.T.tolist() == [[0, 1], [0, 2]]
    assert negative.T.tolist() == [[0, 3], [0, 4], [0, 5]]


def test_nt_xent_is_a_cross_entropy_per_positive_pair():
    vectors = torch.randn(42, 5, dtype=torch.float64)
    units = vectors / vectors.norm(dim=1, keepdim=True)
    expected = []
    for anchor, friend in zip(*POSITIVE, strict=True):
        foes = [n for a, n in zip(*NEGATIVE, strict=True) if a == anchor]
        scores = units[[friend, *foes]] @ units[anchor] / 0.5
        expected.append(cross_entropy(scores.unsqueeze(0), torch.tensor([0])))
    found = nt_xent(vectors, torch.tensor(POSITIVE), torch.tensor(NEGATIVE), 0.5)
    assert torch.allclose(found, torch.stack(expected).mean())


def test_nt_xent_averages_separate_problems():
    vectors, pairs = torch.randn(3, 42, 5), contrast_pairs(7)
    apart = torch.stack([nt_xent(part, *pairs, 0.5) for part in vectors])
    assert torch.allclose(nt_xent(vectors, *pairs, 0.5), apart.mean())


@pytest.fixture
def ranked():
    """Vectors, classes, cosines and, per clip, all clips by falling cosine."""
    rng = np.random.default_rng(0)
    vectors, classes = rng.normal(size=(40, 4)), rng.integers(0, 3, 40)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, classes, np.argsort(-(units @ units.T), axis=1)


def test_nearest_clips_are_those_of_a_sorted_list(ranked):
    vectors, classes, order = ranked
    found = nearest_clips(torch.from_numpy(vectors), torch.from_numpy(classes), 4)
    for i, clips in enumerate(order):
        same = [j for j in clips if classes[j] == classes[i] and j != i]
        other = [j for j in clips if classes[j] != classes[i]]
        assert found[i].tolist() == [same[:4], other[::-1][:4], other[:4]]


def test_released_retrieval_returns_positions_in_the_ranking(ranked):
    """The clips drawn are those at these rows of the training file, whatever their labels."""
    vectors, classes, order = ranked
    found = nearest_clips(torch.from_numpy(vectors), torch.from_numpy(classes), 4, ranks=True)
    for i, clips in enumerate(order):
        alike = [classes[j] == classes[i] for j in clips]
        same = [j for j in range(40) if j != i and alike[j]]
        near = [j for j in range(40) if j != i and not alike[j]]
        far = [40 + j for j in range(-1, -40, -1) if not alike[j]]
        assert found[i].tolist() == [same[:4], far[:4], near[:4]]


def test_too_few_candidates_repeat_and_a_clip_without_like_stands_in_for_itself():
    vectors, classes = torch.randn(4, 3), torch.tensor([0, 0, 1, 1])
    found = nearest_clips(vectors, classes, 3)
    assert found[:, 0].tolist() == [[1] * 3, [0] * 3, [3] * 3, [2] * 3]
    lonely = nearest_clips(vectors, torch.tensor([0, 1, 1, 1]), 2)
    assert lonely[0, 0].tolist() == [0, 0]


@pytest.mark.parametrize(("padded", "steps"), [(False, 3), (True, 8)])
def test_stream_encoder_averages_true_or_all_steps(padded, steps):
    encoder = ConFEDEStreamEncoder((7, 4), 8, 1, 2, 0.0, padded=padded).eval()
    values = torch.zeros(1, 7, 4)
    values[:, :2] = torch.randn(2, 4)
    found = encoder(Sequence(values[:, :2], torch.tensor([2]), 7))
    inputs = torch.cat([encoder.first, encoder.project(values)], dim=1) + encoder.positions
    mask = torch.arange(8) > 2
    expected = encoder.norm(encoder.layers(inputs, src_key_padding_mask=mask.unsqueeze(0)))
    assert torch.allclose(found, expected[:, :steps].mean(1), atol=1e-5)


def still(network):
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.MultiheadAttention):
            module.p = module.dropout = 0.0
    return network


@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_losses_without_drawn_clips(prepare, dataset):
    """MSE + 0.1 NT-Xent + 0.01 MSE of the halves, dissimilar ones on their stream's label."""
    task, params = prepare(dataset, dropout=0.0)
    network = still(untrained(CONFEDE, task, params)).train()
    batch = batches_of(CONFEDE, task.train, task, params).gather(torch.arange(5))
    halves = network.halves(network.vectors(batch))
    own = [batch.unimodal.get(f"label_{m}", batch.labels) for m in "TVA"]
    labels = torch.stack([*[batch.labels] * 3, *own], dim=1)
    expected = mse_loss(network.decoder(halves.flatten(1))[:, 0], batch.labels)
    expected = expected + 0.1 * nt_xent(halves, *contrast_pairs(1), 0.5)
    expected = expected + 0.01 * mse_loss(network.mono(halves)[..., 0], labels)
    assert torch.allclose(total_loss(network(batch), batch, params), expected, atol=1e-5)


def test_drawn_clips_take_part_in_every_loss(prepare):
    task, params = prepare(dropout=0.0)
    network, source = begun(task, params)
    still(network).begin_epoch(1)
    network.bank[:] = torch.arange(4)  # so that it is known which are drawn: two of these four
    batch = source.gather(torch.tensor([10, 11]))
    torch.manual_seed(3)
    output = network.train()(batch)
    torch.manual_seed(3)
    rows = torch.rand(2, 3, 4).argsort(2)[..., :2].reshape(2, 6)
    clips = torch.cat([batch.rows.unsqueeze(1), rows], dim=1).flatten()
    everyone = source.gather(clips)
    halves = network.halves(network.vectors(everyone))
    task_loss = mse_loss(network.decoder(halves.flatten(1))[:, 0], everyone.labels)
    assert torch.allclose(output.losses["task"], task_loss, atol=1e-5)
    groups = halves.unflatten(0, (2, 7)).transpose(1, 2).flatten(1, 2)  # (2, 42, ·)
    contrast = nt_xent(groups, torch.tensor(POSITIVE), torch.tensor(NEGATIVE), 0.5)
    assert torch.allclose(output.losses["contrast"], 0.1 * contrast, atol=1e-5)


def test_candidates_have_the_labels_they_should(prepare):
    task, params = prepare()
    network, source = begun(task, params)
    network.begin_epoch(1)
    classes = source.labels.round()
    agree = classes[network.bank] == classes[:, None, None]
    others = (classes.unsqueeze(1) == classes).sum(1) > 1
    assert agree[others, 0].all() and not agree[:, 1:].any()
    assert (network.bank[others, 0] != torch.arange(len(source))[others].unsqueeze(1)).all()


def test_candidates_are_sought_anew_every_few_epochs_of_fusion(prepare, monkeypatch):
    task, params = prepare(refresh=3)
    network, _ = begun(task, params)
    searched = []
    monkeypatch.setattr(type(network), "_search", lambda self, clips: searched.append(epoch))
    *alone, fusion = network.stages(params)
    for stage in alone:
        stage.enter()
        for epoch in range(1, 4):
            network.begin_epoch(epoch)
    assert not searched
    fusion.enter()
    for epoch in range(1, 9):
        network.begin_epoch(epoch)
    assert searched == [1, 4, 7]


TRAINED = {
    "text_head": {"alone.text"},
    "text": {"alone.text", "text.network"},
    "vision": {"alone.vision", "vision"},
    "audio": {"alone.audio", "audio"},
    "main": {"vision", "audio", "similar", "different", "decoder", "mono"},
}


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_what_each_stage_trains(prepare, quirk):
    task, params = prepare(quirk=quirk)
    network = untrained(CONFEDE, task, params)
    assert [stage.name for stage in network.stages(params)] == list(TRAINED)
    for stage in network.stages(params):
        stage.enter()
        for name, p in network.named_parameters():
            wanted = any(name.startswith(f"{part}.") for part in TRAINED[stage.name])
            assert p.requires_grad == (wanted and "unused" not in name), (stage.name, name)


def test_stages_have_the_published_lengths_and_rates():
    network = build_full("mosi")
    stages = {stage.name: stage for stage in network.stages(network.params)}
    assert [stages[n].epochs for n in ("text_head", "text", "vision", "audio")] == [
        66,
        134,
        100,
        100,
    ]
    assert {stages[n].batch_size for n in ("text", "vision", "audio")} == {128}
    sims = build_full("sims")
    assert [stage.lr for stage in sims.stages(sims.params)] == [1e-5, 1e-5, 1e-4, 1e-4, None]


def test_biases_are_not_decayed_in_fusion(prepare):
    task, params = prepare()
    network = untrained(CONFEDE, task, params)
    decayed, kept = network.parameter_groups(params)
    biases = {id(p) for name, p in network.named_parameters() if name.endswith("bias")}
    assert kept["weight_decay"] == 0.0 and "weight_decay" not in decayed
    assert all(id(p) in biases for p in kept["params"])
    assert not any(id(p) in biases for p in decayed["params"])


def test_training_runs_through_all_stages(prepare):
    task, params = prepare("sims")
    fitted = fit_network(CONFEDE, task, params)
    assert list(dict.fromkeys(epoch.stage for epoch in fitted.history)) == list(TRAINED)
    assert np.isfinite(fitted.predict(task.valid)).all()
