"""Diagnostics travel from the network to the store, per clip and summed up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.system.diagnostics import by_sentiment


def test_means_are_those_of_a_group_by() -> None:
    rng = np.random.default_rng(0)
    ids = [f"c{i}" for i in range(40)]
    labels = pd.Series(rng.choice([-2.0, -0.2, 0.0, 0.4, 3.0], 40), index=ids)
    told = pd.DataFrame(rng.random((40, 2)), index=rng.permutation(ids), columns=["a", "b_0"])
    names = np.sign(labels).map({-1: "negative", 0: "neutral", 1: "positive"})
    expected = told.groupby(names.loc[told.index]).mean()
    found = by_sentiment(told, labels)
    for column in told:
        assert found[column].pop("all") == pytest.approx(told[column].mean())
        assert found[column] == pytest.approx(expected[column].to_dict())
