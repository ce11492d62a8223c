"""Tables that OpenFace 2 wrote: gaze, head pose and action units, brought to 10 frames a second.

``FeatureExtraction`` writes one CSV file per clip, one row per frame and face, with the columns
``frame, face_id, timestamp, confidence, success`` before the features. Rows of other faces than the
first, and frames in which tracking failed, are left out, whatever they hold.

Tables of OpenFace 3 are refused. It scores eight action units and does not say which; programs
around it call them ``AU01_r`` to ``AU08_r`` by their place, so that a column has the name of a
muscle it does not measure, and published guesses at the true order contradict each other.
(CMU-MultiComp-Lab/OpenFace-3.0, issues 1, 9 and 15.)
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness._util.budget import Budget
from harness._util.decoding import decode
from harness.data.readers.tables import charge_csv
from harness.errors import DataError
from harness.extraction import Cut, Extractor, NothingThere

__all__ = ["OPENFACE"]

_RATE = 10.0
_LARGEST = float(np.finfo(np.float32).max)  # the streams are float32
_LONGEST = 86_400.0  # s; no recording goes on for days
_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
_FEATURES = (
    *("gaze_0_x", "gaze_0_y", "gaze_0_z", "gaze_1_x", "gaze_1_y", "gaze_1_z"),
    *("gaze_angle_x", "gaze_angle_y"),
    *("pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"),
    *(f"AU{unit:02}_r" for unit in _UNITS),
    *(f"AU{unit:02}_c" for unit in (*_UNITS[:-1], 28, _UNITS[-1])),
)

_OF_3 = frozenset(
    {"AU03_r", "AU03", "AU08_r", "AU08", "action_units", "gaze_yaw", "gaze_pitch", "face_detection"}
)
"""Columns that OpenFace 3, or a program around it, writes and OpenFace 2 does not: it has no action
unit 3 or 8, and gaze as vectors."""


def _extract(cut: Cut) -> NDArray[np.float32]:
    if cut.table is None:
        raise DataError(
            f"no OpenFace table of clip {cut.id}", hint="one CSV file per clip: --openface DIR"
        )
    table = _read(cut.table)
    name = cut.table.name
    if "face_id" in table and len(table):
        faces = _numbers(table, "face_id", name)
        table = table[faces == faces.min()]
    seen = table[_numbers(table, "success", name) == 1]
    moments = _numbers(seen, "timestamp", name) - cut.start
    inside = (moments >= 0) & (moments < (np.inf if cut.stop is None else cut.stop - cut.start))
    if not inside.any():
        raise NothingThere(f"OpenFace followed no face in clip {cut.id}")
    followed = seen[inside]
    if float(moments[inside].max()) > _LONGEST:
        raise DataError(f"{name}: timestamp should be in seconds, found {moments[inside].max():g}")
    rows = np.stack([_numbers(followed, feature, name) for feature in _FEATURES], axis=1)
    return _resampled(moments[inside], rows)


def _read(path: Path) -> pd.DataFrame:
    """The table; columns that hold anything but numbers are text."""
    budget = Budget.of(path, "a table of OpenFace")
    try:
        content = budget.read(path)
        charge_csv(content, budget)
        text = decode(content, path.name, budget=budget).text
        budget.need_few_names(text.partition("\n")[0].count(",") + 1, "columns")
        table = pd.read_csv(io.StringIO(text), skipinitialspace=True, low_memory=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    if found := sorted(_OF_3.intersection(table)):
        raise DataError(
            f"{path.name} is of OpenFace 3 (column {found[0]}): its eight action units are numbered"
            " by place, which muscle is which its authors do not say; make the tables with"
            " OpenFace 2's FeatureExtraction"
        )
    wanted = ("timestamp", "success", *_FEATURES)
    missing = [name for name in wanted if name not in table]
    if missing:
        raise DataError(f"{path.name} has no column {missing[0]}: not OpenFace 2's")
    header = [cell.strip() for cell in text.partition("\n")[0].split(",")]
    twice = [name for name in ("face_id", *wanted) if header.count(name) > 1]
    if twice:
        raise DataError(f"{path.name} has two columns {twice[0]}")
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(f"{path.name} has more cells in its rows than in its header")
    return table


def _numbers(table: pd.DataFrame, column: str, file: str) -> NDArray[np.float64]:
    """(rows,) finite numbers.

    Raises:
        DataError: Naming the first cell that is none, and how many there are.
    """
    cells = table[column]
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    broken = np.flatnonzero(~(np.abs(values) <= _LARGEST))
    if broken.size:
        first = int(broken[0])
        raise DataError(
            f"{file}: {column} should be a finite number, found {str(cells.iloc[first])[:40]!r} in"
            f" row {int(table.index[first]) + 1} ({broken.size} such rows)"
        )
    return values


def _resampled(moments: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """(T, D) means over tenths of a second; a stretch without frames repeats the one before."""
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
