"""Rows without a file and suites with something changed: files of their own, runs of their own."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable

import pytest

import harness.data
import harness.system
import leaderboards
from harness.errors import SpecError
from harness.home import Home
from harness.runs import asked
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.spec import Suite, written
from harness.testing import small_corpus

Told = Callable[..., tuple[int, str, str]]

SUITE = """
title = "Two rows"
corpora = ["mosi@small", "sims@small"]
seeds = { default = 2, "sims@small" = [5, 7] }
weights = "none"
[protocol]
name = "in_domain"
max_epochs = 3
side_info = "video_mllm"
[defaults]
lr = 0.002
[tune]
base = "declared"
space = { lr = { low = 1e-4, high = 1e-2, log = true } }
[[systems]]
name = "lf_dnn"
label = "a \\"quoted\\" row"
params = { lr = 0.5 }
space = { dropout = { choices = [0.1, 0.2] } }
[[systems]]
name = "tfidf_ridge"
corpora = ["mosi@small"]
[[systems]]
name = "lf_dnn"
label = "released"
checkpoint = ["a.pth sha256=0000000000000000000000000000000000000000000000000000000000000000"]
seeds = [18]
selected_on = "test"
[[systems]]
name = "tfn"
[systems.tuned]
trials = 3
sampler = "random"
seed = 1
space = "0123456789ab"
plan = "p"
trial = 2
run = "0123456789abcdef0123456789abcdef"
valid = 0.5
[[systems]]
query = "trained"
corpora = ["sims@small"]
"""


def parsed(text: str = SUITE) -> Suite:
    return Suite.parse(tomllib.loads(text), name="two", where="two.toml")


def test_a_suite_is_written_as_the_file_that_says_the_same() -> None:
    assert parsed(written(parsed(), "a comment")) == parsed()


def test_a_shipped_suite_is_written_as_the_file_that_says_the_same() -> None:
    for path in Home.default().suite_files().values():
        suite = Suite.load(path)
        table = tomllib.loads(written(suite))
        assert Suite.parse(table, name=suite.name, where=path.name) == suite


def test_a_value_set_is_in_every_row_that_has_it_and_before_its_own() -> None:
    suite = asked.changed(parsed(), asked.Changes(params={"lr": 0.25}))
    assert [entry.params.get("lr") for entry in suite.entries] == [0.25, None, None, 0.25]
    assert suite.defaults["lr"] == 0.25  # for the rows that the query finds
    assert suite.title == "Two rows: lr = 0.25"


def test_epochs_are_the_ceiling_of_the_protocol_and_a_limit_makes_trials() -> None:
    suite = asked.changed(parsed(), asked.Changes(epochs=5, limit=20))
    assert suite.protocol_changes == {"max_epochs": 5, "side_info": "video_mllm"}
    assert suite.corpora == ("mosi@small-limit-20", "sims@small-limit-20")
    assert suite.corpus_seeds == {"sims@small-limit-20": (5, 7)}
    assert suite.entries[1].corpora == ("mosi@small-limit-20",)
    assert suite.queries[0].corpora == ("sims@small-limit-20",)


def test_the_name_tells_everything_but_seeds_apart() -> None:
    def name(**changes: object) -> str:
        return asked.changed(parsed(), asked.Changes(**changes)).name

    names = [name(epochs=5), name(epochs=6), name(limit=5), name(params={"lr": 0.1})]
    assert len({*names, "two"}) == 5
    assert all(one.startswith("two_") for one in names)
    more = dataclasses.replace(parsed(), seeds=9)
    assert asked.changed(more, asked.Changes(epochs=5)).name == names[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hidden", "takes NAME=VALUE"),
        ("=3", "takes NAME=VALUE"),
        ("lr=", "takes NAME=VALUE"),
        ("lr=[1, 2]", "a number, true, false or a word"),
    ],
)
def test_what_is_no_value_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        asked.parameter(text)


def test_the_key_of_a_whole_run_is_the_same_however_it_is_asked_for(home: Home) -> None:
    small_corpus(home.corpora)
    (home.suites / "plain.toml").write_text(
        'corpora = ["mosi@small"]\nseeds = 1\n[protocol]\nmax_epochs = 2\n'
        '[[systems]]\nname = "lf_dnn"\nparams = { audio_dropout = 0.1 }\n'
    )
    whole = make_plan(find_suite("plain", home), home)
    one = asked.changed(
        asked.single(["lf_dnn"], ["mosi@small"], 1),
        asked.Changes(params={"audio_dropout": 0.1}, epochs=2),
    )
    assert make_plan(one, home).jobs.keys() == whole.jobs.keys()
    trial = make_plan(asked.changed(one, asked.Changes(limit=8)), home)
    assert trial.jobs.keys().isdisjoint(whole.jobs)


def test_trials_and_whole_corpora_are_in_no_suite_together(home: Home) -> None:
    small_corpus(home.corpora)
    (home.suites / "mixed.toml").write_text(
        'corpora = ["mosi@small", "mosi@small-limit-3"]\n[[systems]]\nname = "tfidf_ridge"\n'
    )
    with pytest.raises(SpecError, match="limit-3 is a trial, and others are whole"):
        make_plan(find_suite("mixed", home), home)


@pytest.mark.slow
def test_one_line_runs_a_row_that_can_be_named_again(msa: Told, home: Home) -> None:
    small_corpus(home.corpora)
    asked_for = ("run", "--system", "tfidf_ridge", "--corpus", "mosi@small", "--limit", 8)
    code, said, told = msa(*asked_for)
    assert code == 0
    assert said.startswith("5 cells run, 0 already stored, 0 failed")
    (file,) = home.suites.glob("tfidf_ridge_on_*.toml")
    assert f"suite: {file.stem} (msa run {file.stem} goes on with it)" in told
    assert msa("run", file.stem)[1].startswith("0 cells run, 5 already stored")
    assert msa(*asked_for, "--seeds", 3)[1].startswith("0 cells run, 5 already stored")
    assert list(home.suites.glob("*.toml")) == [file]
    board = leaderboards.render(RunStore(home.store), file.stem)
    assert "## Trial on CMU-MOSI: mosi@small-limit-8" in board
    assert "TRIAL on 8 / 8 / 8 of 24 / 10 / 12 clips" in board
    records = leaderboards.as_records(RunStore(home.store), file.stem)
    assert all(one["trial"] is True for one in records)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "without a suite, --system and --corpus"),
        (("--system", "tfn"), "without a suite, --system and --corpus"),
        (("demo", "--system", "tfn"), "a suite names its own systems"),
        (("--system", "tfm", "--corpus", "mosi@small"), "did you mean tfn"),
        (("demo", "--set", "lrr=3"), "no row's system has the hyper-parameter 'lrr'; did you"),
        (("demo", "--set", "lr=-3"), "row 'ef_lstm (small)': lr should lie in"),
        (("demo", "--epochs", 0), "--epochs takes a number of epochs, at least 1"),
        (("demo", "--limit", 0), "a limit is a number of clips, at least 1"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    msa: Told, home: Home, options: tuple[object, ...], message: str
) -> None:
    code, said, told = msa("run", *options)
    assert (code, said) == (2, "")
    assert message in told
    assert list(home.suites.iterdir()) == []


def test_a_plan_keeps_no_file(msa: Told, home: Home) -> None:
    small_corpus(home.corpora)
    line = ("run", "--system", "tfidf_ridge", "--corpus", "mosi@small", "--limit", 8, "--plan")
    code, said, _ = msa(*line)
    assert code == 0
    assert "mosi@small-limit-8" in said
    assert "makes corpus" in said
    assert list(home.suites.iterdir()) == []


def test_python_and_the_command_line_ask_for_the_same_suite(msa: Told, home: Home) -> None:
    small_corpus(home.corpora)
    suite = harness.suite_of(
        "tfidf_ridge", "mosi@small", seeds=1, params={"analyser": "words"}, limit=8, home=home
    )
    (file,) = home.suites.glob("*.toml")
    assert Suite.load(file) == suite and file.stem == suite.name
    line = ("run", "--system", "tfidf_ridge", "--corpus", "mosi@small", "--seeds", 1)
    assert msa(*line, "--set", "analyser=words", "--limit", 8)[0] == 0
    assert list(home.suites.glob("*.toml")) == [file]
    with pytest.raises(SpecError, match="did you mean tfn"):
        harness.suite_of("tfm", "mosi@small", home=home)


def test_public_names_can_be_completed() -> None:
    for package in (harness, harness.data, harness.system, leaderboards):
        assert dir(package) == sorted(package.__all__)
