"""The networks compute the equations of their papers, checked against other formulations."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines._shared.blocks import TextNet, last_state, time_mean, with_one
from baselines.bert_text import BERT_TEXT
from baselines.ef_lstm import EF_LSTM, pool_padded, pool_to
from baselines.lf_dnn import LF_DNN
from baselines.lmf import LMF, LMFParams, LowRankFusion
from baselines.tfn import TFN, TensorFusion, TFNParams, tensor_product
from harness.data.batching import Batch, Sequence, Tokens
from harness.errors import SpecError
from harness.system import Dims
from harness.text import Encoder

DIMS = Dims(text=(6, 12), audio=(11, 5), vision=(8, 4), low=-1.0, high=1.0)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def sequence(frames=6, size=3, lengths=(6, 1, 4), trim=True):
    values = torch.randn(len(lengths), frames, size)
    count = torch.tensor(lengths)
    values[torch.arange(frames) >= count.unsqueeze(1)] = 0
    return Sequence(values[:, : max(lengths)] if trim else values, count, frames)


def batch_of(dims):
    def stream(shape):
        return sequence(*shape, lengths=(2, 3, 1))

    parts = {name: stream(getattr(dims, name)) for name in ("text", "audio", "vision")}
    return Batch(rows=torch.arange(3), labels=torch.zeros(3), **parts)


def test_tensor_product_is_the_outer_product_of_all_three():
    text, audio, vision = torch.randn(4, 2), torch.randn(4, 3), torch.randn(4, 5)
    ones = [functional.pad(part, (1, 0), value=1.0) for part in (audio, vision, text)]
    expected = torch.einsum("ba,bv,bt->bavt", *ones)
    assert torch.allclose(tensor_product(text, audio, vision), expected.flatten(1))


def test_with_one_keeps_each_stream_and_each_pair():
    """The product contains 1, every feature, every pair and every triple."""
    product = tensor_product(*(torch.tensor([[value]]) for value in (2.0, 3.0, 5.0)))
    assert sorted(product[0].tolist()) == [1, 2, 3, 5, 6, 10, 15, 30]
    assert with_one(torch.zeros(2, 3)).tolist() == [[1, 0, 0, 0]] * 2


def test_low_rank_fusion_contracts_the_full_weight_tensor():
    """W = Σ_i w_i f_t[i] ⊗ f_a[i] ⊗ f_v[i]; y = <W, [1;t] ⊗ [1;a] ⊗ [1;v]> + b."""
    params = LMFParams(text_hidden=8, audio_hidden=3, vision_hidden=5, rank=4)
    network = LowRankFusion(DIMS, params).double()
    nn.init.normal_(network.bias)
    parts = [torch.randn(7, size, dtype=torch.float64) for size in (4, 3, 5)]
    text, audio, vision = network.factors
    weight = torch.einsum("ri,rj,rk,r->ijk", text, audio, vision, network.weights[0])
    ones = [functional.pad(part, (1, 0), value=1.0) for part in parts]
    expected = torch.einsum("bi,bj,bk,ijk->b", *ones, weight) + network.bias
    assert torch.allclose(network.fuse(*parts), expected)


def test_lmf_trains_weights_and_bias_unless_as_published():
    names = {"weights", "bias"}
    for quirk, trained in (("fixed", names), ("published", set())):
        network = LowRankFusion(DIMS, LMFParams(quirk=quirk))
        assert {n for n in names if getattr(network, n).requires_grad} == trained
        groups = network.parameter_groups(LMFParams())
        optimised = {id(p) for group in groups for p in group["params"]}
        assert {n for n in names if id(getattr(network, n)) in optimised} == trained


def test_lmf_gives_its_factors_their_own_learning_rate():
    network = LowRankFusion(DIMS, LMFParams(factor_lr=0.25))
    others, factors = network.parameter_groups(LMFParams())
    assert factors["lr"] == 0.25 and "lr" not in others
    assert [id(p) for p in factors["params"]] == [id(p) for p in network.factors]


@pytest.mark.parametrize(("quirk", "low", "high"), [("fixed", -1.0, 1.0), ("published", -3.0, 3.0)])
def test_tfn_output_range(quirk, low, high):
    """The sigmoid saturates at the dataset's range, or at MOSI's when as published."""
    network = TensorFusion(DIMS, TFNParams(quirk=quirk)).eval()
    batch, last = batch_of(DIMS), network.head[-2]
    for bias, expected in ((1e3, high), (-1e3, low), (0.0, (low + high) / 2)):
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, bias)
        assert network(batch).prediction.tolist() == [expected] * 3


def test_time_mean_divides_by_true_or_padded_length():
    values = torch.tensor([[[2.0], [4.0]], [[6.0], [0.0]]])
    stream = Sequence(values, torch.tensor([2, 1]), frames=4)
    assert time_mean(stream, padded=False).flatten().tolist() == [3.0, 6.0]
    assert time_mean(stream, padded=True).flatten().tolist() == [1.5, 1.5]


@pytest.mark.parametrize("padded", [False, True])
def test_last_state_is_that_of_each_clip_read_alone(padded):
    lstm, stream = nn.LSTM(3, 4, num_layers=2, batch_first=True), sequence(lengths=(4, 1, 3))
    steps = [stream.frames] * 3 if padded else stream.lengths.tolist()
    alone = [
        lstm(clip[:step].unsqueeze(0))[0][0, -1]
        for clip, step in zip(stream.untrimmed(), steps, strict=True)
    ]
    assert torch.allclose(last_state(lstm, stream, padded=padded), torch.stack(alone), atol=1e-6)


def test_text_net_projects_the_last_state():
    network, text = TextNet(3, 4, 2, padded=False), sequence()
    state = last_state(network.lstm, text, padded=False)
    assert torch.allclose(network(text), state @ network.project.weight.T + network.project.bias)


@pytest.mark.parametrize(("frames", "words"), [(11, 4), (4, 4), (2, 5), (1, 1), (12, 3)])
def test_pool_to_is_adaptive_average_pooling_of_true_frames(frames, words):
    text, stream = sequence(6, 2, (words, 6)), sequence(14, 3, (frames, 14))
    pooled = pool_to(text, stream)
    expected = functional.adaptive_avg_pool1d(stream.values[:1, :frames].mT, words).mT
    assert pooled.shape == (2, 6, 3)
    assert torch.allclose(pooled[:1, :words], expected, atol=1e-6)


def test_pool_padded_repeats_the_last_frame():
    values = torch.tensor([[1.0, 3.0, 5.0, 7.0, 8.5]]).unsqueeze(2)
    assert pool_padded(values, 2).flatten().tolist() == [3.0, 8.0]
    assert pool_padded(values, 5).flatten().tolist() == [1.0, 3.0, 5.0, 7.0, 8.5]
    assert pool_padded(values, 6).flatten().tolist() == [1.0, 3.0, 5.0, 7.0, 8.5, 8.5]


def test_fixed_ef_lstm_normalises_features_over_true_frames_only():
    network = EF_LSTM.build(DIMS, EF_LSTM.resolve("mosi", {"dropout": 0.0})).train()
    batch = batch_of(DIMS)
    network(batch)
    frames = torch.cat([clip[:n] for clip, n in zip(batch.text.values, (2, 3, 1), strict=True)])
    mean = network.norm.running_mean[:12] / network.norm.momentum
    assert torch.allclose(mean, frames.mean(0), atol=1e-6)


def test_published_ef_lstm_normalises_time_steps():
    network = EF_LSTM.build(DIMS, EF_LSTM.resolve("mosi", {"quirk": "published"}))
    assert network.norm.num_features == DIMS.text[0]


@pytest.mark.parametrize("system", [EF_LSTM, LF_DNN, TFN, LMF], ids=lambda s: s.name)
@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_one_frame_per_stream_is_enough(system, quirk):
    dims = Dims(text=(1, 7), audio=(1, 5), vision=(1, 4), low=-3.0, high=3.0)
    network = system.build(dims, system.resolve("mosi", {"quirk": quirk}))
    parts = {name: sequence(*getattr(dims, name), (1, 1)) for name in ("text", "audio", "vision")}
    batch = Batch(rows=torch.arange(2), labels=torch.zeros(2), **parts)
    assert network(batch).prediction.shape == (2,)


@pytest.mark.parametrize("system", [EF_LSTM, LF_DNN, TFN, LMF], ids=lambda s: s.name)
@pytest.mark.parametrize("name", ["text", "audio", "vision"])
def test_a_missing_stream_is_refused_by_name(system, name):
    shapes = {"text": (6, 12), "audio": (11, 5), "vision": (8, 4)}
    del shapes[name]
    with pytest.raises(SpecError, match=name):
        system.build(Dims(**shapes, low=-3.0, high=3.0), system.resolve("mosi", {}))


def test_bert_text_reads_the_first_token(encoder):
    folder = Encoder("tiny", Path(encoder))
    params = BERT_TEXT.resolve("mosi", {"encoder": encoder})
    network = BERT_TEXT.build(Dims(low=-3.0, high=3.0, encoder=folder), params).eval()
    ids = torch.tensor([[2, 7, 8, 3]])
    tokens = Tokens(ids, torch.ones_like(ids), torch.zeros_like(ids))
    hidden = folder.load()(input_ids=ids).last_hidden_state[:, 0]
    expected = hidden @ network.head.weight.T + network.head.bias
    found = network(SimpleNamespace(tokens=tokens)).prediction
    assert torch.allclose(found, expected[0], atol=1e-5)
