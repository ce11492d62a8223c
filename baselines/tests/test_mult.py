"""The cross-modal Transformer against torch's own, and MulT against its equations and sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from baselines._shared.transformer import CrossModalEncoder, allowed_steps, sinusoids
from baselines.mult import MULT
from harness.data.batching import Batch, Sequence
from harness.data.datasets import datasets
from harness.system import Dims

FEATURES = {"mosi": "unaligned-50", "mosei": "unaligned-50", "sims": "unaligned-39"}
COUNTS = {"mosi": 2_571_551, "mosei": 982_951, "sims": 1_870_701, "simsv2": 985_141}
DIMS = Dims(text=(9, 12), audio=(11, 5), vision=(8, 4), low=-1.0, high=1.0)
SIZES = {"hidden": 8, "heads": 2, "layers": 2}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def encoder(size=8, heads=2, layers=2, **switches):
    made = CrossModalEncoder(size, heads, layers, **switches).double().eval()
    for parameter in made.parameters():  # biases and norms would hide behind zeros and ones
        nn.init.normal_(parameter, std=0.3)
    return made


def mask_of(lengths, steps):
    return torch.arange(steps) < torch.tensor(lengths).unsqueeze(1)


def steps(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("dataset", COUNTS)
@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_size_is_the_published_one(dataset, quirk):
    known = datasets[dataset]
    shapes = known.shapes[FEATURES.get(dataset, "unaligned-50")]
    with torch.device("meta"):
        dims = Dims(**shapes, low=known.low, high=known.high)
        network = MULT.build(dims, MULT.resolve(dataset, {"quirk": quirk}))
    assert sum(p.numel() for p in network.parameters()) == COUNTS[dataset]


def test_self_attention_is_torchs_pre_norm_encoder():
    ours = encoder(positions=False, causal=False)
    layer = nn.TransformerEncoderLayer(8, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
    theirs = nn.TransformerEncoder(layer, 2, nn.LayerNorm(8), enable_nested_tensor=False).double()
    pairs = {"norm.weight": ours.norm.weight, "norm.bias": ours.norm.bias}
    for i, our in enumerate(ours.layers):
        for name, module in (
            ("self_attn.in_proj_", our.attention.inputs),
            ("self_attn.out_proj.", our.attention.output),
            ("linear1.", our.feed[0]),
            ("linear2.", our.feed[3]),
            ("norm1.", our.norms[0]),
            ("norm2.", our.norms[1]),
        ):
            pairs[f"layers.{i}.{name}weight"] = module.weight
            pairs[f"layers.{i}.{name}bias"] = module.bias
    theirs.load_state_dict(pairs)
    query, mask = steps(3, 5, 8), mask_of((5, 2, 4), 5)
    expected = theirs.eval()(query * math.sqrt(8), src_key_padding_mask=~mask)
    assert torch.allclose(ours(query, query_mask=mask)[mask], expected[mask])


def test_cross_attention_reads_the_same_embedded_source_in_every_layer():
    made = encoder()
    query, source = steps(1, 4, 8), steps(1, 7, 8)
    state, read = (math.sqrt(8) * x[0] + sinusoids(x.shape[1], 8).double() for x in (query, source))
    for layer in made.layers:
        first, second = layer.norms
        attended = attention_by_hand(layer.attention, first(state), first(read))
        state = state + attended
        state = state + layer.feed(second(state))
    assert torch.allclose(made(query, source)[0], made.norm(state))


def attention_by_hand(module, query, source, heads=2):
    weights, biases = module.inputs.weight.chunk(3), module.inputs.bias.chunk(3)
    q, k, v = (
        x @ w.T + b for x, w, b in zip((query, source, source), weights, biases, strict=True)
    )
    outputs = []
    for head_q, head_k, head_v in zip(*(x.chunk(heads, dim=1) for x in (q, k, v)), strict=True):
        scores = head_q @ head_k.T / math.sqrt(head_q.shape[1])
        reach = 1 + abs(len(query) - len(source))
        hidden = torch.triu(torch.ones_like(scores), diagonal=reach).bool()
        outputs.append(scores.masked_fill(hidden, -math.inf).softmax(1) @ head_v)
    return module.output(torch.cat(outputs, dim=1))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positions", [True, False])
def test_padding_changes_nothing(causal, positions):
    made = encoder(causal=causal, positions=positions)
    query, source = steps(3, 6, 8), steps(3, 9, 8)
    lengths = ((6, 2, 4), (3, 9, 1))
    masks = mask_of(lengths[0], 6), mask_of(lengths[1], 9)
    crossed = made(query, source, query_mask=masks[0], source_mask=masks[1])
    alone = made(query, query_mask=masks[0])
    for clip, (asked, read) in enumerate(zip(*lengths, strict=True)):
        one = slice(clip, clip + 1)
        expected = made(query[one, :asked], source[one, :read])
        assert torch.allclose(crossed[one, :asked], expected)
        assert torch.allclose(alone[one, :asked], made(query[one, :asked]))


def test_self_attention_looks_back_only():
    made, query = encoder(), steps(1, 6, 8)
    changed = query.clone()
    changed[0, 3] = steps(8)
    same = (made(query) == made(changed)).all(2)[0]
    assert same.tolist() == [True, True, True, False, False, False]


@pytest.mark.parametrize(("asked", "read"), [(4, 7), (7, 4), (5, 5)])
def test_allowed_steps_are_the_released_mask(asked, read):
    released = torch.triu(torch.full((asked, read), -math.inf), 1 + abs(asked - read)) == 0
    found = allowed_steps(steps(2, asked, 1), steps(2, read, 1), None, None)
    assert torch.equal(found[0], released)


@pytest.mark.parametrize("size", [10, 7, 2])
def test_sinusoids(size):
    half = size // 2
    table = np.zeros((5, size))
    for position in range(1, 6):
        for i in range(half):
            angle = position / 10_000 ** (i / max(1, half - 1))
            table[position - 1, i], table[position - 1, half + i] = np.sin(angle), np.cos(angle)
    assert sinusoids(5, size).numpy() == pytest.approx(table, abs=1e-6)


@pytest.mark.parametrize(
    "dropout", ["attention_dropout", "relu_dropout", "residual_dropout", "embed_dropout"]
)
def test_each_dropout_acts_in_training_only(dropout):
    made = encoder(**{dropout: 0.5})
    query, source = steps(1, 4, 8), steps(1, 5, 8)
    assert torch.equal(made(query, source), made(query, source))
    made.train()
    assert not torch.equal(made(query, source), made(query, source))


def batch_of(lengths):
    def stream(name):
        frames, size = getattr(DIMS, name)
        count = torch.tensor(lengths[name])
        values = steps(len(count), frames, size)
        values[torch.arange(frames) >= count.unsqueeze(1)] = 0
        return Sequence(values[:, : int(count.max())], count, frames)

    parts = {name: stream(name) for name in ("text", "audio", "vision")}
    clips = len(lengths["text"])
    return Batch(rows=torch.arange(clips), labels=torch.zeros(clips), **parts)


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_mult_equations(quirk):
    """Each clip alone, of its true length or of the padded one, through plain convolutions."""
    network = MULT.build(DIMS, MULT.resolve("mosi", {**SIZES, "quirk": quirk})).double().eval()
    batch = batch_of({"text": (9, 2, 6), "audio": (5, 11, 8), "vision": (7, 1, 3)})
    found = network(batch).prediction
    for clip in range(3):
        embedded = []
        for name, convolution in zip(
            ("text", "audio", "vision"), network.convolutions, strict=True
        ):
            stream = getattr(batch, name)
            count = stream.frames if quirk == "published" else int(stream.lengths[clip])
            frames = stream.untrimmed()[clip : clip + 1, : max(count, 5)]
            embedded.append(functional.conv1d(frames.mT, convolution.weight).mT)
        text, audio, vision = embedded
        readers, memories = network.readers, network.memories
        last = []
        for name, own, others, memory in (
            ("text", text, {"audio": audio, "vision": vision}, memories[0]),
            ("audio", audio, {"text": text, "vision": vision}, memories[1]),
            ("vision", vision, {"text": text, "audio": audio}, memories[2]),
        ):
            seen = [readers[f"{name}_reads_{read}"](own, other) for read, other in others.items()]
            last.append(memory(torch.cat(seen, dim=2))[:, -1])
        joined = torch.cat(last, dim=1)
        hidden = functional.relu(network.residual[0](joined))
        expected = network.head(joined + network.residual[3](hidden))
        assert torch.allclose(found[clip], expected[0, 0])


def test_positions_are_in_the_repaired_network_only():
    for quirk, present in (("fixed", True), ("published", False)):
        network = MULT.build(DIMS, MULT.resolve("mosi", {**SIZES, "quirk": quirk}))
        encoders = [m for m in network.modules() if isinstance(m, CrossModalEncoder)]
        assert len(encoders) == 9
        assert {made.positions for made in encoders} == {present}


def test_attention_dropout_is_that_of_the_stream_that_is_read():
    network = MULT.build(DIMS, MULT.resolve("mosei", {**SIZES, "vision_attention_dropout": 0.7}))
    for name, reader in network.readers.items():
        expected = {"text": 0.4, "audio": 0.0, "vision": 0.7}[name.rpartition("_")[2]]
        assert {layer.attention.dropout for layer in reader.layers} == {expected}
    assert {m.layers[0].attention.dropout for m in network.memories} == {0.4}


@pytest.mark.parametrize(("layers", "depth"), [(2, 3), (4, 4)])
def test_memories_have_three_layers_at_least(layers, depth):
    network = MULT.build(DIMS, MULT.resolve("mosi", {**SIZES, "layers": layers}))
    assert {len(memory.layers) for memory in network.memories} == {depth}
    assert {len(reader.layers) for reader in network.readers.values()} == {layers}


SETTINGS = [
    ("mosi", {"batch_size": 16, "lr": 2e-3, "out_dropout": 0.5, "clip_value": 0.6}),
    ("mosei", {"batch_size": 4, "hidden": 30, "heads": 6, "audio_kernel": 1, "vision_kernel": 3}),
    ("sims", {"layers": 2, "residual_dropout": 0.2, "attention_dropout": 0.2}),
    ("simsv2", {"relu_dropout": 0.1, "clip_value": 1.0, "audio_kernel": 3, "lr": 5e-4}),
]


@pytest.mark.parametrize(("dataset", "expected"), SETTINGS)
def test_presets_are_those_of_mmsa(dataset, expected):
    params = MULT.resolve(dataset, {})
    assert {name: getattr(params, name) for name in expected} == expected
    assert params.accumulate == 8 and params.weight_decay == 0.0
