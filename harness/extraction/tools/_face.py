"""Geometry of a face mesh: 68 landmarks free of position, size and roll, and what they express.

Shapes: M mesh points, three coordinates each (x right, y down, z away from the camera).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURES", "describe"]

_MESH = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
"""Points of MediaPipe's face mesh nearest to the 68 of the usual annotation."""

_DISTANCES = {
    "eye_right": (159, 145),
    "eye_left": (386, 374),
    "brow_right_inner": (107, 133),
    "brow_left_inner": (336, 362),
    "brow_right_outer": (70, 33),
    "brow_left_outer": (300, 263),
    "brow_gap": (107, 336),
    "mouth_width": (61, 291),
    "mouth_open": (13, 14),
    "upper_lip_to_nose": (0, 2),
    "lower_lip_to_chin": (17, 152),
    "corner_right_to_eye": (61, 133),
    "corner_left_to_eye": (291, 362),
    "jaw_drop": (2, 152),
}
"""Name -> two mesh points whose distance, in units of the distance between the eyes, tells it."""

_EYES = (33, 133), (362, 263)  # corners of the right and the left eye
_TOP, _CHIN = 10, 152

FEATURES = (
    "face",
    *("centre_x", "centre_y", "size", "roll", "yaw", "pitch"),
    *_DISTANCES,
    *(f"{axis}_{k}" for k in range(len(_MESH)) for axis in "xyz"),
)
"""``face`` is 1 where a face was found; all others are 0 where none was."""


def describe(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D,) features of a face.

    Args:
        points: (M, 3) mesh, in units of the picture's width.
    """
    right, left = (points[list(corners)].mean(0) for corners in _EYES)
    across, middle = left - right, (left + right) / 2
    unit = float(np.linalg.norm(across))
    roll = float(np.arctan2(across[1], across[0]))
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    upright = (points - middle) / unit  # (M, 3)
    upright[:, :2] = upright[:, :2] @ turn.T
    down = upright[_CHIN] - upright[_TOP]
    yaw = float(np.arctan2(across[2], np.hypot(across[0], across[1])))
    pitch = float(np.arctan2(down[2], down[1]))
    gaps = [np.linalg.norm(upright[a] - upright[b]) for a, b in _DISTANCES.values()]
    head = [1.0, middle[0], middle[1], unit, roll, yaw, pitch]
    return np.concatenate([head, gaps, upright[list(_MESH)].ravel()])
