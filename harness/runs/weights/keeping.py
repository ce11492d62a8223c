"""What a worker keeps of the network that it trained."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from harness._util import canonical
from harness.data.corpus import STREAMS, Corpus
from harness.metrics import score
from harness.runs.identity import code_fingerprint
from harness.runs.weights.card import (
    FORMAT,
    LARGEST,
    EncoderFacts,
    ModelFacts,
    RunFacts,
    StreamFacts,
    WeightsCard,
)
from harness.runs.weights.placing import KeptWeights
from harness.runs.weights.tensors import write_tensors
from harness.spec import RunSpec, Scalar
from harness.spec.selection import described
from harness.system import Dims, Fitted, Network, System, TrainingParams, systems
from harness.text import Encoder
from harness.training import built
from harness.training.objectives import Generalising

__all__ = ["facts_of", "keep", "kept_state", "predicting_code"]

_PREDICTING = ("harness.training.evaluation", "harness.training.features")


def keep(
    fitted: Fitted,
    spec: RunSpec,
    system: System,
    params: TrainingParams,
    corpus: Corpus,
    encoder: Encoder | None,
    *,
    valid: pd.Series,
    folder: Path,
    largest: int | None = LARGEST,
) -> KeptWeights | None:
    """Write the weights of a fitted network.

    Args:
        fitted: With its network.
        spec: What was run.
        system: Of the network.
        params: Of the network.
        corpus: What it was trained on.
        encoder: What its text encoder was.
        valid: Clip id -> prediction, of the validation split.
        folder: Where to write, on the way to the store.
        largest: Bytes that the file may have; None for any number.

    Returns:
        None where they would be larger.
    """
    assert fitted.network is not None
    dims = Dims.of(corpus, encoder)
    state, frozen = kept_state(fitted.network, system, params, dims)
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if largest is not None and size > largest:
        return None
    model = facts_of(system, params, spec.params, corpus, encoder, frozen)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".new-{spec.key}.safetensors"
    write_tensors(path, state, model.digest)
    return KeptWeights(
        card=WeightsCard(
            format=FORMAT,
            model=model,
            run=_run_facts(fitted, spec, corpus, valid),
            code=predicting_code(system.name),
            parameters=fitted.parameters,
            tensors=len(state),
            bytes=path.stat().st_size,
            digest=canonical.file_digest(path),
        ),
        file=path,
    )


def predicting_code(system: str) -> str:
    """The fingerprint of the code that a network of the system predicts by.

    Args:
        system: Registered name.
    """
    return code_fingerprint(systems.module_of(system), *_PREDICTING)


def kept_state(
    network: Network, system: System, params: TrainingParams, dims: Dims
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors that make a newly built network predict like this one.

    What training alone reads is left out: banks with a row for each training clip, the term of an
    objective. So is what is the encoder's own and was never trained: its digest says it all.

    Args:
        network: Trained.
        system: Builds such networks.
        params: Its hyper-parameters.
        dims: Sizes that it was built for.

    Returns:
        Name -> tensor, and the names of those that are the encoder's own.
    """
    inner = network.network if isinstance(network, Generalising) else network
    with torch.random.fork_rng():
        fresh = built(system, dims, params, torch.device("cpu"))
    wanted = fresh.state_dict()
    state = {n: t for n, t in inner.state_dict().items() if n in wanted and _fits(t, wanted[n])}
    if dims.encoder is None:
        return state, ()
    trained = {name for name, p in inner.named_parameters() if p.requires_grad}
    frozen = sorted(
        name
        for name in state.keys() - trained
        if torch.equal(state[name].cpu(), wanted[name])  # drawn ones differ: other generators
    )
    return {name: tensor for name, tensor in state.items() if name not in frozen}, tuple(frozen)


def _fits(tensor: Tensor, other: Tensor) -> bool:
    return tensor.shape == other.shape and tensor.dtype == other.dtype


def facts_of(
    system: System,
    params: TrainingParams,
    values: Mapping[str, Scalar],
    corpus: Corpus,
    encoder: Encoder | None,
    frozen: tuple[str, ...] = (),
) -> ModelFacts:
    """What a network is built from again.

    Args:
        system: That builds it.
        params: Its hyper-parameters.
        values: Those of them that name no external input.
        corpus: What it was built for.
        encoder: Its text encoder.
        frozen: See ``EncoderFacts``.
    """
    dims = Dims.of(corpus)
    space = corpus.manifest.get("feature_space")
    return ModelFacts(
        system=system.name,
        params=values,
        knowledge=params.knowledge or None,
        dataset=corpus.dataset.name,
        feature_set=corpus.feature_set,
        twin=corpus.is_twin,
        streams={
            name: StreamFacts(frames=stream.frames, dim=stream.dim)
            for name, stream in corpus.streams.items()
            if name in STREAMS
        },
        low=float(dims.low),
        high=float(dims.high),
        unimodal=dims.unimodal,
        encoder=None
        if encoder is None
        else EncoderFacts(name=encoder.name, digest=encoder.digest, frozen=frozen),
        space=space if isinstance(space, Mapping) else None,
        space_encoder=str(corpus.manifest["encoder"]) if isinstance(space, Mapping) else None,
    )


def _run_facts(fitted: Fitted, spec: RunSpec, corpus: Corpus, valid: pd.Series) -> RunFacts:
    split = corpus.split("valid")
    scores = score(valid.loc[split.ids].to_numpy(), split.labels, corpus.dataset)
    return RunFacts(
        key=spec.key,
        corpus=spec.corpus,
        data=spec.data,
        seed=spec.seed,
        code=spec.code,
        version=importlib.metadata.version("msa-harness"),
        selection_metric=spec.protocol.selection_metric,
        selected_epoch=fitted.selected_epoch,
        valid={name: value for name, value in scores.items() if math.isfinite(value)},
        rule=described(spec.protocol.rules) or None,
    )
