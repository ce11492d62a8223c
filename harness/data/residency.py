"""Where the clips of a split lie while batches are made of them: on the device, if it has room.

A device has room for clips that take at most ``SHARE`` of what is free on it when they arrive: the
rest is for weights, what layers keep for the backward pass, and other splits. Clips that find no
room stay on the host, which is said, and their batches are sent one by one.
"""

from __future__ import annotations

import functools
import logging

import torch

__all__ = ["SHARE", "begin", "free_bytes", "has_room", "stayed"]

log = logging.getLogger(__name__)

SHARE = 0.5
"""Of the memory that is free on a device: what the clips of one split may take of it."""

_kept: list[bool] = []
"""Whether there was room, for each split since ``begin``."""


def free_bytes(device: torch.device) -> int | None:
    """Bytes that this process can still have of a device's memory; None where clips need none.

    What PyTorch holds back from earlier tensors is free, too.
    """
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def has_room(needed: int, device: torch.device, what: str) -> bool:
    """Whether clips may lie on a device; said, once per process, where they may not.

    Args:
        needed: Bytes they take there.
        device: Where batches are wanted.
        what: The clips in words.
    """
    free = free_bytes(device)
    if free is None:
        return True
    fits = needed <= SHARE * free
    _kept.append(fits)
    if not fits:
        _say(what, str(device), f"{needed / 2**30:.1f}", f"{free / 2**30:.1f}")
    return fits


def begin() -> None:
    """Forget what ``stayed`` tells of earlier runs of this process."""
    _kept.clear()


def stayed() -> bool | None:
    """Whether all clips since ``begin`` lay on a device; None where none were asked to."""
    return all(_kept) if _kept else None


@functools.cache
def _say(what: str, device: str, needed: str, free: str) -> None:
    log.warning(
        "%s: %s GiB are more than %.0f%% of the %s GiB free on %s; they stay on the host and each"
        " batch is sent from there",
        *(what, needed, 100 * SHARE, free, device),
    )
