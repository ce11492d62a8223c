"""Do the clips have possible times in their recordings?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.data.audit.check import Check, none_of, such_as
from harness.data.corpus import Corpus
from harness.data.identifiers import skeleton

__all__ = ["time_checks"]


def time_checks(corpus: Corpus) -> Iterator[Check]:
    """Clips that start before their recording, do not last, lack an end, or share their times.

    All are notes: published files have some of each, and no feature depends on them.
    """
    clips = corpus.clips.reindex(columns=["id", "video", "start", "stop"])
    start, stop = clips["start"].astype(float), clips["stop"].astype(float)
    twice = clips.assign(video=clips["video"].map(skeleton))
    twice = twice[start.notna() & stop.notna()]
    found = {
        "clips of no duration": (stop <= start, "stop is not after start"),
        "clips that start before 0": (start < 0, "the recording begins at 0"),
        "clips with half their times": (start.isna() != stop.isna(), "start or stop is missing"),
        "clips at the times of another": (
            twice.duplicated(["video", "start", "stop"]).reindex(clips.index, fill_value=False),
            "same video, start and stop",
        ),
    }
    for name, (rows, detail) in found.items():
        ids = clips["id"][rows.to_numpy()]
        yield none_of(corpus, name, len(ids), "note", f"{detail}: {such_as(ids)}")
