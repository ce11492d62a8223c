"""MIB: sizes, the bottleneck against closed forms, where words and padding lie."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from baselines._shared.word_rows import WordRows, word_marks
from baselines.mib import C_MIB, E_MIB, L_MIB, Bottleneck, divergence
from baselines.tests.clips import a_batch, build, dims_of, stream
from harness.data.batching import Sequence, Tokens
from harness.system import Dims
from harness.testing import tiny_encoder
from harness.text import Blueprint, Encoder
from harness.training import total_loss

# on the word-aligned files of MAG-BERT: (audio, vision) features -> parameters, BERT's included
COUNTS = {
    "c_mib": {47: 109_835_748, 35: 109_833_948},
    "e_mib": {47: 109_950_948, 35: 109_949_148},
    "l_mib": {47: 116_716_150, 35: 116_714_350},
}
SYSTEMS = {system.name: system for system in (C_MIB, E_MIB, L_MIB)}


@pytest.mark.parametrize("name", COUNTS)
def test_networks_have_the_published_size(name):
    for vision, count in COUNTS[name].items():
        with torch.device("meta"):
            streams = {"audio": (50, 74), "vision": (50, vision)}
            dims = Dims(**streams, low=-3.0, high=3.0, encoder=Blueprint.bert_base("en"))
            params = SYSTEMS[name].resolve("mosi", {"quirk": "published"})
            network = SYSTEMS[name].build(dims, params)
        assert sum(p.numel() for p in network.parameters()) == count


def test_divergence_is_that_of_gaussians():
    mean, scale = torch.randn(4, 3).double(), torch.rand(4, 3).double() + 0.1
    expected = kl_divergence(Normal(mean, scale), Normal(0.0, 1.0)).mean()
    assert torch.allclose(divergence(mean, scale), expected)
    assert divergence(torch.zeros(2, 3), torch.ones(2, 3)) == 0


@pytest.mark.parametrize(("noisy", "training"), [(False, False), (True, False), (False, True)])
def test_what_passes_a_bottleneck_has_its_mean_and_scale(noisy, training):
    torch.manual_seed(0)
    layer = Bottleneck(3, 8, -5.0, noisy=noisy).train(training)
    torch.nn.init.constant_(layer.scale.bias, 4.0)
    x = torch.randn(1, 3)
    hidden = (x @ layer.hidden.weight.T + layer.hidden.bias).relu()
    mean = hidden @ layer.mean.weight.T + layer.mean.bias
    scale = (1 + (hidden @ layer.scale.weight.T + layer.scale.bias - 5).exp()).log()
    passed, answer, _ = layer(x.expand(20_000, 3))
    expected = scale if noisy or training else torch.zeros_like(scale)
    assert torch.allclose(passed.mean(0), mean[0], atol=0.02)
    assert torch.allclose(passed.std(0), expected[0], atol=0.02)
    assert torch.allclose(answer, layer.answer(passed).squeeze(1))


@pytest.fixture
def make(encoder, small):
    return lambda name="c_mib", **changes: build(SYSTEMS[name], encoder, small, **changes)


@pytest.mark.parametrize(("name", "kept"), [("c_mib", 4), ("e_mib", 1), ("l_mib", 3)], ids=SYSTEMS)
def test_losses_are_an_answer_and_a_divergence_of_each_bottleneck(make, name, kept):
    """The whole, restated from what each bottleneck saw; the fused error counts twice."""
    network, batch, beta = make(name, bottleneck_weight=0.7).eval(), a_batch(), 0.7
    seen = {}
    for part, layer in network.named_modules():
        if isinstance(layer, Bottleneck):
            layer.register_forward_hook(lambda _l, _i, out, part=part: seen.update({part: out}))
    output = network(batch)
    assert len(seen) == kept
    error = (output.prediction - batch.labels).abs().mean()
    expected = 2 * error
    for part, (_, answer, divergence_) in seen.items():
        expected = expected + beta * divergence_
        if part != "fused":
            expected = expected + (answer - batch.labels).abs().mean()
    assert torch.allclose(total_loss(output, batch, network.params), expected)


def test_as_released_text_is_read_at_the_last_place_whatever_is_said(make):
    """A convolution over three places sees the last two: padding, for texts this short."""
    network, batch = make(quirk="published", max_tokens=12).eval(), a_batch()
    vector = network._text(padded := pad(batch.tokens, 12))
    hidden = network.encoder(padded)
    kernel = network.text.weight  # (S, H, 3)
    expected = hidden[:, -2] @ kernel[:, :, 0].T + hidden[:, -1] @ kernel[:, :, 1].T
    assert torch.allclose(vector, expected, atol=1e-6)


def pad(tokens, length):
    missing = length - tokens.ids.shape[1]
    return Tokens(
        *(
            torch.nn.functional.pad(part, (0, missing))
            for part in (tokens.ids, tokens.mask, tokens.segments)
        )
    )


@pytest.fixture
def spoken(tmp_path):
    """An encoder whose words have pieces, and the tokens of two clips."""
    folder = tiny_encoder(tmp_path / "encoder", ["a token for each of these eight words"])
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "un", "##pleas", "##ant"]
    words += ["don", "'", "t", "."]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", "utf-8")
    clips = ["[CLS] un ##pleas ##ant film [SEP]", "[CLS] don ' t . [SEP]", "[CLS] film [SEP]"]
    rows = [[words.index(word) for word in clip.split()] for clip in clips]
    ids = torch.tensor([row + [0] * (6 - len(row)) for row in rows])
    mask = (ids > 0).long()
    return Encoder("tiny", Path(folder)), Tokens(ids, mask, torch.zeros_like(mask))


def test_pieces_of_a_word_share_its_row_and_the_ends_have_none(spoken):
    encoder, tokens = spoken
    begins, joins = word_marks(encoder)
    assert begins[5:].tolist() == [True, True, False, False, True, False, True, False]
    assert joins.nonzero().flatten().tolist() == [10]
    rows = WordRows(dataclasses.replace(dims_of("."), encoder=encoder), "transcript")
    values = torch.tensor([[[1.0], [2.0]], [[7.0], [0.0]], [[4.0], [6.0]]])
    found = rows(tokens, Sequence(values, torch.tensor([2, 1, 2]), 5)).squeeze(2)
    # in the last clip two frames belong to one word: their mean
    assert found.tolist() == [[0, 1, 1, 1, 2, 0], [0, 7, 7, 7, 7, 0], [0, 5, 0, 0, 0, 0]]


def test_stored_tokens_have_frames_of_their_own(spoken):
    encoder, tokens = spoken
    rows = WordRows(dataclasses.replace(dims_of("."), encoder=encoder), "corpus")
    frames = stream((6, 6, 3), 2, 6)
    assert torch.allclose(rows(tokens, frames), frames.values)
