"""The network as a whole: repairs, released defects, ablations."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from harness.data.batching import Tokens

ABLATIONS = [
    {"audio_clue": False},
    {"visual_clue": False},
    {"audio_clue": False, "visual_clue": False},
    {"explanations": "none"},
    {"streams": "text"},
    {"alignment": "linear"},
    {"temporal": "mamba"},
    {"temporal": "cross"},
    {"temporal": "none"},
    {"experts": 1, "top_k": 1},
    {"experts": 3, "top_k": 1},
    {"routing": "dense"},
    {"tokens_routed": 102},
    {"gate": False},
]


def name_of(changes):
    return "-".join(f"{name}={value}" for name, value in changes.items())


def predict(model, batch, *, seed=0):
    torch.manual_seed(seed)  # of the router's noise
    with torch.inference_mode():
        return model(batch).prediction


def select(batch, rows):
    """Some clips of a batch, in the order asked for."""

    def of(part):
        if part is None:
            return None
        chosen = {
            field.name: value[rows]
            for field in dataclasses.fields(part)
            if torch.is_tensor(value := getattr(part, field.name))
        }
        return dataclasses.replace(part, **chosen)

    streams = {name: of(getattr(batch, name)) for name in ("tokens", "audio", "vision")}
    clues = {name: of(clue) for name, clue in batch.clues.items()}
    return dataclasses.replace(batch, rows=rows, labels=batch.labels[rows], clues=clues, **streams)


def scribbled(batch):
    """The batch with something written over its padding."""

    def ids(tokens):
        return Tokens(torch.where(tokens.mask > 0, tokens.ids, 3), tokens.mask, tokens.segments)

    def frames(stream):
        values = torch.where(stream.mask.unsqueeze(2), stream.values, 9.0)
        return dataclasses.replace(stream, values=values)

    return dataclasses.replace(
        batch,
        tokens=ids(batch.tokens),
        clues={name: ids(clue) for name, clue in batch.clues.items()},
        audio=frames(batch.audio),
        vision=frames(batch.vision),
    )


def test_repaired_predictions_do_not_depend_on_neighbours_order_or_pass(params, network, batch):
    model, clips = network(params()), batch(64)
    together = predict(model, clips, seed=1)
    assert torch.equal(predict(model, clips, seed=2), together)
    order = torch.randperm(64)
    torch.testing.assert_close(predict(model, select(clips, order)), together[order])
    alone = torch.cat([predict(model, select(clips, torch.tensor([i]))) for i in range(64)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-5)


def test_repaired_predictions_ignore_padding(params, network, batch):
    model, clips = network(params()), batch(6)
    torch.testing.assert_close(predict(model, scribbled(clips)), predict(model, clips))


@pytest.mark.parametrize("temporal", ["conv", "mamba", "cross", "none"])
@pytest.mark.parametrize("alignment", ["cross", "linear"])
def test_every_repaired_ablation_ignores_padding(params, network, batch, temporal, alignment):
    model = network(params(temporal=temporal, alignment=alignment))
    clips = batch(6)
    torch.testing.assert_close(predict(model, scribbled(clips)), predict(model, clips))


def test_released_predictions_depend_on_padding(params, network, batch):
    model, clips = network(params(released=True, noise="never", capacity="never")), batch(6)
    gap = (predict(model, scribbled(clips)) - predict(model, clips)).abs()
    assert (gap > 1e-4).all()


def test_released_predictions_change_from_pass_to_pass(params, network, batch):
    model, clips = network(params(released=True)), batch(64)
    gap = (predict(model, clips, seed=1) - predict(model, clips, seed=2)).abs()
    assert gap.max() > 1e-3


def test_released_predictions_change_with_the_batch(params, network, batch):
    model, clips = network(params(released=True, noise="never")), batch(64)
    together = predict(model, clips)
    order = torch.arange(63, -1, -1)
    shuffled = predict(model, select(clips, order))[order]
    alone = torch.cat([predict(model, select(clips, torch.tensor([i]))) for i in range(64)])
    for other in (shuffled, alone):
        assert ((other - together).abs() > 1e-4).sum() > 16


def test_released_predictions_do_not_depend_on_trimming(params, network, batch):
    model, clips = network(params(released=True)), batch(6)
    longest = int(clips.tokens.mask.sum(1).max())
    trimmed = dataclasses.replace(
        clips,
        tokens=Tokens(
            *(
                part[:, :longest]
                for part in (clips.tokens.ids, clips.tokens.mask, clips.tokens.segments)
            )
        ),
    )
    assert torch.equal(predict(model, trimmed), predict(model, clips))


@pytest.mark.parametrize("changes", ABLATIONS, ids=name_of)
@pytest.mark.parametrize("released", [False, True], ids=["repaired", "released"])
def test_an_ablation_predicts_and_trains_every_weight(params, network, batch, changes, released):
    model = network(params(released=released, **changes)).train()
    output = model(batch(32))
    assert output.prediction.shape == (32,)
    for _ in range(4):
        model(batch(32)).prediction.square().sum().backward()
    idle = {
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and (weight.grad is None or not weight.grad.any())
    }
    if changes.get("top_k") == 1:  # an untrained router may leave experts without clips
        idle = {name for name in idle if ".experts." not in name}
    assert not idle


@pytest.mark.parametrize("changes", ABLATIONS, ids=name_of)
def test_an_ablation_changes_the_prediction(params, network, batch, changes):
    clips = batch(4)
    whole, lesser = (predict(network(params(**c)), clips) for c in ({}, changes))
    assert not torch.allclose(whole, lesser)


def test_diagnostics_are_weights(params, network, batch):
    told = network(params())(batch(9)).diagnostics
    assert told["routing"].shape == (9, 5) and told["gate"].shape == (9, 3)
    for weights in told.values():
        torch.testing.assert_close(weights.sum(1), torch.ones(9))
        assert (weights >= 0).all()


def test_the_states_of_mamba_do_not_decay(params, network):
    chosen = params(temporal="mamba")
    decayed, kept = network(chosen).parameter_groups(chosen)
    assert len(kept["params"]) == 4 and kept["weight_decay"] == 0.0
    assert "weight_decay" not in decayed
