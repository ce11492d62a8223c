"""CH-SIMS v2 (supervised part): 4,403 Chinese clips, CH-SIMS and its splits included."""

from harness.data.datasets import Counts, Dataset

SIMSV2 = Dataset(
    name="simsv2",
    title="CH-SIMS v2 (s)",
    language="zh",
    low=-1.0,
    high=1.0,
    family="sims",
    grid=0.2,  # one clip is labelled -0.1
    splits={
        "train": Counts(clips=2722, negative=1310, zero=318, positive=1094, videos=134),
        "valid": Counts(clips=647, negative=325, zero=92, positive=230, videos=120),
        "test": Counts(clips=1034, negative=488, zero=123, positive=423, videos=145),
    },
    unimodal_labels=True,
    shapes={
        "unaligned-50": {"text": (50, 768), "audio": (925, 25), "vision": (232, 177)},
    },
    splits_share_videos=True,
    contains=("sims",),
    margins={"mae": 0.01, "acc2": 0.01},
    licence="research use only; clips come from films, series and shows",
    url="https://github.com/thuiar/ch-sims-v2",
    citation="Liu et al. CH-SIMS v2.0. ICMI 2022.",
)
