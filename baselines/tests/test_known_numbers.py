"""The anchors on the real corpora, official split, against numbers computed before this code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.data.datasets import datasets
from harness.data.readers import label_csv, mmsa_pickle
from harness.data.store import CorpusStore
from harness.errors import DataError
from harness.spec.protocols import protocols
from harness.system import Task, systems
from harness.tests.research import research_data
from harness.text import find_encoder

pytestmark = pytest.mark.data


def mae_and_corr(name, corpus, cache, **changes):
    system = systems[name]
    params = system.resolve(corpus.dataset.name, changes)
    encoder = params.encoder or None
    task = Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=None,
        protocol=protocols["in_domain"],
        seed=0,
        device=torch.device("cpu"),
        encoder=None if encoder is None else find_encoder(encoder, cache),
        cache=cache,
    )
    test = corpus.split("test")
    values = system.fit(task, params).predict(test)
    corr = np.corrcoef(values, test.labels)[0, 1] if np.ptp(values) else None
    return np.abs(values - test.labels).mean(), corr


def labels_of(dataset, tmp_path):
    path = research_data(dataset, "label.csv")
    return CorpusStore(tmp_path).add(label_csv.read(path, datasets[dataset]))


@pytest.mark.parametrize(
    ("name", "dataset", "mae"),
    [
        *(("train_mean", d, v) for d, v in {"mosi": 1.4644, "sims": 0.5892}.items()),
        *(("train_median", d, v) for d, v in {"mosi": 1.4559, "sims": 0.5886}.items()),
        *(("train_mean", d, v) for d, v in {"mosei": 0.8413, "simsv2": 0.5437}.items()),
        *(("zero", d, v) for d, v in {"mosi": 1.417, "mosei": 0.838, "sims": 0.606}.items()),
    ],
)
def test_constants(tmp_path, name, dataset, mae):
    found, corr = mae_and_corr(name, labels_of(dataset, tmp_path), tmp_path)
    assert found == pytest.approx(mae, abs=6e-4) and corr is None


@pytest.mark.parametrize(
    ("dataset", "mae", "corr"),
    [("mosi", 1.0957, 0.5638), ("sims", 0.5326, 0.3658), ("simsv2", 0.4597, 0.4634)],
)
def test_tfidf_ridge(tmp_path, dataset, mae, corr):
    found = mae_and_corr("tfidf_ridge", labels_of(dataset, tmp_path), tmp_path)
    assert found == pytest.approx((mae, corr), abs=1e-3)


@pytest.mark.parametrize(
    ("streams", "mae", "corr"),
    [
        ("text", 0.952, 0.607),
        ("audio", 1.325, 0.163),  # of a wide grid; a narrow one gives 1.352, .093
        ("vision", 1.360, 0.072),
        ("text+audio+vision", 0.949, 0.627),
    ],
)
def test_feature_ridge(tmp_path, streams, mae, corr):
    path = research_data("mosi_utterance", "features.pkl")
    corpus = CorpusStore(tmp_path).add(mmsa_pickle.read(path, datasets["mosi"], "utterance"))
    found = mae_and_corr("feature_ridge", corpus, tmp_path, streams=streams)
    assert found == pytest.approx((mae, corr), abs=0.02)


@pytest.mark.slow
@pytest.mark.encoders
@pytest.mark.parametrize(("dataset", "mae", "corr"), [("sims", 0.505, 0.458)])
def test_sentence_ridge(tmp_path, pytestconfig, dataset, mae, corr):
    corpus = labels_of(dataset, tmp_path)
    try:
        found = mae_and_corr("sentence_ridge", corpus, pytestconfig.cache.mkdir("encoders"))
    except DataError as error:
        pytest.skip(str(error))
    assert found == pytest.approx((mae, corr), abs=0.011)
