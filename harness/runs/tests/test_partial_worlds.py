"""A suite runs with what is here: what is not is a hole with its reason and a way to bring it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable

import pytest

import leaderboards
from harness.data.store import CorpusStore
from harness.errors import NotHere, SpecError
from harness.home import Home
from harness.runs.driver import RunReport, carry_out
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.runs.tests.test_verify import Here
from harness.testing import small_corpus, small_draft

SUITE = """
corpora = ["mosi@small", "sims@small", "mosei@unaligned-50"]
seeds = 1
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "sentence_ridge"
params = { encoder = "no-such/model" }
[[systems]]
name = "quite_another"
corpora = ["mosi@small"]
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Models that a hub, which never answers, was asked for."""
    names: list[str] = []

    def silent(name: str) -> None:
        names.append(name)
        raise NotHere(f"encoder {name!r} cannot be reached", hint="--set encoder=FOLDER")

    monkeypatch.setattr("harness.text.encoder._from_hub", silent)
    monkeypatch.setattr("harness.text.hub.refusal_of", lambda name: "ConnectError")
    return names


@pytest.fixture
def partial(home: Home, asked: list[str]) -> Home:
    small_corpus(home.corpora)
    small_corpus(home.corpora, "sims")
    (home.suites / "partial.toml").write_text(SUITE)
    return home


def run(home: Home, name: str, *only: str) -> RunReport:
    """What ``msa run`` does, without worker processes."""
    store = RunStore(home.store)
    with store.writing():
        plan = make_plan(find_suite(name, home), home, only=only)
        return carry_out(plan, store, Here(), only=only)


Told = Callable[..., tuple[int, str, str]]


def test_rows_that_have_what_they_need_run_and_the_others_say_what_they_lack(
    partial: Home, asked: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    report = run(partial, "partial")
    assert report.failed == ()
    assert [lack.title for lack in report.lacks] == [
        *("encoder no-such/model", "system quite_another", "corpus mosei@unaligned-50"),
    ]
    told = caplog.text
    assert "not here: corpus mosei@unaligned-50, for which rows " in told
    assert "next: msa data add unaligned_50.pkl --dataset mosei" in told
    assert "encoder no-such/model, for which row 'sentence_ridge' waits" in told
    assert "next: --set encoder=FOLDER" in told
    assert "system quite_another, for which row 'quite_another' waits" in told
    assert "`msa doctor partial` lists what is not here" in told
    assert asked == ["no-such/model"]  # once, though two corpora have the row
    store = RunStore(partial.store)
    records = {
        (one["corpus"], one["row"]): one
        for one in leaderboards.as_records(store, "partial")
        if "row" in one
    }
    assert records["mosi@small", "tfidf_ridge"]["n"] == 1
    (hole,) = records["mosi@small", "sentence_ridge"]["holes"]
    assert hole["state"] == "not here"
    assert "cannot be reached" in hole["reason"]
    assert {corpus for corpus, _ in records} == {"mosi@small", "sims@small"}
    board = leaderboards.render(store, "partial")
    assert "## Not here" in board
    assert "corpus mosei@unaligned-50" in board
    assert "nothing installed here defines system 'quite_another'" in board


def test_what_comes_later_is_run_by_the_same_command(partial: Home, caplog) -> None:
    run(partial, "partial", "tfidf_ridge", "mosi@small")
    draft = small_corpus(partial.root / "elsewhere", "mosei", seed=1)
    shutil.copytree(partial.root / "elsewhere" / draft.name, partial.corpora / "mosei@unaligned-50")
    report = run(partial, "partial", "tfidf_ridge")
    assert (report.done, report.present) == (2, 1)
    assert "mosei" not in caplog.text


def test_only_opens_nothing_that_is_not_asked_for(
    partial: Home, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(name: str) -> None:
        raise AssertionError(f"{name} was not asked for")

    monkeypatch.setattr("harness.data.twins.generate.generate", make)
    text = SUITE.replace('"mosei@unaligned-50"', '"mosi-twin@compact-x5"')
    (partial.suites / "partial.toml").write_text(text)
    report = run(partial, "partial", "tfidf_ridge", "mosi@small")
    assert (report.planned, report.done, report.lacks) == (1, 1, ())
    assert asked == []


@pytest.mark.parametrize(
    ("only", "message", "step"),
    [
        ("sentence_ridge", "row 'sentence_ridge': encoder 'no-such/model' cannot", "msa doctor"),
        ("mosei@*", "corpus 'mosei@unaligned-50' is not here", "msa data add unaligned_50.pkl"),
        ("quite_another", "row 'quite_another': nothing installed here defines", "msa list"),
    ],
)
def test_asked_for_by_itself_what_is_not_here_is_an_error(
    msa: Told, partial: Home, only: str, message: str, step: str
) -> None:
    code, said, told = msa("run", "partial", "--only", only)
    assert (code, said) == (2, "")
    assert message in told
    assert step in told
    assert not partial.boards.exists()


def test_a_pattern_of_rows_and_one_of_corpora_mean_these_rows_there(
    msa: Told, partial: Home
) -> None:
    text = SUITE.replace("params = { enc", 'corpora = ["mosei@unaligned-50"]\nparams = { enc')
    (partial.suites / "partial.toml").write_text(text)
    code, _, told = msa("run", "partial", "--only", "sentence_ridge", "--only", "mosi@small")
    assert code == 2
    assert "none of these rows runs on these corpora" in told


def test_a_name_that_is_nearly_a_system_is_a_slip(partial: Home) -> None:
    (partial.suites / "partial.toml").write_text(SUITE.replace("quite_another", "tfidf_rigde"))
    with pytest.raises(SpecError, match="did you mean tfidf_ridge"):
        make_plan(find_suite("partial", partial), partial)


def test_a_doctor_names_all_that_a_suite_lacks_and_what_brings_it(
    msa: Told, partial: Home, asked: list[str]
) -> None:
    text = SUITE.replace('"sims@small"', '"mosi-twin@compact-x5"')
    (partial.suites / "partial.toml").write_text(text)
    code, said, _ = msa("doctor", "partial", "--json")
    assert code == 0
    needs = {one["what"]: one for one in json.loads(said)}
    assert {what: one["state"] for what, one in needs.items()} == {
        "corpus mosei@unaligned-50": "absent",
        "corpus mosi-twin@compact-x5": "comes by itself",
        "encoder no-such/model": "absent",
        "system quite_another": "absent",
    }
    assert needs["corpus mosei@unaligned-50"]["next"].startswith("msa data add unaligned_50.pkl")
    assert needs["encoder no-such/model"]["rows"] == ["sentence_ridge"]
    assert asked == []
    assert CorpusStore(partial.corpora).names() == ["mosi@small", "sims@small"]
    _, said, _ = msa("doctor", "partial")
    assert said.splitlines()[-1].startswith("3 not here: their rows wait, all others run; 1 come")


@pytest.mark.slow
def test_runs_stay_on_the_board_when_their_corpus_or_encoder_goes(
    home: Home, asked: list[str]
) -> None:
    small_corpus(home.corpora)
    small_corpus(home.corpora, "sims")
    folder = home.root / "an-encoder"
    from harness.text.synthetic import twin_encoder

    shutil.copytree(twin_encoder(home.cache), folder)
    (home.suites / "whole.toml").write_text(
        'corpora = ["mosi@small", "sims@small"]\nseeds = 1\n[[systems]]\nname = "tfidf_ridge"\n'
        f'[[systems]]\nname = "sentence_ridge"\nparams = {{ encoder = "{folder}" }}\n'
    )
    store = RunStore(home.store)
    run(home, "whole")
    before = store.plan("whole")
    shutil.rmtree(home.corpora / "sims@small")
    folder.rename(home.root / "moved")
    run(home, "whole")
    now = store.plan("whole")
    assert now.keys == before.keys
    assert now.cells == before.cells
    assert now.corpora == before.corpora
    text = (home.suites / "whole.toml").read_text().replace('"sentence_ridge"', '"tfidf_ridge"', 1)
    (home.suites / "whole.toml").write_text(text.replace("params", 'label = "t"\n#'))
    run(home, "whole")
    kept = {(c.corpus, c.label) for c in store.plan("whole").cells if c.key}
    assert ("sims@small", "tfidf_ridge") in kept
    assert ("sims@small", "t") not in kept  # the suite asks for another row now


@pytest.fixture
def of_a_plug_in(partial: Home) -> Home:
    """A corpus, a plan and a run whose dataset nothing here defines any more."""
    (partial.suites / "partial.toml").write_text(
        'corpora = ["mosi@small", "sims@small"]\nseeds = 1\n[[systems]]\nname = "tfidf_ridge"\n'
    )
    run(partial, "partial")
    folder = partial.corpora / "gone@small"
    (partial.corpora / "sims@small").rename(folder)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"dataset": "sims"', '"dataset": "gone"'))
    from harness._util import checksums

    (folder / checksums.SUMS).unlink()
    checksums.seal(folder)
    return partial


def test_a_corpus_of_an_absent_plug_in_breaks_no_list_and_no_check(
    msa: Told, of_a_plug_in: Home
) -> None:
    code, said, _ = msa("list", "corpora", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(said)}
    assert "dataset 'gone', which nothing installed here defines" in rows["gone@small"]["streams"]
    assert rows["mosi@small"]["clips"] == 46
    _, said, told = msa("data", "check", "--json")
    assert {one["corpus"] for one in json.loads(said)} == {"mosi@small"}
    assert "left out: corpus 'gone@small'" in told
    code, _, told = msa("data", "info", "gone@small")
    assert code == 2
    assert "install the package that brings dataset 'gone'" in told


def test_a_dataset_of_an_absent_plug_in_leaves_the_rest_of_a_board(
    msa: Told, of_a_plug_in: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.data.datasets import datasets

    without = {name: one for name, one in datasets.items() if name != "sims"}

    leaderboards.render(RunStore(of_a_plug_in.store), "partial")  # loads what is replaced
    monkeypatch.setattr(sys.modules["leaderboards.model.gather"], "datasets", without)
    monkeypatch.setattr("harness.tracking.export.datasets", without)
    code, said, _ = msa("board", "partial", "--json")
    assert code == 0
    records = json.loads(said)["partial"]
    assert {one["corpus"] for one in records if "row" in one} == {"mosi@small"}
    assert [one["absent"] for one in records if "absent" in one] == ["dataset sims"]
    pytest.importorskip("mlflow")
    code, said, told = msa("export", "mlflow")
    assert code == 0
    runs = len(RunStore(of_a_plug_in.store).plan("partial").keys)
    assert said.startswith(f"{runs // 2} runs exported, 0 already there")
    assert f"left out: {runs // 2} runs on sims@small" in told


def test_adding_seeds_until_it_is_decided_takes_the_whole_suite(msa: Told, partial: Home) -> None:
    code, _, told = msa("run", "partial", "--until", "decided", "--looks", "2")
    assert code == 2
    assert "decided with all its rows on all its corpora: encoder 'no-such/model'" in told


# What the README and the pages say, from a home with one corpus


@pytest.fixture
def one_corpus(home: Home, asked: list[str]) -> Home:
    draft = dataclasses.replace(small_draft(), name="mosi@unaligned-50")
    CorpusStore(home.corpora).add(draft)
    return home


SUITES = sorted(Home.default().suite_files())
ASKED_OF_SERVERS = {name for name in SUITES if name.startswith(("zero_shot", "hidden"))}
WITHOUT_A_KNOWN_SIZE = {"mosi_utterance", "mmdg_bench"}


@pytest.mark.parametrize("suite", [name for name in SUITES if name not in ASKED_OF_SERVERS])
def test_every_suite_that_comes_with_the_code_can_be_examined_with_one_corpus(
    msa: Told, one_corpus: Home, asked: list[str], suite: str
) -> None:
    code, said, told = msa("doctor", suite, "--json")
    assert (code, told) == (0, "")
    assert all(one["next"] for one in json.loads(said) if one["state"] == "absent")
    code, _, told = msa("run", suite, "--plan", "--json")
    if suite in WITHOUT_A_KNOWN_SIZE:
        assert code == 2
        assert "next: msa data add " in told or f"next: msa doctor {suite} lists all" in told
    else:
        assert (code, told) == (0, "")
    assert asked == []
    assert CorpusStore(one_corpus.corpora).names() == ["mosi@unaligned-50"]


def test_the_suite_of_all_published_systems_runs_with_one_corpus(one_corpus: Home, asked) -> None:
    report = run(one_corpus, "paper_baselines", "tfidf_ridge", "feature_ridge*")
    assert report.failed == ()
    assert report.done == 5
    assert {lack.kind for lack in report.lacks} == {"corpus"}
    assert asked == []
    board = leaderboards.render(RunStore(one_corpus.store), "paper_baselines")
    assert "corpus simsv2@unaligned-50-explained" in board
    with pytest.raises(NotHere, match="'mosei@unaligned-50' is not here"):
        run(one_corpus, "paper_baselines", "tfidf_ridge", "mosei@unaligned-50")
