"""CH-SIMS: 2,281 Chinese film, series and variety-show clips with uni-modal labels."""

from harness.data.datasets import Counts, Dataset

SIMS = Dataset(
    name="sims",
    title="CH-SIMS",
    language="zh",
    low=-1.0,
    high=1.0,
    family="sims",
    grid=0.2,
    splits={
        "train": Counts(clips=1368, negative=742, zero=207, positive=419, videos=60),
        "valid": Counts(clips=456, negative=248, zero=69, positive=139, videos=59),
        "test": Counts(clips=457, negative=248, zero=69, positive=140, videos=59),
    },
    unimodal_labels=True,
    shapes={
        "unaligned-39": {"text": (39, 768), "audio": (400, 33), "vision": (55, 709)},
    },
    published_files={
        "c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f": (
            "SIMS/Processed/unaligned_39.pkl"
        ),
    },
    splits_share_videos=True,
    margins={"mae": 0.01, "acc2": 0.01},
    licence="research use only; clips come from films, series and shows",
    url="https://github.com/thuiar/MMSA",
    citation="Yu et al. CH-SIMS. ACL 2020.",
)
