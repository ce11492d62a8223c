"""The training loop: stages, passes, accumulation, schedules, selection, and interruptions."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from harness import data
from harness.data.corpus import EXPLANATIONS, Corpus
from harness.errors import RunFailed, SpecError
from harness.home import Home
from harness.spec.protocols import protocols
from harness.system import (
    Card,
    Dims,
    Fitted,
    KnowledgeParams,
    Network,
    Output,
    Pass,
    QuirkParams,
    Stage,
    System,
    Task,
    TrainingParams,
    WarmParams,
)
from harness.system.params import ClueParams, TokenParams, TrainingProgress
from harness.text import Encoder
from harness.training import batches_of, fit_network, loop_of, predict, total_loss
from harness.training import checkpoint as resume
from harness.training.evaluation import diagnose

CARD = Card(title="Probe", paper="none", year=None)
STREAMS = frozenset({"text", "audio", "vision"})


class Linear(Network):
    """A linear model of the mean text frame, with dropout and batch statistics."""

    def __init__(self, dims: Dims, params: TrainingParams) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dims.need("text")[1])
        self.drop = nn.Dropout(0.3)
        self.line = nn.Linear(dims.need("text")[1], 1)
        self.calls: list[str] = []

    def forward(self, batch):
        mean = batch.text.values.sum(1) / batch.text.lengths.unsqueeze(1)
        return Output(self.line(self.drop(self.norm(mean))).squeeze(1))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    return data.load("mosi-twin@compact-x5", Home(tmp_path_factory.mktemp("home")))


@pytest.fixture
def task(corpus, tmp_path) -> Task:
    return Task(
        train=corpus.split("train"),
        valid=corpus.split("valid"),
        watched=corpus.split("test"),
        protocol=dataclasses.replace(protocols["in_domain"], max_epochs=6, patience=6),
        seed=1,
        device=torch.device("cpu"),
        encoder=None,
        cache=tmp_path,
    )


def system(build: type[Network], params: type[TrainingParams] = TrainingParams) -> System:
    return System(name="probe", card=CARD, params=params, inputs=STREAMS, build=build)


def fit(task: Task, build: type[Network], params: TrainingParams | None = None) -> Fitted:
    params = params or TrainingParams()
    return fit_network(system(build, type(params)), task, params)


# Schedules


def factors(params: TrainingParams, steps: int) -> list[float]:
    return [
        params.lr_factor(TrainingProgress(step=step, steps=steps, epoch=1, epochs=1))
        for step in range(steps)
    ]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_rates_rise_over_the_warmup_and_never_after(schedule, warmup):
    rates = factors(TrainingParams(schedule=schedule, warmup=warmup), 200)
    warm = round(200 * warmup)
    np.testing.assert_allclose(rates[:warm], np.arange(1, warm + 1) / max(1, warm))
    assert rates[warm] == 1.0
    assert all(later <= earlier for earlier, later in pairwise(rates[warm:]))


def test_linear_falls_evenly_and_cosine_is_half_way_at_half_time():
    np.testing.assert_allclose(factors(TrainingParams(schedule="linear"), 4), [1, 0.75, 0.5, 0.25])
    cosine = factors(TrainingParams(schedule="cosine"), 4)
    expected = [(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    np.testing.assert_allclose(cosine, expected)


def test_a_plateau_lowers_every_rate(task):
    class Stuck(Linear):
        def forward(self, batch):
            output = super().forward(batch)
            return Output(output.prediction if self.training else 0 * output.prediction)

    rates = [e.lr for e in fit(task, Stuck, TrainingParams(plateau=2, plateau_factor=0.5)).history]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4])


# Accumulation


@dataclass(frozen=True, kw_only=True)
class Sums(QuirkParams):
    pass


class Recorder(Linear):
    """Writes down the gradient that each optimiser step sees."""

    def __init__(self, dims, params):
        super().__init__(dims, params)
        self.drop, self.norm = nn.Identity(), nn.Identity()

    def parameter_groups(self, params):
        return [{"params": [self.line.bias]}]


def gradients(task: Task, params: TrainingParams, monkeypatch) -> list[float]:
    """Bias gradient of every step of the first epoch: the mean sign of the errors."""
    seen: list[float] = []
    loop = loop_of(system(Recorder, type(params)), task, params)
    (sweep,) = loop.sweeps
    step = sweep.optimizer.step
    line = loop.network.line
    monkeypatch.setattr(
        sweep.optimizer, "step", lambda: (seen.append(line.bias.grad.item()), step())
    )
    loop.train_epoch(1)
    return seen


def test_a_group_of_batches_is_one_large_batch(task, monkeypatch):
    whole = gradients(task, TrainingParams(batch_size=16, lr=0.0), monkeypatch)
    parts = gradients(task, TrainingParams(batch_size=4, accumulate=4, lr=0.0), monkeypatch)
    assert len(parts) == len(whole) == math.ceil(len(task.train) / 16)
    np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_the_published_rule_sums_and_drops_the_tail(task, monkeypatch):
    single = gradients(task, Sums(batch_size=4, lr=0.0), monkeypatch)
    summed = gradients(
        task, Sums(batch_size=4, accumulate=3, lr=0.0, quirk="published"), monkeypatch
    )
    assert len(single) % 3  # or there is no tail to drop
    assert len(summed) == len(single) // 3
    expected = [sum(single[start : start + 3]) for start in range(0, len(summed) * 3, 3)]
    np.testing.assert_allclose(summed, expected, atol=1e-6)


# Passes, stages, state


class Staged(Linear):
    """Two stages; the second has two passes with optimisers and losses of their own."""

    def __init__(self, dims, params):
        super().__init__(dims, params)
        self.early = nn.Linear(dims.need("audio")[1], 1)

    def guess(self, batch):
        return self.early(batch.audio.values.mean(1)).squeeze(1)

    def forward(self, batch):
        return Output(super().forward(batch).prediction + self.guess(batch))

    def begin(self, train, params):
        self.register_buffer("visits", torch.zeros(len(train)))
        self.register_buffer("seen", torch.zeros(len(train)))

    def begin_epoch(self, epoch):
        self.calls.append(f"epoch {epoch}")

    def after_step(self, batch, output):
        assert not torch.is_grad_enabled()
        self.visits[batch.rows] += 1
        self.seen[batch.rows] = output.prediction

    def enter(self, name):
        self.calls.append(name)
        self.line.requires_grad_(name == "main")

    def stages(self, params):
        early = Pass(
            groups=lambda _: [{"params": self.early.parameters(), "lr": 0.01}],
            loss=lambda batch: (self.guess(batch) - batch.labels).abs().mean(),
        )
        aside = Pass(
            name="aside",
            groups=lambda _: [{"params": [self.early.bias]}],
            loss=lambda batch: self.guess(batch).square().mean(),
            share=0.5,
        )
        return (
            Stage(
                name="early",
                passes=(early,),
                epochs=2,
                batch_size=8,
                predict=self.guess,
                enter=lambda: self.enter("early"),
            ),
            Stage(passes=(aside, Pass()), epochs=4, enter=lambda: self.enter("main")),
        )


def test_stages_follow_each_other_and_only_the_last_is_recorded_as_a_curve(task):
    loop = loop_of(system(Staged), task, TrainingParams())
    frozen = loop.network.line.weight.clone()
    loop.run()
    assert loop.network.calls == [
        *("early", "epoch 1", "epoch 2"),
        *("main", "epoch 1", "epoch 2", "epoch 3", "epoch 4"),
    ]
    assert [(e.stage, e.epoch) for e in loop.history] == [
        *(("early", 1), ("early", 2)),
        *(("main", epoch) for epoch in (1, 2, 3, 4)),
    ]
    assert {name: len(rows) for name, rows in loop.curves.items()} == {"valid": 4, "test": 4}
    assert not torch.equal(loop.network.line.weight, frozen)
    assert loop.network.visits.unique().tolist() == [loop.best.epoch]  # as at the best epoch


def test_a_stage_ends_at_its_best_epoch_and_trains_what_it_says(task):
    loop = loop_of(system(Staged), task, TrainingParams())
    line = loop.network.line.weight.clone()
    loop.train_epoch(1)
    assert torch.equal(loop.network.line.weight, line)
    assert [sweep.lr for sweep in loop.sweeps] == [0.01]


@pytest.mark.parametrize(("lr", "expected"), [(None, 0.25), (0.0, 0.0), (0.5, 0.5)])
def test_a_stage_without_a_rate_takes_the_systems_and_a_rate_of_zero_is_one(task, lr, expected):
    class Rated(Linear):
        def stages(self, params):
            return (Stage(lr=lr),)

    loop = loop_of(system(Rated), task, TrainingParams(lr=0.25))
    assert [sweep.lr for sweep in loop.sweeps] == [expected]


def test_a_pass_takes_its_share_of_the_batches(task):
    loop = loop_of(system(Staged), task, TrainingParams(batch_size=8))
    loop._enter(1)
    loop.train_epoch(1)
    batches = math.ceil(len(task.train) / 8)
    assert [sweep.step for sweep in loop.sweeps] == [math.ceil(batches / 2), batches]


def test_selection_may_take_the_latest_of_equals(task):
    class Same(Linear):
        def forward(self, batch):
            output = super().forward(batch)
            return Output(output.prediction if self.training else 0 * output.prediction)

    assert fit(task, Same).selected_epoch == 1
    latest = dataclasses.replace(task.protocol, selection_ties="latest")
    assert fit(dataclasses.replace(task, protocol=latest), Same).selected_epoch == 6


def test_a_loss_that_is_not_a_number_ends_the_run_with_its_epoch(task):
    class Broken(Linear):
        def forward(self, batch):
            return Output(super().forward(batch).prediction * math.nan)

    with pytest.raises(RunFailed, match="loss became nan in epoch 1"):
        fit(task, Broken)


# Interruptions


class Interrupt(Exception):
    """What a kill looks like from inside."""


@pytest.mark.parametrize("after", range(1, 6))
@pytest.mark.parametrize("build", [Linear, Staged])
def test_an_interrupted_training_ends_in_the_same_bits(task, tmp_path, monkeypatch, build, after):
    whole = loop_of(system(build), task, TrainingParams())
    whole.run()

    monkeypatch.setattr(resume, "EVERY", 0.0)
    kept = dataclasses.replace(task, resume=tmp_path / "kept.pt")
    broken = loop_of(system(build), kept, TrainingParams())
    _stop(broken, after)
    with pytest.raises(Interrupt):
        broken.run()
    assert (tmp_path / "kept.pt").is_file()

    resumed = loop_of(system(build), kept, TrainingParams())
    resumed.run()
    assert not (tmp_path / "kept.pt").exists()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value), name
    for name, rows in whole.curves.items():
        np.testing.assert_array_equal(np.stack(resumed.curves[name]), np.stack(rows))
    timeless = [dataclasses.replace(line, seconds=0) for line in whole.history]
    assert [dataclasses.replace(line, seconds=0) for line in resumed.history] == timeless
    assert resumed.best.epoch == whole.best.epoch


def _stop(loop, after: int) -> None:
    """Interrupt the loop in the middle of the epoch that follows ``after`` whole ones."""
    begin, epochs = loop.network.begin_epoch, []

    def counted(epoch: int) -> None:
        if len(epochs) == after:
            raise Interrupt
        epochs.append(epoch)
        begin(epoch)

    loop.network.begin_epoch = counted


def test_a_damaged_file_means_starting_again(task, tmp_path, caplog):
    path = tmp_path / "kept.pt"
    path.write_bytes(b"not a training")
    fitted = fit(dataclasses.replace(task, resume=path), Linear)
    assert len(fitted.history) == 6
    assert "starting again" in caplog.text


def test_no_changed_byte_of_a_kept_training_changes_the_result(task, tmp_path, monkeypatch, caplog):
    whole = loop_of(system(Linear), task, TrainingParams())
    whole.run()
    monkeypatch.setattr(resume, "EVERY", 0.0)
    path = tmp_path / "kept.pt"
    kept = dataclasses.replace(task, resume=path)
    broken = loop_of(system(Linear), kept, TrainingParams())
    _stop(broken, 3)
    with pytest.raises(Interrupt):
        broken.run()
    content = path.read_bytes()
    draw = random.Random(11)
    for _ in range(40):
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= draw.randrange(1, 256)
        path.write_bytes(flipped)
        caplog.clear()
        again = loop_of(system(Linear), kept, TrainingParams())
        again.run()
        (line,) = caplog.messages
        assert line.startswith("the kept training kept.pt is damaged: ")
        assert line.endswith("starting again")
        for name, value in whole.network.state_dict().items():
            assert torch.equal(again.network.state_dict()[name], value), name


def test_a_damaged_kept_training_is_said_once(task, tmp_path, caplog):
    path = tmp_path / "kept.pt"
    path.write_bytes(b"not a training")
    for _ in range(2):
        assert resume.TrainingCheckpoint(path).load(torch.device("cpu")) is None
    assert len(caplog.messages) == 1
    assert not path.exists()


def test_a_full_disk_costs_the_resume_and_not_the_run(task, tmp_path, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(torch, "save", full)
    fitted = fit(dataclasses.replace(task, resume=tmp_path / "kept.pt"), Linear)
    assert len(fitted.history) == 6
    assert "No space left" in caplog.text
    assert not list(tmp_path.glob("*kept*"))


# Inputs


@pytest.fixture(scope="session")
def encoder(corpus, tmp_path_factory) -> Encoder:
    from harness.testing import tiny_encoder

    texts = [text for name in ("text", *EXPLANATIONS) for text in corpus.clips[name]]
    return Encoder("tiny", tiny_encoder(tmp_path_factory.mktemp("encoder"), texts))


Reading = Callable[..., list[list[int]]]


@pytest.fixture
def ids(task, encoder) -> Reading:
    """Token ids of the valid clips under some parameters, without padding."""

    def read(name: str, params: TokenParams) -> list[list[int]]:
        probe = System(
            name="probe",
            card=CARD,
            params=type(params),
            inputs=frozenset({"tokens", *EXPLANATIONS}),
            build=Linear,
        )
        source = batches_of(probe, task.valid, dataclasses.replace(task, encoder=encoder), params)
        batch = next(source.in_order(1000))
        tokens = batch.tokens if name == "tokens" else batch.clues[name]
        return [
            row[keep.bool()].tolist() for row, keep in zip(tokens.ids, tokens.mask, strict=True)
        ]

    return read


def test_shuffled_explanations_are_the_others_each_once(ids):
    given, shuffled = (
        ids("summary", ClueParams(explanations=kind, max_tokens=128))
        for kind in ("given", "shuffled")
    )
    assert sorted(given) == sorted(shuffled)
    assert given != shuffled
    assert shuffled == ids("summary", ClueParams(explanations="shuffled", max_tokens=128))


def test_transcripts_stand_in_for_explanations(ids):
    params = ClueParams(explanations="transcript")
    for name in EXPLANATIONS:
        assert ids(name, params) == ids("tokens", params)


def test_explanations_switched_off_are_not_read(task, encoder):
    probe = System(
        name="probe",
        card=CARD,
        params=ClueParams,
        inputs=frozenset({"tokens", *EXPLANATIONS, "clue_vectors"}),
        build=Linear,
    )
    off = ClueParams(explanations="none")
    source = batches_of(probe, task.valid, dataclasses.replace(task, encoder=encoder), off)
    batch = source.gather(torch.arange(2))
    assert not batch.clues
    assert batch.clue_vectors is None
    assert batch.tokens is not None
    assert not probe.side_info(off)
    assert probe.side_info(ClueParams())


def test_the_summary_may_follow_the_transcript(ids, task, encoder):
    joined = ids("tokens", ClueParams(tokens="transcript+summary", max_tokens=128))
    alone = ids("tokens", ClueParams(max_tokens=128))
    comments = ids("summary", ClueParams(max_tokens=128))
    for both, said, told in zip(joined, alone, comments, strict=True):
        assert both[: len(said) - 1] == said[:-1]  # but for the closing token
        assert both[-len(told) + 1 :] == told[1:]  # but for the opening one


def test_without_a_summary_the_transcript_stands_alone(ids, task):
    joined = ClueParams(tokens="transcript+summary", explanations="none")
    assert ids("tokens", joined) == ids("tokens", ClueParams())


def test_texts_are_cut_and_closed(ids, encoder):
    closing = ids("tokens", TokenParams())[0][-1]
    for row in ids("tokens", TokenParams(max_tokens=5)):
        assert len(row) <= 5
        assert row[-1] == closing


def test_stored_tokens_must_be_there_and_fit_the_encoder(task, encoder):
    probe = System(
        name="probe", card=CARD, params=TokenParams, inputs=frozenset({"tokens"}), build=Linear
    )
    params = TokenParams(tokens="corpus", max_tokens=3)
    task = dataclasses.replace(task, encoder=encoder)
    with pytest.raises(SpecError, match="no stored tokens"):
        batches_of(probe, task.valid, task, params)

    clips = len(task.valid.corpus.clips)
    stored = np.ones((clips, 3, 6), dtype=np.int32)
    with_tokens = dataclasses.replace(task.valid.corpus, tokens=stored)
    batch = batches_of(probe, with_tokens.split("valid"), task, params).gather(torch.arange(2))
    assert batch.tokens is not None
    assert batch.tokens.ids.tolist() == [[1, 1, 1]] * 2

    foreign = dataclasses.replace(task.valid.corpus, tokens=stored * 30_000)
    with pytest.raises(SpecError, match="another vocabulary"):
        batches_of(probe, foreign.split("valid"), task, params)


def test_clue_vectors_are_the_sentence_vectors_of_all_explanations(task, encoder):
    probe = System(
        name="probe", card=CARD, params=ClueParams, inputs=frozenset({"clue_vectors"}), build=Linear
    )
    task = dataclasses.replace(task, encoder=encoder)
    batch = batches_of(probe, task.valid, task, ClueParams()).gather(torch.tensor([3, 1]))
    assert batch.clue_vectors is not None
    assert batch.clue_vectors.shape == (2, 3 * encoder.hidden_size)
    assert not torch.equal(*batch.clue_vectors)


# Knowledge


@dataclass(frozen=True, kw_only=True)
class Knowing(KnowledgeParams):
    pass


class Assisted(Linear):
    def stages(self, params):
        return (Stage(name="before", on_knowledge=True, epochs=1), Stage())


def test_a_stage_may_train_on_another_corpus(task, tmp_path):
    other = data.load("mosi-twin@compact-x5-s7", Home(tmp_path))
    task = dataclasses.replace(task, knowledge=other)
    params = Knowing(knowledge=other.name)
    probe = system(Assisted, Knowing)
    loop = loop_of(probe, task, params)
    assert torch.equal(
        loop._train.labels, torch.from_numpy(other.split("train").labels.astype("float32"))
    )
    loop.run()
    assert [line.stage for line in loop.history][:2] == ["before", "main"]
    with pytest.raises(SpecError, match="learns from"):
        loop_of(probe, dataclasses.replace(task, knowledge=None), params)


def test_auxiliary_losses_are_added_and_a_task_entry_replaces(task):
    batch = loop_of(system(Linear), task, TrainingParams()).sources["train"].gather(torch.arange(4))
    one, labels = torch.tensor(1.0), batch.labels
    plain = total_loss(Output(labels + 2), batch, TrainingParams())
    assert plain == pytest.approx(2.0)
    assert total_loss(Output(labels + 2, {"more": one}), batch, TrainingParams()) == pytest.approx(
        3
    )
    assert total_loss(Output(labels + 2, {"task": one}), batch, TrainingParams()) == one


# Stability


class Unstable(Linear):
    """Adds a constant that depends on the batch, its order, and a counter of passes."""

    def __init__(self, dims, params):
        super().__init__(dims, params)
        self.passes = 0

    def forward(self, batch):
        value = super().forward(batch).prediction
        if not self.training:
            self.passes += 1
            value = value * 0 + {"passes": self.passes, "size": len(batch)}[self.what]
        return Output(value)


@pytest.mark.parametrize("what", ["passes", "size"])
def test_what_predictions_depend_on_is_measured_where_it_is_declared(task, what):
    build = type("Probe", (Unstable,), {"what": what})
    card = dataclasses.replace(CARD, declares={"neighbours": "a probe"})
    probe = dataclasses.replace(system(build), card=card)
    found = fit_network(probe, task, TrainingParams()).stability
    assert found is not None
    clips = len(task.valid)
    assert clips < 256
    expected = {
        "passes": {"again": 1, "alone": 1 + clips, "shuffled": 2 + clips},
        "size": {"again": 0, "alone": clips - 1, "shuffled": 0},
    }[what]
    assert {name: change["max"] for name, change in found.items()} == expected
    assert fit(task, build).stability is None


# What a stage may decide for itself


class Worsening(Linear):
    """Predicts the first epoch best, and each later one worse."""

    def begin_epoch(self, epoch):
        self.epoch = epoch

    def forward(self, batch):
        output = super().forward(batch)
        return Output(output.prediction if self.training else batch.labels + self.epoch)


def worsening(**stage):
    class Own(Worsening):
        def stages(self, params):
            return (Stage(**stage),)

    return Own


@pytest.mark.parametrize(("eligible", "kept"), [(1, 1), (3, 3), (99, 6)])
def test_epochs_before_the_first_eligible_one_are_not_kept(task, eligible, kept):
    assert fit(task, worsening(eligible=eligible)).selected_epoch == kept


@pytest.mark.parametrize(("warmup", "epochs"), [(0.0, 3), (0.5, 5), (1.0, 6)])
def test_patience_counts_from_the_end_of_the_warmup(task, warmup, epochs):
    fitted = fit(task, worsening(patience=2), WarmParams(warmup=warmup))
    assert len(fitted.history) == epochs and fitted.selected_epoch == 1


def test_patience_is_not_spent_on_epochs_that_cannot_be_kept(task):
    fitted = fit(task, worsening(patience=2, eligible=4))
    assert (fitted.selected_epoch, len(fitted.history)) == (4, 6)


def test_a_stage_may_have_an_optimiser_and_a_schedule_of_its_own(task):
    own = TrainingParams(optimizer="amsgrad", schedule="linear", lr=0.5)
    loop = loop_of(system(worsening(params=own)), task, TrainingParams())
    (sweep,) = loop.sweeps
    assert sweep.optimizer.defaults["amsgrad"] and sweep.params.schedule == "linear"
    assert sweep.lr == 0.5


def test_batches_of_an_incomplete_step_are_seen_where_the_network_wants_it(task):
    class Seeing(Linear):
        reads_rest = True

        def begin(self, train, params):
            self.seen = []

        def after_step(self, batch, output):
            self.seen.append(batch.rows)

    params = Sums(batch_size=7, accumulate=4, quirk="published")
    loop = loop_of(system(Seeing, Sums), task, params)
    loop.train_epoch(1)
    seen = torch.cat(loop.network.seen)
    assert sorted(seen.tolist()) == list(range(len(loop.sources["train"])))
    assert loop.sweeps[0].step == len(loop.network.seen) // 4 < len(loop.network.seen) / 4


def test_predictions_come_back_in_stored_order_whatever_the_batches(task):
    class Backwards(Network):
        def evaluation_order(self, clips):
            return list(torch.arange(clips - 1, -1, -1).split(3))

        def forward(self, batch):
            return Output(batch.rows.float(), diagnostics={"row": batch.rows})

    source = loop_of(system(Linear), task, TrainingParams()).sources["valid"]
    expected = list(range(len(source)))
    assert predict(Backwards(), source).tolist() == expected
    assert diagnose(Backwards(), source)["row"].tolist() == expected


def test_a_run_says_how_it_ended(task):
    params = WarmParams(warmup=0.5, epochs=20)
    ending = fit(task, worsening(patience=2), params).report["ending"]
    assert ending == {"epochs": 5, "allowed": 6, "wanted": 20, "warmup": 3}


def test_stages_cut_before_the_recorded_one_are_counted(task):
    class Two(Linear):
        def stages(self, params):
            return (Stage(name="long", epochs=9), Stage(name="short", epochs=2), Stage(epochs=2))

    ending = fit(task, Two).report["ending"]
    assert ending == {"epochs": 2, "allowed": 2, "wanted": 2, "warmup": 0, "stages_cut": 1}
