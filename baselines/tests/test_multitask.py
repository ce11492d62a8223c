"""MLF-DNN, MTFN and MLMF: sizes, four losses, decay by stream, and corpora they refuse."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from harness.checks.conformance import check
from harness.data.batching import Batch, Sequence
from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.system import Dims, systems
from harness.training import total_loss

SIBLINGS = {"mlf_dnn": "lf_dnn", "mtfn": "tfn", "mlmf": "lmf"}
COUNTS = {
    ("mlf_dnn", "sims"): 283_388,
    ("mlf_dnn", "simsv2"): 554_420,
    ("mtfn", "sims"): 140_957_188,
    ("mtfn", "simsv2"): 2_584_032,
    ("mlmf", "sims"): 1_413_392,
    ("mlmf", "simsv2"): 239_624,
}
DIMS = Dims(text=(6, 12), audio=(11, 5), vision=(8, 4), low=-1.0, high=1.0, unimodal=True)
SMALL = {"text_hidden": 16, "audio_hidden": 8, "vision_hidden": 8}
LABELS = {"text": "label_T", "audio": "label_A", "vision": "label_V"}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def build(name, dataset="sims", **changes):
    system = systems[name]
    return system.build(DIMS, system.resolve(dataset, {**SMALL, **changes}))


def batch_of(clips=5):
    def stream(frames, size):
        lengths = torch.randint(1, frames + 1, (clips,))
        values = torch.randn(clips, frames, size)
        values[torch.arange(frames) >= lengths.unsqueeze(1)] = 0
        return Sequence(values, lengths, frames)

    return Batch(
        rows=torch.arange(clips),
        text=stream(*DIMS.text),
        audio=stream(*DIMS.audio),
        vision=stream(*DIMS.vision),
        labels=torch.rand(clips),
        unimodal={label: torch.rand(clips) for label in LABELS.values()},
    )


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize(("name", "dataset"), COUNTS)
def test_networks_have_the_published_size(name, dataset, quirk):
    system = systems[name]
    known = datasets[dataset]
    (shapes,) = known.shapes.values()
    with torch.device("meta"):
        dims = Dims(**shapes, low=known.low, high=known.high, unimodal=True)
        network = system.build(dims, system.resolve(dataset, {"quirk": quirk}))
    assert sum(p.numel() for p in network.parameters()) == COUNTS[name, dataset]


SETTINGS = {
    ("mlf_dnn", "sims"): {"lr": 2e-3, "fused_weight": 0.6, "text_weight": 0.2, "audio_decay": 1e-3},
    ("mlf_dnn", "simsv2"): {"lr": 5e-3, "text_head": 32, "vision_decay": 1e-5, "batch_size": 64},
    ("mtfn", "sims"): {"audio_weight": 0.0, "vision_weight": 1.0, "text_decay": 1e-3, "lr": 5e-3},
    ("mtfn", "simsv2"): {"fusion_dropout": 0.5, "audio_head": 5, "weight_decay": 0.01, "lr": 5e-4},
    ("mlmf", "sims"): {"rank": 3, "fused_weight": 0.2, "text_weight": 1.0, "factor_lr": 1e-3},
    ("mlmf", "simsv2"): {"rank": 6, "text_weight": 0.0, "factor_lr": 5e-4, "batch_size": 64},
}


@pytest.mark.parametrize(("name", "dataset"), SETTINGS)
def test_presets_are_those_of_mmsa(name, dataset):
    params = systems[name].resolve(dataset, {})
    expected = SETTINGS[name, dataset]
    assert {field: getattr(params, field) for field in expected} == expected
    assert params.loss == "l1" and params.optimizer == "adam" and params.schedule == "constant"


@pytest.mark.parametrize("name", SIBLINGS)
def test_loss_is_the_weighted_sum_of_four_mean_absolute_errors(name):
    weights = {"text_weight": 0.5, "audio_weight": 0.25, "vision_weight": 2.0, "fused_weight": 3.0}
    network, batch = build(name, **weights).eval(), batch_of()
    told = {m: network.heads[m](v) for m, v in zip(LABELS, network.nets(batch), strict=True)}
    output = network(batch)
    expected = 3.0 * np.abs(output.prediction.detach().numpy() - batch.labels.numpy()).mean()
    for stream, values in told.items():
        error = values.detach().numpy()[:, 0] - batch.unimodal[LABELS[stream]].numpy()
        expected += weights[f"{stream}_weight"] * np.abs(error).mean()
    loss = total_loss(output, batch, systems[name].resolve("sims", {}))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("name", "single"), SIBLINGS.items())
def test_fused_prediction_is_that_of_the_single_task_system(name, single):
    """With the same weights: uni-modal predictors learn beside the fused one, not before it."""
    network, single = build(name), systems[single]
    names = {item.name for item in dataclasses.fields(single.params)}
    resolved = vars(systems[name].resolve("sims", SMALL))
    sibling = single.build(DIMS, single.params(**{n: resolved[n] for n in names}))
    sibling.load_state_dict(
        {n: v for n, v in network.state_dict().items() if not n.startswith("heads.")}
    )
    batch = batch_of()
    expected = sibling.eval()(batch).prediction
    assert torch.equal(network.eval()(batch).prediction, expected)


@pytest.mark.parametrize("name", SIBLINGS)
@pytest.mark.parametrize("stream", LABELS)
def test_a_task_without_weight_trains_nothing(name, stream):
    weights = {f"{other}_weight": 1.0 for other in LABELS} | {f"{stream}_weight": 0.0}
    network = build(name, **weights)
    assert set(network(batch_of()).losses) == {"task", *LABELS} - {stream}
    for other, head in network.heads.items():
        assert {p.requires_grad for p in head.parameters()} == {other != stream}


@pytest.mark.parametrize("name", SIBLINGS)
def test_each_stream_has_its_own_weight_decay(name):
    system = systems[name]
    decays = {"text_decay": 0.1, "audio_decay": 0.2, "vision_decay": 0.3}
    params = system.resolve("sims", {**SMALL, **decays})
    network = system.build(DIMS, params)
    groups = network.parameter_groups(params)
    found = {id(p): group.get("weight_decay") for group in groups for p in group["params"]}
    for stream in LABELS:
        part = getattr(network.nets, stream)
        assert {found[id(p)] for p in part.parameters()} == {decays[f"{stream}_decay"]}
    trained = [p for p in network.parameters() if p.requires_grad]
    assert sum(len(group["params"]) for group in groups) == len(trained)
    assert all(id(p) in found for p in trained)


def test_mlmf_gives_its_factors_their_own_learning_rate():
    params = systems["mlmf"].resolve("sims", {**SMALL, "factor_lr": 0.25})
    network = systems["mlmf"].build(DIMS, params)
    (factors,) = [group for group in network.parameter_groups(params) if "lr" in group]
    assert factors["lr"] == 0.25
    assert [id(p) for p in factors["params"]] == [id(p) for p in network.factors]


@pytest.mark.parametrize("name", SIBLINGS)
def test_a_corpus_without_unimodal_labels_is_refused(name):
    system = systems[name]
    plain = dataclasses.replace(DIMS, unimodal=False)
    with pytest.raises(SpecError, match="needs uni-modal labels"):
        system.build(plain, system.resolve("mosi", SMALL))


@pytest.mark.parametrize("quirk", ["fixed", "published"])
@pytest.mark.parametrize("name", SIBLINGS)
def test_conforms_on_a_corpus_with_unimodal_labels(name, quirk, make_corpus, small, tmp_path):
    system = systems[name]
    findings = check(system, make_corpus("sims"), small(system, quirk=quirk), cache=tmp_path)
    assert not [finding for finding in findings if not finding.passed]
