"""The network against the published equations, written again in NumPy with the released names."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import erf, expit, softmax
from torch.nn.functional import adaptive_avg_pool1d

from text_model.layout import released_names

QUIET = {"noise": "never", "capacity": "never"}
RELEASED_SIZES = {"hidden": 128, "heads": 8, "head_size": 64, "smoe_layers": 3}


class Equations:
    """ŷ from the hidden states of the text encoder and the features, float64, clip by clip.

    Remembers which weights it was asked for.
    """

    def __init__(self, state, *, heads, layers, top_k):
        self.state = {name: value.double().numpy() for name, value in state.items()}
        self.used = set()
        self.heads, self.layers, self.top_k = heads, layers, top_k

    def __getitem__(self, name):
        self.used.add(name)
        return self.state[name]

    def linear(self, name, x, *, bias=True):
        y = x @ self[f"{name}.weight"].T
        return y + self[f"{name}.bias"] if bias else y

    def layer_norm(self, name, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * self[f"{name}.weight"] + self[f"{name}.bias"]

    def feed(self, name, x):
        hidden = self.linear(f"{name}.net.0", x)
        return self.linear(f"{name}.net.3", hidden * (1 + erf(hidden / np.sqrt(2))) / 2)

    def attention(self, name, query, source):
        q, k, v = (
            self.linear(
                f"{name}.fn.to_{what}", self.layer_norm(f"{name}.norm_{what}", x), bias=False
            )
            for what, x in (("q", query), ("k", source), ("v", source))
        )
        size = q.shape[-1] // self.heads
        parts = []
        for head in range(self.heads):
            one = slice(head * size, (head + 1) * size)
            scores = softmax(q[:, one] @ k[:, one].T / np.sqrt(size), axis=-1)
            parts.append(scores @ v[:, one])
        return self.linear(f"{name}.fn.to_out.0", np.concatenate(parts, axis=-1))

    def block(self, name, query, source):
        x = query + self.attention(f"{name}.0", query, source)
        return x + self.feed(f"{name}.1.fn", self.layer_norm(f"{name}.1.norm", x))

    def stream(self, projection, encoder, x):
        token = self[f"{encoder}.extra_token"][0]
        x = (
            np.concatenate([token, self.linear(projection, x)])
            + self[f"{encoder}.pos_embedding"][0]
        )
        return self.block(f"{encoder}.encoder.layers.0", x, x)

    def align(self, name, source, target):
        source = source + self[f"{name}.pos_embedding_s"][0]
        target = target + self[f"{name}.pos_embedding_t"][0]
        return self.block(f"{name}.CrossTransformerEncoder.layers.0", target, source)

    def temporal(self, streams):
        values, gates = {}, {}
        for m, x in streams.items():
            root = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
            normed = x / root * self[f"cross_align_a_v.{m}_RMSNorm.weight"]
            both = self.linear(f"cross_align_a_v.{m}_in_proj", normed, bias=False)
            values[m], gates[m] = np.split(both, 2, axis=-1)
        out = []
        for m, other in (("audio", "visual"), ("visual", "audio")):
            kernel = self[f"cross_align_a_v.{m}_conv1d.weight"][:, 0]  # (C, 4)
            past = np.concatenate([np.zeros((3, kernel.shape[0])), values[m]])
            convolved = np.stack(
                [(past[t : t + 4] * kernel.T).sum(0) for t in range(len(values[m]))]
            )
            convolved += self[f"cross_align_a_v.{m}_conv1d.bias"]
            opened = convolved * gates[other] * expit(gates[other])
            out.append(
                streams[m] + self.linear(f"cross_align_a_v.{m}_out_proj", opened, bias=False)
            )
        return np.concatenate(out)

    def mixture(self, name, x, r):
        logits = self.linear(f"{name}.router.topkroute_linear", r.mean(0))
        best = np.argsort(-logits)[: self.top_k]
        weights = softmax(logits[best])
        answers = [self.feed(f"{name}.experts.{e}", x) for e in best]
        return sum(w * answer for w, answer in zip(weights, answers, strict=True))

    def routed(self, x, r):
        name = "text_router_moe_trans"
        x = x + self[f"{name}.pos_embedding"][0]
        for i in range(self.layers):
            layer = f"{name}.encoder.layers.{i}"
            x = x + self.attention(f"{layer}.0", x, x)
            x = x + self.mixture(f"{layer}.1.fn", self.layer_norm(f"{layer}.1.norm", x), r)
        return x

    def head(self, text, audio, vision):
        g = softmax(self.linear("cls_head.gate.0", np.concatenate([text, audio, vision])))
        z = g[0] * text + g[1] * audio + g[2] * vision
        hidden = self.linear("cls_head.cls_head.0", z)
        hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
        return self.linear("cls_head.cls_head.3", hidden)[0]

    def predict(self, clip):
        text = self.stream("proj_t0", "proj_t", clip["text"])
        audio = self.stream("proj_a0", "proj_a_feat", clip["audio"])
        vision = self.stream("proj_v0", "proj_v_feat", clip["vision"])
        heard = self.stream("proj_a_clue0", "proj_a_clue", clip["audio_clue"])
        seen = self.stream("proj_v_clue0", "proj_v_clue", clip["visual_clue"])
        timed = self.temporal(
            {
                "audio": self.align("corss_fusion_audio", audio, heard),
                "visual": self.align("corss_fusion_visual", vision, seen),
            }
        )
        mixed = self.routed(np.concatenate([text, timed]), text)
        return self.head(mixed[0], mixed[51], mixed[102])


def equations_of(model):
    weights = model.state_dict()
    state = {theirs: weights[ours] for ours, theirs in released_names(model).items()}
    sizes = model.params
    return Equations(state, heads=sizes.heads, layers=sizes.smoe_layers, top_k=sizes.top_k)


def inputs_of(model, batch):
    """The clips as the equations read them: hidden states and the first 50 frames."""
    tokens = {"text": batch.tokens, **batch.clues}
    with torch.inference_mode():
        streams = {name: model.text_encoder(coded).values for name, coded in tokens.items()}
    streams |= {name: getattr(batch, name).values[:, :50] for name in ("audio", "vision")}
    arrays = {name: values.double().numpy() for name, values in streams.items()}
    return [{name: array[i] for name, array in arrays.items()} for i in range(len(batch))]


def in_double(batch):
    streams = {
        name: dataclasses.replace(stream, values=stream.values.double())
        for name in ("audio", "vision")
        for stream in [getattr(batch, name)]
    }
    return dataclasses.replace(batch, **streams)


def predictions_of(model, batch):
    with torch.inference_mode():
        return model(batch).prediction.numpy()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sizes", [{}, RELEASED_SIZES], ids=["small", "released"])
def test_without_noise_and_capacity_the_released_network_is_the_equations(
    params, network, batch, sizes, seed
):
    model = network(params(released=True, **QUIET, **sizes), seed).double()
    clips = in_double(batch(3, seed=seed))
    equations = equations_of(model)
    expected = [equations.predict(clip) for clip in inputs_of(model, clips)]
    np.testing.assert_allclose(predictions_of(model, clips), expected, rtol=0, atol=1e-10)


def test_single_precision_is_good_for_five_digits(params, network, batch):
    model = network(params(released=True, **QUIET, **RELEASED_SIZES), jitter=0.02)
    clips = batch(4)
    equations = equations_of(model)
    expected = [equations.predict(clip) for clip in inputs_of(model, clips)]
    np.testing.assert_allclose(predictions_of(model, clips), expected, rtol=0, atol=1e-5)


def test_the_equations_read_every_weight_but_the_noise_of_the_router(params, network, batch):
    model = network(params(released=True, **QUIET, top_k=5))
    equations = equations_of(model)
    equations.predict(inputs_of(model, batch(1))[0])
    unread = set(equations.state) - equations.used
    assert {n for n in unread if not n.startswith("bertmodel.")} == {
        f"text_router_moe_trans.encoder.layers.{i}.1.fn.router.noise_linear.{what}"
        for i in range(model.params.smoe_layers)
        for what in ("weight", "bias")
    }


def test_on_clips_without_padding_the_repaired_network_is_the_equations_too(params, network, batch):
    model = network(params()).double()
    clips = in_double(batch(3, full=True))
    equations = equations_of(model)
    expected = []
    for i, clip in enumerate(inputs_of(model, clips)):
        for name in ("audio", "vision"):
            frames = getattr(clips, name).values[i].T  # (D, T)
            clip[name] = adaptive_avg_pool1d(frames, 50).T.numpy()
        expected.append(equations.predict(clip))
    np.testing.assert_allclose(predictions_of(model, clips), expected, rtol=0, atol=1e-10)
