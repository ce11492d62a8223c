"""Finding, for every training clip, like and unlike ones.

Shapes: n clips, b of them at a time, D features, K candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["nearest_clips"]

BLOCK = 512  # clips compared with all others at once


def nearest_clips(vectors: Tensor, classes: Tensor, count: int, *, ranks: bool = False) -> Tensor:
    """Candidates of three kinds for every clip, by cosine.

    Args:
        vectors: (n, D).
        classes: (n,), equal for clips of one label.
        count: K, at most n.
        ranks: Whether to return, as the code released with ConFEDE does, the rank at which a
            candidate was found instead of the candidate.

    Returns:
        (n, 3, K) rows: the nearest of the clip's class, the farthest of other classes, the nearest
        of other classes. Places for which there is no clip repeat the others, or the clip itself.
    """
    units = normalize(vectors, dim=1)  # products of these are cosines
    pick = _ranks if ranks else _rows
    blocks = torch.arange(len(units), device=units.device).split(BLOCK)
    parts = [
        pick(units[own] @ units.T, classes[own, None] == classes, own, count) for own in blocks
    ]
    return torch.cat(parts)  # (n, 3, K)


def _rows(cosines: Tensor, same: Tensor, own: Tensor, count: int) -> Tensor:
    """(b, 3, K) of (b, n) cosines, ``same`` where classes agree, (b,) rows of the clips."""
    itself = torch.arange(cosines.shape[1], device=own.device) == own.unsqueeze(1)  # (b, n)
    kinds = ((cosines, same & ~itself), (-cosines, ~same), (cosines, ~same))
    return torch.stack([_best(*kind, own, count) for kind in kinds], dim=1)


def _ranks(cosines: Tensor, same: Tensor, own: Tensor, count: int) -> Tensor:
    """The same with the positions of the candidates in the order of falling cosine.

    The released code passes over the position that equals the clip's row, and from the far end it
    never reaches the first.
    """
    same = same.gather(1, cosines.argsort(dim=1, descending=True))  # (b, n), by rank
    places = torch.arange(cosines.shape[1], device=own.device)
    near, far = -places.expand_as(cosines), places.expand_as(cosines)
    other_place = places != own.unsqueeze(1)
    kinds = ((near, same & other_place), (far, ~same & (places > 0)), (near, ~same & other_place))
    return torch.stack([_best(score.float(), fits, own, count) for score, fits in kinds], dim=1)


def _best(scores: Tensor, fits: Tensor, own: Tensor, count: int) -> Tensor:
    """(b, K) columns of the highest scores among those that fit."""
    found = scores.masked_fill(~fits, -torch.inf).topk(count, dim=1).indices  # (b, K)
    enough = fits.sum(1, keepdim=True).clamp(max=count)  # (b, 1)
    # Where fewer than K clips fit, they are taken in turn.
    turn = torch.arange(count, device=own.device) % enough.clamp(min=1)
    return torch.where(enough > 0, found.gather(1, turn), own.unsqueeze(1))
