"""Lets a torchvision that is linked against CUDA import beside a torch that is not.

Copied into the server's environment, where a ``.pth`` file installs it at start-up. torchvision's
compiled operators cannot load there, and its import stops where it describes two of them to torch.
Declaring the two is enough for its transforms, all that image and video processors use.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

__all__ = ["install"]

_DECLARED = ("nms", "qnms")
_keep: list[object] = []
"""Libraries of operators vanish with their last reference."""


class _Watch:
    """A finder that finds nothing, but declares the operators just before torchvision is found."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            _declare()


def _declare() -> None:
    import torch

    if torch.version.cuda is not None:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in _DECLARED:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _keep.append(library)


def install() -> None:
    """Watch for torchvision; start-up may call this once per spelling of the folder."""
    if not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())
