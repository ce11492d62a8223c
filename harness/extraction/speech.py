"""What faster-whisper is asked of a sound: its form, its failures, and where somebody speaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from harness._util.extras import load
from harness.data.media import decode as recording
from harness.errors import DataError

__all__ = ["floats", "speech_seconds", "told_as_data_error"]


def speech_seconds(samples: NDArray[np.int16]) -> float:
    """How much of a sound is speech, by the detector that comes with faster-whisper (Silero VAD).

    Args:
        samples: (S,) mono, ``decode.RATE`` a second.

    Returns:
        Seconds, without the margins that a transcription would add.

    Raises:
        DataError: When the detector fails.
        MissingExtra: When it is not installed.
    """
    detector = load("faster_whisper.vad")
    with told_as_data_error():
        stretches = detector.get_speech_timestamps(floats(samples), speech_pad_ms=0)
    return float(sum(stretch["end"] - stretch["start"] for stretch in stretches)) / recording.RATE


def floats(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """(S,) samples in [-1, 1), as recognisers take them."""
    return np.asarray(samples.astype(np.float32) / 32768, np.float32)


@contextmanager
def told_as_data_error() -> Iterator[None]:
    """Whatever the recogniser raises over a sound is a problem of that clip.

    Raises:
        DataError: In place of it; memory that runs out stays what it is.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(f"faster-whisper failed: {type(error).__name__}: {error}") from error
