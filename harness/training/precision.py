"""What float32 products may become on a GPU."""

from __future__ import annotations

import torch

from harness.errors import SpecError

__all__ = ["set_precision"]


def set_precision(precision: str, device: str) -> None:
    """What float32 products and recurrent layers may become on a GPU; said, never left to defaults.

    cuDNN would round the inputs of float32 recurrent layers and convolutions to TF32 unasked.

    Raises:
        SpecError: When ``tf32`` is asked of a device that has none.
    """
    if precision == "tf32" and torch.device(device).type != "cuda":
        raise SpecError(
            f"precision tf32 needs a CUDA device; this run is on {device}",
            hint='precision = "float32", or --device cuda',
        )
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
