"""Label files of the official size with made-up clips, and predictions for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from harness.data.datasets import SPLITS, Counts, Dataset, datasets
from harness.data.readers import label_csv
from harness.data.store import CorpusStore
from harness.home import Home


def clips_of(dataset: str) -> pd.DataFrame:
    """Columns of a label.csv; clip numbers have leading zeros, as CH-SIMS has them."""
    known = datasets[dataset]
    parts = [_split(known, name, known.splits[name]) for name in SPLITS]
    return pd.concat(parts, ignore_index=True)


def _split(dataset: Dataset, name: str, counts: Counts) -> pd.DataFrame:
    steps = np.arange(counts.clips) % 5 + 1
    signs = np.repeat([-1, 0, 1], [counts.negative, counts.zero, counts.positive])
    return pd.DataFrame(
        {
            "video_id": [f"{dataset.name}-{name}_v{i // 8}" for i in range(counts.clips)],
            "clip_id": [f"{i % 8:04d}" for i in range(counts.clips)],
            "text": "words",
            "label": np.round(signs * steps * dataset.high / 5, 6),
            "mode": name,
        }
    )


def store_official(home: Home, *names: str) -> None:
    """Add ``<dataset>@label-csv`` to a home."""
    for name in names:
        path = home.root / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        clips_of(name).to_csv(path, index=False)
        CorpusStore(home.corpora).add(label_csv.read(path, datasets[name]))


def predictions_for(dataset: str, split: str = "test", *, by: float = 0.2) -> pd.DataFrame:
    """Columns ``id, pred``: the labels, off by up to ``by``, never by nothing."""
    clips = clips_of(dataset)
    clips = clips[clips["mode"] == split].reset_index(drop=True)
    off = by * ((clips.index.to_numpy() * 37) % 19 - 9.5) / 9.5
    ids = clips["video_id"] + "_" + clips["clip_id"]
    return pd.DataFrame({"id": ids, "pred": clips["label"] + off})


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """The table in the format of the suffix."""
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    elif path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True, double_precision=15)
    else:
        table.to_csv(path, index=False)
    return path
