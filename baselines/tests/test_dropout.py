"""Dropout by lanes of random words: rate, scale, seeds, gradients, and attention with it."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from baselines._shared.dropout import LaneDropout, attention, lane_dropout

SHARES = (0.5, 0.3, 0.1, 0.25, 0.001, 0.9)  # of 8 bits, then of 16


@pytest.mark.parametrize("share", SHARES)
def test_the_share_dropped_is_within_five_binomial_deviations(share: float) -> None:
    torch.manual_seed(0)
    count = 1_000_003  # no multiple of a word's lanes
    dropped = int((lane_dropout(torch.ones(count), share) == 0).sum())
    assert abs(dropped - count * share) < 5 * math.sqrt(count * share * (1 - share))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_kept_is_scaled_to_the_same_expectation(share: float, dtype: torch.dtype) -> None:
    values = torch.arange(1, 4097, dtype=dtype).view(64, 64)
    result = lane_dropout(values, share)
    kept = result != 0
    level = round(share * 2**16) / 2**16
    assert result.dtype == dtype
    torch.testing.assert_close(result[kept], values[kept] / (1 - level))
    assert abs(level - share) <= 2**-17


def test_every_lane_of_a_word_drops_alike_and_no_lane_tells_of_another() -> None:
    torch.manual_seed(1)
    for share, lanes in ((0.5, 8), (0.3, 4)):
        dropped = (lane_dropout(torch.ones(400_000), share) == 0).double().view(-1, lanes)
        rates = dropped.mean(0)
        deviation = math.sqrt(share * (1 - share) / len(dropped))
        assert float((rates - share).abs().max()) < 5 * deviation
        related = torch.corrcoef(dropped.T) - torch.eye(lanes)
        assert float(related.abs().max()) < 5 / math.sqrt(len(dropped))


def test_a_seed_decides_the_draws_and_each_call_has_its_own() -> None:
    ones = torch.ones(1000)
    torch.manual_seed(2)
    first, second = lane_dropout(ones, 0.3), lane_dropout(ones, 0.3)
    torch.manual_seed(2)
    again = lane_dropout(ones, 0.3)
    torch.manual_seed(3)
    other = lane_dropout(ones, 0.3)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_gradient_goes_where_values_were_kept() -> None:
    values = torch.randn(50, 7).mT.requires_grad_()  # not contiguous
    result = lane_dropout(values, 0.4)
    (gradient,) = torch.autograd.grad(result.sum(), values)
    torch.testing.assert_close(gradient * values, result)


@pytest.mark.parametrize("share", [0.0, 1e-9, 1.0])
def test_none_and_all_can_be_dropped(share: float) -> None:
    values = torch.randn(100)
    assert torch.equal(lane_dropout(values, share), values * (share < 0.5))


def test_nothing_is_dropped_in_evaluation_nor_of_nothing() -> None:
    values = torch.randn(100)
    module = LaneDropout(0.5)
    assert not torch.equal(module(values), values)
    assert torch.equal(module.eval()(values), values)
    assert lane_dropout(torch.empty(0, 3), 0.5).shape == (0, 3)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_pytorchs_where_hardly_a_weight_is_dropped(masked: bool) -> None:
    torch.manual_seed(4)
    query, key, value = (
        torch.randn(2, 3, steps, 4, dtype=torch.float64, requires_grad=True) for steps in (5, 6, 6)
    )
    allowed = torch.ones(5, 6, dtype=torch.bool).tril() if masked else None
    parts = (query, key, value)
    ours = attention(*parts, attn_mask=allowed, dropout_p=1e-9)  # drops none, by the own path
    theirs = scaled_dot_product_attention(*parts, attn_mask=allowed)
    torch.testing.assert_close(ours, theirs)
    cotangent = torch.randn_like(ours)
    found = torch.autograd.grad(ours, parts, cotangent)
    torch.testing.assert_close(found, torch.autograd.grad(theirs, parts, cotangent))


def test_attention_drops_weights_and_keeps_their_expectation() -> None:
    torch.manual_seed(5)
    query, key = torch.randn(1, 2, 4, 3), torch.randn(1, 2, 5, 3)
    value = torch.eye(5).expand(1, 2, 5, 5)  # the result is the weights
    weights = scaled_dot_product_attention(query, key, value)
    draws = torch.stack(
        [attention(query, key, value, attn_mask=None, dropout_p=0.3) for _ in range(4000)]
    )
    assert abs(float((draws == 0).double().mean()) - 0.3) < 0.01
    torch.testing.assert_close(draws.mean(0), weights, atol=0.02, rtol=0.0)
