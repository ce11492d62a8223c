"""The command line and the variables of ``vllm serve`` for a card, and why each is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness._util.child import NETWORK, passed_on
from mllm_eval.model.card import ModelCard
from mllm_eval.model.revision import alias
from mllm_eval.model.weights import Weights, folder_of
from mllm_eval.server.environment import Build, Environment

__all__ = ["Launch", "arguments", "variables"]

_PASSED_ON: Final = (
    *("VLLM_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TORCH", "PYTORCH_", "TRITON_"),
    *("CUDA_", "NVIDIA_", "NCCL_", "GLOO_", "ROCR_", "HIP_", "HSA_", "KMP_", "MALLOC_"),
)
"""Beginnings of what a server may be told; it decides on its threads itself."""
_OWN_KEY: Final = "VLLM_API_KEY"  # which it asks of whoever asks it
_HUB_KEYS: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_JSON_WITHOUT_PADDING: Final = {"backend": "xgrammar", "disable_any_whitespace": True}
"""Weak models fill an answer with blanks where the grammar allows them."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What the machine gives to a server.

    Args:
        eager: Skip compilation: a start in seconds, slower answers.
        kv_cache: GiB for the keys and values of running requests; None: what the engine takes.
        max_num_seqs: Requests computed together; None: what the engine takes.
    """

    eager: bool = False
    kv_cache: float | None = None
    max_num_seqs: int | None = None

    @classmethod
    def of(cls, build: Build) -> Launch:
        """What suits a build: a CPU server is small and starts at once."""
        return cls(eager=True, kv_cache=1.0, max_num_seqs=32) if build == "cpu" else cls()

    def flags(self) -> list[str]:
        """As arguments of ``vllm serve``."""
        flags = ["--enforce-eager"] if self.eager else []
        if self.kv_cache is not None:
            flags.append(f"--kv-cache-memory-bytes={round(self.kv_cache * 2**30)}")
        if self.max_num_seqs is not None:
            flags.append(f"--max-num-seqs={self.max_num_seqs}")
        return flags


def arguments(
    card: ModelCard,
    weights: Weights,
    launch: Launch,
    *,
    host: str,
    port: int,
    flags: Sequence[str] = (),
) -> list[str]:
    """Arguments of the environment's interpreter, in the order in which later ones win."""
    command = ["-m", "vllm.entrypoints.cli.main", "serve", weights.source]
    if not weights.local:
        command += [f"--{what}revision={weights.revision}" for what in ("", "tokenizer-", "code-")]
    command += ["--served-model-name", card.name, alias(card.name, weights.revision)]
    command += [f"--host={host}", f"--port={port}", "--seed=0"]
    command += ["--generation-config=vllm"]  # else weights bring sampling defaults of their own
    command += [f"--structured-outputs-config={json.dumps(_JSON_WITHOUT_PADDING)}"]
    command += ["--disable-access-log-for-endpoints=/health,/metrics"]
    if card.media_limits:
        command += [f"--limit-mm-per-prompt={json.dumps(card.media_limits)}"]
    if card.max_model_len is not None:
        command += [f"--max-model-len={card.max_model_len}"]
    return [*command, *launch.flags(), *_filled(card.flags, weights), *flags]


def _filled(flags: Sequence[str], weights: Weights) -> list[str]:
    if not any("{weights}" in flag for flag in flags):
        return list(flags)
    folder = folder_of(weights)
    return [flag.replace("{weights}", str(folder)) for flag in flags]


def variables(environment: Environment, weights: Weights) -> dict[str, str]:
    """Environment variables of the server: what it needs of ours, and its own.

    Keys of other services stay here; that of the hub goes along where the weights are fetched from
    there. Two installations that share a cache can spoil each other's compiled code; hence its own.
    """
    if weights.local:
        found = passed_on(*_PASSED_ON, secrets=[_OWN_KEY])
    else:
        found = passed_on(*_PASSED_ON, *NETWORK, secrets=[_OWN_KEY, *_HUB_KEYS])
    own: Path = environment.folder.with_name(f"{environment.folder.name}.cache")
    found |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    found |= {
        "VLLM_CACHE_ROOT": str(own / "vllm"),
        "VLLM_CONFIG_ROOT": str(own / "config"),
        "TORCHINDUCTOR_CACHE_DIR": str(own / "inductor"),
        "TRITON_CACHE_DIR": str(own / "triton"),
    }
    if weights.local:
        found["HF_HUB_OFFLINE"] = "1"
    return found
