"""Tables that OpenFace 2 wrote: gaze, head pose and action units, brought to 10 frames a second.

``FeatureExtraction`` writes one CSV file per clip, one row per frame and face, with the columns
``frame, face_id, timestamp, confidence, success`` before the features. Rows of other faces than the
first, and frames in which tracking failed, are left out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import DataError
from harness.extraction import Cut, Extractor, NothingThere

__all__ = ["OPENFACE"]

_RATE = 10.0
_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
_FEATURES = (
    *("gaze_0_x", "gaze_0_y", "gaze_0_z", "gaze_1_x", "gaze_1_y", "gaze_1_z"),
    *("gaze_angle_x", "gaze_angle_y"),
    *("pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"),
    *(f"AU{unit:02}_r" for unit in _UNITS),
    *(f"AU{unit:02}_c" for unit in (*_UNITS[:-1], 28, _UNITS[-1])),
)


def _extract(cut: Cut) -> NDArray[np.float32]:
    if cut.table is None:
        raise DataError(
            f"no OpenFace table of clip {cut.id}", hint="one CSV file per clip: --openface DIR"
        )
    try:
        table = pd.read_csv(cut.table, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{cut.table.name} cannot be read: {error}") from error
    missing = [n for n in ("timestamp", "success", *_FEATURES) if n not in table]
    if missing:
        raise DataError(f"{cut.table.name} has no column {missing[0]}: not OpenFace 2's")
    if "face_id" in table:
        table = table[table["face_id"] == table["face_id"].min()]
    seen = table[table["success"] == 1]
    moments = seen["timestamp"].to_numpy(np.float64) - cut.start
    inside = (moments >= 0) & (moments < (np.inf if cut.stop is None else cut.stop - cut.start))
    if not inside.any():
        raise NothingThere(f"OpenFace followed no face in clip {cut.id}")
    return _resampled(moments[inside], seen.loc[inside, list(_FEATURES)].to_numpy(np.float64))


def _resampled(moments: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """(T, D) means over tenths of a second; a stretch without frames repeats the one before."""
    if not np.isfinite(rows).all():
        raise DataError("the OpenFace table holds values that are not finite numbers")
    at = np.floor(np.round(moments * _RATE, 6)).astype(int)  # stamps are exact to the microsecond
    means = pd.DataFrame(rows).groupby(at).mean()
    return means.reindex(range(int(at.max()) + 1)).ffill().bfill().to_numpy(np.float32)


OPENFACE = Extractor(
    name="openface",
    title="OpenFace 2 tables: gaze, head pose, action units",
    stream="vision",
    rate=_RATE,
    features=_FEATURES,
    package=None,
    source="Baltrusaitis et al., FG 2018; the tables are made with its own FeatureExtraction",
    extract=_extract,
)
