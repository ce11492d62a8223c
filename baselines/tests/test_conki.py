"""ConKI: what each stage trains and on which clips, how adapters chain, the contrast of kinds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from baselines.conki.parts import SPREAD, ConKIAdapter, Gate, knowledge_contrast
from baselines.conki.system import CONKI
from baselines.tests.clips import a_batch, build
from harness.errors import SpecError
from harness.spec.protocols import protocols
from harness.system import Task
from harness.text import find_encoder
from harness.training import batches_of, fit_network, loop_of, untrained


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def prepare(make_corpus, small, encoder, tmp_path):
    def make(streams=None, *, knowledge=None, **changes):
        corpus = make_corpus("mosi") if streams is None else make_corpus("mosi", streams=streams)
        task = Task(
            train=corpus.split("train"),
            valid=corpus.split("valid"),
            watched=None,
            protocol=dataclasses.replace(protocols["in_domain"], max_epochs=1),
            seed=1111,
            device=torch.device("cpu"),
            encoder=find_encoder(encoder, tmp_path),
            cache=tmp_path,
            knowledge=knowledge,
        )
        if knowledge is not None:
            changes["knowledge"] = knowledge.name
        return task, CONKI.resolve("mosi", small(CONKI, **changes))

    return make


def test_contrast_is_that_of_a_loop_over_all_vectors():
    rng = np.random.default_rng(0)
    general, specific = rng.normal(size=(2, 4, 3, 5))
    labels, tau = np.array([1, 0, 1, 2]), 0.07
    vectors = [
        (kind, labels[clip], v / np.linalg.norm(v))
        for clip in range(4)
        for kind, side in enumerate((general, specific))
        for v in side[clip]
    ]
    losses = []
    for i, (kind, label, unit) in enumerate(vectors):
        scores = np.exp([unit @ other / tau for _, _, other in vectors])
        total = scores.sum() - scores[i]
        likes = [
            j
            for j, (other_kind, other_label, _) in enumerate(vectors)
            if j != i and (other_kind, other_label) == (kind, label)
        ]
        losses.append(-np.mean(np.log(scores[likes] / total)))
    found = knowledge_contrast(*map(torch.from_numpy, (general, specific, labels)), tau)
    assert found.item() == pytest.approx(np.mean(losses))


def test_contrast_of_one_modality_skips_clips_without_their_like():
    general, specific = torch.randn(2, 3, 1, 4)
    alone = knowledge_contrast(general, specific, torch.tensor([0, 1, 2]), 0.1)
    assert alone.item() == 0
    assert knowledge_contrast(general, specific, torch.tensor([0, 1, 1]), 0.1).item() > 0


def test_a_new_adapter_changes_next_to_nothing():
    adapter, state = ConKIAdapter(8, 2, 2, 0.0), torch.randn(3, 5, 8)
    found = adapter(state, torch.ones(3, 5, dtype=torch.bool))
    assert 0 < (found - state).abs().max() < 20 * SPREAD


def test_adapters_read_their_layer_and_what_came_before(small, encoder):
    network = build(CONKI, encoder, small)

    class Doubling(nn.Module):
        def forward(self, state, mask):
            return 2 * state

    branch = network.branches["text"]
    branch.adapters = nn.ModuleList(Doubling() for _ in range(3))
    a, b, c = torch.randn(3, 2, 4, 8)
    expected = 2 * (c + 2 * (b + 2 * a))
    assert torch.allclose(branch.specific([a, b, c], torch.ones(2, 4)), expected)


def test_gate_is_a_squeezed_sigmoid():
    gate, values = Gate(16, 8).eval(), torch.randn(3, 16)
    first, norm, _, last, _ = gate.layers
    narrow = norm(first(values)).relu()
    assert narrow.shape == (3, 2)
    assert torch.allclose(gate(values), values * last(narrow).sigmoid())


def test_prediction_is_the_mlp_of_the_gated_join(small, encoder):
    network, batch = build(CONKI, encoder, small).eval(), a_batch()
    general, specific = network._read(batch)
    assert general.shape == specific.shape == (3, 3, 32)
    joined = [
        network.join[m](torch.cat([general[:, i], specific[:, i]], dim=1))
        for i, m in enumerate(("text", "audio", "vision"))
    ]
    expected = network.head(network.gate(torch.cat(joined, dim=1))).squeeze(1)
    assert torch.allclose(network(batch).prediction, expected, atol=1e-6)
    assert sum(isinstance(layer, nn.Linear) for layer in network.head) == 5


def test_training_adds_the_weighted_contrast_of_rounded_labels(small, encoder):
    network, batch = build(CONKI, encoder, small, contrast_weight=3.0, dropout=0.0), a_batch()
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.MultiheadAttention):
            module.p = module.dropout = 0.0
    general, specific = network.train()._read(batch)
    expected = 3 * knowledge_contrast(general, specific, batch.labels.round(), 0.07)
    assert torch.allclose(network(batch).losses["contrast"], expected, rtol=1e-4)


def test_what_each_stage_trains(prepare):
    task, params = prepare()
    network = untrained(CONKI, task, params)
    knowledge, fusion = network.stages(params)
    knowledge.enter()
    encoders = (".bert.", ".encoding.")
    for name, p in network.named_parameters():
        assert p.requires_grad != any(part in name for part in encoders), name
    fusion.enter()
    for name, p in network.named_parameters():
        taught = ".adapters." in name or name.startswith("branches.text.pooler")
        taught |= name.endswith(("audio.norm.weight", "audio.norm.bias"))
        taught |= name.endswith(("vision.norm.weight", "vision.norm.bias"))
        assert p.requires_grad != taught, name


def test_rates_of_the_last_stage(prepare):
    task, params = prepare(encoder_lr=5e-6, lr=1e-6)
    network = untrained(CONKI, task, params)
    groups = network.parameter_groups(params)
    assert [group.get("lr", params.lr) for group in groups] == [5e-6, 5e-6, 5e-6, 1e-6]
    listed = [id(p) for group in groups for p in group["params"]]
    trained = [id(p) for p in network.parameters() if p.requires_grad]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(trained)


def test_knowledge_of_other_features_is_mapped_to_the_tasks(prepare, make_corpus):
    other = make_corpus("mosei", streams={"text": (6, 12), "audio": (20, 7), "vision": (5, 3)})
    task, params = prepare(knowledge=other, knowledge_audio=7, knowledge_vision=3)
    loop = loop_of(CONKI, task, params)
    bridge = loop.network.branches["audio"].translate
    before = bridge.weight.clone()
    assert (bridge.in_features, bridge.out_features) == (7, 5)
    loop.run()
    assert [line.stage for line in loop.history] == ["knowledge", "main"]
    assert not torch.equal(bridge.weight, before)
    assert not bridge.weight.requires_grad


def test_knowledge_of_undeclared_features_is_refused(prepare, make_corpus):
    other = make_corpus("mosei", streams={"audio": (20, 7), "vision": (5, 3)})
    task, params = prepare(knowledge=other, knowledge_audio=0, knowledge_vision=0)
    with pytest.raises(SpecError, match=r"audio of .* has 7 features, expected 5"):
        fit_network(CONKI, task, params)


def test_without_knowledge_no_bridge_is_built(small, encoder):
    network = build(CONKI, encoder, small)  # though the preset says how many features it would have
    assert network.branches["audio"].translate is None


def test_text_may_stand_alone(prepare):
    task, params = prepare({})
    fitted = fit_network(CONKI, task, params)
    assert np.isfinite(fitted.predict(task.valid)).all()
    network = untrained(CONKI, task, params)
    assert network.modalities == ("text",)
    batch = batches_of(CONKI, task.train, task, params).gather(torch.arange(4))
    assert batch.audio is None
