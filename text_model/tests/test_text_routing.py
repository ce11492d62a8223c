"""Routing: which clips go to which experts, with which weights."""

from __future__ import annotations

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from text_model.routing import ExpertMixture, Router, Routing, routed_weights

LOGITS = npst.arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(2, 6)), elements=st.floats(-9, 9)
).filter(lambda logits: all(len(set(row)) == len(row) for row in logits))  # no ties


def by_hand(logits, top_k, limit=None):
    """Clip by clip, expert by expert."""
    weights, taken = np.zeros_like(logits), np.zeros(logits.shape[1], int)
    for clip, row in enumerate(logits):
        best = sorted(range(len(row)), key=lambda e: -row[e])[:top_k]
        total = sum(np.exp(row[e]) for e in best)
        for e in best:
            if limit is None or taken[e] < limit:
                weights[clip, e] = np.exp(row[e]) / total
            taken[e] += 1
    return weights


@given(LOGITS, st.data())
def test_weights_are_a_softmax_over_the_best_experts(logits, data):
    top_k = data.draw(st.integers(1, logits.shape[1]))
    found = routed_weights(torch.from_numpy(logits), top_k)
    np.testing.assert_allclose(found, by_hand(logits, top_k), atol=1e-12)


@given(LOGITS, st.data())
def test_an_expert_serves_the_first_clips_of_the_batch(logits, data):
    top_k = data.draw(st.integers(1, logits.shape[1]))
    limit = data.draw(st.integers(1, len(logits)))
    found = routed_weights(torch.from_numpy(logits), top_k, limit)
    np.testing.assert_allclose(found, by_hand(logits, top_k, limit), atol=1e-12)


@pytest.mark.parametrize(
    ("clips", "factor", "limit"), [(64, 1.0, 38), (1, 1.0, 1), (5, 1.0, 3), (64, 2.0, 76)]
)
def test_limit_of_the_released_code(clips, factor, limit):
    assert Routing(experts=5, top_k=3, capacity_factor=factor).limit(clips) == limit


def test_a_mixture_is_the_weighted_sum_of_all_experts():
    torch.manual_seed(0)
    mixture = ExpertMixture(8, Routing(experts=5, top_k=3)).double().eval()
    tokens, summary = torch.randn(7, 4, 8).double(), torch.randn(7, 8).double()
    mixed, weights = mixture(tokens, summary)
    answers = torch.stack([expert(tokens) for expert in mixture.experts], dim=1)  # (B, E, L, D)
    torch.testing.assert_close(mixed, torch.einsum("be,beld->bld", weights, answers))
    assert ((weights > 0).sum(1) == 3).all()


def test_a_clip_that_every_expert_turned_away_gets_nothing():
    torch.manual_seed(0)
    mixture = ExpertMixture(8, Routing(experts=4, top_k=1, noise="never"))
    tokens = torch.randn(8, 3, 8)
    mixed, weights = mixture(tokens, torch.ones(8, 8))  # all want the same expert, room for two
    assert weights.sum(1).tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert (mixed[2:] == 0).all() and (mixed[:2] != 0).any()


@pytest.mark.parametrize(
    ("when", "training", "evaluation"),
    [("training", True, False), ("always", True, True), ("never", False, False)],
)
def test_noise_and_capacity_apply_when_they_should(when, training, evaluation):
    torch.manual_seed(0)
    summary, tokens = torch.randn(40, 8), torch.randn(40, 1, 8)
    for mode, expected in ((True, training), (False, evaluation)):
        noisy = ExpertMixture(8, Routing(experts=5, top_k=3, noise=when, capacity="never"))
        noisy.train(mode)
        first, second = (noisy(tokens, summary)[1] for _ in range(2))
        assert torch.equal(first, second) is not expected
        limited = ExpertMixture(8, Routing(experts=5, top_k=1, noise="never", capacity=when))
        limited.train(mode)
        turned_away = (limited(tokens, torch.ones(40, 8))[1].sum(1) == 0).any()
        assert bool(turned_away) is expected


def test_noise_has_the_learned_width():
    torch.manual_seed(0)
    router = Router(4, 2).double()
    summary = torch.randn(1, 4).double().expand(100_000, 4)
    with torch.no_grad():
        noise = router(summary, noisy=True) - router(summary, noisy=False)
        width = torch.log1p(torch.exp(router.noise(summary[0])))
    torch.testing.assert_close(noise.std(0), width, rtol=0.02, atol=0)
    torch.testing.assert_close(noise.mean(0), torch.zeros(2).double(), rtol=0, atol=0.02)


def test_a_single_expert_needs_no_router_and_one_choice_no_training():
    assert ExpertMixture(8, Routing(experts=1, top_k=1)).router is None
    chosen = ExpertMixture(8, Routing(experts=5, top_k=1))
    assert not any(weight.requires_grad for weight in chosen.router.parameters())
    assert all(weight.requires_grad for weight in chosen.experts.parameters())


def test_an_expert_that_no_clip_chose_has_no_gradient():
    torch.manual_seed(0)
    mixture = ExpertMixture(8, Routing(experts=4, top_k=1, noise="never", capacity="never"))
    mixed, weights = mixture(torch.randn(2, 5, 8), torch.randn(2, 8))
    mixed.sum().backward()
    busy = (weights > 0).any(0).tolist()
    assert 0 < sum(busy) < 4
    for expert, used in zip(mixture.experts, busy, strict=True):
        assert all((p.grad is not None) == used for p in expert.parameters())
