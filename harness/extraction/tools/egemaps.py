"""openSMILE's eGeMAPSv02 low-level descriptors, averaged to 20 frames a second."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness._util.extras import load
from harness.data.media import decode as recording
from harness.extraction import Cut, Extractor, NothingThere

__all__ = ["EGEMAPS"]

_EACH = 5  # descriptors come every 10 ms; so many are averaged
_SHORTEST = recording.RATE // 10  # samples; openSMILE's longest window is 60 ms


def _extract(cut: Cut) -> NDArray[np.float32]:
    samples = recording.sound(cut.recording(), cut.start, cut.stop)
    if not samples.any():
        raise NothingThere(f"the sound of clip {cut.id} is silence")
    signal = samples.astype(np.float32) / 32768
    signal = np.pad(signal, (0, max(0, _SHORTEST - len(signal))))
    table = _smile().process_signal(signal, recording.RATE).to_numpy(np.float32)  # (T', 25)
    starts = np.arange(0, len(table), _EACH)
    counts = np.diff([*starts, len(table)])
    pooled = np.add.reduceat(table.astype(np.float64), starts) / counts[:, None]
    return np.asarray(pooled, np.float32)


@cache
def _smile() -> Any:  # noqa: ANN401 - an optional package, absent where types are checked
    opensmile = load("opensmile")
    return opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.LowLevelDescriptors,
    )


EGEMAPS = Extractor(
    name="egemaps",
    title="openSMILE eGeMAPSv02 low-level descriptors",
    stream="audio",
    rate=20.0,
    features=(
        *("loudness", "alpha_ratio", "hammarberg_index", "slope_0_500", "slope_500_1500"),
        *("spectral_flux", "mfcc_1", "mfcc_2", "mfcc_3", "mfcc_4", "f0_semitones", "jitter"),
        *("shimmer_db", "hnr_db", "h1_h2", "h1_a3", "f1_frequency", "f1_bandwidth"),
        *("f1_amplitude", "f2_frequency", "f2_bandwidth", "f2_amplitude"),
        *("f3_frequency", "f3_bandwidth", "f3_amplitude"),
    ),
    package="opensmile",
    source="Eyben et al., IEEE Transactions on Affective Computing 7(2), 2016; set v02",
    extract=_extract,
)
