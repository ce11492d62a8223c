"""Means over clips with intervals over videos: coverage, undefined cases, records."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from harness.errors import SubmissionError
from mllm_eval.probe.estimate import ProbeFinding, mean_over_videos


def test_the_interval_is_that_of_videos_not_of_clips():
    """Ten copies of each clip tell nothing new."""
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 1.0, 40)
    videos = [str(k) for k in range(40)]
    once = mean_over_videos(values, videos)
    often = mean_over_videos(np.repeat(values, 10), np.repeat(videos, 10).tolist())
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    theirs = stats.ttest_1samp(values, 0.0)
    assert (once.low, once.high) == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-3)
    assert once.p_value == pytest.approx(theirs.pvalue, rel=1e-3)


def test_the_true_mean_is_covered():
    rng = np.random.default_rng(1)
    videos = np.repeat(np.arange(30), 3).astype(str).tolist()
    covered = 0
    for _ in range(120):
        values = np.repeat(rng.normal(0, 1, 30), 3) + rng.normal(0, 1, 90)
        found = mean_over_videos(values, videos)
        covered += found.low <= 0 <= found.high
        assert (found.p_value < 0.05) == (found.sign != 0)
    assert covered >= 105  # 114 expected; fewer than 105 has p < 0.001


@pytest.mark.parametrize(
    ("values", "videos", "clips", "value"),
    [([], [], 0, math.nan), ([1.0, math.nan, 3.0], ["a", "b", "a"], 2, 2.0)],
)
def test_too_few_videos_have_no_interval(values, videos, clips, value):
    found = mean_over_videos(values, videos)
    assert found.clips == clips
    assert found.value == pytest.approx(value, nan_ok=True)
    assert math.isnan(found.low) and found.sign == 0
    record = ProbeFinding(probe="p", measure="m", estimate=found, tried=3, verdict="v").record()
    assert record["low"] is None and record["p_value"] is None
    json.dumps(record, allow_nan=False)


def test_values_and_videos_belong_together():
    with pytest.raises(SubmissionError, match="one video per value"):
        mean_over_videos([1.0], ["a", "b"])
