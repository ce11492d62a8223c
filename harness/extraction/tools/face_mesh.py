"""MediaPipe's face mesh at 10 frames a second: head pose, expression distances, 68 landmarks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness._util.extras import load, missing
from harness.data.media import decode as recording
from harness.extraction import Cut, Extractor, NothingThere
from harness.extraction.tools._face import FEATURES, describe

__all__ = ["FACE_MESH"]

_RATE = 10.0


def _extract(cut: Cut) -> NDArray[np.float32]:
    rows = np.zeros((0, len(FEATURES)), np.float32)
    path = cut.recording()
    if "vision" not in recording.tracks(path):
        raise NothingThere(f"the recording of clip {cut.id} has no pictures")
    with _mesh() as mesh:
        film = recording.film(path, cut.start, cut.stop, _RATE)
        rows = np.stack([_row(mesh, picture) for _, picture in film])
    if not rows[:, 0].any():
        raise NothingThere(f"no face in any of the {len(rows)} frames of clip {cut.id}")
    return rows


def _row(mesh: Any, picture: NDArray[np.uint8]) -> NDArray[np.float32]:  # noqa: ANN401  see _mesh
    found = mesh.process(picture).multi_face_landmarks
    if not found:
        return np.zeros(len(FEATURES), np.float32)
    tall, wide, _ = picture.shape
    points = np.array([(p.x, p.y * tall / wide, p.z) for p in found[0].landmark])
    return describe(points).astype(np.float32)


@contextmanager
def _mesh() -> Iterator[Any]:
    """A tracker of its own for each clip: what one shows must not depend on the one before."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # it reports every start
    solutions = getattr(load("mediapipe"), "solutions", None)
    if solutions is None:  # wheels from 1.0 on come without the models
        raise missing("mediapipe")
    face_mesh = solutions.face_mesh
    with face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=True) as mesh:
        yield mesh


FACE_MESH = Extractor(
    name="face-mesh",
    title="MediaPipe face mesh: pose, expression distances, 68 landmarks",
    stream="vision",
    rate=_RATE,
    features=FEATURES,
    package="mediapipe",
    source="Kartynnik et al., arXiv 1907.06724; distances and normalisation are ours",
    extract=_extract,
)
