"""IMDer: sizes, the diffusion against closed forms, who is missing, what a prediction may see."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.nn.functional import conv1d, conv_transpose1d, group_norm, silu

from baselines._shared.transformer import CrossModalEncoder
from baselines.imder import IMDER
from baselines.imder.diffusion import fixed_noise, fresh_noise, sampled, score_errors, std
from baselines.imder.parts import NAMES, RATES, CrossModalReader, Refiner, dealt, kept_streams
from baselines.imder.score import ScoreNetwork, StepNorm
from baselines.mult import MULT, CrossModalFusion
from baselines.tests.clips import a_batch, build, parameters
from harness.data.batching import Tokens
from harness.errors import SpecError
from harness.system import Dims
from harness.training import total_loss

COUNTS = {"mosi": 122_484_049, "mosei": 122_944_465}
BERT = 109_482_240


@pytest.mark.parametrize("dataset", COUNTS)
def test_network_has_the_published_size(dataset):
    count = parameters(IMDER, dataset, features="aligned-50", quirk="published")
    assert count == COUNTS[dataset]
    assert count - BERT == {"mosi": 13_001_809, "mosei": 13_462_225}[dataset]


def test_parts_have_the_published_sizes():
    with torch.device("meta"):
        score, refiner = ScoreNetwork(32, 8, 2, 256, CrossModalEncoder), Refiner(32, 20)
    assert sum(p.numel() for p in score.parameters()) == 3_457_664
    assert sum(p.numel() for p in score.parameters() if not p.requires_grad) == 128
    assert sum(p.numel() for p in refiner.parameters()) == 522_224


# --- the diffusion ---------------------------------------------------------------------------


@pytest.mark.parametrize("time", [1e-5, 1e-3, 0.1, 0.5, 1.0])
def test_deviation_is_what_the_noise_adds_up_to(time):
    """The variance at t is the integral of σ^2s from 0 to t."""
    variance, _ = quad(lambda s: 25.0 ** (2 * s), 0.0, time)
    found = std(torch.tensor(time, dtype=torch.float64)).item()
    assert found == pytest.approx(math.sqrt(variance), rel=1e-9)


CENTRE, SPREAD = 2.0, 1.5


def gaussian(stream, time, _condition):
    """The score of N(centre, spread²) after t: what an ideal network knows."""
    variance = SPREAD**2 + std(time)[:, None, None].square()
    return (CENTRE - stream) / variance


def test_sampling_with_an_exact_score_recovers_its_moments():
    generator = torch.Generator().manual_seed(0)
    like = torch.zeros(4000, 2, 3)
    drawn = sampled(gaussian, like, 200, lambda: torch.randn(like.shape, generator=generator))
    assert drawn.mean().item() == pytest.approx(CENTRE, abs=0.05)
    assert drawn.std().item() == pytest.approx(SPREAD, rel=0.04)
    across = np.corrcoef(drawn.flatten(1).T.numpy()) - np.eye(6)
    assert np.abs(across).max() < 0.08, "features and steps are drawn apart"


def test_sampling_takes_the_steps_that_are_written():
    """Three steps in numpy's order of things; the last has no noise on the stream."""
    generator = np.random.default_rng(0)
    lines = [generator.standard_normal((1, 1, 2)) for _ in range(7)]
    rest = iter(torch.from_numpy(line) for line in lines)
    condition = torch.full((1, 1, 2), 0.7, dtype=torch.float64)

    def score(x, t, c):
        return -x / (1 + t[:, None, None]) + 0.1 * c

    found = sampled(score, condition, 3, lambda: next(rest))
    times = np.linspace(1, 1e-3, 3)

    def deviation(t):
        return math.sqrt((25 ** (2 * t) - 1) / (2 * math.log(25)))

    x, gap = deviation(1) * lines[0], times[0] - times[1]
    for k, t in enumerate(times):
        c = 0.7 + deviation(t) * lines[1 + 2 * k]
        mean = x + 25 ** (2 * t) * gap * (-x / (1 + t) + 0.1 * c)
        x = mean + math.sqrt(gap) * 25**t * lines[2 + 2 * k]
    np.testing.assert_allclose(found.numpy(), mean, rtol=1e-5)
    assert next(rest, None) is None


def test_score_errors_have_their_closed_form():
    """For x ~ N(0, v): E (s std + z)² is v / (v + std²) by coordinate when s is exact, 1 when 0."""
    torch.manual_seed(0)
    stream = CENTRE + SPREAD * torch.randn(40_000, 1, 2)
    times = np.linspace(1e-5, 1, 20_001)
    variances = (25 ** (2 * times) - 1) / (2 * math.log(25))
    expected = 2 * np.mean(SPREAD**2 / (SPREAD**2 + variances))
    exact = score_errors(gaussian, stream, stream, None)
    assert exact.mean().item() == pytest.approx(expected, rel=0.02)
    none = score_errors(lambda x, _t, _c: 0 * x, stream, stream, None)
    assert none.mean().item() == pytest.approx(2.0, rel=0.02)
    mask = torch.tensor([[True, False]]).expand(len(stream), -1)
    half = score_errors(lambda x, _t, _c: 0 * x, stream, stream, mask)
    assert half.mean().item() == pytest.approx(1.0, rel=0.03)


def test_stream_and_condition_get_the_same_noise():
    seen = []
    stream, condition = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
    score_errors(lambda x, t, c: seen.append((x, t, c)) or x, stream, condition, None)
    ((x, t, c),) = seen
    assert torch.allclose(c - 1, x, atol=1e-5) and x.std() > 0
    assert t.min() > 0 and t.max() <= 1 and t[0] != t[1]


# --- the score network and the refiner -------------------------------------------------------


def test_score_network_is_the_u_net_that_is_written():
    """Every level written out with torch's functions, 8 steps, nothing masked."""
    torch.manual_seed(0)
    network = ScoreNetwork(16, 2, 1, 8, CrossModalEncoder).double()
    x, condition = torch.randn(2, 3, 16, 8).double()
    c, time = condition, torch.tensor([0.2, 0.5, 1.0]).double()
    angles = 2 * math.pi * time[:, None] * network.frequencies[None]
    features = torch.cat([angles.sin(), angles.cos()], dim=1)
    e = network.time(features) * network.time(features).sigmoid()

    def attended(level, h):
        return h + level.read(h.transpose(1, 2), c.transpose(1, 2)).transpose(1, 2)

    def closed(level, h, groups):
        h = h + level.when(e)[:, :, None]
        return silu(group_norm(h, groups, level.norm.weight, level.norm.bias))

    levels, h = [], x
    for k, level in enumerate(network.down):
        stride = 1 if k == 0 else 2
        h = conv1d(h, level.convolve.weight, stride=stride, padding=1)
        if k:
            c = conv1d(c, level.follow.weight, stride=2, padding=1)
        h = closed(level, attended(level, h), 4 if k == 0 else math.gcd(32, h.shape[1]))
        levels.append(h)
    assert [tuple(h.shape[1:]) for h in levels] == [(16, 8), (32, 4), (64, 2), (128, 1)]
    twice = {"stride": 2, "padding": 1, "output_padding": 1}
    for k, level in enumerate(network.up[:3]):
        h = h if k == 0 else torch.cat([h, levels[3 - k]], dim=1)
        h = conv_transpose1d(h, level.convolve.weight, **twice)
        c = conv_transpose1d(c, level.follow.weight, **twice)
        h = closed(level, attended(level, h), math.gcd(32, h.shape[1]))
    last = network.up[3]
    h = torch.cat([h, levels[0]], dim=1)
    h = conv_transpose1d(h, last.convolve.weight, last.convolve.bias, padding=1)
    c = conv_transpose1d(c, last.follow.weight, last.follow.bias, padding=1)
    expected = attended(last, h) / std(time)[:, None, None]
    torch.testing.assert_close(network(x, time, condition), expected)


@pytest.mark.parametrize("steps", [1, 2, 5, 7])
def test_steps_that_are_not_there_change_no_score(steps):
    torch.manual_seed(0)
    network = ScoreNetwork(16, 2, 1, 8, CrossModalEncoder).double()
    x, c = torch.randn(2, 2, 16, 9).double()
    mask = torch.arange(9) < torch.tensor([[steps], [9]])
    time = torch.tensor([0.3, 0.9]).double()
    alone = network(x[:1, :, :steps], time[:1], c[:1, :, :steps], mask[:1, :steps])
    torch.testing.assert_close(network(x, time, c, mask)[:1, :, :steps], alone)
    norm = StepNorm(4, 16).double()
    torch.testing.assert_close(norm(x, mask)[:1, :, :steps], norm(x[:1, :, :steps]))
    refiner = Refiner(16, 2).double()
    known = x * mask[:, None]
    torch.testing.assert_close(
        refiner(known, mask)[:1, :, :steps], refiner(known[:1, :, :steps], None)
    )


def test_a_refiner_gates_its_convolutions_by_their_mean():
    torch.manual_seed(0)
    refiner, x = Refiner(8, 2).double(), torch.randn(1, 8, 5).double()

    def convolved(layer, values):
        return conv1d(values, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)

    start = state = convolved(refiner.enter, x)
    for block in refiner.blocks:
        change = convolved(block.second, convolved(block.first, state).clamp(min=0))
        narrow = convolved(block.gate[0], change.mean(2, keepdim=True)).clamp(min=0)
        state = state + change * torch.sigmoid(convolved(block.gate[2], narrow))
    expected = convolved(refiner.leave, start + convolved(refiner.join, state))
    torch.testing.assert_close(refiner(x, None), expected)


def test_fusion_is_mults_behind_its_convolutions():
    """With its weights and kernels of one that pass everything on."""
    torch.manual_seed(0)
    params = MULT.resolve("mosi", {"hidden": 8, "heads": 2, "layers": 1, "text_kernel": 1})
    params = dataclasses.replace(params, audio_kernel=1, vision_kernel=1)
    dims = Dims(text=(4, 8), audio=(4, 8), vision=(4, 8), low=-3, high=3)
    mult = CrossModalFusion(dims, params).eval()
    layers = {8: 1, 16: 3}
    ours = CrossModalReader(8, lambda width, _read: CrossModalEncoder(width, 2, layers[width]), 0.0)
    state = mult.state_dict()
    for at, name in enumerate(ours.order):
        for key in [k for k in state if k.startswith(f"memories.{at}.")]:
            state[key.replace(f".{at}.", f".{name}.", 1)] = state.pop(key)
    ours.load_state_dict({k: v for k, v in state.items() if not k.startswith("convolutions")})
    steps = {m: torch.randn(3, 8, 4) for m in ours.order}
    mask = torch.arange(4) < torch.tensor([[2], [4], [1]])
    read = {m: s.transpose(1, 2) for m, s in steps.items()}
    masks = dict.fromkeys(read, mask)
    fused = torch.cat(
        [
            mult._remember(m, memory, read, masks)
            for m, memory in zip(ours.order, mult.memories, strict=True)
        ],
        dim=1,
    )
    expected = mult.head(fused + mult.residual(fused)).squeeze(1)
    torch.testing.assert_close(ours(steps, mask), expected)


# --- who is missing --------------------------------------------------------------------------


def as_the_trainer_counts(batches, rate):
    """The bookkeeping of the released loop: how many streams each batch of an epoch keeps."""
    one = [0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0][int(rate * 10 - 1)]
    two = [0.1, 0.2, 0.3, 0.2, 0.1, 0.0, 0.0][int(rate * 10 - 1)]
    whole, kept, seen = np.round(batches / 10) * 10, [], {1: 0, 2: 0, 3: 0}
    for _ in range(batches):
        count = 1 if seen[1] / whole < one else 2 if seen[2] / whole < two else 3
        seen[count] += 1
        kept.append(count)
    return kept


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("batches", [6, 8, 22, 41, 128, 145])
def test_batches_are_dealt_as_the_trainer_does(batches, rate):
    dealt_out = [dealt(number, batches, rate) for number in range(batches)]
    assert dealt_out == as_the_trainer_counts(batches, rate)


def test_few_batches_are_dealt_by_their_number():
    assert [dealt(k, 5, 0.5) for k in range(5)] == [1, 1, 1, 1, 2]
    assert [dealt(k, 1, 0.1) for k in range(1)] == [1]


@pytest.mark.parametrize("rate", RATES)
def test_shares_take_away_as_many_streams_as_the_rate_says(rate):
    one, two = RATES[rate]
    assert (2 * one + two) / 3 == pytest.approx(rate, abs=0.034)  # 0.7 stands for two thirds


def test_every_stream_is_as_likely_to_be_kept():
    torch.manual_seed(0)
    for count in (1, 2, 3):
        kept = kept_streams(torch.full((30_000,), count))
        assert (kept.sum(1) == count).all()
        assert torch.allclose(kept.float().mean(0), torch.full((3,), count / 3), atol=0.01)


# --- the network -----------------------------------------------------------------------------


@pytest.fixture
def make(encoder, small):
    return lambda **changes: build(IMDER, encoder, small, **changes)


def without(batch, **gone):
    """The batch after corruption that left nothing of these streams of these clips."""
    present = {
        m: torch.tensor([i not in gone.get(m, ()) for i in range(len(batch))]) for m in NAMES
    }
    return dataclasses.replace(batch, present=present)


def only(batch, rows):
    """Some of the clips, as they are."""
    part = torch.tensor(rows)
    changed = {
        m: dataclasses.replace(
            getattr(batch, m),
            values=getattr(batch, m).values[part],
            lengths=getattr(batch, m).lengths[part],
        )
        for m in ("audio", "vision")
    }
    told = batch.tokens
    tokens = Tokens(told.ids[part], told.mask[part], told.segments[part])
    present = {m: values[part] for m, values in batch.present.items()}
    return dataclasses.replace(
        batch,
        rows=batch.rows[part],
        labels=batch.labels[part],
        tokens=tokens,
        present=present,
        **changed,
    )


def test_what_is_drawn_for_a_clip_depends_on_the_clip_alone(make):
    network = make(diffusion_steps=5).eval()
    batch = without(a_batch(), text=(0,), audio=(0, 1), vision=(2,))
    together = network(batch).prediction
    assert torch.equal(network(batch).prediction, together)
    for rows in ([0], [1], [2], [2, 0, 1]):
        found = network(only(batch, rows)).prediction
        assert torch.allclose(found, together[torch.tensor(rows)], atol=1e-5), rows


def test_a_missing_stream_is_not_read_and_is_made_of_noise(make):
    network, batch = make().eval(), a_batch()
    lost = without(batch, audio=(0, 1, 2))
    loud = dataclasses.replace(batch.audio, values=batch.audio.values * 50)
    prediction = network(lost).prediction
    assert torch.equal(network(dataclasses.replace(lost, audio=loud)).prediction, prediction)
    assert not torch.allclose(network(batch).prediction, prediction, atol=1e-4)


def test_a_complete_clip_is_read_by_the_fusion_alone(make):
    network, batch = make().eval(), a_batch()
    streams, mask = network._projected(batch)
    assert torch.equal(network(batch).prediction, network.fusion(streams, mask))
    network._learn_prediction()
    assert torch.equal(network(batch).prediction, network.fusion(streams, mask))


def test_a_clip_that_lost_everything_is_read_as_its_text(make):
    network, batch = make().eval(), a_batch()
    nothing = without(batch, **dict.fromkeys(NAMES, (0, 1, 2)))
    text = without(batch, audio=(0, 1, 2), vision=(0, 1, 2))
    assert torch.equal(network(nothing).prediction, network(text).prediction)


def test_streams_meet_on_the_steps_of_the_longest(make):
    """Where features are aligned nothing moves: a window of three frames is one of the text's."""
    network, batch = make().eval(), a_batch(words=(4, 6, 3), audio=(4, 6, 3), vision=(4, 6, 3))
    streams, mask = network._projected(batch)
    assert mask.tolist() == [[True, True, False, False], [True] * 4, [True, False, False, False]]
    weight = network.project["audio"].weight
    expected = conv1d(batch.audio.values.mT, weight)
    assert torch.allclose(streams["audio"] * mask[:, None], expected * mask[:, None], atol=1e-6)
    long = a_batch(words=(4, 6, 3), audio=(9, 8, 7), vision=(1, 1, 1))
    assert make(max_tokens=8)._projected(long)[1].sum(1).tolist() == [6, 6, 5]


def test_as_released_all_have_48_steps(make):
    streams, mask = make(quirk="published")._projected(a_batch())
    assert mask is None and {s.shape for s in streams.values()} == {(3, 16, 48)}


@pytest.mark.parametrize("kept", [(True, False, False), (False, True, True), (True, False, True)])
def test_the_condition_is_what_is_there(make, kept):
    network = make()
    streams = {m: torch.randn(1, 16, 4) for m in NAMES}
    for at, name in enumerate(NAMES):
        if kept[at]:
            continue
        found = network._condition(name, streams, torch.tensor([kept]))
        there = [m for m, has in zip(NAMES, kept, strict=True) if has]
        expected = streams[there[0]]
        if len(there) == 2:
            layer = network.pairs["_".join(there)]
            joined = torch.cat([streams[m] for m in there], dim=1)
            expected = conv1d(joined, layer.weight, layer.bias)
        assert torch.allclose(found, expected, atol=1e-6)


def test_losses_are_those_of_what_was_lost(make):
    """A clip lost audio, two lost nothing; the loss is a third of the clip's."""
    network, batch = make(generation_weight=0.7).train(), a_batch()
    streams, mask = network._projected(batch)
    kept = torch.ones(3, 3, dtype=torch.bool)
    kept[1, 2] = False
    torch.manual_seed(3)
    filled, losses = network._filled(streams, mask, kept, ~kept)
    torch.manual_seed(3)
    own, c = mask[1:2], network._condition("audio", streams, kept)[1:2] * mask[1:2, None]

    def score(x, t, seen):
        return network.scores["audio"](x, t, seen, own)

    drawn = network.refine["audio"](sampled(score, c, 2, fresh_noise(c)), own)
    errors = score_errors(score, streams["audio"][1:2], c, own)
    gap = ((drawn - streams["audio"][1:2]) * own[:, None]).square().sum() / (16 * own.sum())
    assert torch.allclose(losses["score"], 0.7 * errors[0] / 3)
    assert torch.allclose(losses["rebuilt"], 0.7 * gap / 3)
    assert torch.equal(filled["audio"][1:2], drawn)
    assert all(torch.equal(filled["audio"][i], streams["audio"][i]) for i in (0, 2))
    assert filled["text"] is streams["text"]


def test_streams_that_corruption_took_are_no_targets(make):
    network = make(missing_rate=0.7).train()
    seen = []
    filled = network._filled
    network._filled = lambda *given: seen.append(given[2:]) or filled(*given)
    for _ in range(6):
        network(without(a_batch(), audio=(0, 1, 2), text=(2,)))
    for kept, lost in seen:
        assert kept.any(1).all() and not (kept & lost).any()
        assert not kept[:, 2].any() and not lost[:, 2].any() and not lost[2, 0]


def test_training_takes_from_clips_and_as_released_from_batches(make):
    torch.manual_seed(0)
    batch = a_batch(words=(4,) * 400, audio=(3,) * 400, vision=(3,) * 400)
    counts = make(missing_rate=0.4).train()._kept(batch).sum(1)
    shares = torch.bincount(counts, minlength=4)[1:] / 400
    assert torch.allclose(shares, torch.tensor([0.5, 0.2, 0.3]), atol=0.07)
    released = make(quirk="published", missing_rate=0.4).train()
    released._batches = 20
    kept = [released._kept(batch) for _ in range(20)]
    assert all((k == k[0]).all() for k in kept)
    assert [int(k[0].sum()) for k in kept] == [1] * 10 + [2] * 4 + [3] * 6
    released.begin_epoch(2)
    assert released._kept(batch)[0].sum() == 1
    assert make().eval()._kept(batch).all()
    drawn = {int(released.eval()._kept(batch)[0].sum()) for _ in range(60)}
    assert drawn == {1, 2, 3}, "in evaluation, too"


def test_released_evaluation_goes_by_training_batches(make):
    order = make(quirk="published").evaluation_order(20)
    assert [len(rows) for rows in order] == [8, 8, 4]
    assert make().evaluation_order(20) is None


def trained(network):
    return {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("quirk", ["fixed", "published"])
def test_the_first_stage_learns_to_predict_the_second_to_generate(make, quirk):
    network, batch = make(quirk=quirk, missing_rate=0.7), a_batch()
    first, second = network.stages(network.params)
    first.enter()
    assert trained(network) == {"encoder", "project", "fusion"}
    rates = [group.get("lr") for group in network.parameter_groups(network.params)]
    assert rates == [None, 5e-5]
    output = network.train()(batch)
    assert not output.losses and network.encoder.training
    second.enter()
    assert trained(network) == {"scores", "pairs", "refine", "fusion"}
    assert len(network.parameter_groups(network.params)) == 1
    output = network.train()(batch)
    assert network.encoder.training == (quirk == "published")
    total_loss(output, batch, network.params).backward()
    reached = {n for n, p in network.named_parameters() if p.grad is not None}
    assert not any(name.startswith(("encoder", "project")) for name in reached)
    assert not any(name.endswith("frequencies") for name in reached)


def test_noise_of_evaluation_is_one_table():
    like = torch.zeros(5, 3, 4)
    noise, again = (fixed_noise(like, 2, 6, seed=1) for _ in range(2))
    lines = torch.cat([noise() for _ in range(5)])
    assert lines.shape == (5, 3, 4) and abs(lines.std().item() - 1) < 0.3
    assert torch.equal(lines, torch.cat([again() for _ in range(5)]))
    longer = fixed_noise(torch.zeros(1, 3, 6), 2, 6, seed=1)()
    assert torch.equal(longer[:, :, :4], lines[:1]), "a longer batch draws the same"
    assert not torch.equal(fixed_noise(like, 2, 6, seed=2)(), lines[:1])


def test_sizes_that_heads_do_not_divide_are_refused(make):
    with pytest.raises(SpecError, match="multiple of heads"):
        make(hidden=9)
