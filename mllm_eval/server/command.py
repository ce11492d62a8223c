"""The command line and the variables of ``vllm serve`` for a card, and why each is there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness._util.canonical import Json, digest, file_digest
from harness._util.child import NETWORK, passed_on
from mllm_eval.model.card import ModelCard
from mllm_eval.model.revision import alias
from mllm_eval.model.weights import Weights, folder_of
from mllm_eval.server.environment import Build, Environment

__all__ = [
    "HIDDEN",
    "Launch",
    "argument_digest",
    "arguments",
    "batch_arguments",
    "multiplies_bfloat16",
    "variables",
]

HIDDEN: Final = (
    *("--runner=pooling", "--convert=embed"),
    '--pooler-config={"seq_pooling_type": "LAST"}',
)
"""Flags of a server that tells last hidden states, and generates nothing."""

_PASSED_ON: Final = (
    *("VLLM_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TORCH", "PYTORCH_", "TRITON_"),
    *("CUDA_", "NVIDIA_", "NCCL_", "GLOO_", "ROCR_", "HIP_", "HSA_", "KMP_", "MALLOC_"),
)
"""Beginnings of what a server may be told; it decides on its threads itself."""
_OWN_KEY: Final = "VLLM_API_KEY"  # which it asks of whoever asks it
_HUB_KEYS: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_JSON_WITHOUT_PADDING: Final = {"backend": "xgrammar", "disable_any_whitespace": True}
"""Weak models fill an answer with blanks where the grammar allows them."""
_INERT: Final = frozenset(
    {
        *("host", "port", "uds", "served-model-name", "api-key", "root-path", "download-dir"),
        *("kv-cache-memory-bytes", "gpu-memory-utilization", "max-num-seqs"),
        *("uvicorn-log-level", "disable-access-log-for-endpoints", "disable-uvicorn-access-log"),
        *("enable-log-requests", "max-log-len", "disable-log-stats"),
        *("ssl-keyfile", "ssl-certfile", "ssl-ca-certs", "allowed-origins"),
    }
)
"""Arguments that change no answer: where the server listens, what it writes, how much it holds."""
_DECISIVE: Final = ("VLLM_BATCH_INVARIANT", "VLLM_ATTENTION_BACKEND")
"""Variables of ours that a server computes by, and that no argument says."""
_BFLOAT16: Final = frozenset({"avx512_bf16", "amx_bf16"})
"""What processors call it that they multiply bfloat16; without, it is emulated, six times slower
than float32."""
_PROCESSOR: Final = Path("/proc/cpuinfo")
_DIGITS: Final = 12


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What the machine gives to a server.

    Args:
        eager: Skip compilation: a start in seconds, slower answers.
        kv_cache: GiB for the keys and values of running requests; None: what the engine takes.
        max_num_seqs: Requests computed together; None: what the engine takes.
        dtype: What it computes in; empty: what the weights are stored in.
    """

    dtype: str = ""
    eager: bool = False
    kv_cache: float | None = None
    max_num_seqs: int | None = None

    @classmethod
    def of(cls, build: Build) -> Launch:
        """What suits a build: a CPU server is small, starts at once, and computes in float32.

        It does not where the processor multiplies bfloat16 itself.
        """
        if build != "cpu":
            return cls()
        dtype = "" if multiplies_bfloat16() else "float32"
        return cls(eager=True, kv_cache=1.0, max_num_seqs=32, dtype=dtype)

    def flags(self) -> list[str]:
        """As arguments of ``vllm serve``."""
        flags = ["--enforce-eager"] if self.eager else []
        if self.dtype:
            flags.append(f"--dtype={self.dtype}")
        if self.kv_cache is not None:
            flags.append(f"--kv-cache-memory-bytes={round(self.kv_cache * 2**30)}")
        if self.max_num_seqs is not None:
            flags.append(f"--max-num-seqs={self.max_num_seqs}")
        return flags


def multiplies_bfloat16(processor: Path = _PROCESSOR) -> bool:
    """Whether this machine's processor does; False where it does not say.

    Args:
        processor: Where Linux tells, a line ``flags`` per core.
    """
    try:
        lines = processor.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    told = next((line for line in lines if line.startswith("flags")), "")
    return not _BFLOAT16.isdisjoint(told.split())


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
    told = alias(card.name, weights.revision, argument_digest(card, launch, flags))
    command += ["--served-model-name", card.name, told]
    command += [f"--host={host}", f"--port={port}"]
    command += ["--disable-access-log-for-endpoints=/health,/metrics"]
    command += [*_of_card(card), *launch.flags()]
    return [*command, *_filled(card.flags, weights), *flags]


def batch_arguments(
    card: ModelCard, weights: Weights, launch: Launch, *, file: Path, out: Path
) -> list[str]:
    """Arguments of the environment's interpreter that answer a batch file as a server would."""
    command = ["-m", "vllm.entrypoints.cli.main", "run-batch", f"--model={weights.source}"]
    if not weights.local:
        command += [f"--{what}revision={weights.revision}" for what in ("", "tokenizer-", "code-")]
    command += ["--served-model-name", card.name, f"--input-file={file}", f"--output-file={out}"]
    return [*command, *_of_card(card), *launch.flags(), *_filled(card.flags, weights)]


def _of_card(card: ModelCard) -> list[str]:
    """What every server of a card is started with, but for the card's own flags."""
    flags = ["--seed=0"]
    flags += ["--generation-config=vllm"]  # else weights bring sampling defaults of their own
    flags += [f"--structured-outputs-config={json.dumps(_JSON_WITHOUT_PADDING)}"]
    if card.media_limits:
        flags += [f"--limit-mm-per-prompt={json.dumps(card.media_limits)}"]
    if card.max_model_len is not None:
        flags += [f"--max-model-len={card.max_model_len}"]
    return flags


def argument_digest(card: ModelCard, launch: Launch, flags: Sequence[str] = ()) -> str:
    """Digest of what a server is started with, as far as it can change an answer.

    Of an argument given twice the last one counts, as for the server. Values that name a file here
    enter as its content; the weights, whose revision is told beside it, do not.

    Returns:
        12 hexadecimal digits.
    """
    given = [*_of_card(card), *launch.flags(), *card.flags, *flags]
    named = {name: _content(value) for name, value in _pairs(given) if name not in _INERT}
    told = {name: os.environ[name] for name in _DECISIVE if os.environ.get(name)}
    return digest([named, told])[:_DIGITS]


def _pairs(flags: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Arguments with their values: after an equals sign, or the words that follow."""
    name, values = "", list[str]()
    for word in (*flags, "-"):
        if not word.startswith("-") or _is_number(word):
            values.append(word)
            continue
        if name:
            yield name.lstrip("-").replace("_", "-"), " ".join(values)
        name, _, value = word.partition("=")
        values = [value] if value else []


def _is_number(word: str) -> bool:
    return word.removeprefix("-").replace(".", "", 1).isdigit()


def _content(value: str) -> Json:
    """A value, JSON however it is spaced, and a file by its digest."""
    try:
        parsed: Json = json.loads(value)
        return parsed
    except ValueError:
        path = Path(value)
        return file_digest(path) if value and "\0" not in value and path.is_file() else value


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
