"""What boards are made of: rows of runs as plain data, gathered from a run store and compared.

``gather`` reads a suite from the store. ``analyse`` and ``across`` compare complete rows; they are
computed once per grid or board and remembered by it.
"""

from leaderboards.model.board import (
    ALPHA,
    AbsentPart,
    Board,
    CorpusFacts,
    Facts,
    Grid,
    MissingRun,
    Row,
    Run,
    has_transfers,
    parts,
    shown,
)
from leaderboards.model.common import on_common_clips
from leaderboards.model.gather import gather
from leaderboards.model.memo import once
from leaderboards.model.noise import evaluation_noise, passes_of
from leaderboards.model.ranking import (
    Across,
    Analysis,
    across,
    analyse,
    has_videos,
    is_checkpoint,
    rank_all,
    unranked_because,
)
from leaderboards.model.slices import Cost, OnPart, Sliced, SlicedBy, SlicePart, sliced
from leaderboards.model.summary import Summary, ordered, summarise
from leaderboards.model.tracks import PLAIN, Track, plain_first

__all__ = [
    "ALPHA",
    "PLAIN",
    "AbsentPart",
    "Across",
    "Analysis",
    "Board",
    "CorpusFacts",
    "Cost",
    "Facts",
    "Grid",
    "MissingRun",
    "OnPart",
    "Row",
    "Run",
    "SlicePart",
    "Sliced",
    "SlicedBy",
    "Summary",
    "Track",
    "across",
    "analyse",
    "evaluation_noise",
    "gather",
    "has_transfers",
    "has_videos",
    "is_checkpoint",
    "on_common_clips",
    "once",
    "ordered",
    "parts",
    "passes_of",
    "plain_first",
    "rank_all",
    "shown",
    "sliced",
    "summarise",
    "unranked_because",
]
