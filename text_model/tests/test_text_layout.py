"""Parameter counts, and the name and shape of every weight, of the four released networks."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import torch

from harness.system.network import Dims
from harness.text import Blueprint
from text_model.checkpoint import FEATURES
from text_model.layout import released_names
from text_model.model import TextModel
from text_model.text import TEXT, TEXT_PUBLISHED

WITHOUT_BERT = {"mosi": 3_949_986, "mosei": 3_531_032, "sims": 4_041_762, "simsv2": 3_113_230}
PARTS = {  # of the network for MOSI
    "encoders.audio_clue.layer": 302_976 - 51 * 128 - 128,
    "alignment.audio": 309_376,
    "temporal": 199_424,
    "routed.layers.0": 429_706,
    "routed.layers.0.attention": 263_040,
    "routed.layers.0.mixture.router": 1_290,
    "routed.layers.0.mixture.experts": 165_120,
    "head": 9_476,
}
BERT_BASE = 109_482_240


def full_size(system, dataset, **changes):
    features = FEATURES[dataset]
    dims = Dims(
        audio=(50, features.audio),
        vision=(50, features.vision),
        low=-1.0,
        high=1.0,
        encoder=Blueprint.bert_base("en"),
    )
    with torch.device("meta"):
        return TextModel(dims, system.resolve(dataset, changes))


def released_shapes(dataset):
    """Name -> shape; the layers of BERT all look like the first, which the table has."""
    shapes = {}
    with (Path(__file__).parent / "data" / "released_state.csv").open() as file:
        for row in csv.DictReader(file):
            if dataset in row["datasets"].split():
                shape = tuple(map(int, row["shape"].split("x")))
                layers = range(12) if ".encoder.layer.0." in row["name"] else [0]
                for layer in layers:
                    shapes[row["name"].replace(".layer.0.", f".layer.{layer}.")] = shape
    return shapes


def count(module):
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("system", [TEXT, TEXT_PUBLISHED], ids=lambda system: system.name)
@pytest.mark.parametrize("dataset", WITHOUT_BERT)
def test_as_many_parameters_as_the_released_network(system, dataset):
    network = full_size(system, dataset)
    assert count(network.text_encoder) == BERT_BASE
    assert count(network) - BERT_BASE == WITHOUT_BERT[dataset]


@pytest.mark.parametrize("part", PARTS)
def test_parts_have_the_published_sizes(part):
    assert count(full_size(TEXT, "mosi").get_submodule(part)) == PARTS[part]


@pytest.mark.parametrize("dataset", WITHOUT_BERT)
def test_every_weight_has_the_released_name_and_shape(dataset):
    network = full_size(TEXT_PUBLISHED, dataset)
    weights, names = network.state_dict(), released_names(network)
    found = {theirs: tuple(weights[ours].shape) for ours, theirs in names.items()}
    assert found == released_shapes(dataset)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"experts": 1, "top_k": 1}, -3 * (1_290 + 4 * 33_024)),
        ({"gate": False}, -(3 * 384 + 3)),
        ({"temporal": "none"}, -199_424),
        ({"alignment": "linear"}, 2 * (2 * 128 * 128 + 128 - 309_376)),
        ({"tokens_routed": 102}, -51 * 128),
        ({"audio_clue": False}, -(98_432 + 302_976 + 309_376)),
        ({"streams": "text"}, -(2 * 302_976 + 2 * 309_376 + 128 * 25 + 256)),
        ({"routing": "dense"}, 0),
    ],
    ids=lambda value: re.sub(r"[{}' ]", "", str(value)) if isinstance(value, dict) else "",
)
def test_an_ablation_takes_away_its_part_and_nothing_else(changes, difference):
    network = full_size(TEXT, "mosi", **changes)
    assert count(network) - BERT_BASE - WITHOUT_BERT["mosi"] == difference
