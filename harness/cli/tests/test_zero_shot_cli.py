"""Zero-shot runs are ordinary runs: planned, stored, resumed, shown beside trained rows."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import harness
import leaderboards
from harness.cli.mllm.run import completed
from harness.data.store import CorpusStore, Draft
from harness.errors import HarnessError, RunFailed
from harness.runs.cell import execute
from harness.runs.executors import Done
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.spec import PredictionCell
from harness.tracking.describe import Tracker
from mllm_eval.tests.fake_server import serving

SUITE = """
title = "Asked, beside trained"
corpora = ["mosi@told"]
seeds = 1
protocol = { name = "zero_shot" }
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "mllm"
label = "M"
params = { model = "m", condition = "text", prompt = "en-direct" }
[[systems]]
name = "mllm"
label = "M, all prompts"
params = { model = "m", condition = "text" }
"""
HEARD = """
[[systems]]
name = "mllm"
label = "heard"
params = { model = "m", condition = "audio" }
"""
MOODS = ["a good film", "a bad film", "a very good film", "a very bad film"]


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


@pytest.fixture(autouse=True)
def local(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("harness.runs.executors.local.LocalExecutor", Here)


@pytest.fixture
def suite(home):
    count = {"train": 40, "valid": 12, "test": 24}
    splits = [name for name, clips in count.items() for _ in range(clips)]
    clips = pd.DataFrame(
        {
            "id": [f"v{i // 4}_{i}" for i in range(len(splits))],
            "video": [f"v{i // 4}" for i in range(len(splits))],
            "clip": [str(i) for i in range(len(splits))],
            "split": splits,
            "text": [f"{MOODS[i % 4]} number {i}" for i in range(len(splits))],
            "label": [(1.0, -1.0, 2.4, -2.0)[i % 4] for i in range(len(splits))],
        }
    )
    CorpusStore(home.corpora).add(Draft(name="mosi@told", clips=clips, streams={}, manifest={}))
    (home.suites / "asked.toml").write_text(SUITE)
    return "asked"


def rate(body):
    text = " ".join(message["content"] for message in body["messages"])
    if "number 60" in text:
        return "hard to say"
    value = (1.5 if "good" in text else -1.5) * (1.4 if "very" in text else 1.0)
    return f'{{"score": {value:.1f}}}' if "JSON" in text else f"{value:.1f}"


def planned(home, url, **changes):
    text = SUITE.replace('model = "m",', f'model = "m", server = "{url}",')
    for old, new in changes.items():
        text = text.replace(old, new)
    (home.suites / "placed.toml").write_text(text)
    return make_plan(find_suite("placed", home), home)


def keys(plan, label):
    return [cell.job.spec.key for cell in plan.cells if cell.label == label and cell.job]


def test_a_suite_is_run_once_and_shown_in_two_strata(msa, suite, home):
    with serving(rate) as server:
        code, said, _ = msa("mllm", "run", suite, "--server", server.url)
        asked = sum(server.asked.values())
        assert code == 0 and "7 cells run" in said
        code, said, _ = msa("mllm", "run", suite, "--server", server.url)
    assert code == 0 and "0 cells run, 7 already stored" in said
    assert sum(server.asked.values()) == asked
    page = (home.boards / "asked.md").read_text()
    assert "### No side information" in page and "### Zero-shot" in page
    trained, zero_shot = page.split("### Zero-shot", 1)
    assert "| tfidf" in trained and "| tfidf" not in zero_shot.split("<details>")[0]
    row = next(line for line in zero_shot.splitlines() if line.startswith("| M "))
    assert row.split("|")[3].strip() == "once"
    assert "Conditional on one run" in page
    assert "### Answers of zero-shot models" in page
    assert "unparsed 1" in page and "23/24" in page
    assert server.url not in page and str(home.root) not in page
    html = (home.boards / "asked.html").read_text()
    assert "Settings of zero-shot models" in html and "calibrated, uses labels" in html


def test_answers_are_kept_beside_the_run(msa, suite, home):
    with serving(rate) as server:
        msa("mllm", "run", suite, "--server", server.url, "--only", "M")
        plan = planned(home, server.url)
    (key,) = keys(plan, "M")
    stored = RunStore(home.store).get(key)
    answers = stored.answers()
    assert len(answers) == 24 and answers["id"].is_unique
    lost = answers[answers["outcome"] == "unparsed"]
    assert lost["text"].tolist() == ["hard to say"] and lost["value"].isna().all()
    assert len(stored.predictions()) == 24
    assert len(stored.predictions(cell=PredictionCell(variant="excluded"))) == 23
    assert stored.spec.artifacts.keys() == {"server", "questions"}
    assert server.url not in (stored.folder / "manifest.json").read_text()
    tracked = {
        name: value for name, value, _ in Tracker(RunStore(home.store)).describe(stored).values
    }
    assert tracked["result/zero_shot/splits/test/outcomes/unparsed"] == 1
    assert stored.diagnostics()["answered"].mean() == pytest.approx(23 / 24)


def test_records_carry_policies_and_who_was_asked(msa, suite, home):
    with serving(rate) as server:
        msa("mllm", "run", suite, "--server", server.url)
    records = {r["row"]: r for r in leaderboards.as_records(RunStore(home.store), "asked")}
    found = records["M"]["zero_shot"]
    assert found["engine"] == "fake 1.0" and found["splits"]["test"]["questions"] == 24
    policies = found["policies"]
    main = records["M"]["metrics"]["mae"]["mean"]
    assert policies["worst_case"]["mae"] > main > policies["excluded"]["mae"]
    assert policies["calibrated"]["mae"] < main
    assert records["M"]["supervision"] == "none"
    assert records["tfidf_ridge"]["supervision"] == "train"
    assert "zero_shot" not in records["tfidf_ridge"]


def test_a_trained_row_is_the_same_run_as_in_domain(home, suite):
    with serving(rate) as server:
        beside = planned(home, server.url)
        plain = planned(home, server.url, zero_shot="in_domain")
    assert keys(beside, "tfidf_ridge") == keys(plain, "tfidf_ridge") != []
    (reason,) = {cell.reason for cell in plain.cells if cell.label == "M"}
    assert "no label" in reason


def test_places_are_no_identity_and_what_is_found_there_is(home, suite):
    with serving(rate) as one, serving(rate) as two:
        first, second = planned(home, one.url), planned(home, two.url)
        assert keys(first, "M") == keys(second, "M")
        two.version = "1.1"
        assert keys(planned(home, two.url), "M") != keys(first, "M")
    shown = [row.changed for row in first.record().rows if row.label == "M"]
    assert shown == [{"model": "m", "condition": "text", "prompt": "en-direct"}]


@pytest.mark.parametrize("command", ["run", "mllm run"])
def test_rows_of_a_model_without_a_server_wait_and_the_others_run(msa, suite, command, caplog):
    code, out, _ = msa(*command.split(), suite)
    assert code == 0 and "0 failed" in out
    assert "not here: a server of m, for which row" in caplog.text
    assert "next: msa mllm serve m, then msa mllm run SUITE --server URL" in caplog.text
    board = json.loads(msa("board", suite, "--json")[1])
    text = json.dumps(board)
    assert "no server is named to ask m" in text and "tfidf_ridge" in text


def test_recordings_that_nobody_named_are_something_not_here(suite, home):
    file = home.suites / f"{suite}.toml"
    file.write_text(file.read_text() + HEARD)
    with serving(rate) as server:
        plan = make_plan(completed(find_suite(suite, home), {"server": server.url}), home)
    (lack,) = {cell.lack for cell in plan.cells if cell.label == "heard"}
    assert lack.title == "recordings of mosi@told"
    assert lack.hint == "msa mllm run SUITE --media FOLDER"


def test_a_server_that_does_not_answer_fails_a_run_once_the_others_are_done(msa, suite, home):
    code, out, said = msa("mllm", "run", suite, "--server", "http://127.0.0.1:9/v1")
    assert code == 1 and "0 failed" in out and "board: " in out
    assert "rows wait for what does not answer:\n  a server of m: no server answers at" in said
    assert json.loads(msa("status", suite, "--json")[1])
    code, _, said = msa(
        *("mllm", "run", suite, "--server", "http://127.0.0.1:9/v1", "--only", "M*")
    )
    assert code == 1 and "no server answers at" in said
    with pytest.raises(RunFailed, match="a server of m: no server answers at"):
        harness.run(completed(find_suite(suite, home), {"server": "http://127.0.0.1:9/v1"}), home)


def test_an_invalid_question_names_its_row(msa, suite, home):
    file = home.suites / f"{suite}.toml"
    file.write_text(file.read_text().replace('prompt = "en-direct"', 'prompt = "xx-direct"'))
    code, _, said = msa("run", suite)
    assert code == 2 and "row 'M'" in said


def test_nothing_but_rows_of_a_model_without_a_server_says_what_to_type(msa, suite):
    code, _, said = msa("run", suite, "--only", "M*")
    assert code == 2 and "no server is named to ask m" in said
    assert "msa mllm run SUITE --server URL" in said


def test_the_doctor_names_the_server_that_a_suite_lacks(msa, suite, home):
    text = (home.suites / f"{suite}.toml").read_text()
    (home.suites / f"{suite}.toml").write_text(
        text + '[[systems]]\nname = "mllm_hidden"\nparams = { model = "n" }\n'
    )
    code, out, _ = msa("doctor", suite, "--json")
    found = {need["what"]: need for need in json.loads(out)}
    assert code == 0
    assert found["a server of m"]["state"] == found["a server of n"]["state"] == "absent"
    assert found["a server of m"]["next"].startswith("msa mllm serve m, then")
    assert found["a server of n"]["next"].startswith("msa mllm serve n --hidden, then")
    assert found["a server of n"]["rows"] == ["mllm_hidden"]


def test_rows_of_a_model_that_is_not_served_now_are_holes_or_what_they_were(home, suite):
    row = 'label = "M, all prompts"\nparams = { model = '
    other = {f'{row}"m"': f'{row}"n"'}
    with serving(rate) as server:
        plan = planned(home, server.url)
        both = planned(home, server.url, **other)
    (reason,) = {cell.reason for cell in both.cells if cell.label == "M, all prompts"}
    assert "expected a server of n" in reason
    assert keys(both, "M") == keys(plan, "M") == keys(planned(home, server.url), "M")


def test_a_suite_without_models_is_not_run_by_the_wrong_command(msa, suite, home):
    (home.suites / "plain.toml").write_text(SUITE.partition('[[systems]]\nname = "mllm"')[0])
    code, _, said = msa("mllm", "run", "plain", "--server", "http://127.0.0.1:1/v1")
    assert code == 2 and "no row with a language model" in said


def test_a_server_that_goes_away_is_a_hole_that_the_same_command_fills(msa, suite, home):
    with serving(rate) as server:
        real, count = server.rate, []

        def last(body):
            count.append(1)
            if len(count) == 9:
                server.shutdown()
                server.server_close()
            return real(body)

        server.rate = last
        code, _, said = msa("mllm", "run", suite, "--server", server.url, "--only", "M")
    assert code == 1 and "no server answers" in said
    assert "failed" in (home.boards / "asked.md").read_text()
    (journal,) = (home.cache / "mllm").glob("*.jsonl")
    kept = journal.read_text().count("\n")
    assert kept >= 8
    with serving(rate) as second:
        code, said, _ = msa("mllm", "run", suite, "--server", second.url, "--only", "M")
    assert code == 0 and "1 cells run" in said
    questions = 12 + 24 + 1  # one is asked again
    assert sum(second.asked.values()) == questions - kept
