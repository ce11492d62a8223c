"""The acoustic set that CH-SIMS was published with: pitch, 20 cepstral and 12 chroma features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness._util.extras import load
from harness.data.media import decode as recording
from harness.extraction import Cut, Extractor, NothingThere

__all__ = ["ACOUSTIC"]

_HOP = recording.RATE // 20
_WINDOW = 2048
_LOWEST, _HIGHEST = 65.0, 1000.0  # Hz, of a voice


def _extract(cut: Cut) -> NDArray[np.float32]:
    librosa = load("librosa")
    samples = recording.sound(cut.recording(), cut.start, cut.stop)
    if not samples.any():
        raise NothingThere(f"the sound of clip {cut.id} is silence")
    signal = samples.astype(np.float32) / 32768
    signal = np.pad(signal, (0, max(0, 8 * _WINDOW - len(signal))))  # chroma filters are long
    common = {"y": signal, "sr": recording.RATE, "hop_length": _HOP}
    pitch = librosa.yin(**common, fmin=_LOWEST, fmax=_HIGHEST, frame_length=_WINDOW)
    cepstrum = librosa.feature.mfcc(**common, n_mfcc=20, n_fft=_WINDOW)
    chroma = librosa.feature.chroma_cqt(**common, n_chroma=12)
    rows = max(1, min(len(pitch), cepstrum.shape[1], chroma.shape[1], -(-len(samples) // _HOP)))
    parts = [np.log(pitch[:rows, None]), cepstrum[:, :rows].T, chroma[:, :rows].T]
    return np.concatenate(parts, axis=1).astype(np.float32)  # (T, 33)


ACOUSTIC = Extractor(
    name="acoustic-33",
    title="log pitch, 20 MFCC, 12 chroma (librosa)",
    stream="audio",
    rate=20.0,
    features=(
        "log_f0",
        *(f"mfcc_{k}" for k in range(20)),
        *(f"chroma_{k}" for k in range(12)),
    ),
    package="librosa",
    source="Yu et al., CH-SIMS, ACL 2020, section 3.3, computed at 16 kHz",
    extract=_extract,
)
