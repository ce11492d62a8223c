"""The planted domain shift: what it changes, what it leaves alone, and what it is worth."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from harness.data.datasets import datasets
from harness.data.twins import generate as twin
from harness.data.twins.recipe import shift_of
from harness.data.twins.streams import _aside, _direction
from harness.data.twins.truth import draw_truth, keep

NAMES = ("mosi", "mosei", "sims", "simsv2")
PERCENT = {"mosi": 50, "mosei": 10, "sims": 50, "simsv2": 25}


def name_of(dataset: str, shift: bool = True) -> str:
    return f"{dataset}-twin@compact-x{PERCENT[dataset]}{'-shift' if shift else ''}"


@cache
def draft(dataset: str, shift: bool = True):
    return twin.generate(name_of(dataset, shift))


@cache
def truth(dataset: str):
    recipe = twin.recipe_of(name_of(dataset))
    return keep(draw_truth(recipe), recipe)


def means(dataset: str, shift: bool = True) -> np.ndarray:
    streams = draft(dataset, shift).streams
    return np.hstack(
        [streams[n].values.sum(axis=1) / streams[n].lengths[:, None] for n in ("audio", "vision")]
    )


@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_all_but_audio_and_vision_is_as_without_shift(dataset):
    moved, still = draft(dataset), draft(dataset, False)
    assert moved.clips.equals(still.clips)
    assert (moved.streams["text"].values == still.streams["text"].values).all()
    for name in ("audio", "vision"):
        assert (moved.streams[name].lengths == still.streams[name].lengths).all()
        assert not np.allclose(moved.streams[name].values, still.streams[name].values)
    views = ("text", "audio", "vision", "all", "train_mean")
    found, before = (d.manifest["ceilings"]["test"] for d in (moved, still))
    assert {view: found[view] for view in views} == before


@pytest.mark.parametrize("dataset", NAMES)
def test_the_nuisance_goes_with_the_sentiment_as_declared(dataset):
    found, strength = truth(dataset), shift_of(datasets[dataset]).strength
    spread = twin.recipe_of(name_of(dataset)).story.spread
    centred = found.labels / spread
    assert found.nuisance is not None
    slope = np.polyfit(centred, found.nuisance, 1)[0]
    assert slope == pytest.approx(strength, abs=0.12)
    rest = found.nuisance - strength * centred
    assert rest.std() == pytest.approx(np.sqrt(1 - strength**2), abs=0.08)


def test_its_sign_turns_between_the_languages_and_no_two_domains_agree():
    strengths = {name: shift_of(datasets[name]).strength for name in ("mosi", "mosei", "sims")}
    assert len(set(strengths.values())) == 3
    assert min(strengths["mosi"], strengths["mosei"]) > 0 > strengths["sims"]
    assert shift_of(datasets["simsv2"]) == shift_of(datasets["sims"])


@pytest.mark.parametrize("stream", ["audio", "vision"])
@pytest.mark.parametrize("dim", [8, 12, 5, 709])
def test_the_nuisance_is_at_right_angles_to_the_signal(stream, dim):
    aside, signal = _aside(stream, dim), _direction(stream, dim)
    assert abs(aside @ signal) <= 1
    assert set(np.abs(aside)) == {1.0}


@pytest.mark.parametrize("dataset", NAMES)
def test_knowing_it_helps_and_mistaking_it_hurts(dataset):
    best = draft(dataset).manifest["ceilings"]["test"]
    order = ("all, nuisance known", "all", "all, nuisance mistaken")
    assert [best[v]["mae"] for v in order] == sorted(best[v]["mae"] for v in order)
    assert [best[v]["corr"] for v in order] == sorted(
        (best[v]["corr"] for v in order), reverse=True
    )


def test_what_leans_on_it_fails_elsewhere():
    """A ridge on mean features, trained on one twin and tested on one of the other sign."""

    def transferred(shift: bool) -> float:
        learned, target = draft("mosi", shift).clips, draft("sims", shift).clips
        train, test = (learned["split"] == "train"), (target["split"] == "test")
        ridge = Ridge(1.0).fit(means("mosi", shift)[train], learned["label"][train])
        found = ridge.predict(means("sims", shift)[test])
        return float(np.corrcoef(found, target["label"][test])[0, 1])

    assert transferred(False) > 0.3
    assert transferred(True) < 0


def test_the_record_says_what_was_planted():
    assert draft("sims").manifest["generator"]["shift"] == {"strength": -0.7, "size": 0.5}
    assert "shift" not in draft("sims", False).manifest["generator"]
