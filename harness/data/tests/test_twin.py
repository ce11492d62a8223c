"""Twins against their specification: official counts, known statistics, bounds that hold."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import harness
from harness import data
from harness.data.datasets import SPLITS, datasets
from harness.data.store import CorpusStore, Draft, fingerprint
from harness.data.twins import generate as twin
from harness.data.twins.law import CONFLICTS, VIEWS, TwinLaw, posterior
from harness.data.twins.recipe import TwinRecipe, story_of
from harness.data.twins.texts import speak
from harness.data.twins.truth import TwinTruth, draw_truth
from harness.data.twins.words import CLUES, ENGLISH, MANDARIN
from harness.errors import SpecError
from harness.home import Home

NAMES = ("mosi", "mosei", "sims", "simsv2")
TINY = "mosi-twin@compact-x1"
GOLDEN = "03993b6f18d03f116099bf5b903a0e01bd910381be6b942d16e7d32241e4fd6c"


def recipe_of(dataset: str, seed: int = 0) -> TwinRecipe:
    suffix = f"-s{seed}" if seed else ""
    return twin.recipe_of(f"{dataset}-twin@compact{suffix}")


@cache
def truth_of(dataset: str, seed: int = 0) -> TwinTruth:
    return draw_truth(recipe_of(dataset, seed))


@cache
def draft_of(name: str) -> Draft:
    return twin.generate(name)


def mark_of(draft: Draft) -> str:
    return fingerprint(draft.clips, draft.streams, draft.tokens)


def icc(labels: np.ndarray, groups: pd.Series) -> float:
    """One-way random effects, unequal group sizes (Donner 1986)."""
    grouped = pd.Series(labels).groupby(groups.to_numpy())
    sizes, n, k = grouped.size(), len(labels), grouped.ngroups
    between = (sizes * (grouped.mean() - labels.mean()) ** 2).sum() / (k - 1)
    within = (sizes * grouped.var(ddof=0)).sum() / (n - k)
    typical = (n - (sizes**2).sum() / n) / (k - 1)
    return float((between - within) / (between + (typical - 1) * within))


# Names


@given(
    st.sampled_from([(d.name, s) for d in datasets.values() for s in ("compact", *d.shapes)]),
    st.none() | st.integers(1, 99),
    st.none() | st.integers(1, 999_999_999),
)
def test_every_name_of_the_grammar_is_understood(base, percent, seed):
    dataset, shape = base
    name = f"{dataset}-twin@{shape}"
    name += "" if percent is None else f"-x{percent}"
    name += "" if seed is None else f"-s{seed}"
    assert twin.is_twin(name)
    recipe = twin.recipe_of(name)
    assert recipe.dataset is datasets[dataset]
    assert (recipe.percent, recipe.seed) == (percent or 100, seed or 0)
    assert recipe.aligned == (shape == "aligned-50")
    if shape != "compact":
        assert recipe.shapes == datasets[dataset].shapes[shape]


@pytest.mark.parametrize(
    "name",
    [
        "mosi-twin",
        "mosi-twin@",
        "mosi-twin@huge",
        "mosi-twin@unaligned-39",
        "sims-twin@aligned-50",
        "nothing-twin@compact",
        "../mosi-twin@compact",
        "mosi-twin@compact-x0",
        "mosi-twin@compact-x100",
        "mosi-twin@compact-x05",
        "mosi-twin@compact-x2.5",
        "mosi-twin@compact-s0",
        "mosi-twin@compact-s-1",
        "mosi-twin@compact-s7-x10",
        "mosi-twin@compact\n",
    ],
)
def test_a_name_outside_the_grammar_is_refused_with_a_hint(name):
    assert twin.is_twin(name)
    with pytest.raises(SpecError) as caught:
        twin.generate(name)
    assert caught.value.hint


@given(st.text(alphabet="mosi-twin@compact-x10s", max_size=24))
def test_any_other_text_is_refused_and_nothing_else_happens(name):
    try:
        recipe = twin.recipe_of(name)
    except SpecError:
        return
    assert twin.is_twin(name)
    assert name.startswith(f"{recipe.dataset.name}-twin@compact")


@pytest.mark.parametrize("name", ["mosi@unaligned-50", "twin@compact", "mosi", "mosi@x-twin", ""])
def test_other_corpora_are_not_twins(name):
    assert not twin.is_twin(name)


# Clips and labels


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("dataset", NAMES)
def test_counts_are_the_official_ones(dataset, split):
    truth, counts = truth_of(dataset), datasets[dataset].splits[split]
    rows = truth.rows(split)
    labels = truth.labels[rows]
    assert len(labels) == counts.clips
    assert (labels < 0).sum() == counts.negative
    assert (labels == 0).sum() == counts.zero
    assert (labels > 0).sum() == counts.positive
    assert truth.clips["video"][rows].nunique() == counts.videos
    assert truth.clips["id"].is_unique


@pytest.mark.parametrize(
    ("dataset", "shared"), [("mosi", 0), ("mosei", 0), ("sims", 59), ("simsv2", 128)]
)
def test_splits_share_videos_as_the_real_ones_do(dataset, shared):
    truth = truth_of(dataset)
    videos = {split: set(truth.clips["video"][truth.rows(split)]) for split in SPLITS}
    assert len(videos["test"] & videos["train"]) == shared
    assert bool(videos["valid"] & videos["train"]) == bool(shared)


@pytest.mark.parametrize(
    ("dataset", "step", "limit"),
    [("mosi", 1 / 5, 3), ("mosei", 1 / 3, 3), ("sims", 1 / 5, 1), ("simsv2", 1 / 5, 1)],
)
def test_labels_lie_on_the_grid_and_reach_both_ends(dataset, step, limit):
    labels = truth_of(dataset).labels
    np.testing.assert_allclose(labels / step, np.round(labels / step), atol=1e-5)
    assert labels.min() == -limit
    assert labels.max() == limit


@pytest.mark.parametrize(
    ("dataset", "mean", "deviation"),
    [
        ("mosi", -0.317, 1.588),
        ("mosei", 0.142, 1.109),
        ("sims", -0.193, 0.691),
        ("simsv2", -0.065, 0.631),
    ],
)
def test_label_mean_and_deviation_are_near_the_real_ones(dataset, mean, deviation):
    labels = truth_of(dataset).labels[truth_of(dataset).rows("test")]
    assert labels.mean() == pytest.approx(mean, abs=0.09 * deviation)
    assert labels.std() == pytest.approx(deviation, rel=0.07)


@pytest.mark.parametrize(
    ("dataset", "expected", "seeds"),
    [("mosi", 0.27, 8), ("mosei", 0.42, 1), ("sims", 0.04, 5), ("simsv2", 0.09, 5)],
)
def test_labels_cluster_within_videos_as_measured(dataset, expected, seeds):
    found = [
        icc(truth.labels[truth.rows("train")], truth.clips["video"][truth.rows("train")])
        for truth in (truth_of(dataset, seed) for seed in range(seeds))
    ]
    assert np.mean(found) == pytest.approx(expected, abs=0.04)


def test_a_dataset_without_a_story_of_its_own_has_a_twin():
    other = dataclasses.replace(datasets["mosi"], name="other", low=0.0, high=5.0)
    recipe = dataclasses.replace(recipe_of("mosi"), dataset=other, story=story_of(other))
    labels = draw_truth(recipe).labels
    assert labels.max() == 5.0
    assert len(labels) == other.clips


# Signals


@pytest.mark.parametrize("dataset", NAMES)
def test_the_stated_share_of_clips_is_in_conflict(dataset):
    truth, rate = truth_of(dataset), story_of(datasets[dataset]).conflict
    found = np.bincount(truth.conflict, minlength=4) / len(truth.conflict)
    expected = np.array([1 - rate, *[rate / 3] * 3])
    error = np.sqrt(expected * (1 - expected) / len(truth.conflict))
    assert (np.abs(found - expected) < 4 * error).all()


@pytest.mark.parametrize("modality", (1, 2, 3))
def test_a_modality_in_conflict_shows_the_opposite(modality):
    truth = truth_of("mosei")
    signal = truth.signals[:, modality - 1]
    contrary = truth.conflict == modality
    assert np.corrcoef(signal[contrary], truth.labels[contrary])[0, 1] < -0.4
    assert np.corrcoef(signal[~contrary], truth.labels[~contrary])[0, 1] > 0.4


def test_unimodal_labels_are_rounded_signals():
    truth, clips = truth_of("sims"), draft_of("sims-twin@compact").clips
    spread = story_of(datasets["sims"]).spread
    for column, signal in zip(("label_T", "label_A", "label_V"), truth.signals.T, strict=True):
        expected = np.round(np.clip(spread * signal, -1, 1) / 0.2) * 0.2
        np.testing.assert_allclose(clips[column], expected, atol=1e-9)
    assert "label_T" not in draft_of("mosi-twin@compact").clips


# Words


@pytest.mark.parametrize(("dataset", "median"), [("mosi", 10), ("mosei", 17), ("sims", 15)])
def test_transcripts_say_the_text_signal_at_a_realistic_length(dataset, median):
    recipe, truth = recipe_of(dataset), truth_of(dataset)
    some = truth[np.arange(len(truth.labels)) % 10 == 0]
    utterances = speak(recipe, some)
    assert np.corrcoef([said.mean for said in utterances], some.signals[:, 0])[0, 1] > 0.97
    chinese = recipe.dataset.language == "zh"
    lengths = [len(said.text) if chinese else len(said.text.split()) for said in utterances]
    assert np.median(lengths) == pytest.approx(median, rel=0.25)
    assert any(" " in said.text for said in utterances) != chinese


@pytest.mark.parametrize("lexicon", [ENGLISH, MANDARIN], ids=["en", "zh"])
def test_vocabularies_are_balanced_and_disjoint(lexicon):
    valences = np.array(list(lexicon.valences.values()))
    assert 50 <= len(valences) <= 150
    assert abs(valences.mean()) < 0.15
    assert (valences.min(), valences.max()) == (-1, 1)
    modifiers = {lexicon.negation, *lexicon.intensifiers}
    assert not modifiers & set(lexicon.valences)


def test_explanations_are_as_truthful_as_stated():
    clips, truth = draft_of("mosei-twin@compact-x10").clips, truth_of("mosei")
    signals = truth.signals[truth.clips["id"].isin(clips["id"]).to_numpy(), 1]
    level = {phrase: k for k, phrases in enumerate(CLUES["audio_clue"]) for phrase in phrases}
    said = clips["audio_clue"].map(level).to_numpy()
    actual = np.digitize(signals, [-1.1, -0.35, 0.35, 1.1])
    assert (said == actual).mean() == pytest.approx(0.8 + 0.2 / 5, abs=0.03)
    assert set(clips["summary"]) == {p for phrases in CLUES["summary"] for p in phrases}


# Streams


@pytest.mark.parametrize(
    "name",
    ["mosi-twin@compact", "mosi-twin@aligned-50-x2", "sims-twin@unaligned-39-x2"],
)
def test_streams_are_padded_with_zeros_and_only_there(name):
    draft = draft_of(name)
    _, _, shape = name.partition("@")
    for stream in draft.streams.values():
        assert stream.values.dtype == np.float32
        assert np.isfinite(stream.values).all()
        real = np.arange(stream.frames) < stream.lengths[:, None]
        assert (stream.values[~real] == 0).all()
        assert (stream.values[real] != 0).any(axis=1).all()
        assert stream.lengths.min() >= 1
    if shape.startswith("aligned"):
        first, *others = [stream.lengths for stream in draft.streams.values()]
        assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("dataset", NAMES)
def test_streams_have_the_published_shapes(dataset):
    for shape, expected in datasets[dataset].shapes.items():
        streams = draft_of(f"{dataset}-twin@{shape}-x1").streams
        assert {name: s.values.shape[1:] for name, s in streams.items()} == expected


def test_a_window_of_frames_moves_with_the_signal():
    draft, truth = draft_of("mosi-twin@compact"), truth_of("mosi")
    stream, signal = draft.streams["audio"], truth.signals[:, 1]
    strong = (np.abs(signal) > 1.5) & (stream.lengths >= 20)
    scale = stream.values[stream.lengths == 40].std(axis=(0, 1))
    peaks = np.abs(stream.values[strong] / scale).mean(axis=2)  # (n, T)
    moved = (peaks > 1.6).sum(axis=1) / stream.lengths[strong]
    assert np.median(moved) == pytest.approx(0.2, abs=0.06)


# Determinism


def test_generation_ignores_order_and_global_state():
    first = mark_of(twin.generate(TINY))
    np.random.seed(3)  # noqa: NPY002
    twin.generate("mosi-twin@compact-x1-s5")
    assert mark_of(twin.generate(TINY)) == first


def test_generation_is_the_same_in_another_process():
    code = (
        "from harness.data.twins import generate as twin;"
        "from harness.data.store import fingerprint;"
        f"d = twin.generate({TINY!r}); print(fingerprint(d.clips, d.streams, d.tokens))"
    )
    root = str(Path(harness.__file__).parents[1])
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == mark_of(draft_of(TINY))


def test_golden_fingerprint():
    """A change here means stored twins are no longer those of the same name: raise VERSION."""
    assert mark_of(draft_of(TINY)) == GOLDEN


def test_another_seed_is_another_twin():
    one, two = draft_of(TINY), draft_of(f"{TINY}-s1")
    assert mark_of(one) != mark_of(two)
    assert abs(np.corrcoef(truth_of("mosi").labels, truth_of("mosi", 1).labels)[0, 1]) < 0.1


@pytest.mark.parametrize("scaled", ["mosi-twin@compact-x10", "mosi-twin@compact-x1"])
def test_a_scaled_twin_is_part_of_the_whole(scaled):
    whole, part = draft_of("mosi-twin@compact"), draft_of(scaled)
    rows = whole.clips["id"].isin(part.clips["id"]).to_numpy()
    pd.testing.assert_frame_equal(whole.clips[rows].reset_index(drop=True), part.clips)
    for name, stream in part.streams.items():
        assert np.array_equal(whole.streams[name].values[rows], stream.values)
        assert np.array_equal(whole.streams[name].lengths[rows], stream.lengths)


@pytest.mark.parametrize("percent", [1, 10, 50])
@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_a_scaled_twin_keeps_its_share_in_several_videos(dataset, percent):
    clips = draft_of(f"{dataset}-twin@compact-x{percent}").clips
    whole = truth_of(dataset).clips
    for split, counts in datasets[dataset].splits.items():
        kept = clips[clips["split"] == split]
        assert kept["video"].nunique() >= 5
        longest = whole[whole["split"] == split].groupby("video").size().max()
        target = max(20, counts.clips * percent / 100)
        assert target - 1 <= len(kept) <= target + longest


def test_shapes_render_the_same_clips():
    compact, real = draft_of("mosi-twin@compact-x2"), draft_of("mosi-twin@aligned-50-x2")
    pd.testing.assert_frame_equal(compact.clips, real.clips)


# Ceilings


@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_posterior_mean_is_calibrated(dataset):
    truth, spec = truth_of(dataset), datasets[dataset]
    law = TwinLaw(spec, story_of(spec), spec.splits["train"])
    rows = truth.rows("train")
    mean, median = posterior(law, truth.signals[rows])
    labels = truth.labels[rows]
    slope, intercept = np.polyfit(mean, labels, 1)
    assert slope == pytest.approx(1, abs=0.08)
    assert intercept == pytest.approx(0, abs=0.08)
    assert np.abs(labels - median).mean() <= np.abs(labels - mean).mean()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_an_oracle_fitted_to_the_signals_reaches_the_ceiling_but_not_beyond(dataset, view):
    spec, columns = datasets[dataset], list(VIEWS[view])
    told = [truth_of(dataset, seed) for seed in range(1, 17)]
    signals = np.vstack([truth.signals[truth.rows("test")] for truth in told])[:, columns]
    labels = np.concatenate([truth.labels[truth.rows("test")] for truth in told])
    truth = truth_of(dataset)
    rows = truth.rows("test")
    seen, wanted = truth.signals[rows], truth.labels[rows]
    oracle = HistGradientBoostingRegressor(
        loss="absolute_error", max_iter=60, min_samples_leaf=100, random_state=0
    ).fit(signals, labels)
    ours = np.abs(oracle.predict(seen[:, columns]) - wanted)
    _, median = posterior(TwinLaw(spec, story_of(spec), spec.splits["test"]), seen, columns)
    bound = np.abs(median - wanted)
    stated = draft_of(f"{dataset}-twin@compact").manifest["ceilings"]["test"][view]
    assert bound.mean() == pytest.approx(stated["mae"], abs=1e-4)
    error = (ours - bound).std() / np.sqrt(len(wanted))
    assert -3 * error < (ours - bound).mean() < 0.05 * bound.mean() + 3 * error
    corr = np.corrcoef(oracle.predict(seen[:, columns]), wanted)[0, 1]
    assert stated["corr"] - 0.06 < corr < stated["corr"] + 0.02


def test_the_constant_baseline_is_stated():
    draft, truth = draft_of("mosi-twin@compact"), truth_of("mosi")
    mean = truth.labels[truth.rows("train")].mean()
    expected = np.abs(truth.labels[truth.rows("test")] - mean).mean()
    assert draft.manifest["ceilings"]["test"]["train_mean"] == {
        "mae": round(expected, 4),
        "corr": None,
    }


@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_ceilings_leave_room_between_modalities(dataset):
    found = draft_of(f"{dataset}-twin@compact").manifest["ceilings"]["test"]
    mae = {view: values["mae"] for view, values in found.items()}
    assert mae["all"] < 0.8 * mae["text"] < 0.8 * min(mae["audio"], mae["vision"])
    assert max(mae["audio"], mae["vision"]) < 0.9 * mae["train_mean"]
    assert 0.38 < found["audio"]["corr"] < 0.6
    assert 0.38 < found["vision"]["corr"] < 0.6


# Learnability


@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_pooled_streams_teach_and_fusion_beats_text(dataset):
    draft = draft_of(f"{dataset}-twin@compact")
    pooled = {k: s.values.sum(axis=1) / s.lengths[:, None] for k, s in draft.streams.items()}
    text = ridge_mae(draft, pooled["text"])
    fused = ridge_mae(draft, np.hstack(list(pooled.values())))
    stated = draft.manifest["ceilings"]["test"]
    assert stated["text"]["mae"] < text < 0.8 * stated["train_mean"]["mae"]
    assert stated["all"]["mae"] < fused < 0.9 * text


@pytest.mark.parametrize("dataset", ["mosi", "sims"])
def test_transcripts_alone_teach_something_but_not_all(dataset):
    draft = draft_of(f"{dataset}-twin@compact")
    analyzer = "char" if dataset == "sims" else "word"
    vectors = TfidfVectorizer(analyzer=analyzer, ngram_range=(1, 2), min_df=2)
    found = ridge_mae(draft, vectors.fit_transform(draft.clips["text"]).toarray())
    stated = draft.manifest["ceilings"]["test"]
    assert stated["text"]["mae"] < found < 0.9 * stated["train_mean"]["mae"]


def ridge_mae(draft: Draft, features: np.ndarray) -> float:
    labels = draft.clips["label"].to_numpy()
    train, test = ((draft.clips["split"] == s).to_numpy() for s in ("train", "test"))
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
    model.fit(features[train], labels[train])
    return float(np.abs(model.predict(features[test]) - labels[test]).mean())


# As a corpus


def test_a_twin_is_generated_once_and_loads_as_a_corpus(tmp_path):
    home = Home(tmp_path)
    corpus = data.load(TINY, home)
    assert corpus.is_twin
    assert corpus.dataset is datasets["mosi"]
    assert corpus.fingerprint == mark_of(draft_of(TINY))
    assert corpus.fingerprint == fingerprint(corpus.clips, corpus.streams, corpus.tokens)
    assert [corpus.split(name).clips["split"].unique().tolist() for name in SPLITS] == [
        [name] for name in SPLITS
    ]
    assert set(corpus.clips["conflict"]) <= set(CONFLICTS)
    assert CorpusStore(home.corpora).names() == [TINY]
    assert data.load(TINY, home).fingerprint == corpus.fingerprint


def test_the_manifest_says_what_it_is():
    manifest = draft_of("simsv2-twin@compact-x1-s7").manifest
    assert manifest["synthetic"] is True
    assert manifest["contains"] == []
    generator = manifest["generator"]
    assert (generator["seed"], generator["percent"]) == (7, 1)
    assert generator["story"]["conflict"] == story_of(datasets["simsv2"]).conflict
    assert {"telling", "planting", "nuisance", "version"} <= set(generator)
