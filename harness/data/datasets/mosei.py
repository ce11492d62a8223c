"""CMU-MOSEI: 22,856 English opinion segments from YouTube monologues on many topics."""

from harness.data.datasets import Counts, Dataset

MOSEI = Dataset(
    name="mosei",
    title="CMU-MOSEI",
    language="en",
    low=-3.0,
    high=3.0,
    family="mosi",
    grid=None,  # means of three ratings: thirds and sixths
    splits={
        "train": Counts(clips=16326, negative=4738, zero=3540, positive=8048, videos=2249),
        "valid": Counts(clips=1871, negative=506, zero=433, positive=932, videos=300),
        "test": Counts(clips=4659, negative=1350, zero=1025, positive=2284, videos=676),
    },
    unimodal_labels=False,
    shapes={
        "unaligned-50": {"text": (50, 768), "audio": (500, 74), "vision": (500, 35)},
        "aligned-50": {"text": (50, 768), "audio": (50, 74), "vision": (50, 35)},
    },
    published_files={
        "ad8b23d50557045e7d47959ce6c5b955d8d983f2979c7d9b7b9226f6dd6fec1f": (
            "MOSEI/Processed/unaligned_50.pkl"
        ),
        "45eccfb748a87c80ecab9bfac29582e7b1466bf6605ff29d3b338a75120bf791": (
            "MOSEI/Processed/aligned_50.pkl"
        ),
    },
    margins={"mae": 0.005, "acc2_non0": 0.01, "acc2_has0": 0.01},
    licence="research use only; clips are YouTube videos of their uploaders",
    url="http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset/",
    citation="Zadeh, Liang, Poria, Cambria, Morency. CMU-MOSEI. ACL 2018.",
)
