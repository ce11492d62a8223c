"""Corrupted clips: the same draws for everybody, and operators that do what they say."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness import data
from harness._util.seeds import derive
from harness.corruption import (
    Corrupter,
    Draws,
    Units,
    clip_keys,
    corrupt,
    deviations,
    read_masks,
    split_under,
    write_masks,
)
from harness.corruption.draws import ONE, mix
from harness.corruption.laws import LawDraws, damage_of
from harness.data.batching import Batch, BatchSource, Sequence, Tokens
from harness.data.corpus import STREAMS, Corpus
from harness.errors import DataError
from harness.home import Home
from harness.spec.conditions import MODALITIES, Condition, grid, only
from harness.spec.laws import laws

SOME = tuple(
    Condition.parse(name)
    for name in (
        *("noise=0.6", "element=0.4", "block=0.5", "modality=0.5", "noise=0.3,element=0.7"),
        *("only:audio", "text:noise=0.5", "lnln=0.5", "lnln@published=0.5"),
    )
)
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def corpus(root) -> Corpus:
    return data.load("sims-twin@compact-x10", Home(root))


@pytest.fixture(scope="module")
def split(corpus):
    return corpus.split("test")


@pytest.fixture(scope="module")
def corrupter(split):
    return Corrupter(split)


def made(clips: int, *, seed: int = 0, device: str = "cpu") -> Draws:
    """Draws of clips nobody has."""
    keys = clip_keys("mosi", "test", [f"v_{clip}" for clip in range(clips)]).to(device)
    return Draws(keys, seed, rows=torch.arange(clips), size=clips)


def source_of(split, *inputs: str) -> BatchSource:
    chosen = frozenset(inputs or STREAMS)
    tokens = {"tokens": words(split)} if "tokens" in chosen else None
    return BatchSource(split, inputs=chosen, tokens=tokens)


def words(split) -> np.ndarray:
    """Tokens of a tokenizer of characters: 2 at the start, 3 at the end."""
    longest = max(map(len, split.texts)) + 2
    tokens = np.zeros((len(split), 3, longest), dtype=np.int32)
    for row, text in enumerate(split.texts):
        ids = [2, *(10 + ord(char) % 80 for char in text), 3]
        tokens[row, 0, : len(ids)] = ids
        tokens[row, 1, : len(ids)] = 1
    return tokens


def stream(batch: Batch, name: str) -> Sequence:
    found = getattr(batch, name)
    assert isinstance(found, Sequence)
    return found


def under(corrupter, condition, source, rows) -> Batch:
    batch = source.gather(rows)
    return corrupter.under(condition, batch, corrupter.draws(batch.rows))


# Draws


def test_the_finaliser_is_a_permutation_of_32_bits():
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.integers(0, ONE, 200_000))
    mixed = mix(values)
    assert int(mixed.min()) >= 0 and int(mixed.max()) < ONE
    assert len(mixed.unique()) == len(values.unique())
    flipped = mix(values ^ (1 << torch.from_numpy(rng.integers(0, 32, len(values)))))
    changed = ((mixed ^ flipped).unsqueeze(1) >> torch.arange(32)) & 1
    assert (changed.double().mean(0) - 0.5).abs().max() < 0.02  # avalanche, every bit


def test_no_product_of_the_finaliser_leaves_63_bits():
    assert (ONE - 1) * max(0x21F0AAAD, 0x735A2D97) < 2**63


def test_draws_never_change():
    """Stored predictions depend on these numbers: a change of them grows ``draws.VERSION``."""
    draws = made(2)
    assert draws.clips("audio", "modality").tolist() == [4285512970, 3260076541]
    steps = [[2482661777, 1391532378, 2499077030], [35179455, 2573041056, 3453561879]]
    assert draws.steps("text", "element", 3).tolist() == steps


def test_draws_are_their_definition_in_plain_integers():
    def spread(x: int) -> int:
        x = ((x ^ x >> 16) * 0x21F0AAAD) % ONE
        x = ((x ^ x >> 15) * 0x735A2D97) % ONE
        return x ^ x >> 15

    def step(clip: str, modality: str, purpose: str, position: int) -> int:
        key = derive(0, "clip", "mosi", "test", clip)
        salt = derive(7, "corruption", modality, purpose)
        drawn = 0
        for part in (key >> 32, salt >> 32, key % ONE, salt % ONE):
            drawn = spread(drawn ^ part)
        return spread(drawn ^ spread(position + 1))

    found = made(3, seed=7).steps("vision", "element", 4)
    expected = [[step(f"v_{n}", "vision", "element", p) for p in range(4)] for n in range(3)]
    assert found.tolist() == expected


@pytest.mark.parametrize("what", ["clips", "steps", "normals"])
def test_draws_follow_their_distribution(what):
    draws = made(3000)
    if what == "normals":
        found = draws.normals("audio", 20, 5).double().numpy().ravel()
        assert stats.kstest(found, "norm").pvalue > 1e-3
        assert abs(found.mean()) < 5 / math.sqrt(found.size)
        assert abs(found.std() - 1) < 0.01
    else:
        drawn = draws.clips("text", "x") if what == "clips" else draws.steps("text", "x", 40)
        assert stats.kstest(drawn.double().numpy().ravel() / ONE, "uniform").pvalue > 1e-3


def test_streams_purposes_positions_features_and_seeds_are_independent():
    draws, other = made(4000), made(4000, seed=1)
    columns = [
        *(draws.steps(name, "element", 2)[:, 1] for name in MODALITIES),
        draws.steps("text", "noise", 2)[:, 1],
        draws.steps("text", "element", 3)[:, 2],
        other.steps("text", "element", 2)[:, 1],
        draws.clips("text", "element"),
        *draws.normals("audio", 2, 2).double().flatten(1).T,
    ]
    found = np.abs(np.corrcoef(torch.stack([c.double() for c in columns]).numpy()))
    assert np.triu(found, 1).max() < 5 / math.sqrt(4000)


@CUDA
@pytest.mark.parametrize("purpose", ["element", "noise"])
def test_the_bits_are_those_of_the_gpu_too(purpose):
    here, there = made(50), made(50, device="cuda")
    assert torch.equal(here.steps("text", purpose, 30), there.steps("text", purpose, 30).cpu())
    assert torch.equal(here.normals("audio", 30, 8), there.normals("audio", 30, 8).cpu())


# Identity


@pytest.mark.parametrize("condition", SOME, ids=lambda condition: condition.name)
@pytest.mark.parametrize("size", [1, 7])
def test_a_clip_suffers_the_same_in_every_batch_and_order(split, corrupter, condition, size):
    source = source_of(split, *STREAMS, "tokens")
    whole = under(corrupter, condition, source, torch.arange(len(split)))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(split)))
    for rows in order.split(size):
        part = under(corrupter, condition, source, rows)
        for name in STREAMS:
            mine, all_ = stream(part, name), stream(whole, name)
            frames = mine.values.shape[1]
            assert torch.equal(mine.values, all_.values[rows, :frames])
            assert torch.equal(mine.lengths, all_.lengths[rows])
            assert torch.equal(part.present[name], whole.present[name][rows])
        assert part.tokens is not None and whole.tokens is not None
        length = part.tokens.ids.shape[1]
        assert torch.equal(part.tokens.ids, whole.tokens.ids[rows, :length])


@pytest.mark.parametrize("condition", SOME, ids=lambda condition: condition.name)
def test_systems_that_read_less_see_the_same(split, corrupter, condition):
    rows = torch.arange(20)
    everything = under(corrupter, condition, source_of(split, *STREAMS, "tokens"), rows)
    for name in STREAMS:
        alone = under(corrupter, condition, source_of(split, name), rows)
        assert torch.equal(stream(alone, name).values, stream(everything, name).values)


SCRIPT = """
import hashlib, sys, torch
from pathlib import Path
from harness import data
from harness.data.batching import BatchSource
from harness.corruption import Corrupter
from harness.spec.conditions import Condition
from harness.home import Home
from harness._util.seeds import derive
split = data.load("sims-twin@compact-x10", Home(Path(sys.argv[1]))).split("test")
source, corrupter = BatchSource(split, inputs=frozenset({"audio"})), Corrupter(split)
batch = source.gather(torch.arange(len(split)))
hit = corrupter.under(Condition.parse(sys.argv[2]), batch, corrupter.draws(batch.rows))
print(hashlib.sha256(hit.audio.values.numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_another_process_sees_the_same(split, corrupter, root):
    name = "noise=0.3,element=0.7"
    hit = under(
        corrupter, Condition.parse(name), source_of(split, "audio"), torch.arange(len(split))
    )
    mine = hashlib.sha256(stream(hit, "audio").values.numpy().tobytes()).hexdigest()
    command = [sys.executable, "-c", SCRIPT, str(root), name]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert theirs == mine


def test_conditions_share_the_draws_of_a_batch(split, corrupter, monkeypatch):
    made_ = []
    original = Draws._normals
    monkeypatch.setattr(
        Draws, "_normals", lambda self, *a: (made_.append(a), original(self, *a))[1]
    )
    batch = source_of(split).gather(torch.arange(16))
    draws = corrupter.draws(batch.rows)
    for condition in grid("spectrum"):
        corrupter.under(condition, batch, draws)
    assert sorted(name for name, *_ in made_) == ["audio", "vision"]


# Operators


@settings(deadline=None, max_examples=25)
@given(
    low=st.floats(0, 1), high=st.floats(0, 1), how=st.sampled_from(["element", "block", "modality"])
)
def test_what_is_missing_stays_missing_under_higher_rates(split, corrupter, low, high, how):
    low, high = sorted((low, high))
    source, rows = source_of(split, "audio"), torch.arange(30)
    less, more = (
        stream(under(corrupter, Condition(missing=rate, how=how), source, rows), "audio").values
        for rate in (low, high)
    )
    assert ((less != 0) | (more == 0)).all()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_frames_go_at_their_rate_and_nothing_else_changes(split, corrupter, rate):
    source, rows = source_of(split, "vision"), torch.arange(len(split))
    clean = stream(source.gather(rows), "vision")
    hit = stream(under(corrupter, Condition(missing=rate), source, rows), "vision")
    kept = (hit.values != 0).any(2)
    assert torch.equal(hit.values[kept], clean.values[kept])
    frames = int(clean.mask.sum())
    assert abs(1 - int(kept.sum()) / frames - rate) < 5 * math.sqrt(rate * (1 - rate) / frames)
    assert torch.equal(hit.lengths, clean.lengths)


@pytest.mark.parametrize("rate", [0.1, 0.34, 0.5, 0.9, 1.0])
def test_a_block_is_one_gap_of_its_share(split, corrupter, rate):
    source, rows = source_of(split, "audio"), torch.arange(len(split))
    clean = stream(source.gather(rows), "audio")
    hit = stream(under(corrupter, Condition(missing=rate, how="block"), source, rows), "audio")
    gone = ((hit.values == 0).all(2) & clean.mask).numpy()
    for row, length in zip(gone, clean.lengths.tolist(), strict=True):
        assert abs(row.sum() - rate * length) <= 0.5 + 1e-6
        assert np.count_nonzero(np.diff(row[:length].astype(int), prepend=0) == 1) <= 1


def test_noise_has_the_deviation_of_training_frames(corpus, split, corrupter):
    source, rows = source_of(split, "audio"), torch.arange(len(split))
    clean = stream(source.gather(rows), "audio")
    hit = stream(under(corrupter, Condition(noise=0.7), source, rows), "audio")
    train = corpus.split("train").stream("audio")
    true = np.concatenate([v[:n] for v, n in zip(train.values, train.lengths, strict=True)])
    np.testing.assert_allclose(deviations(corpus, "audio"), true.std(0), rtol=1e-4)
    added = ((hit.values - clean.values)[clean.mask].numpy()) / (0.7 * true.std(0))
    assert abs(added.std() - 1) < 0.02 and abs(added.mean()) < 0.02
    assert (hit.values[~clean.mask] == 0).all()


def test_noise_comes_first_and_missingness_second(split, corrupter):
    source, rows = source_of(split, "audio"), torch.arange(len(split))
    noisy = stream(under(corrupter, Condition(noise=0.5), source, rows), "audio").values
    holes = stream(under(corrupter, Condition(missing=0.5), source, rows), "audio").values
    both = stream(under(corrupter, Condition(noise=0.5, missing=0.5), source, rows), "audio").values
    assert torch.equal(both, noisy * (holes != 0).any(2, keepdim=True))


def encoded(*texts: list[int]) -> Tokens:
    longest = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts])
    mask = (torch.arange(longest) < torch.tensor([[len(text)] for text in texts])).long()
    return Tokens(ids, mask, torch.zeros_like(ids))


def tokens_under(name: str, texts: list[list[int]]) -> Tokens:
    batch = Batch(
        rows=torch.arange(len(texts)), tokens=encoded(*texts), labels=torch.zeros(len(texts))
    )
    draws = made(len(texts))
    damage = damage_of(Condition.parse(name), draws)
    hit = corrupt(batch, damage, draws, Units(deviations={}, unknown=100))
    assert hit.tokens is not None
    return hit.tokens


TEXTS = [[2, *range(1000 + 50 * n, 1000 + 50 * n + 3 * n), 3] for n in range(12)]


@pytest.mark.parametrize("name", ["noise=0.5", "lnln=0.5", "lnln@published=0.5"])
def test_unknown_words_stand_where_words_stood(name):
    hit = tokens_under(name, TEXTS)
    lost = 0
    for before, after, mask in zip(TEXTS, hit.ids.tolist(), hit.mask, strict=True):
        assert int(mask.sum()) == len(before)
        assert (after[0], after[len(before) - 1]) == (2, 3)
        pairs = list(zip(before, after, strict=False))
        assert all(b == a or a == 100 for b, a in pairs)
        lost += sum(a == 100 for _, a in pairs)
    assert 0.4 < lost / sum(len(text) - 2 for text in TEXTS) < 0.6


@pytest.mark.parametrize("name", ["element=0.5", "block=0.5", "noise=0.5,element=0.5"])
def test_missing_words_leave_no_gap_and_their_order(name):
    hit = tokens_under(name, TEXTS)
    for before, after, mask in zip(TEXTS, hit.ids.tolist(), hit.mask, strict=True):
        length = int(mask.sum())
        assert mask[:length].all() and after[length:] == [0] * (len(after) - length)
        assert (after[0], after[length - 1]) == (2, 3)
        kept = [word for word in after[1 : length - 1] if word != 100]
        assert kept == [word for word in before if word in kept]
    assert hit.mask.sum() < encoded(*TEXTS).mask.sum()


def test_without_a_modality_there_is_one_empty_frame_or_both_ends(split, corrupter):
    source = source_of(split, *STREAMS, "tokens")
    hit = under(corrupter, only("vision"), source, torch.arange(9))
    for name in ("text", "audio"):
        assert stream(hit, name).lengths.tolist() == [1] * 9
        assert not stream(hit, name).values.any()
        assert not hit.present[name].any()
    assert hit.tokens is not None
    assert hit.tokens.mask.sum(1).tolist() == [2] * 9
    assert hit.tokens.ids[:, :2].tolist() == [[2, 3]] * 9
    assert hit.present["vision"].all()


@pytest.mark.parametrize("rate", [0.3, 0.9, 0.999])
def test_one_modality_always_stays(rate):
    draws = made(4000)
    gone = damage_of(Condition(missing=rate, how="modality"), draws).gone
    dropped = torch.stack([gone[name] for name in MODALITIES]).double()
    assert dropped.sum(0).max() <= 2
    expected = rate - rate**3 / 3  # all would go with η³; one of them stays then
    assert abs(float(dropped.mean()) - expected) < 0.02


def test_under_the_last_rate_none_stays():
    gone = damage_of(Condition(missing=1.0, how="modality"), made(50)).gone
    assert all(gone[name].all() for name in MODALITIES)


# LNLN's literal protocol


def test_published_draws_are_those_of_the_released_code(split, corrupter):
    """Re-derived: one legacy generator, set to 1111 anew for each modality, keeps U > rate."""
    source, rows, rate = source_of(split), torch.arange(len(split)), 0.4
    hit = under(corrupter, Condition(missing=rate, how="lnln@published"), source, rows)
    clean = source.gather(rows)
    for name in ("audio", "vision"):
        frames = stream(clean, name).frames
        kept = np.random.RandomState(1111).uniform(size=(len(split), frames)) > rate
        expected = stream(clean, name).untrimmed().numpy() * kept[:, :, None]
        np.testing.assert_array_equal(stream(hit, name).untrimmed().numpy(), expected)


def test_published_masks_of_equal_streams_are_equal_and_ours_are_not(split, corrupter):
    """Audio and vision of the compact twins have 40 frames each."""
    holes = {}
    for how in ("lnln", "lnln@published"):
        hit = under(
            corrupter, Condition(missing=0.5, how=how), source_of(split), torch.arange(len(split))
        )
        both = stream(hit, "audio").mask & stream(hit, "vision").mask
        a, v = ((stream(hit, name).values == 0).all(2) for name in ("audio", "vision"))
        holes[how] = float((a == v)[both].double().mean())
    assert holes["lnln@published"] == 1.0
    assert 0.45 < holes["lnln"] < 0.55


# Laws of training


@pytest.mark.parametrize("law", ["spectrum", "lnln"])
def test_half_of_the_clips_stay_clean(law):
    damage = laws[law].damage(LawDraws(made(4000)))
    rates = torch.stack([*damage.noise.values(), *damage.missing.values()])
    gone = torch.stack([*damage.gone.values(), torch.zeros(4000, dtype=torch.bool)])
    clean = (rates == 0).all(0) & ~gone.any(0)
    assert abs(float(clean.double().mean()) - 0.5) < 0.03
    hit = rates[0][~clean]
    assert stats.kstest(hit.numpy(), "uniform").pvalue > 1e-3


def test_spectrum_hits_modalities_by_themselves_and_leaves_one():
    damage = laws["spectrum"].damage(LawDraws(made(4000)))
    hit = damage.noise["text"] > 0
    found = np.corrcoef([damage.noise[name][hit].numpy() for name in MODALITIES])
    assert np.abs(np.triu(found, 1)).max() < 0.1
    assert torch.stack(list(damage.gone.values())).sum(0).max() <= 2
    assert any(gone.any() for gone in damage.gone.values())
    assert not damage.block


def test_the_released_configuration_of_qa_moe():
    damage = laws["code"].damage(LawDraws(made(20_000)))
    assert all((rate == 0.1).all() for rate in damage.noise.values())
    dropped = torch.stack([damage.gone[name] for name in MODALITIES])
    assert abs(float(dropped.any(0).double().mean()) - 0.1) < 0.01
    patterns, counts = dropped.T[dropped.any(0)].unique(dim=0, return_counts=True)
    assert len(patterns) == 6 and not patterns.all(1).any()
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def batches_under(law: str, *, clips: int, count: int):
    """What ``count`` batches of different clips suffer."""
    keys = clip_keys("mosi", "train", [f"v_{clip}" for clip in range(clips * count)])
    for rows in torch.arange(clips * count).split(clips):
        draws = Draws(keys[rows], 0, rows=rows, size=clips * count)
        yield laws[law].damage(LawDraws(draws))


@pytest.mark.parametrize(("law", "most"), [("batch", 1.0), ("batch@0.7", 0.7)])
def test_one_strength_of_noise_and_one_rate_for_a_whole_batch(law, most):
    noise, shares = [], []
    for damage in batches_under(law, clips=64, count=600):
        rates = torch.cat([damage.noise[name] for name in MODALITIES])
        assert len(rates.unique()) == 1  # all clips, all modalities
        noise.append(float(rates[0]))
        gone = torch.stack([damage.gone[name] for name in MODALITIES])
        assert not gone.all(0).any()
        shares.append(float(gone.double().mean()))
        assert not damage.missing and not damage.block
    assert stats.kstest(np.divide(noise, most), "uniform").pvalue > 1e-3
    # A modality is lost with probability η, but for the one that stays where all three would go.
    assert np.mean(shares) == pytest.approx(most / 2 - most**3 / 4 / 3, abs=0.02)
    assert np.std(shares) > 0.15  # batches differ by their η, not by chance alone
    assert abs(np.corrcoef(noise, shares)[0, 1]) < 0.15


def test_the_rates_of_a_batch_are_in_its_clips():
    """Binomial about η: with a modality lost in a share of clips, others are lost in that share."""
    shares = np.array(
        [
            [float(damage.gone[name].double().mean()) for name in MODALITIES]
            for damage in batches_under("batch", clips=256, count=100)
        ]
    )
    assert np.corrcoef(shares.T)[np.triu_indices(3, 1)].min() > 0.97


def test_a_batch_draw_is_of_its_clips_in_any_order():
    keys = clip_keys("mosi", "train", [f"v_{clip}" for clip in range(10)])

    def draw(rows, seed=0):
        rows = torch.tensor(rows)
        return LawDraws(Draws(keys[rows], seed, rows=rows, size=10)).batch("λ")

    first = draw([1, 2, 3, 4])
    assert first.shape == (4,) and len(first.unique()) == 1
    assert torch.equal(first, draw([4, 3, 2, 1]))
    others = [draw([1, 2, 3, 5]), draw([1, 2, 3]), draw([1, 2, 3, 4], seed=1)]
    assert len({float(value[0]) for value in (first, *others)}) == 4


def test_noise_comes_first_and_lost_modalities_are_zero(split, corrupter):
    """(1 - I)(u + ε): ε in units of the training deviation, nothing where I is 1."""
    source, rows = source_of(split, *STREAMS, "tokens"), torch.arange(len(split))
    clean = source.gather(rows)
    draws = corrupter.draws(clean.rows, 7)
    damage = laws["batch"].damage(LawDraws(draws))
    seen = corrupter.varying(source, "batch").at(7).gather(rows)
    strength = float(damage.noise["audio"][0])
    for name in ("audio", "vision"):
        before, after, gone = stream(clean, name), stream(seen, name), damage.gone[name]
        assert gone.any() and not gone.all()
        assert not after.values[gone].any()
        assert torch.equal(seen.present[name], ~gone)
        scale = torch.from_numpy(deviations(split.corpus, name))
        length = after.values.shape[1]
        inside = torch.arange(length) < before.lengths.unsqueeze(1)
        inside &= ~gone.unsqueeze(1)
        added = ((after.values - before.values[:, :length]) / scale)[inside]
        added = added[:, scale > 0]
        assert float(added.std()) == pytest.approx(strength, rel=0.05)
        assert float(added.mean()) == pytest.approx(0.0, abs=0.05 * strength)
    said = seen.tokens.mask.sum(1)
    assert (said[damage.gone["text"]] == 2).all()  # the end tokens


@pytest.mark.parametrize("law", ["spectrum", "code", "lnln", "batch", "element=0.5"])
def test_every_epoch_draws_anew_and_a_seed_draws_again(split, corrupter, law):
    source = corrupter.varying(source_of(split), law)
    rows = torch.arange(len(split))
    first, again, other = (stream(source.at(s).gather(rows), "audio").values for s in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    clean = stream(source.gather(rows), "audio").values
    assert torch.equal(clean, stream(source_of(split).gather(rows), "audio").values)


def test_lnln_as_published_is_static(split, corrupter):
    source, rows = corrupter.varying(source_of(split), "lnln@published"), torch.arange(10)
    first, other = (stream(source.at(seed).gather(rows), "audio").values for seed in (5, 6))
    assert torch.equal(first, other)


# Splits and files


@pytest.mark.parametrize("condition", SOME, ids=lambda condition: condition.name)
def test_a_corrupted_split_holds_what_batches_show(split, corrupter, condition):
    found = split_under(split, condition, corrupter, frozenset(STREAMS))
    rows = torch.arange(len(split))
    shown = under(corrupter, condition, source_of(split), rows)
    for name in STREAMS:
        mine = found.stream(name)
        np.testing.assert_array_equal(mine.values, stream(shown, name).untrimmed().numpy())
        np.testing.assert_array_equal(mine.lengths, stream(shown, name).lengths.numpy())
    assert found.texts == split.texts
    np.testing.assert_array_equal(found.labels, split.labels)


@pytest.mark.parametrize("corpus_name", ["sims-twin@compact-x10", "mosi-twin@compact-x10"])
def test_transcripts_lose_the_words_that_tokens_lose(tmp_path, corpus_name):
    split = data.load(corpus_name, Home(tmp_path)).split("test")
    corrupter = Corrupter(split)
    joint = "" if split.corpus.dataset.language == "zh" else " "
    for name in ("noise=0.5", "element=0.5", "modality=0.6"):
        condition = Condition.parse(name)
        texts = split_under(split, condition, corrupter, frozenset({"transcript"})).texts
        assert texts != split.texts
        for before, after in zip(split.texts, texts, strict=True):
            own = list(before) if joint == "" else before.split()
            rest = [*after.replace("[UNK]", "?")] if joint == "" else after.split()
            left = iter(own)
            assert all(word in ("?", "[UNK]") or word in left for word in rest)  # a subsequence
    silent = split_under(split, only("audio"), corrupter, frozenset({"transcript"}))
    assert set(silent.texts) == {""}


def test_a_mask_file_gives_the_same_masks(split, corrupter, tmp_path):
    path = tmp_path / "masks.parquet"
    digest = write_masks(split, "spectrum", path)
    masks = read_masks(path)
    assert masks.digest == digest
    assert list(masks.ids) == split.ids
    source = source_of(split, *STREAMS, "tokens")
    rows = torch.tensor([5, 0, 11])
    batch = source.gather(rows)
    units = Units(deviations={}, unknown=1)
    recorded, drawn = masks.draws(rows), corrupter.draws(rows)
    for condition, name in itertools.product(grid("spectrum")[1:], ("text", "audio")):
        if condition.noise and name == "audio":
            continue  # noise of streams is not in the file
        only_it = dataclasses.replace(condition, hit=(name,)) if condition.noise else condition
        theirs = corrupt(batch, damage_of(only_it, recorded), recorded, units)
        mine = corrupt(batch, damage_of(only_it, drawn), drawn, units)
        assert torch.equal(stream(theirs, name).values, stream(mine, name).values)
        assert theirs.tokens is not None and mine.tokens is not None
        assert torch.equal(theirs.tokens.ids, mine.tokens.ids)


def test_a_file_that_is_no_mask_file_or_a_damaged_one_is_refused(split, tmp_path):
    import pyarrow.parquet as pq

    path = tmp_path / "masks.parquet"
    path.write_bytes(b"masks")
    with pytest.raises(DataError, match="no mask file"):
        read_masks(path)
    write_masks(split, "sets", path)
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(DataError):
        read_masks(path)
