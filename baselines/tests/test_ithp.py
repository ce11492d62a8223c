"""ITHP: sizes, what a prediction depends on, losses against closed forms, other encoders."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from baselines._shared.hidden import HiddenStates
from baselines.ithp import ITHP, Perception, surprise
from baselines.tests.clips import a_batch, build, dims_of, tokens
from harness.checks.fidelity import measure_size
from harness.data.batching import BatchSource
from harness.data.datasets import datasets
from harness.text import Encoder

# on the word-aligned files of MAG-BERT: vision features -> parameters, DeBERTa's included
COUNTS = {47: 184_883_706, 35: 184_880_622}


@pytest.mark.parametrize("vision", COUNTS)
def test_network_has_the_published_size(vision):
    shapes = {"words": {"text": (50, 768), "audio": (50, 74), "vision": (50, vision)}}
    dataset = dataclasses.replace(datasets["mosi"], shapes=shapes)
    assert measure_size(ITHP, dataset, "words", "published").parameters == COUNTS[vision]


@pytest.fixture
def make(encoder, small):
    return lambda **changes: build(ITHP, encoder, small, **changes)


def test_surprise_is_that_of_gaussians_over_true_tokens():
    mean, log_variance = torch.randn(2, 2, 3, 4).double().unbind()
    mask = torch.tensor([[True, True, False], [True, False, False]])
    every = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    assert torch.allclose(surprise(mean, log_variance, None), every.mean())
    assert torch.allclose(surprise(mean, log_variance, mask), every[mask].mean())


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_what_passes_in_evaluation_has_its_mean_and_variance(quirk):
    torch.manual_seed(0)
    params = ITHP.resolve("mosi", {"quirk": quirk, "hidden": 8, "dropout": 0.0})
    layer = Perception(3, 2, 4, params).eval()
    x = torch.randn(1, 1, 3)
    passed, told, mean, log_variance = layer(x.expand(20_000, 1, 3))
    spread = (0.5 * log_variance[0, 0]).exp() if quirk == "published" else torch.zeros(2)
    assert torch.allclose(passed.mean((0, 1)), mean[0, 0], atol=0.05)
    assert torch.allclose(passed.std((0, 1)), spread, atol=0.05)
    assert told.min() > 0 and told.max() < 1


def test_the_loss_is_two_bottlenecks_weighed(make):
    """Restated for one batch: KL0 + 8 MSE0 + .3 (KL1 + 32 MSE1), a twentieth of it."""
    network, batch = make(max_tokens=6).eval(), a_batch()
    network.ranges.copy_(torch.tensor([[-5.0, 5.0], [-4.0, 6.0]]))
    mask = batch.tokens.mask.bool()
    b0, told0, mu0, lv0 = network.first(network.encoder(batch.tokens))
    _, told1, mu1, lv1 = network.second(b0)
    audio = (network.rows(batch.tokens, batch.audio) + 5) / 10
    vision = (network.rows(batch.tokens, batch.vision) + 4) / 10
    kl0, kl1 = surprise(mu0, lv0, mask), surprise(mu1, lv1, mask)
    mse0, mse1 = (told0 - audio)[mask].square().mean(), (told1 - vision)[mask].square().mean()
    expected = 0.05 * (kl0 + 8 * mse0 + 0.3 * (kl1 + 32 * mse1))
    assert torch.allclose(network(batch).losses["bottlenecks"], expected, atol=1e-6)


def test_a_prediction_reads_the_text_alone(make):
    network, batch = make().eval(), a_batch()
    deaf = dataclasses.replace(
        batch, audio=dataclasses.replace(batch.audio, values=batch.audio.values * 0)
    )
    assert torch.equal(network(batch).prediction, network(deaf).prediction)


def test_targets_are_scaled_by_their_range_in_training_or_in_the_batch(make, trimodal):
    split = trimodal.split("train")
    source = BatchSource(split, inputs=frozenset({"audio", "vision"}))
    network = make()
    network.begin(source, network.params)
    values = split.stream("audio")
    true = torch.cat(
        [torch.from_numpy(v[:n]) for v, n in zip(values.values, values.lengths, strict=True)]
    )
    assert network.ranges[0].tolist() == [true.min().item(), true.max().item()]
    rows = torch.tensor([[[0.0, 2.0], [-2.0, 6.0]]])
    assert network._scaled(rows, torch.tensor([-1.0, 7.0])).tolist() == [
        [[0.125, 0.375], [0, 0.875]]
    ]
    released = make(quirk="published")
    assert released._scaled(rows, network.ranges[0]).tolist() == [[[0.25, 0.5], [0, 1]]]


@pytest.mark.parametrize(("quirk", "reads"), [("fixed", False), ("published", True)])
def test_as_released_padding_is_read_as_text(make, quirk, reads):
    network, texts = make(quirk=quirk).eval(), []
    network.encoder.register_forward_hook(lambda _module, given, _out: texts.append(given[0]))
    network(a_batch())
    assert bool(texts[0].mask.all()) == reads
    assert texts[0].mask.shape[1] == (50 if reads else 6)


@pytest.mark.parametrize("kind", ["DebertaV2", "XLNet"])
def test_other_encoders_are_read_too(kind, tmp_path):
    import transformers

    sizes = {"vocab_size": 12, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 16, "type_vocab_size": 0, "relative_attention": True}
    if kind == "XLNet":
        sizes = {"vocab_size": 12, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16}
    config = getattr(transformers, f"{kind}Config")(**sizes)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(tmp_path)
    encoder = Encoder("tiny", Path(tmp_path))
    states = HiddenStates(dataclasses.replace(dims_of("."), encoder=encoder)).eval()
    short = tokens((4,))
    padded = type(short)(
        *(torch.nn.functional.pad(p, (0, 3)) for p in (short.ids, short.mask, short.segments))
    )
    assert states(short).shape == (1, 4, 16)
    assert torch.allclose(states(padded)[:, :4], states(short), atol=1e-5)
