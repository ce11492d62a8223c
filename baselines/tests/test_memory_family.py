"""MFN and Graph-MFN: sizes, and the equations written out step by step."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from baselines._shared.memory import GatedMemory, MemoryParams
from baselines._shared.words import on_words, squared_error, up_to, with_previous
from baselines.graph_mfn import GRAPH_MFN, DynamicFusionGraph
from baselines.mfn import MFN
from harness.data.batching import Batch, Sequence
from harness.data.datasets import datasets
from harness.system import Dims

FEATURES = {"mosi": "unaligned-50", "mosei": "unaligned-50", "sims": "unaligned-39"}
COUNTS = [
    (MFN, {"mosi": 2_172_657, "mosei": 1_276_865, "sims": 601_505, "simsv2": 906_481}),
    (GRAPH_MFN, {"mosi": 2_110_624, "mosei": 675_792, "sims": 2_724_860, "simsv2": 925_724}),
]
DIMS = Dims(text=(6, 12), audio=(11, 5), vision=(8, 4), low=-1.0, high=1.0)
SIZES = {"text_hidden": 4, "audio_hidden": 3, "vision_hidden": 5, "memory": 6}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def batch_of(lengths, *, trim=True):
    """Clips of 6 words, 11 sounds and 8 pictures at most; ``lengths`` of each stream."""

    def stream(name):
        frames, size = getattr(DIMS, name)
        count = torch.tensor(lengths[name])
        values = torch.randn(len(count), frames, size)
        values[torch.arange(frames) >= count.unsqueeze(1)] = 0
        return Sequence(values[:, : int(count.max())] if trim else values, count, frames)

    parts = {name: stream(name) for name in ("text", "audio", "vision")}
    clips = len(lengths["text"])
    return Batch(rows=torch.arange(clips), labels=torch.zeros(clips), **parts)


RAGGED = {"text": (2, 5, 1), "audio": (7, 11, 3), "vision": (8, 1, 2)}


def built(system, **changes):
    return system.build(DIMS, system.resolve("mosi", {**SIZES, **changes})).eval()


@pytest.mark.parametrize(
    ("system", "dataset", "count"),
    [
        pytest.param(system, dataset, count, id=f"{system.name}-{dataset}")
        for system, counts in COUNTS
        for dataset, count in counts.items()
    ],
)
def test_published_networks_have_the_published_size(system, dataset, count):
    known = datasets[dataset]
    shapes = known.shapes[FEATURES.get(dataset, "unaligned-50")]
    with torch.device("meta"):
        dims = Dims(**shapes, low=known.low, high=known.high)
        network = system.build(dims, system.resolve(dataset, {"quirk": "published"}))
    assert sum(p.numel() for p in network.parameters()) == count


def test_fixed_graph_trains_what_the_released_code_left_out():
    shapes = datasets["mosi"].shapes["unaligned-50"]
    sizes = {}
    with torch.device("meta"):
        for quirk in ("fixed", "published"):
            params = GRAPH_MFN.resolve("mosi", {"quirk": quirk})
            network = GRAPH_MFN.build(Dims(**shapes, low=-3.0, high=3.0), params)
            sizes[quirk] = sum(p.numel() for p in network.parameters())
    assert sizes["fixed"] - sizes["published"] == 208_656


def lstm_by_hand(steps, weight_ih, weight_hh, bias):
    """Hidden and cell states of one clip, (T, H) each; gates in torch's order i, f, g, o."""
    size = weight_hh.shape[1]
    hidden, cell = torch.zeros(size), torch.zeros(size)
    both = []
    for step in steps:
        i, f, g, o = (weight_ih @ step + weight_hh @ hidden + bias).chunk(4)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        both.append((hidden, cell))
    return tuple(torch.stack(part) for part in zip(*both, strict=True))


def mlp(network, value):
    first, last = network[0], network[3]
    return last.weight @ (first.weight @ value + first.bias).clamp(min=0) + last.bias


def memory_by_hand(module, attended):
    memory = torch.zeros(module.size)
    for seen in attended:
        both = torch.cat([seen, memory])
        retain, update = (mlp(net, both).sigmoid() for net in (module.retain, module.update))
        memory = retain * memory + update * mlp(module.proposal, seen).tanh()
    return memory


def words_of(batch, clip):
    """One clip's streams, pooled to its words by adaptive average pooling."""
    count = int(batch.text.lengths[clip])
    pooled = [
        functional.adaptive_avg_pool1d(s.values[clip, : int(s.lengths[clip])].mT[None], count)[0].mT
        for s in (batch.audio, batch.vision)
    ]
    return [batch.text.values[clip, :count], *pooled]


def test_mfn_equations():
    network, batch = built(MFN), batch_of(RAGGED)
    core = network.core
    for clip, found in enumerate(network(batch).prediction):
        states = [
            lstm_by_hand(steps, cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh)
            for steps, cell in zip(words_of(batch, clip), core.cells, strict=True)
        ]
        cells = torch.cat([cell for _, cell in states], dim=1)
        before, attended = torch.zeros_like(cells[0]), []
        for cell in cells:
            window = torch.cat([before, cell])
            attended.append(mlp(core.attention, window).softmax(0) * window)
            before = cell
        last = [hidden[-1] for hidden, _ in states]
        joined = torch.cat([*last, memory_by_hand(core.memory, attended)])
        assert torch.allclose(found, mlp(network.head, joined)[0], atol=1e-6)


def test_graph_mfn_equations():
    network, batch = built(GRAPH_MFN, vertex_size=7), batch_of(RAGGED)
    for clip, found in enumerate(network(batch).prediction):
        hidden = [
            lstm_by_hand(
                steps, lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0 + lstm.bias_hh_l0
            )[0]
            for steps, lstm in zip(words_of(batch, clip), network.lstms, strict=True)
        ]
        attended = []
        for step in range(len(hidden[0])):
            singles = [
                linear(torch.cat([h[step - 1] if step else torch.zeros_like(h[0]), h[step]])).relu()
                for linear, h in zip(network.singles, hidden, strict=True)
            ]
            attended.append(graph_by_hand(network.graph, singles))
        last = [h[-1] for h in hidden]
        joined = torch.cat([*last, memory_by_hand(network.memory, attended)])
        assert torch.allclose(found, mlp(network.head, joined)[0], atol=1e-6)


def graph_by_hand(graph, singles):
    """Nineteen edges: two into each pair, six into the triple, seven into the output."""
    t, a, v = singles
    e = graph.efficacy(torch.cat(singles))
    pair_ta, pair_tv, pair_av, triple = graph.vertices
    ta = pair_ta(torch.cat([e[0] * t, e[1] * a]))
    tv = pair_tv(torch.cat([e[2] * t, e[3] * v]))
    av = pair_av(torch.cat([e[4] * a, e[5] * v]))
    lesser = (t, a, v, ta, tv, av)
    tav = triple(torch.cat([w * x for w, x in zip(e[6:12], lesser, strict=True)]))
    every = (*lesser, tav)
    return graph.output(torch.cat([w * x for w, x in zip(e[12:], every, strict=True)]))


def test_efficacies_are_told_per_clip_and_edge():
    network, batch = built(GRAPH_MFN), batch_of(RAGGED)
    assert network(batch).diagnostics["efficacies"].shape == (3, 19)


def test_untrained_vertices_are_saved_but_are_no_parameters():
    trained = DynamicFusionGraph((2, 3, 4), 5, trained=True)
    fixed = DynamicFusionGraph((2, 3, 4), 5, trained=False)
    assert set(trained.state_dict()) == set(fixed.state_dict())
    missing = {n for n, _ in trained.named_parameters()} - {n for n, _ in fixed.named_parameters()}
    assert missing == {n for n, _ in trained.named_parameters() if n.startswith("vertices.")}
    singles = [torch.randn(6, size) for size in (2, 3, 4)]
    fixed.load_state_dict(trained.state_dict())
    assert torch.equal(fixed(singles)[0], trained(singles)[0])


def test_published_mfn_reads_means_over_the_padded_length_at_every_step():
    """Any stream with the same padded mean and frame count gives the same prediction."""
    network, batch = built(MFN, quirk="published"), batch_of(RAGGED, trim=False)
    audio = batch.audio
    mean = audio.values.mean(1, keepdim=True).expand_as(audio.values)
    same = Batch(
        rows=batch.rows,
        labels=batch.labels,
        text=batch.text,
        vision=batch.vision,
        audio=Sequence(mean, torch.full_like(audio.lengths, audio.frames), audio.frames),
    )
    assert torch.allclose(network(same).prediction, network(batch).prediction, atol=1e-6)
    fixed = built(MFN)
    assert not torch.allclose(fixed(same).prediction, fixed(batch).prediction, atol=1e-4)


def test_published_streams_are_pooled_with_their_padding():
    batch = batch_of(RAGGED)
    (text, audio, vision), last = on_words(batch, padded=True)
    assert last.tolist() == [5, 5, 5]
    assert text.shape == (3, 6, 12) and audio.shape == (3, 6, 5) and vision.shape == (3, 6, 4)
    frames = batch.audio.untrimmed()
    assert torch.allclose(audio[:, 1], frames[:, 2:4].mean(1))
    assert torch.allclose(audio[:, 5], frames[:, 10])  # the last frame fills the last window


def test_fixed_streams_end_at_the_last_word():
    _, last = on_words(batch_of(RAGGED), padded=False)
    assert last.tolist() == [1, 4, 0]


def test_memory_is_forgotten_and_written_by_its_gates():
    """With closed gates nothing is written; with open ones proposals add up."""
    params = MemoryParams(memory=3, proposal_hidden=2, retain_hidden=2, update_hidden=2)
    memory, attended = GatedMemory(4, params).eval(), torch.randn(2, 5, 4)
    for gate, logit in ((memory.retain, 50.0), (memory.update, -50.0)):
        torch.nn.init.zeros_(gate[3].weight)
        torch.nn.init.constant_(gate[3].bias, logit)
    assert torch.allclose(memory(attended), torch.zeros(2, 5, 3), atol=1e-6)
    torch.nn.init.constant_(memory.update[3].bias, 50.0)
    expected = memory.proposal(attended).tanh().cumsum(1)
    assert torch.allclose(memory(attended), expected, atol=1e-5)


def test_with_previous_starts_from_zero():
    states = torch.tensor([[[1.0], [2.0], [3.0]]])
    assert with_previous(states).tolist() == [[[0, 1], [1, 2], [2, 3]]]


def test_squared_error_counts_true_steps_only():
    target, inside = torch.zeros(2, 3, 2), up_to(torch.tensor([0, 2]), 3)
    generated = torch.full((2, 3, 2), 2.0)
    generated[0, 1:] = 100.0
    assert inside.tolist() == [[True, False, False], [True, True, True]]
    assert squared_error(generated, target, inside) == 4.0
    everything = torch.ones(2, 3, dtype=torch.bool)
    assert squared_error(generated, target, everything) == functional.mse_loss(generated, target)


SETTINGS = [
    (MFN, "mosi", {"memory": 400, "attention_hidden": 32, "retain_dropout": 0.7, "lr": 2e-3}),
    (MFN, "mosei", {"update_hidden": 256, "out_dropout": 0.5, "weight_decay": 1e-4}),
    (MFN, "sims", {"text_hidden": 64, "proposal_hidden": 128, "batch_size": 32}),
    (MFN, "simsv2", {"audio_hidden": 16, "proposal_dropout": 0.5, "lr": 1e-3}),
    (GRAPH_MFN, "mosi", {"vertex_size": 64, "out_hidden": 256, "weight_decay": 5e-3}),
    (GRAPH_MFN, "mosei", {"update_dropout": 0.7, "retain_dropout": 0.0, "memory": 300}),
    (GRAPH_MFN, "sims", {"proposal_hidden": 256, "vertex_size": 128, "lr": 5e-4}),
    (GRAPH_MFN, "simsv2", {"memory": 400, "proposal_dropout": 0.7, "batch_size": 32}),
]


@pytest.mark.parametrize(("system", "dataset", "expected"), SETTINGS)
def test_presets_are_those_of_mmsa(system, dataset, expected):
    params = system.resolve(dataset, {})
    assert {name: getattr(params, name) for name in expected} == expected
