"""Servers that fail on the way: nothing they left open is stored, and the same command ends it."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pandas as pd
import pytest
from clips_on_disk import bare_twin

from harness.data.store import CorpusStore, Draft
from harness.errors import HarnessError, RunFailed
from harness.home import Home
from harness.runs.cell import execute
from harness.runs.executors import Done
from harness.runs.store import RunStore
from harness.spec.protocols import protocols
from harness.system import Task
from mllm_eval.client import Limits
from mllm_eval.tests.fake_server import (
    CUT,
    DROP,
    EMPTY,
    FILTERED,
    HALF,
    HANG,
    TOO_LONG,
    completion,
    serving,
)
from mllm_eval.zero_shot.system import MLLM, MLLMParams

VALID, TEST = 6, 8
HUNG = (0, HANG)
DENIED = {"error": {"message": "this clip is not for me"}}
SUITE = """
corpora = ["mosi@told"]
seeds = 1
protocol = { name = "zero_shot" }
[[systems]]
name = "mllm"
label = "M"
params = { model = "m", condition = "text", prompt = "en-direct" }
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch, request):
    """Two attempts; every command makes its client with the defaults.

    Only where an answer never comes is it not waited for long: a busy machine is no trouble.
    """
    hangs = (
        getattr(request.node, "callspec", None) and HUNG in request.node.callspec.params.values()
    )
    limits = {"timeout": 10.0, "attempts": 2, "backoff": 0.01, "start": 4, "most": 4}
    limits |= {"timeout": 0.6} if hangs else {}
    monkeypatch.setattr(Limits.__init__, "__kwdefaults__", limits)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def draft():
    """Each clip says its number and what it feels."""
    splits = ["train"] * 4 + ["valid"] * VALID + ["test"] * TEST
    labels = [(1.0, -1.0, 2.4, -2.0)[i % 4] for i in range(len(splits))]
    clips = pd.DataFrame(
        {
            "id": [f"v{i // 2}_{i}" for i in range(len(splits))],
            "video": [f"v{i // 2}" for i in range(len(splits))],
            "clip": [str(i) for i in range(len(splits))],
            "split": splits,
            "text": [f"clip <{i}> feels <{y:+.1f}>" for i, y in enumerate(labels)],
            "label": labels,
        }
    )
    return Draft(name="mosi@told", clips=clips, streams={}, manifest={})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return CorpusStore(tmp_path_factory.mktemp("corpora")).add(draft())


def words(body):
    return json.dumps(body["messages"])


def told(body):
    return f"{float(re.search(r'feels <([^>]+)>', words(body))[1]) / 2:.1f}"


def failing(trouble, clips):
    """Answers all but these clips."""
    return lambda body: trouble if any(f"<{i}>" in words(body) for i in clips) else told(body)


def breaking(trouble, after):
    """Answers so many questions, then nothing."""
    seen = []

    def rate(body):
        seen.append(1)
        return told(body) if len(seen) <= after else trouble

    return rate


@pytest.fixture
def fit(corpus, tmp_path):
    def call(server, cache="cache", **params):
        task = Task(
            train=corpus.split("train"),
            valid=corpus.split("valid"),
            watched=corpus.split("test"),
            protocol=protocols["zero_shot"],
            seed=0,
            device=None,
            encoder=None,
            cache=tmp_path / cache,
        )
        given = {"model": "m", "server": server.url, "condition": "text", "prompt": "en-direct"}
        return MLLM.fit(task, MLLMParams(**{**given, **params}))

    return call


def journalled(tmp_path, cache="cache"):
    return sum(f.read_text().count("\n") for f in (tmp_path / cache / "mllm").glob("*.jsonl"))


def same(one, other, test):
    columns = [name for name in one.answers if name not in ("seconds", "requests")]
    pd.testing.assert_frame_equal(one.answers[columns], other.answers[columns])
    np.testing.assert_array_equal(one.predict(test), other.predict(test))
    for name, values in one.variants(test).items():
        np.testing.assert_array_equal(values, other.variants(test)[name])


TROUBLES = [
    ((500, {}), "HTTP 500"),
    ((502, {}), "HTTP 502"),
    ((503, {}), "HTTP 503"),
    ((429, {}), "HTTP 429"),
    ((408, {}), "HTTP 408"),
    ((301, {}), "HTTP 301"),
    ((405, {}), "HTTP 405"),
    ((0, CUT), "connection lost"),
    ((0, DROP), "connection lost"),
    ((0, EMPTY), "HTTP 200 without a chat completion"),
    ((0, HALF), "HTTP 200 without a chat completion"),
    (HUNG, "no answer within 0.6 s"),
    ({"choices": []}, "HTTP 200 without a chat completion"),
    ({"error": {"message": "overloaded"}}, "HTTP 200 without a chat completion"),
    (completion("1", reason="abort"), "HTTP 200 without a chat completion"),
]
NAMES = [str(i) + " " + kind for i, (_, kind) in enumerate(TROUBLES)]


@pytest.mark.parametrize(("trouble", "kind"), TROUBLES, ids=NAMES)
def test_a_cell_with_open_questions_fails_and_the_same_call_asks_them_alone(
    corpus, fit, tmp_path, trouble, kind
):
    hurt = [5, 12, 13]
    with serving(failing(trouble, hurt)) as server, pytest.raises(RunFailed) as caught:
        fit(server)
    expected = f"m: 3 of 14 clips lack an answer (questions: 3 {kind})"
    assert str(caught.value) == expected
    assert "repeat the same command" in caught.value.hint
    assert journalled(tmp_path) == VALID + TEST - 3
    with serving(told) as healthy:
        fitted = fit(healthy)
        asked = sorted(re.search(r"<(\d+)>", words(body))[1] for body in healthy.bodies)
        undisturbed = fit(healthy, cache="other")
    assert asked == ["12", "13", "5"]
    same(fitted, undisturbed, corpus.split("test"))
    assert (fitted.answers["outcome"] == "answered").all()


@pytest.mark.parametrize("after", [0, 1, 7, VALID + TEST - 1])
@pytest.mark.parametrize("trouble", [(500, {}), (0, DROP)], ids=["500", "dropped"])
def test_a_server_that_breaks_after_some_answers(corpus, fit, tmp_path, trouble, after):
    with serving(breaking(trouble, after)) as server, pytest.raises(RunFailed) as caught:
        fit(server)
    assert f"{VALID + TEST - after} of 14 clips lack an answer" in str(caught.value)
    assert journalled(tmp_path) == after
    with serving(told) as healthy:
        fitted = fit(healthy)
        assert len(healthy.bodies) == VALID + TEST - after
        same(fitted, fit(healthy, cache="other"), corpus.split("test"))


def test_kinds_of_trouble_are_told_apart_and_counted(fit):
    def rate(body):
        found = re.search(r"<(\d+)>", words(body))[1]
        return {"4": (500, {}), "5": (500, {}), "6": (0, DROP), "7": (429, {})}.get(found, "0.5")

    with serving(rate) as server, pytest.raises(RunFailed) as caught:
        fit(server)
    assert "4 of 14 clips lack an answer (questions: 2 HTTP 500, 1 " in str(caught.value)
    assert "1 connection lost" in str(caught.value) and "1 HTTP 429" in str(caught.value)


def test_a_clip_with_one_open_question_of_three_is_one_clip(fit):
    def rate(body):
        return (500, {}) if "<9>" in words(body) and "JSON" not in words(body) else told(body)

    with serving(rate) as server, pytest.raises(RunFailed, match="1 of 14 clips lack") as caught:
        fit(server, prompt="preregistered")
    assert "(questions: 2 HTTP 500)" in str(caught.value)


def test_a_failed_second_try_is_open_too(fit, tmp_path):
    def rate(body):
        if "<6>" not in words(body):
            return told(body)
        return (500, {}) if len(body["messages"]) > 2 else "well, 1.0"

    with serving(rate) as server, pytest.raises(RunFailed, match="1 of 1 clips lack an answer"):
        fit(server)
    assert journalled(tmp_path) == VALID + TEST
    with serving(told) as healthy:
        table = fit(healthy).answers.set_index("id")
        assert len(healthy.bodies) == 1
    assert table.loc["v3_6", ["outcome", "first_text", "tries"]].tolist() == [
        *("answered", "well, 1.0", 2)
    ]


def test_a_dead_server_is_not_asked_to_the_end(fit, corpus):
    with serving(lambda body: (500, {})) as server, pytest.raises(RunFailed) as caught:
        fit(server, prompt="en-levels", turns=7)  # 42 and 56 questions
    assert "14 of 14 clips lack an answer" in str(caught.value)
    assert "not asked" in str(caught.value)
    assert len(server.bodies) <= 2 * 2 * (2 * 4 + 4)  # attempts, splits, failures, in flight


# What the server says of one request alone.

OWN = [(400, TOO_LONG), (403, DENIED), (413, {}), (415, {}), (422, {}), (451, {})]


@pytest.mark.parametrize("answer", OWN, ids=lambda answer: str(answer[0]))
def test_a_request_that_alone_is_rejected_is_that_clips_outcome(corpus, fit, tmp_path, answer):
    with serving(failing(answer, [13])) as server:
        fitted = fit(server)
        asked = len(server.bodies)
        again = fit(server)
        assert len(server.bodies) == asked, "it is journalled like an answer"
    assert asked == VALID + TEST + 1  # one that was answered is put again
    same(fitted, again, corpus.split("test"))
    counts = fitted.report["zero_shot"]["splits"]["test"]
    assert counts["outcomes"]["rejected"] == 1 and counts["outcomes"]["answered"] == TEST - 1
    assert counts["clips_answered"] == TEST - 1 and counts["questions"] == TEST
    place = corpus.split("test").ids.index("v6_13")
    mean = corpus.split("train").labels.mean()
    assert fitted.predict(corpus.split("test"))[place] == pytest.approx(mean)
    assert f"HTTP {answer[0]}" in fitted.answers.set_index("id").loc["v6_13", "detail"]


def test_a_policy_blocks_one_clip(fit):
    with serving(failing((400, FILTERED), [13])) as server:
        fitted = fit(server)
    assert fitted.report["zero_shot"]["splits"]["test"]["outcomes"]["blocked"] == 1


def test_a_rejected_clip_beside_open_ones_is_not_asked_again(corpus, fit):
    def rate(body):
        return (400, TOO_LONG) if "<12>" in words(body) else failing((503, {}), [13])(body)

    with serving(rate) as server, pytest.raises(RunFailed, match="1 of 14 clips lack"):
        fit(server)
    with serving(failing((400, TOO_LONG), [12])) as healthy:
        fitted = fit(healthy)
        assert len(healthy.bodies) == 1
        same(fitted, fit(healthy, cache="other"), corpus.split("test"))


@pytest.mark.parametrize("status", [400, 403, 422])
def test_what_rejects_every_request_is_no_outcome(fit, tmp_path, status):
    says = f"no request about valid was answered by m: HTTP {status}"
    with serving(lambda body: (status, DENIED)) as server, pytest.raises(RunFailed, match=says):
        fit(server)
    assert journalled(tmp_path) == 0


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("after", [1, VALID, 9])
def test_rejecting_everything_from_some_moment_on_is_no_outcome(
    corpus, fit, tmp_path, status, after
):
    says = "refuses every request .* where it had answered before"
    with (
        serving(breaking((status, DENIED), after)) as server,
        pytest.raises(RunFailed, match=says) as caught,
    ):
        fit(server)
    assert f"{VALID + TEST - after} of 14 clips lack an answer" in str(caught.value)
    assert journalled(tmp_path) == after
    with serving(told) as healthy:
        fitted = fit(healthy)
        assert len(healthy.bodies) == VALID + TEST - after
        same(fitted, fit(healthy, cache="other"), corpus.split("test"))


@pytest.mark.parametrize("status", [400, 403])
def test_rejecting_every_second_try_is_no_outcome(fit, tmp_path, status):
    """The server goes wrong after the first round, in which two answers could not be read."""
    seen = []

    def rate(body):
        seen.append(1)
        if len(seen) > VALID + TEST:
            return status, DENIED
        return "hard to say" if "<6>" in words(body) or "<12>" in words(body) else told(body)

    with serving(rate) as server, pytest.raises(RunFailed, match="refuses every request"):
        fit(server)
    assert journalled(tmp_path) == VALID + TEST


def test_a_second_try_that_alone_is_rejected_is_an_outcome(fit):
    def rate(body):
        if "<6>" not in words(body):
            return told(body)
        return (400, TOO_LONG) if len(body["messages"]) > 2 else "hard to say"

    with serving(rate) as server:
        table = fit(server).answers.set_index("id")
        asked = len(server.bodies)
        fit(server)
        assert len(server.bodies) == asked
    assert table.loc["v3_6", ["outcome", "tries"]].tolist() == ["rejected", 2]


def test_a_split_that_is_rejected_while_the_other_is_answered(fit):
    """All of valid: nothing of its own batch tells whether the server answers at all."""
    with serving(failing((400, TOO_LONG), range(4, 4 + VALID))) as server:
        fitted = fit(server)
    splits = fitted.report["zero_shot"]["splits"]
    assert splits["valid"]["outcomes"]["rejected"] == VALID
    assert splits["test"]["outcomes"]["answered"] == TEST


def test_splits_that_share_clips_ask_and_count_them_once(corpus, fit, tmp_path):
    task = Task(
        train=corpus.split("train"),
        valid=corpus.split("test"),
        watched=corpus.split("test"),
        protocol=protocols["zero_shot"],
        seed=0,
        device=None,
        encoder=None,
        cache=tmp_path,
    )
    with serving(told) as server:
        params = {"model": "m", "server": server.url, "condition": "text"}
        fitted = MLLM.fit(task, MLLMParams(**params, prompt="en-direct"))
        assert len(server.bodies) == TEST
    assert fitted.report["zero_shot"]["splits"]["test"]["questions"] == TEST


@pytest.mark.parametrize("status", [401, 402, 404])
def test_a_set_up_that_breaks_is_told_with_what_is_lacking(fit, tmp_path, status):
    with serving(breaking((status, {}), 3)) as server, pytest.raises(RunFailed) as caught:
        fit(server)
    assert f"HTTP {status}" in str(caught.value)
    assert "11 of 14 clips lack an answer" in str(caught.value)
    assert journalled(tmp_path) == 3


# By the commands.


class Here:
    """Carries jobs out in this process: starting workers takes most of a test's time."""

    def __init__(self, workers, cell_timeout=None):
        self.workers = workers

    def run(self, jobs):
        for job in jobs:
            try:
                yield Done(job=job, record=execute(job))
            except HarnessError as error:
                yield Done(job=job, failure=str(error))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("harness.runs.executors.local.LocalExecutor", Here)
    home = Home(tmp_path / "home")
    home.suites.mkdir(parents=True)
    (home.suites / "asked.toml").write_text(SUITE)
    CorpusStore(home.corpora).add(draft())
    return home


@pytest.fixture
def msa(home, monkeypatch, capsys):
    from harness.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["msa", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


def rows_of(home):
    return [run for run in RunStore(home.store) if run.spec.system == "mllm"]


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [((500, {}), "HTTP 500"), ((0, CUT), "connection lost"), (HUNG, "no answer within 0.6 s")],
)
def test_run_fails_with_one_line_and_the_same_command_completes_it(msa, home, trouble, kind):
    command = ("mllm", "run", "asked", "--only", "M", "--server")
    with serving(breaking(trouble, 9)) as server:
        code, said, errors = msa(*command, server.url)
    assert code == 1
    assert "0 cells run, 0 already stored, 1 failed" in said
    line = errors.partition("error: failed cells:\n")[2].splitlines()[0]
    assert f"5 of 14 clips lack an answer (questions: 5 {kind})" in line
    assert "the same command" in errors
    assert not rows_of(home)
    with serving(told) as healthy:
        code, said, errors = msa(*command, healthy.url)
        assert (code, len(healthy.bodies)) == (0, 5), errors
        assert "1 cells run" in said
        (run,) = rows_of(home)
        assert run.manifest.result.zero_shot.splits["test"].outcomes["answered"] == TEST
        code, said, _ = msa(*command, healthy.url)
        assert (code, len(healthy.bodies)) == (0, 5)
        assert "0 cells run, 1 already stored" in said


def test_run_counts_the_clip_that_was_rejected(msa, home):
    with serving(failing((403, DENIED), [13])) as server:
        code, _, errors = msa("mllm", "run", "asked", "--only", "M", "--server", server.url)
    assert code == 0, errors
    assert "rejected 1" in (home.boards / "asked.md").read_text()


def test_run_against_a_server_that_was_never_there(msa, home):
    code, _, errors = msa("mllm", "run", "asked", "--server", "http://127.0.0.1:9/v1")
    assert code == 1
    assert "no server answers at http://127.0.0.1:9/v1" in errors
    assert "mllm" not in {run.spec.system for run in RunStore(home.store)}


def test_run_against_a_server_that_has_gone_since(msa, home):
    with serving(breaking((500, {}), 4)) as server:
        msa("mllm", "run", "asked", "--only", "M", "--server", server.url)
        url = server.url
    code, _, errors = msa("mllm", "run", "asked", "--only", "M", "--server", url)
    assert code == 1
    assert "no server answers" in errors and "10 of 14 clips lack an answer" in errors
    assert not rows_of(home)


def test_a_probe_with_open_questions_finds_nothing_and_goes_on(msa, home):
    command = ("mllm", "probe", "mosi@told", "--model", "m", "--only", "wording", "--json")

    def rate(body):
        return (500, {}) if "<11>" in words(body) or "<12>" in words(body) else "0.5"

    with serving(rate) as server:
        code, out, errors = msa(*command, "--server", server.url)
    assert (code, out) == (1, "")
    assert "m: 2 of 8 clips lack an answer (questions: 2 HTTP 500)" in errors
    assert "repeat the same command" in errors
    assert not (home.root / "probes").exists()
    with serving(lambda body: "0.5") as healthy:
        code, out, errors = msa(*command, "--server", healthy.url)
        assert code == 0, errors
        assert len(healthy.bodies) == 2  # the reworded transcripts have no such marks
    assert json.loads(out)["outcomes"] == {
        "text": {"answered": TEST},
        "reworded": {"answered": TEST},
    }


def test_a_probe_of_which_nothing_is_taken_finds_nothing(msa, home):
    with serving(lambda body: (400, TOO_LONG)) as server:
        code, _, errors = msa(
            *("mllm", "probe", "mosi@told", "--model", "m", "--server", server.url)
        )
    assert code == 1
    assert "no question was answered by m: HTTP 400" in errors
    assert not (home.root / "probes").exists()


def test_a_canary_takes_every_answer(msa, monkeypatch):
    from mllm_eval.model.card import ModelCard

    card = ModelCard(name="m", title="m", weights="a/b", inputs=("text",))
    monkeypatch.setattr("mllm_eval.model.card.resolve", lambda name: card)
    command = ("mllm", "canary", "m", "--reference", "none", "--prompt", "en-direct", "--items", 4)
    with serving(lambda body: (500, {}) if "dreadful" in words(body) else "0.5") as server:
        code, out, errors = msa(*command, "--server", server.url)
    assert (code, out) == (1, "")
    assert "m: 1 of 4 clips lack an answer (questions: 1 HTTP 500)" in errors
    assert "read the server's log" in errors


def test_explanations_with_open_questions_are_not_stored_and_go_on(msa, home, tmp_path):
    twin = CorpusStore(home.corpora).add(bare_twin())
    hurt = twin.clips["text"].iloc[0]

    def tells(body):
        if "response_format" in body:
            fields = body["response_format"]["json_schema"]["schema"]["required"]
            return json.dumps({field: "A fine voice indeed." for field in fields})
        return "A calm and slow voice."

    def rate(body):
        return (0, CUT) if hurt in body["messages"][-1]["content"][-1]["text"] else tells(body)

    command = ("mllm", "explain", twin.name, "--model", "m", "--as", "told")
    command += ("--control", "transcript", "--server")
    with serving(rate) as server:
        code, _, errors = msa(*command, server.url)
        asked = len(twin.clips)
    assert code == 1
    assert "1 clips failed in transport" in errors and "repeat the same command" in errors
    assert "mosi-twin@told" not in CorpusStore(home.corpora)
    with serving(tells) as healthy:
        code, _, errors = msa(*command, healthy.url)
        assert (code, len(healthy.bodies)) == (0, 3), errors  # two notes and their rewriting
    kept = CorpusStore(home.corpora).load("mosi-twin@told").clips
    assert len(kept) == asked and (kept["summary"] != "").all()


# What is accepted, and what earlier code took for a result.


@pytest.mark.parametrize("trouble", [(500, {}), (0, CUT), HUNG], ids=["500", "cut", "hang"])
def test_a_stated_share_may_lack_an_answer_and_is_recorded(corpus, fit, trouble):
    with serving(failing(trouble, [5, 12, 13])) as server:
        fitted = fit(server, accept_failed=0.25)
    facts = fitted.report["zero_shot"]
    assert facts["accepted"] == 0.25
    counts = facts["splits"]["test"]
    assert counts["outcomes"]["unanswered"] == counts["clips_open"] == 2
    assert counts["clips_answered"] == TEST - 2
    place = corpus.split("test").ids.index("v6_13")
    mean = corpus.split("train").labels.mean()
    assert fitted.predict(corpus.split("test"))[place] == pytest.approx(mean)
    assert np.isnan(fitted.variants(corpus.split("test"))["excluded"][place])


@pytest.mark.parametrize("share", [0.2, 0.0, float("nan")])
def test_more_than_the_share_is_no_result(fit, share):
    with serving(failing((500, {}), [5, 12, 13])) as server, pytest.raises(RunFailed) as caught:
        fit(server, accept_failed=share)
    assert "3 of 14 clips lack an answer (questions: 3 HTTP 500)" in str(caught.value)
    assert ("0.2 of 14 clips may lack one" in str(caught.value)) == (share == 0.2)


def test_the_share_is_of_clips_over_both_tries(fit):
    """Two clips fail at once, two more when they are asked again: 4 of 14."""

    def rate(body):
        if any(f"<{i}>" in words(body) for i in (5, 12)):
            return (500, {})
        if any(f"<{i}>" in words(body) for i in (6, 13)):
            return (500, {}) if len(body["messages"]) > 2 else "hard to say"
        return told(body)

    with serving(rate) as server:
        with pytest.raises(RunFailed, match=r"0\.25 of 14 clips may lack one"):
            fit(server, accept_failed=0.25)
        found = fit(server, cache="other", accept_failed=0.3)
    splits = found.report["zero_shot"]["splits"]
    assert sum(counts["clips_open"] for counts in splits.values()) == 4


def test_all_accepted_and_nothing_answered_is_no_result(fit):
    with serving(lambda body: (500, {})) as server, pytest.raises(RunFailed) as caught:
        fit(server, accept_failed=1.0)
    assert "no request about valid was answered by m" in str(caught.value)


def test_run_accepts_and_says_so_and_without_the_option_asks_again(msa, home):
    command = ("mllm", "run", "asked", "--only", "M", "--server")
    with serving(failing((500, {}), [13])) as server:
        code, _, errors = msa(*command, server.url, "--accept-failed", "0.1")
        assert code == 0, errors
        board = (home.boards / "asked.md").read_text()
        assert "unanswered 1" in board
        assert "1 of 8 test clips lack an answer of the server: up to 10.00% was accepted" in board
        code, said, _ = msa(*command, server.url)
        assert code == 1 and "1 failed" in said
    board = (home.boards / "asked.md").read_text()
    assert "1 of 14 clips lack an answer" in board and "unanswered" not in board
    with serving(told) as healthy:
        assert msa(*command, healthy.url)[0] == 0
        assert len(healthy.bodies) == 1


def test_a_run_of_earlier_code_with_failed_questions_is_a_hole_and_is_run_again(msa, home):
    command = ("mllm", "run", "asked", "--only", "M", "--server")
    with serving(told) as server:
        assert msa(*command, server.url)[0] == 0
        (run,) = rows_of(home)
        _as_earlier_code_stored_it(run, failed=3)
        code, _, errors = msa("board", "asked")
        assert code == 0, errors
        board = (home.boards / "asked.md").read_text()
        assert "it is incomplete: 3 of 8 questions about test failed" in board
        assert "| incomplete |" in board
        assert msa("verify")[0] == 1
        code, said, _ = msa(*command, server.url)
        assert code == 0 and "1 cells run, 0 already stored" in said
        assert len(server.bodies) == VALID + TEST, "its answers are in the journal"
    (run,) = rows_of(home)
    assert not run.manifest.result.zero_shot.unsettled


def _as_earlier_code_stored_it(run, failed):
    """The same run as code wrote it that counted failures among the outcomes of a result."""
    from harness._util.checksums import SUMS, seal

    path = run.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    facts = manifest["result"]["zero_shot"]
    del facts["accepted"]
    for counts in facts["splits"].values():
        del counts["clips_open"]
        del counts["outcomes"]["unanswered"], counts["outcomes"]["no_media"]
        counts["outcomes"] |= {"timed_out": 0, "failed": 0}
    facts["splits"]["test"]["outcomes"] |= {"answered": TEST - failed, "failed": failed}
    path.write_text(json.dumps(manifest))
    (run.folder / SUMS).unlink()
    seal(run.folder)


@pytest.mark.parametrize("status", [403, 404])
def test_one_clip_forbidden_or_not_found_among_good_answers(corpus, fit, status):
    """Even where the clip is the first to be asked of an interrupted run."""
    with serving(failing((500, {}), [9, 12])) as server, pytest.raises(RunFailed):
        fit(server)
    with serving(failing((status, DENIED), [9, 12])) as server:
        fitted = fit(server)
    splits = fitted.report["zero_shot"]["splits"]
    assert [splits[name]["outcomes"]["rejected"] for name in ("valid", "test")] == [1, 1]


def test_nothing_but_rejections_is_not_asked_to_the_end(fit, monkeypatch):
    monkeypatch.setattr("mllm_eval.client.ask._REJECTIONS", 5)
    with serving(lambda body: (403, DENIED)) as server, pytest.raises(RunFailed) as caught:
        fit(server)
    assert "refuses every request for model 'm': HTTP 403" in str(caught.value)
    assert len(server.bodies) <= 5 + 4  # those in flight
