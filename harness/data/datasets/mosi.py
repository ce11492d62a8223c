"""CMU-MOSI: 93 English movie-review monologues from YouTube, 2,199 opinion segments."""

from harness.data.datasets import Counts, Dataset

MOSI = Dataset(
    name="mosi",
    title="CMU-MOSI",
    language="en",
    low=-3.0,
    high=3.0,
    family="mosi",
    grid=None,  # means of five ratings: mostly fifths, some quarters and halves
    splits={
        "train": Counts(clips=1284, negative=552, zero=53, positive=679, videos=52),
        "valid": Counts(clips=229, negative=92, zero=13, positive=124, videos=10),
        "test": Counts(clips=686, negative=379, zero=30, positive=277, videos=31),
    },
    unimodal_labels=False,
    shapes={
        "unaligned-50": {"text": (50, 768), "audio": (375, 5), "vision": (500, 20)},
        "aligned-50": {"text": (50, 768), "audio": (50, 5), "vision": (50, 20)},
    },
    published_files={
        "78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524": (
            "MOSI/Processed/unaligned_50.pkl"
        ),
        "d3994fd25681f9c7ad6e9c6596a6fe9b4beb85ff7d478ba978b124139002e5f9": (
            "MOSI/Processed/aligned_50.pkl"
        ),
    },
    margins={"mae": 0.01, "acc2_non0": 0.01, "acc2_has0": 0.01},
    licence="research use only; clips are YouTube videos of their uploaders",
    url="http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset/",
    citation="Zadeh, Zellers, Pincus, Morency. MOSI. IEEE Intelligent Systems 31(6), 2016.",
)
