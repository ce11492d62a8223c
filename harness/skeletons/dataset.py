"""A skeleton: a dataset as it was published.

    msa check dataset skeleton
    msa data add label.csv --dataset skeleton       text and labels
    msa data add features.pkl --dataset skeleton    features in the layout of MMSA
    msa run --system tfidf_ridge --corpus skeleton-twin@compact    synthetic, without data

``label.csv`` has the columns video_id, clip_id, text, label, annotation and mode, which is train,
valid or test.
"""

from __future__ import annotations

from harness.data.datasets import Counts, Dataset

__all__ = ["SKELETON"]

SKELETON = Dataset(
    name="skeleton",
    title="A skeleton",  # as tables call it
    language="en",  # or "zh"
    low=-3.0,  # of the label scale
    high=3.0,
    # Which metrics apply: "mosi", seven classes by rounding; "sims", five bins. Any other word:
    # those that ask nothing of the scale, and what own metrics define for that family.
    family="mosi",
    grid=None,  # the step between labels, where they lie on a grid
    # The official split. `msa data check` compares files with it; other counts are another split.
    splits={
        "train": Counts(clips=240, negative=110, zero=20, positive=110, videos=24),
        "valid": Counts(clips=60, negative=26, zero=6, positive=28, videos=6),
        "test": Counts(clips=120, negative=55, zero=10, positive=55, videos=12),
    },
    unimodal_labels=False,  # whether text, audio and vision have labels of their own
    shapes={},  # feature set -> stream -> (frames, features), of public files
    licence="not stated",
    url="https://example.org",
    citation="not published",
)
