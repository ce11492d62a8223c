"""Constants and ridges: closed forms, selection, and the numbers known for the real data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from baselines.constants import majority_value
from harness.errors import SpecError
from harness.spec.protocols import protocols
from harness.system import Task, systems
from harness.system.ridge import RidgeParams, fit_ridge, standardised


def task_on(corpus, cache, encoder=None):
    return Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=None,
        protocol=protocols["in_domain"],
        seed=0,
        device=torch.device("cpu"),
        encoder=encoder,
        cache=cache,
    )


def fit(name, corpus, cache, encoder=None, **changes):
    system = systems[name]
    params = system.resolve(corpus.dataset.name, changes)
    return system.fit(task_on(corpus, cache, encoder), params)


@pytest.mark.parametrize(
    ("name", "statistic"),
    [("train_mean", np.mean), ("train_median", np.median), ("zero", lambda labels: 0.0)],
)
def test_constants_predict_their_statistic_of_the_training_labels(
    trimodal, tmp_path, name, statistic
):
    values = fit(name, trimodal, tmp_path).predict(trimodal.split("test"))
    assert values.tolist() == [statistic(trimodal.split("train").labels)] * 12


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([-1.0, -2.0, -3.0, 1.0, 0.0], -2.0),
        ([1.0, 2.0, -1.0, 0.0], 1.5),
        ([0.0, 0.0, 1.0], 0.0),
        ([1.0, -1.0], -1.0),
        ([0.0, 1.0], 0.0),
    ],
)
def test_majority_is_the_median_of_the_most_frequent_class(labels, expected):
    assert majority_value(np.array(labels)) == expected


def test_references_are_the_constants():
    names = {name for name, system in systems.items() if system.reference}
    assert names == {"train_mean", "train_median", "zero", "majority"}
    assert all(not systems[name].inputs and systems[name].deterministic for name in names)


def random_features(rng, sparse=False, size=7):
    table = {}

    def features(split):
        if split.name not in table:
            values = rng.normal(size=(len(split), size))
            values[:, 0] += split.labels
            table[split.name] = csr_matrix(values) if sparse else values
        return table[split.name]

    return features


@pytest.mark.parametrize("sparse", [False, True])
def test_ridge_is_the_closed_form(trimodal, tmp_path, sparse):
    """(X'X + aI)⁻¹ X'y on centred data, by whichever solver."""
    features = random_features(np.random.default_rng(0), sparse)
    task = task_on(trimodal, tmp_path)
    params = RidgeParams(weakest=2.0, strongest=2.0)
    found = fit_ridge(task, params, features).predict(trimodal.split("test"))
    train, test = (
        np.asarray(m.todense()) if sparse else m
        for m in (features(task.train), features(trimodal.split("test")))
    )
    centred, labels = train - train.mean(0), task.train.labels
    weights = np.linalg.solve(centred.T @ centred + 2.0 * np.eye(7), centred.T @ labels)
    assert np.allclose(found, (test - train.mean(0)) @ weights + labels.mean(), atol=1e-6)


@pytest.mark.parametrize("metric", ["mae", "corr"])
def test_strength_minimises_the_selection_metric_on_valid(trimodal, tmp_path, metric):
    features = random_features(np.random.default_rng(1))
    protocol = replace(protocols["in_domain"], selection_metric=metric)
    task = replace(task_on(trimodal, tmp_path), protocol=protocol)
    truth = task.valid.labels

    def cost(values):
        return (
            np.abs(values - truth).mean() if metric == "mae" else -np.corrcoef(values, truth)[0, 1]
        )

    costs = [
        cost(
            Ridge(alpha=a)
            .fit(features(task.train), task.train.labels)
            .predict(features(task.valid))
        )
        for a in np.logspace(-3, 6, 19)
    ]
    chosen = fit_ridge(task, RidgeParams(), features).predict(task.valid)
    assert np.isclose(cost(chosen), min(costs), atol=1e-6)


def test_equally_good_strengths_give_the_strongest(trimodal, tmp_path):
    """Features that are all zero leave the training mean at every strength."""

    def features(split):
        return np.zeros((len(split), 3))

    fitted = fit_ridge(task_on(trimodal, tmp_path), RidgeParams(), features)
    mean = trimodal.split("train").labels.mean()
    assert np.allclose(fitted.predict(trimodal.split("test")), mean)
    assert RidgeParams(weakest=1.0, strongest=1e4, per_decade=2).strengths()[0] == 1e4


def test_strengths_are_evenly_spaced_and_include_both_ends():
    grid = RidgeParams(weakest=0.1, strongest=100.0, per_decade=2).strengths()
    assert np.allclose(np.log10(grid), [2, 1.5, 1, 0.5, 0, -0.5, -1])
    assert np.allclose(RidgeParams(weakest=5.0, strongest=5.0).strengths(), [5.0])


def test_standardised_features_have_unit_variance_on_train(trimodal):
    def features(split):
        return np.column_stack([split.labels * 7 + 3, np.ones(len(split))])

    scaled = standardised(features, trimodal.split("train"))(trimodal.split("train"))
    assert np.allclose(scaled.mean(0), 0) and np.allclose(scaled.std(0), [1, 0])


@pytest.mark.parametrize("name", ["tfidf_ridge", "sentence_ridge"])
def test_text_anchors_learn_from_words(transcripts, encoder, tmp_path, name):
    from harness.text import find_encoder

    fitted = fit(name, transcripts, tmp_path, find_encoder(encoder, tmp_path))
    test = transcripts.split("test")
    assert np.corrcoef(fitted.predict(test), test.labels)[0, 1] > 0.6


@pytest.mark.parametrize(
    ("dataset", "analyser", "same"),
    [("mosi", "words", True), ("mosi", "characters", False), ("sims", "characters", True)],
)
def test_n_grams_follow_the_language(make_corpus, tmp_path, dataset, analyser, same):
    corpus = make_corpus(dataset, streams={})
    default, chosen = (
        fit("tfidf_ridge", corpus, tmp_path, **c) for c in ({}, {"analyser": analyser})
    )
    test = corpus.split("test")
    assert np.array_equal(default.predict(test), chosen.predict(test)) == same


def test_feature_ridge_ignores_padding_and_other_streams(trimodal, tmp_path):
    """The mean over true frames, of the named streams only."""
    test = trimodal.split("test")
    found = fit("feature_ridge", trimodal, tmp_path, streams="audio", weakest=3.0, strongest=3.0)

    def means(split):
        stream = split.stream("audio")
        pairs = zip(stream.values, stream.lengths, strict=True)
        return np.array([values[:n].mean(0) for values, n in pairs], dtype=np.float64)

    train = means(trimodal.split("train"))
    scale = train.std(0)
    model = Ridge(alpha=3.0).fit((train - train.mean(0)) / scale, trimodal.split("train").labels)
    expected = model.predict((means(test) - train.mean(0)) / scale)
    assert np.allclose(found.predict(test), expected, atol=1e-5)
    assert found.parameters == 5 + 1


def test_feature_ridge_names_the_stream_that_is_missing(make_corpus, tmp_path):
    corpus = make_corpus(streams={"text": (3, 2)})
    with pytest.raises(SpecError, match=r"read audio.* has text"):
        fit("feature_ridge", corpus, tmp_path, streams="text+audio")


def test_sentence_ridge_needs_an_encoder(transcripts, tmp_path):
    with pytest.raises(SpecError, match="encoder"):
        fit("sentence_ridge", transcripts, tmp_path)
