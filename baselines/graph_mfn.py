"""Graph-MFN: MFN whose attention is a dynamic fusion graph over the subsets of the streams.

Shapes: B clips, T words, H hidden size of a stream, ΣH of all three.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import torch
from torch import Tensor, nn

from baselines._shared.memory import GatedMemory, MemoryParams, layer_presets, two_layers
from baselines._shared.words import at_step, on_words, with_previous
from harness.data.batching import Batch
from harness.spec import ReleasedSelection, SelectionRule
from harness.system import Card, Dims, Network, Output, System, param

__all__ = ["GRAPH_MFN", "DynamicFusionGraph", "GraphMFNParams", "GraphMemoryFusion"]

Subset = tuple[int, ...]
NARROW = 100  # width of the linear bottleneck in front of every vertex, fixed in MMSA


def _below(count: int, members: Subset) -> tuple[Subset, ...]:
    """Subsets of up to ``count`` members, the small ones first."""
    return tuple(chain.from_iterable(combinations(members, k) for k in range(1, count + 1)))


STREAMS: Subset = (0, 1, 2)
MIXED = tuple(subset for subset in _below(3, STREAMS) if len(subset) > 1)
"""The vertices that mix streams: three pairs and the triple."""
EDGES = sum(len(_below(len(subset) - 1, subset)) for subset in MIXED) + len(_below(3, STREAMS))
"""Into each mixed vertex from its proper subsets, into the output from all seven."""


@dataclass(frozen=True, kw_only=True)
class GraphMFNParams(MemoryParams):
    """Hyper-parameters of Graph-MFN."""

    vertex_size: int = param(64, low=1, source="MMSA, MOSI, inner_node_dim")


class DynamicFusionGraph(nn.Module):
    """A vertex per subset of the streams, each fed by the subsets it contains.

    An edge multiplies the vertex it starts from by its efficacy, a scalar that a network reads off
    the single streams: v_S = D_S(concat over proper subsets Q of e_QS v_Q); so is the output, from
    all seven vertices. The networks have no non-linearity.

    Args:
        sizes: Of the single-stream vertices.
        size: Of every other vertex and of the output.
        trained: Whether the mixed vertices' networks are; otherwise they stay random.
    """

    def __init__(self, sizes: Sequence[int], size: int, *, trained: bool) -> None:
        super().__init__()
        total = sum(sizes)
        widths = dict(zip(_below(1, STREAMS), sizes, strict=True)) | dict.fromkeys(MIXED, size)
        self.vertices = nn.ModuleList(
            _narrow(sum(widths[part] for part in _below(len(subset) - 1, subset)), size)
            for subset in MIXED
        )
        if not trained:
            _fix(self.vertices)
        self.output = _narrow(sum(widths.values()), size)
        self.efficacy = nn.Sequential(*_narrow(total, size), nn.Linear(size, EDGES))

    def forward(self, singles: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """(..., size of a stream) each -> output (..., size) and efficacies (..., edges)."""
        efficacies: Tensor = self.efficacy(torch.cat([*singles], dim=-1))  # (..., edges)
        edges = iter(efficacies.split(1, dim=-1))  # (..., 1) each
        values = dict(zip(_below(1, STREAMS), singles, strict=True))
        for subset, network in zip(MIXED, self.vertices, strict=True):
            values[subset] = network(_gathered(values, _below(len(subset) - 1, subset), edges))
        return self.output(_gathered(values, _below(3, STREAMS), edges)), efficacies


class GraphMemoryFusion(Network):
    """s_m = ReLU(W[h_m(t-1); h_m(t)]) are the single vertices; the memory reads the output."""

    def __init__(self, dims: Dims, params: GraphMFNParams) -> None:
        super().__init__()
        sizes = [dims.need(name)[1] for name in ("text", "audio", "vision")]
        self.lstms = nn.ModuleList(
            nn.LSTM(size, hidden, batch_first=True)
            for size, hidden in zip(sizes, params.hiddens, strict=True)
        )
        self.singles = nn.ModuleList(nn.Linear(2 * hidden, hidden) for hidden in params.hiddens)
        self.published = params.published
        self.graph = DynamicFusionGraph(
            params.hiddens, params.vertex_size, trained=not params.published
        )
        self.memory = GatedMemory(params.vertex_size, params)
        state = sum(params.hiddens) + params.memory
        self.head = two_layers(state, params.out_hidden, 1, params.out_dropout)

    def forward(self, batch: Batch) -> Output:
        """Predict one batch; the efficacies of the last step are kept."""
        steps, last = on_words(batch, padded=self.published)
        hidden = [lstm(stream)[0] for lstm, stream in zip(self.lstms, steps, strict=True)]
        singles = [
            linear(with_previous(states)).relu()  # (B, T, 2H) -> (B, T, H)
            for linear, states in zip(self.singles, hidden, strict=True)
        ]
        attended, efficacies = self.graph(singles)  # (B, T, vertex), (B, T, edges)
        states = torch.cat([*hidden, self.memory(attended)], dim=2)  # (B, T, ΣH + memory)
        prediction = self.head(at_step(states, last)).squeeze(1)
        return Output(prediction, diagnostics={"efficacies": at_step(efficacies, last)})


def _narrow(size: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, NARROW), nn.Linear(NARROW, out))


def _fix(vertices: nn.ModuleList) -> None:
    """Turn weights into buffers: MMSA's optimiser never sees them, so they stay as drawn."""
    for layer in [module for module in vertices.modules() if isinstance(module, nn.Linear)]:
        for name, drawn in list(layer.named_parameters()):
            delattr(layer, name)
            layer.register_buffer(name, drawn.detach())


def _gathered(
    values: Mapping[Subset, Tensor], parts: tuple[Subset, ...], edges: Iterator[Tensor]
) -> Tensor:
    """The parts side by side, each times the next edge's efficacy."""
    return torch.cat([values[part] * next(edges) for part in parts], dim=-1)


GRAPH_MFN = System(
    name="graph_mfn",
    card=Card(
        title="Graph-MFN",
        paper="Zadeh, Liang, Poria, Cambria, Morency. Multimodal Language Analysis in the Wild:"
        " CMU-MOSEI Dataset and Interpretable Dynamic Fusion Graph. ACL 2018; as implemented in"
        " MMSA",
        year=2018,
        url="https://aclanthology.org/P18-1208",
        text="T-feat",
        deviations=(
            "quirk=fixed: the networks of the mixed vertices are trained; MMSA hides them from its"
            " optimiser and its checkpoints, so they stay random (quirk=published saves them all"
            " the same: a checkpoint without them cannot be used)",
            "quirk=fixed: audio and vision are pooled from true frames to the clip's own words and"
            " the state is read after the last word; MMSA pools padded arrays and reads on",
            "The second layers of all networks of a kind are drawn one by one; MMSA copies one",
            "MMSA's numbers on MOSI and MOSEI are on aligned features",
        ),
        selection=ReleasedSelection(
            source="MMSA 2.2.1, trains/singleTask/Graph_MFN.py",
            rules=(SelectionRule(monitor="l1", digits=4, patience=8),),
        ),
    ),
    params=GraphMFNParams,
    presets={
        "mosi": {
            **{"text_hidden": 256, "audio_hidden": 32, "vision_hidden": 256, "memory": 300},
            **layer_presets(proposal=(32, 0.0), retain=(128, 0.5), update=(64, 0.5)),
            **layer_presets(out=(256, 0.0)),
            **{"vertex_size": 64, "batch_size": 32, "lr": 2e-3, "weight_decay": 5e-3},
        },
        "mosei": {
            **{"text_hidden": 64, "audio_hidden": 16, "vision_hidden": 64, "memory": 300},
            **layer_presets(proposal=(32, 0.5), retain=(64, 0.0), update=(256, 0.7)),
            **layer_presets(out=(128, 0.7)),
            **{"vertex_size": 128, "batch_size": 64, "lr": 2e-3, "weight_decay": 1e-3},
        },
        "sims": {
            **{"text_hidden": 256, "audio_hidden": 32, "vision_hidden": 256, "memory": 64},
            **layer_presets(proposal=(256, 0.5), retain=(32, 0.2), update=(32, 0.7)),
            **layer_presets(out=(256, 0.2)),
            **{"vertex_size": 128, "batch_size": 64, "lr": 5e-4, "weight_decay": 1e-3},
        },
        "simsv2": {
            **{"text_hidden": 64, "audio_hidden": 16, "vision_hidden": 64, "memory": 400},
            **layer_presets(proposal=(32, 0.7), retain=(256, 0.5), update=(256, 0.2)),
            **layer_presets(out=(256, 0.2)),
            **{"vertex_size": 32, "batch_size": 32, "lr": 2e-3, "weight_decay": 0.0},
        },
    },
    inputs=frozenset({"text", "audio", "vision"}),
    build=GraphMemoryFusion,
)
