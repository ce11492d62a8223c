"""A corpus as a feature pickle in MMSA's layout, for the tools that read it.

Per split: ``raw_text, id, text, audio, vision, text_bert`` and ``audio_lengths``,
``vision_lengths``, ``regression_labels`` (and their uni-modal parts), ``annotations``. Streams a
corpus lacks are left out.

Source: thuiar/MMSA, the layout its data loader reads.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from harness._util.atomic import write_atomic
from harness.data.corpus import LABELS, STREAMS, Corpus, Split
from harness.data.datasets import SPLITS

__all__ = ["write"]


def write(corpus: Corpus, path: Path) -> None:
    """Write the pickle; what was there is replaced as a whole.

    Raises:
        OSError: When the disk refuses.
    """
    buffer = io.BytesIO()
    content = {name: _split(corpus.split(name)) for name in SPLITS}
    pickle.dump(content, buffer, protocol=4)
    write_atomic(path, buffer.getvalue())


def _split(split: Split) -> dict[str, Any]:
    clips = split.clips
    labels = split.labels
    content: dict[str, Any] = {
        "raw_text": np.array(split.texts, dtype=object),
        "id": [f"{v}$_${c}" for v, c in zip(clips["video"], clips["clip"], strict=True)],
        "regression_labels": labels.astype(np.float32),
        "classification_labels": np.sign(labels).astype(np.float32) + 1,
        "annotations": np.array(
            [("Negative", "Neutral", "Positive")[int(sign) + 1] for sign in np.sign(labels)],
            dtype=object,
        ),
    }
    for name in LABELS[1:]:
        if name in clips:
            values = clips[name].to_numpy(dtype=np.float32)
            content[f"regression_labels_{name[-1]}"] = values
    for name in STREAMS:
        stream = split.stream(name)
        if stream is not None:
            content[name] = np.asarray(stream.values, dtype=np.float32)
            if name != "text":
                content[f"{name}_lengths"] = stream.lengths.tolist()
    if split.tokens is not None:
        content["text_bert"] = split.tokens.astype(np.float32)
    return content
