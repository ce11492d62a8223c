"""Models small enough for a laptop, made on this machine without a model hub.

``smollm2`` is a real model of 135 million parameters; its answers mean something, if little. Those
of ``qwen2.5-coder`` are larger and read Chinese as well. ``random-omni`` takes text, pictures,
video and sound, and answers noise: the whole path from media to board can be tried with it in
seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from harness._util.atomic import commit_folder
from harness.errors import SpecError
from mllm_eval.model import packages as _packages
from mllm_eval.model import random_omni as _random_omni

__all__ = ["MAKERS", "make"]

log = logging.getLogger(__name__)

MAKERS: Final[Mapping[str, tuple[str, Callable[[Path], None]]]] = {
    "smollm2": (_packages.SMOLLM2.version, _packages.SMOLLM2.write),
    "qwen2.5-coder-0.5b": (_packages.QWEN_CODER_05B.version, _packages.QWEN_CODER_05B.write),
    "qwen2.5-coder-1.5b": (_packages.QWEN_CODER_15B.version, _packages.QWEN_CODER_15B.write),
    "random-omni": (_random_omni.VERSION, _random_omni.write),
}
"""Version of what is made, and the function that writes it into a folder."""


def make(name: str, cache: Path) -> Path:
    """The folder of a model, made when it is not there yet.

    Args:
        name: One of ``MAKERS``.
        cache: Folder of what can be made again.

    Raises:
        SpecError: For an unknown name.
        DataError: When weights cannot be fetched.
    """
    if name not in MAKERS:
        raise SpecError(f"models that can be made are {', '.join(MAKERS)}; found {name!r}")
    version, write = MAKERS[name]
    target = cache / "models" / f"{name}-{version}"
    if not target.is_dir():
        log.warning("making model %s in %s (once)", name, target)
        with commit_folder(target) as staging:
            write(staging)
    return target
