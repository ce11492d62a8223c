"""A film, its sound alone and its pictures alone, and the table that cuts clips from them."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

FPS, RATE = 10, 16_000


def film(path, *, picture=True, tone=True, seconds=4):
    """Coloured frames that change every tenth of a second, and a rising tone."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=FPS) if picture else None
        sound = container.add_stream("aac", rate=RATE, layout="mono") if tone else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for k in range(FPS * seconds):
                image = np.full((48, 64, 3), (6 * k % 256, 90, 255 - 6 * k % 256), np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = k, Fraction(1, FPS)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if sound is not None:
            time = np.arange(RATE * seconds) / RATE
            tune = (0.3 * np.sin(2 * np.pi * (200 + 100 * time) * time)).astype(np.float32)
            for at in range(0, len(tune), 1024):
                samples = tune[None, at : at + 1024]
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def recordings(folder, ids, *, silent=(), unseen=(), absent=()):
    """A folder with a table: every clip is a cut of its own, with the tracks asked for."""
    folder.mkdir()
    film(folder / "whole.mp4")
    film(folder / "silent.mp4", tone=False)
    film(folder / "unseen.m4a", picture=False)
    rows = []
    for k, name in enumerate(ids):
        if name in absent:
            continue
        file = "silent.mp4" if name in silent else "unseen.m4a" if name in unseen else "whole.mp4"
        begin = 0.01 * (k % 100)
        rows.append({"id": name, "file": file, "start": begin, "stop": begin + 0.5})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


@functools.cache
def bare_twin(name="mosi-twin@compact-x1", feature_set="bare"):
    """The draft of a twin without its explanations."""
    from harness.data.corpus import EXPLANATIONS
    from harness.data.store import Draft
    from harness.data.twins.generate import generate

    made = generate(name)
    return Draft(
        name=f"{name.partition('@')[0]}@{feature_set}",
        clips=made.clips.drop(columns=list(EXPLANATIONS)),
        streams=made.streams,
        manifest=made.manifest,
    )
