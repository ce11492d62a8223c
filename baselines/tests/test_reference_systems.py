"""Our own reference points: ERM Transformer, RoBERTa-text, and controls with explanations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import RobertaConfig, RobertaModel

from baselines.bert_text import ROBERTA_TEXT
from baselines.erm_transformer import ERM_TRANSFORMER
from baselines.lf_dnn import LF_DNN, LF_DNN_CLUES
from baselines.tfn import TFN, TFN_CLUES
from harness.data.batching import Batch, Sequence, Tokens
from harness.data.corpus import EXPLANATIONS
from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.spec.protocols import protocols
from harness.system import Dims, Task, systems
from harness.text import Blueprint, Encoder, find_encoder, sentence_vectors

DIMS = Dims(text=(6, 12), audio=(11, 5), vision=(8, 4), low=-3.0, high=3.0)
CLUED = {"lf_dnn@clues": LF_DNN, "tfn@clues": TFN}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def batch_of(lengths, **more):
    def stream(frames, size):
        count = torch.tensor([min(n, frames) for n in lengths])
        values = torch.randn(len(lengths), frames, size)
        values[torch.arange(frames) >= count.unsqueeze(1)] = 0
        return Sequence(values[:, : int(count.max())], count, frames)

    parts = {name: stream(*getattr(DIMS, name)) for name in ("text", "audio", "vision")}
    return Batch(rows=torch.arange(len(lengths)), labels=torch.zeros(len(lengths)), **parts, **more)


def transformer_layer(x, layer, heads):
    """Pre-norm self-attention and feed-forward block of one clip, (L, H), without masks."""
    attention, size = layer.self_attn, x.shape[1]
    q, k, v = (layer.norm1(x) @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, 1)
    parts = []
    for i in range(heads):
        own = slice(i * size // heads, (i + 1) * size // heads)
        scores = q[:, own] @ k[:, own].T / math.sqrt(size // heads)
        parts.append(scores.softmax(1) @ v[:, own])
    x = x + attention.out_proj(torch.cat(parts, 1))
    return x + layer.linear2(torch.nn.functional.gelu(layer.linear1(layer.norm2(x))))


def test_the_erm_transformer_is_attention_over_all_frames():
    params = ERM_TRANSFORMER.resolve("mosi", {"hidden": 16, "layers": 2, "heads": 2})
    network = ERM_TRANSFORMER.build(DIMS, params).eval()
    batch = batch_of((3, 5, 2))
    places = torch.arange(8)
    half = torch.exp(-math.log(10_000) * places / 7)
    for clip in range(3):
        rows = [network.summary.unsqueeze(0)]
        for name in ("text", "audio", "vision"):
            stream = getattr(batch, name)
            frames = stream.values[clip, : stream.lengths[clip]]
            x = network.projections[name](frames) + network.modalities[name]
            angles = (torch.arange(len(frames)) + 1).unsqueeze(1) * half
            rows.append(x + torch.cat([angles.sin(), angles.cos()], dim=1))
        x = torch.cat(rows)
        for layer in network.encoder.layers:
            x = transformer_layer(x, layer, 2)
        expected = network.head(network.encoder.norm(x)[0])
        assert torch.allclose(network(batch).prediction[clip], expected, atol=1e-5)


def test_the_erm_transformer_knows_streams_and_order():
    params = ERM_TRANSFORMER.resolve("mosi", {"hidden": 16, "heads": 2})
    network = ERM_TRANSFORMER.build(DIMS, params).eval()
    batch = batch_of((4, 4))
    turned = Sequence(batch.text.values.flip(1), batch.text.lengths, batch.text.frames)
    reordered = replace(batch, text=turned)
    moved = network(batch).prediction - network(reordered).prediction
    assert moved.abs().max() > 1e-4


def large():
    return RobertaConfig(
        vocab_size=50265,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        max_position_embeddings=514,
        type_vocab_size=1,
    )


def test_roberta_large_has_its_published_size():
    """355 million: embeddings, 24 layers, pooler; and a linear layer."""
    h, f = 1024, 4096
    layer = 4 * (h * h + h) + (h * f + f) + (f * h + h) + 4 * h
    encoder = (50265 + 514 + 1) * h + 2 * h + 24 * layer + (h * h + h)
    assert round(encoder / 1e6) == 355
    with torch.device("meta"):
        dims = Dims(low=-3.0, high=3.0, encoder=Blueprint(large()))
        network = ROBERTA_TEXT.build(dims, ROBERTA_TEXT.resolve("mosi", {}))
    assert sum(p.numel() for p in network.parameters()) == encoder + h + 1


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    """A tiny RoBERTa: one segment type, its own padding id, positions that start behind it."""
    folder = tmp_path_factory.mktemp("roberta")
    config = RobertaConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=20,
        type_vocab_size=1,
        pad_token_id=1,
    )
    torch.manual_seed(1)
    RobertaModel(config).save_pretrained(folder)
    return Encoder("tiny", folder)


@pytest.mark.parametrize("padding", [1, 5])
def test_roberta_reads_a_text_whatever_padding_follows(roberta, padding):
    network = ROBERTA_TEXT.build(
        Dims(low=-3.0, high=3.0, encoder=roberta), ROBERTA_TEXT.resolve("mosi", {})
    ).eval()
    ids = torch.tensor([[0, 7, 9, 8, 2]])
    plain = Tokens(ids, torch.ones_like(ids), torch.zeros_like(ids))
    padded = Tokens(
        *(
            torch.nn.functional.pad(part, (0, padding))
            for part in (plain.ids, plain.mask, plain.segments)
        )
    )
    hidden = roberta.load()(input_ids=ids).last_hidden_state[:, 0]
    expected = hidden @ network.head.weight.T + network.head.bias
    for tokens in (plain, padded):
        batch = Batch(rows=torch.arange(1), labels=torch.zeros(1), tokens=tokens)
        assert torch.allclose(network(batch).prediction, expected[0], atol=1e-5)


@pytest.mark.parametrize("name", CLUED)
@pytest.mark.parametrize("dataset", datasets)
def test_explanations_add_one_block_of_weights_and_nothing_else(encoder, tmp_path, name, dataset):
    tiny, plain = find_encoder(encoder, tmp_path), CLUED[name]
    dims = replace(DIMS, encoder=tiny)
    sizes = {
        kind: sum(p.numel() for p in system.build(dims, params).parameters())
        for kind, system, params in (
            ("plain", plain, plain.resolve(dataset, {})),
            ("clued", systems[name], systems[name].resolve(dataset, {})),
            ("none", systems[name], systems[name].resolve(dataset, {"explanations": "none"})),
        )
    }
    added = 3 * tiny.hidden_size * plain.resolve(dataset, {}).text_out
    assert sizes["clued"] == sizes["plain"] + added
    assert sizes["none"] == sizes["plain"]


@pytest.mark.parametrize("system", [LF_DNN_CLUES, TFN_CLUES], ids=lambda s: s.name)
def test_explanations_join_the_final_state_of_the_text(encoder, tmp_path, system):
    tiny = find_encoder(encoder, tmp_path)
    params = system.resolve("mosi", {"text_hidden": 8, "text_out": 4, "audio_hidden": 3})
    network = system.build(replace(DIMS, encoder=tiny), params).eval()
    told = torch.randn(2, 3 * tiny.hidden_size)
    batch = batch_of((3, 5), clue_vectors=told)
    text, _, _ = network.nets(batch)
    for clip, length in enumerate(batch.text.lengths.tolist()):
        _, (state, _) = network.nets.text.lstm(batch.text.values[clip : clip + 1, :length])
        joined = torch.cat([state[-1, 0], told[clip]])
        assert torch.allclose(text[clip], network.nets.text.project(joined), atol=1e-6)


@pytest.mark.parametrize("name", CLUED)
def test_controls_decide_what_counts_as_side_information(name):
    system = systems[name]
    given, none = (system.resolve("mosi", {"explanations": e}) for e in ("given", "none"))
    assert system.side_info(given) and not system.side_info(none)
    assert "clue_vectors" not in none.reads(system.inputs)


@pytest.mark.parametrize("name", CLUED)
def test_without_an_encoder_the_explanations_are_refused(name):
    with pytest.raises(SpecError, match="encoder"):
        systems[name].build(DIMS, systems[name].resolve("mosi", {}))


def explained(corpus, cache, encoder, **changes):
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
    system = systems["explanation_ridge"]
    return system.fit(task, system.resolve("mosi", changes))


def test_explanation_ridge_learns_from_explanations_alone(transcripts, encoder, tmp_path):
    silent = replace(transcripts, clips=transcripts.clips.assign(text="nothing"))
    fitted, test = explained(silent, tmp_path, encoder), silent.split("test")
    assert np.corrcoef(fitted.predict(test), test.labels)[0, 1] > 0.6


def test_explanation_ridge_reads_the_kinds_it_is_told_to(transcripts, encoder, tmp_path):
    """Weights on the joined unit vectors of two kinds, each in its place."""
    known = find_encoder(encoder, tmp_path)
    fixed = {"explanations": "audio_clue+summary", "weakest": 2.0, "strongest": 2.0}
    fitted = explained(transcripts, tmp_path, encoder, **fixed)
    assert fitted.parameters == 2 * known.hidden_size + 1

    def vectors(split):
        parts = []
        for kind in ("audio_clue", "summary"):
            pooled = sentence_vectors(known, split.clips[kind].tolist(), cache=tmp_path)
            parts.append(pooled / np.linalg.norm(pooled, axis=1, keepdims=True))
        return np.hstack(parts).astype(float)

    train, test = transcripts.split("train"), transcripts.split("test")
    mean, scale = vectors(train).mean(0), vectors(train).std(0)
    x, y = (vectors(train) - mean) / scale, train.labels
    weights = np.linalg.solve(x.T @ x + 2.0 * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    expected = (vectors(test) - mean) / scale @ weights + y.mean()
    assert fitted.predict(test) == pytest.approx(expected, abs=1e-4)


def test_explanation_ridge_refuses_what_is_not_there(transcripts, encoder, tmp_path):
    less = replace(transcripts, clips=transcripts.clips.drop(columns=["summary"]))
    with pytest.raises(SpecError, match=r"read summary.*has audio_clue, visual_clue"):
        explained(less, tmp_path, encoder)
    assert explained(less, tmp_path, encoder, explanations="visual_clue").parameters > 1
    with pytest.raises(SpecError, match="encoder"):
        explained(transcripts, tmp_path, None)


@pytest.mark.parametrize("kinds", ["+".join(EXPLANATIONS), "summary"])
def test_explanation_ridge_is_side_information(kinds):
    system = systems["explanation_ridge"]
    params = system.resolve("sims", {"explanations": kinds})
    assert params.reads(system.inputs) == set(kinds.split("+"))
    assert system.side_info(params)
