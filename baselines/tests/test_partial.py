"""Losses over the clips that have a label: equal to the plain loss where all have one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import l1_loss, mse_loss

from baselines._shared.partial import partial_loss
from harness.data.corpus import LABELS
from harness.system import systems
from harness.training import batches_of, fit_network, untrained

NAN = float("nan")
LOSSES = (l1_loss, mse_loss)
MULTITASK = ("mlf_dnn", "mtfn", "mlmf")


def graded(loss, told, labels):
    told = torch.tensor(told, requires_grad=True)
    value = loss(told, torch.tensor(labels))
    value.backward()
    return value.detach(), told.grad


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(1,), (3,), (7,), (32,), (5, 7, 6), (48,)])
def test_with_all_labels_it_is_the_plain_loss_to_the_bit(loss, shape):
    generator = torch.Generator().manual_seed(0)
    labels = torch.rand(shape, generator=generator)
    told = torch.rand(shape, generator=generator)
    found = graded(lambda a, b: 0.8 * partial_loss(loss, a, b), told.tolist(), labels.tolist())
    expected = graded(lambda a, b: 0.8 * loss(a, b), told.tolist(), labels.tolist())
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("told", "labels"),
    [
        ([1.0, 2.0, 3.0], [0.5, NAN, 5.0]),
        ([1.0, 2.0, 3.0], [NAN, NAN, 5.0]),
        ([1.0, 2.0], [NAN, 2.0]),
        ([[1.0, 2.0], [3.0, 4.0]], [[NAN, 0.0], [0.0, NAN]]),
        ([-1.0, 1.0, 0.0, 2.0, 7.0], [NAN, 0.0, NAN, 0.0, 7.5]),
    ],
)
def test_the_mean_is_over_clips_with_a_label(loss, told, labels):
    known = np.isfinite(labels)
    expected = loss(
        torch.tensor(np.array(told, np.float32)[known]),
        torch.tensor(np.array(labels, np.float32)[known]),
    )
    value, gradient = graded(lambda a, b: partial_loss(loss, a, b), told, labels)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert gradient.isfinite().all()
    assert (gradient.numpy()[~known] == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", [1, 2, 9])
def test_a_batch_without_any_label_teaches_nothing(loss, size):
    value, gradient = graded(lambda a, b: partial_loss(loss, a, b), [3.0] * size, [NAN] * size)
    assert value == 0
    assert not gradient.any()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-3, 3, width=32), st.floats(-3, 3, width=32) | st.just(NAN)),
        min_size=1,
        max_size=20,
    )
)
def test_any_labels_give_a_finite_loss_and_gradient(pairs):
    told, labels = map(list, zip(*pairs, strict=True))
    for loss in LOSSES:
        value, gradient = graded(lambda a, b, of=loss: partial_loss(of, a, b), told, labels)
        known = ~np.isnan(labels)
        expected = (
            np.mean(np.abs(np.subtract(told, labels)[known]) ** (1 + (loss is mse_loss)))
            if known.any()
            else 0
        )
        assert value.item() == pytest.approx(float(expected), rel=1e-4, abs=1e-5)
        assert gradient.isfinite().all()


# Systems


def partly(corpus, share, label=None):
    """The corpus with uni-modal labels (or one of them) on a share of its clips only."""
    clips = corpus.clips.copy()
    for place, name in enumerate(LABELS[1:]):
        if label in (None, name):
            lost = (np.arange(len(clips)) + place) % 10 >= 10 * share
            clips.loc[lost, name] = np.nan
    return dataclasses.replace(corpus, clips=clips)


@pytest.mark.parametrize("name", [*MULTITASK, "confede", "kuda"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_systems_train_on_the_clips_that_have_labels(name, share, make_corpus, small, task):
    system, corpus = systems[name], partly(make_corpus("sims"), share)
    params = system.resolve("sims", small(system))
    fitted = fit_network(system, task(corpus), params)
    assert all(np.isfinite(epoch.train_loss) for epoch in fitted.history)
    assert np.isfinite(fitted.predict(corpus.split("test"))).all()


@pytest.mark.parametrize("name", MULTITASK)
def test_a_missing_label_changes_only_its_own_loss(name, make_corpus, small, task):
    system, whole = systems[name], make_corpus("sims")
    params = system.resolve("sims", small(system, audio_weight=1.0, text_weight=1.0))
    losses = []
    for corpus in (whole, partly(whole, 0.5, "label_A")):
        setting = task(corpus)
        network = untrained(system, setting, params).eval()
        source = batches_of(system, setting.train, setting, params)
        losses.append(network(source.gather(torch.arange(12))).losses)
    one, other = losses
    changed = {key for key in one if not torch.equal(one[key], other[key])}
    assert changed == {"audio"}


def test_a_batch_that_lost_a_label_wholly_has_no_loss_of_it(make_corpus, small, task):
    system, corpus = systems["mtfn"], make_corpus("simsv2")
    clips = corpus.clips.copy()
    clips.loc[clips.index[:12], "label_V"] = np.nan
    setting = task(dataclasses.replace(corpus, clips=clips))
    params = system.resolve("simsv2", small(system))
    network = untrained(system, setting, params)
    source = batches_of(system, setting.train, setting, params)
    assert network(source.gather(torch.arange(8))).losses["vision"] == 0
    assert network(source.gather(torch.arange(8, 20))).losses["vision"] > 0


@pytest.mark.parametrize("name", ["confede", "kuda"])
def test_without_any_unimodal_label_the_clips_own_stands_in(name, make_corpus, small, task):
    """Of a corpus of CH-SIMS as of one of CMU-MOSI, which publishes none."""
    system, corpus = systems[name], make_corpus("sims")
    bare = dataclasses.replace(corpus, clips=corpus.clips.drop(columns=list(LABELS[1:])))
    same = {label: corpus.clips["label"] for label in LABELS[1:]}
    copied = dataclasses.replace(corpus, clips=corpus.clips.assign(**same))
    empty = dataclasses.replace(
        corpus, clips=corpus.clips.assign(**dict.fromkeys(LABELS[1:], np.nan))
    )
    params = system.resolve("sims", small(system))
    answers = [
        fit_network(system, task(one), params).predict(one.split("test"))
        for one in (bare, copied, empty)
    ]
    assert np.array_equal(answers[0], answers[2])
    assert np.allclose(answers[0], answers[1], atol=1e-6)
