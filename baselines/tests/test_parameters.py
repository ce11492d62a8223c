"""Sizes, presets and cards of the networks, against MMSA's published counts and settings."""

from __future__ import annotations

import pytest
import torch

from baselines.bert_text import BERT_TEXT
from harness.data.datasets import datasets
from harness.system import Dims, systems

FEATURES = {"mosi": "unaligned-50", "mosei": "unaligned-50", "sims": "unaligned-39"}
COUNTS = {
    "ef_lstm": {"mosi": 885_605, "mosei": 1_754_725, "sims": 215_695, "simsv2": 844_133},
    "lf_dnn": {"mosi": 597_171, "mosei": 572_283, "sims": 635_821, "simsv2": 265_589},
    "tfn": {"mosi": 9_497_043, "mosei": 5_042_539, "sims": 35_632_077, "simsv2": 18_109_461},
    "lmf": {"mosi": 505_071, "mosei": 508_475, "sims": 272_381, "simsv2": 239_173},
}
CELLS = [
    pytest.param(systems[name], dataset, count, id=f"{name}-{dataset}")
    for name, counts in COUNTS.items()
    for dataset, count in counts.items()
]


def build(system, dataset, **changes):
    """The network at the sizes of the public files, without memory behind it."""
    known = datasets[dataset]
    shapes = known.shapes[FEATURES.get(dataset, "unaligned-50")]
    with torch.device("meta"):
        dims = Dims(**shapes, low=known.low, high=known.high)
        return system.build(dims, system.resolve(dataset, changes))


@pytest.mark.parametrize(("system", "dataset", "count"), CELLS)
def test_published_networks_have_the_published_size(system, dataset, count):
    network = build(system, dataset, quirk="published")
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize(("system", "dataset", "count"), CELLS)
def test_repairs_change_no_size_but_ef_lstm_normalisation(system, dataset, count):
    known = datasets[dataset]
    shapes = known.shapes[FEATURES.get(dataset, "unaligned-50")]
    width, frames = sum(size for _, size in shapes.values()), shapes["text"][0]
    extra = 2 * (width - frames) if system.name == "ef_lstm" else 0
    fixed = build(system, dataset, quirk="fixed")
    assert sum(p.numel() for p in fixed.parameters()) == count + extra


def test_bert_base_has_the_published_size():
    """The 109,482,240 parameters of bert-base-uncased and a linear layer."""
    from transformers import BertConfig, BertModel

    class Base:
        hidden_size = 768

        def load(self):
            return BertModel(BertConfig())

    with torch.device("meta"):
        params = BERT_TEXT.resolve("mosi", {})
        network = BERT_TEXT.build(Dims(low=-3.0, high=3.0, encoder=Base()), params)
    assert sum(p.numel() for p in network.parameters()) == 109_483_009


SETTINGS = {
    ("ef_lstm", "mosi"): {"hidden": 128, "layers": 4, "batch_size": 32, "weight_decay": 0.005},
    ("ef_lstm", "simsv2"): {"layers": 3, "dropout": 0.2, "lr": 0.0005, "weight_decay": 0.0},
    ("lf_dnn", "mosei"): {"text_out": 128, "lr": 0.002, "weight_decay": 0.001, "batch_size": 64},
    ("lf_dnn", "sims"): {"fusion_size": 32, "audio_dropout": 0.3, "fusion_dropout": 0.5},
    ("tfn", "mosi"): {"text_out": 32, "fusion_dropout": 0.5, "weight_decay": 0.0, "lr": 0.001},
    ("tfn", "simsv2"): {"batch_size": 128, "lr": 0.002, "vision_dropout": 0.3},
    ("lmf", "sims"): {"rank": 4, "lr": 0.002, "factor_lr": 0.0005, "weight_decay": 0.005},
    ("lmf", "simsv2"): {"audio_hidden": 32, "weight_decay": 0.0001, "batch_size": 32},
}


@pytest.mark.parametrize(
    ("name", "dataset", "expected"),
    [pytest.param(*cell, values, id="-".join(cell)) for cell, values in SETTINGS.items()],
)
def test_presets_are_those_of_mmsa(name, dataset, expected):
    params = systems[name].resolve(dataset, {})
    assert {name: getattr(params, name) for name in expected} == expected
    assert params.loss == "l1" and params.optimizer == "adam" and params.schedule == "constant"


@pytest.mark.parametrize("name", systems)
def test_presets_name_known_datasets_and_resolve(name):
    system = systems[name]
    assert set(system.presets) <= set(datasets)
    for dataset in datasets:
        assert system.resolve(dataset, {}) == system.resolve(
            dataset, system.presets.get(dataset, {})
        )
