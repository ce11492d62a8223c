"""Names beside points: each where it covers least, tied to its point by a line where it is far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from leaderboards.figures.style import INK, OTHER, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

__all__ = ["Line", "Point", "label_points"]

Line: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
"""Two ends in data coordinates."""

_Numbers: TypeAlias = NDArray[np.float64]  # points on the page; boxes are left, bottom, right, top

_COLUMNS = 34
_RADII = (7.0, 14.0, 24.0, 38.0, 56.0, 78.0, 104.0)  # from the mark to the name
_ANGLES = np.arange(16) * (np.pi / 8)
_WALK = np.repeat(_RADII, len(_ANGLES))  # of each candidate place, nearest first
_FAR = _WALK > 10  # names farther away are tied to their marks
_PIECES = np.linspace(0.3, 0.8, 8)  # of a tie, where it could cross something
_AIR = 0.5  # around a name
_MARK = 4.5  # half the side of what a mark occupies
_RULE = 1.5  # half of what a line occupies across

# What a place may spoil, as the distance worth walking to avoid it.
_COVER = 4.0  # for each square point covered
_CROSS = 0.7  # for each square point crossed by a tie
_OUT = 20.0  # for each point outside the axes
_DOUBT = 40.0  # for standing, without a tie, nearer to another mark


@dataclass(frozen=True)
class Point:
    """A mark with a name.

    Args:
        label: The name.
        x: Data coordinate.
        y: Data coordinate.
        weight: Of the font.
        colour: Of the name.
    """

    label: str
    x: float
    y: float
    weight: str = "normal"
    colour: str = INK


def label_points(axes: Axes, points: Sequence[Point], lines: Sequence[Line] = ()) -> None:
    """Write each point's name near it, the first points choosing first.

    Args:
        axes: With final limits.
        points: What to name.
        lines: Level or upright lines that names should not cover; one without length is a mark.
    """
    from matplotlib.text import Text

    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # lays the page out
    centres = [axes.transData.transform((point.x, point.y)) for point in points]
    taken = [np.hstack([centre - _MARK, centre + _MARK]) for centre in centres]
    taken += [_occupied(axes, line) for line in lines]
    taken += [np.array(text.get_window_extent().extents) for text in axes.texts]
    frame = np.array(axes.get_window_extent().extents)
    for point, centre in zip(points, centres, strict=True):
        name = _write(axes, point)
        size = np.array(Text.get_window_extent(name).size) + 2 * _AIR  # without the tie
        offsets = _offsets(size)
        boxes = np.hstack([centre + offsets - size / 2, centre + offsets + size / 2])
        ties = _ties(centre, offsets)  # (candidates, pieces, 4)
        best = int(np.argmin(_penalty(boxes, ties, centre, centres, np.array(taken), frame)))
        taken += [boxes[best], *(ties[best] if _FAR[best] else ())]
        name.set_position(tuple(offsets[best]))
        name.arrow_patch.set_visible(_FAR[best])  # type: ignore[union-attr]  # made by arrowprops


def _occupied(axes: Axes, line: Line) -> _Numbers:
    ends = axes.transData.transform(line)
    return np.hstack([ends.min(axis=0) - _RULE, ends.max(axis=0) + _RULE])


def _write(axes: Axes, point: Point) -> Annotation:
    name = axes.annotate(
        short(point.label, _COLUMNS),
        (point.x, point.y),
        (0, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        size=8,
        weight=point.weight,
        color=point.colour,
        arrowprops={"arrowstyle": "-", "color": OTHER, "lw": 0.6, "shrinkA": 0, "shrinkB": 3},
    )
    name.set_in_layout(False)  # or the axes would move under the names
    return name


def _offsets(size: _Numbers) -> _Numbers:
    """(candidates, 2) where a name's centre may lie relative to its mark, nearest first."""
    around = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
    return np.vstack([around * (radius + size / 2 * np.abs(around)) for radius in _RADII])


def _ties(centre: _Numbers, offsets: _Numbers) -> _Numbers:
    """(candidates, pieces, 4) boxes along the line from a mark to a name, empty for near names."""
    ends = centre + offsets[:, None, :] * _PIECES[None, :, None]
    half = np.where(_FAR, _RULE, 0.0)[:, None, None]
    return np.concatenate([ends - half, ends + half], axis=2)


def _penalty(
    boxes: _Numbers,
    ties: _Numbers,
    own: _Numbers,
    marks: Sequence[_Numbers],
    taken: _Numbers,
    frame: _Numbers,
) -> _Numbers:
    """(candidates,) distance to walk, in points, with what each place spoils in the same unit."""
    covered = _overlap(boxes, taken)
    crossed = _overlap(ties.reshape(-1, 4), taken).reshape(len(ties), -1).sum(axis=1)
    nearest = np.min([_gap(boxes, mark) for mark in marks], axis=0)
    doubtful = (nearest < _gap(boxes, own)) & ~_FAR
    beyond = np.hstack([frame[:2] - boxes[:, :2], boxes[:, 2:] - frame[2:]]).clip(min=0)
    spoilt = _COVER * covered + _CROSS * crossed + _OUT * beyond.sum(axis=1) + _DOUBT * doubtful
    return np.asarray(_WALK + spoilt)


def _overlap(boxes: _Numbers, others: _Numbers) -> _Numbers:
    """(n,) area that each box shares with any of ``others``."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray((high - low).clip(min=0).prod(axis=2).sum(axis=1))


def _gap(boxes: _Numbers, place: _Numbers) -> _Numbers:
    """(n,) distance from each box to a place."""
    beyond = np.maximum(boxes[:, :2] - place, place - boxes[:, 2:]).clip(min=0)
    return np.asarray(np.hypot(beyond[:, 0], beyond[:, 1]))
