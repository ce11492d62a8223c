"""The test kit: what a package of somebody else's needs, in a folder of somebody else's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from harness.checks.conformance import CHECKS
from harness.data.datasets import datasets
from harness.errors import DataError, RunFailed, SpecError
from harness.system import systems
from harness.testing import (
    ChatServer,
    check_system,
    fitting_corpus,
    serve_chat,
    small_corpus,
    small_draft,
    tiny_encoder,
)
from harness.text import find_encoder, tokenize

ROOT = Path(__file__).parents[3]


# A plug-in


@pytest.fixture
def plug_in(tmp_path: Path) -> Path:
    """README's system as a distribution of its own, installed into a folder."""
    site = tmp_path / "site"
    info = site / "mean_mlp-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mean-mlp\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[msa_harness.systems]\nmean_mlp = mean_mlp.model:MEAN_MLP\n"
    )
    (source,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    (site / "mean_mlp").mkdir()
    (site / "mean_mlp" / "__init__.py").write_text("")
    (site / "mean_mlp" / "model.py").write_text(source)
    return site


TEST = """
from harness.system import systems
from harness.testing import check_system

def test_mean_mlp_conforms(tmp_path):
    found = check_system(systems["mean_mlp"], tmp_path)
    assert {finding.outcome for finding in found} == {"passed"}
"""


def run_test(site: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a test of the plug-in's in its own folder, as its author would."""
    folder = site.parent / "project"
    folder.mkdir()
    (folder / "test_system.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_plug_in_passes_in_a_folder_of_its_own(plug_in: Path) -> None:
    done = run_test(plug_in, TEST)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.slow
def test_a_plug_in_whose_clips_see_each_other_is_told_so(plug_in: Path) -> None:
    model = plug_in / "mean_mlp" / "model.py"
    sound = model.read_text()
    seen = sound.replace("torch.cat(means, 1)", "torch.cat(means, 1) - torch.cat(means, 1).mean(0)")
    assert seen != sound
    model.write_text(seen)
    done = run_test(plug_in, TEST)
    assert done.returncode == 1
    assert "RunFailed: system mean_mlp fails" in done.stdout
    assert "neighbours" in done.stdout


# Systems


@pytest.mark.parametrize("name", ["train_mean", "tfidf_ridge", "lf_dnn", "bert_text", "mlf_dnn"])
def test_systems_of_the_project_pass(name: str, tmp_path: Path) -> None:
    found = check_system(systems[name], tmp_path)
    assert {finding.check for finding in found} == set(CHECKS)


def test_some_checks_alone(tmp_path: Path) -> None:
    (finding,) = check_system(systems["zero"], tmp_path, checks=["shape"])
    assert finding.check == "shape"


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="unknown check"):
        check_system(systems["zero"], tmp_path / "a", checks=["finitude"])
    with pytest.raises(SpecError, match="no parameter 'hiden'"):
        check_system(systems["tfn"], tmp_path / "b", changes={"hiden": 3})


def test_the_corpus_fits_what_a_system_reads(tmp_path: Path) -> None:
    assert fitting_corpus(systems["tfn"], tmp_path).dataset.name == "mosi"
    assert fitting_corpus(systems["mlf_dnn"], tmp_path).dataset.name == "sims"


# Corpora


@pytest.mark.parametrize("dataset", datasets)
def test_a_corpus_of_every_dataset(dataset: str, tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path, dataset)
    known = datasets[dataset]
    assert corpus.name == f"{dataset}@small"
    assert {name: len(part) for name, part in corpus.splits.items()} == {
        "train": 24,
        "valid": 10,
        "test": 12,
    }
    assert corpus.clips["label"].between(known.low, known.high).all()
    assert ("label_T" in corpus.clips) == known.unimodal_labels
    assert len(set(corpus.streams["audio"].lengths)) > 1


def test_the_same_seed_gives_the_same_corpus_and_another_one_another() -> None:
    first, again, other = (small_draft(seed=seed) for seed in (0, 0, 1))
    assert first.clips.equals(again.clips)
    assert all(
        np.array_equal(first.streams[k].values, again.streams[k].values) for k in first.streams
    )
    assert not first.clips["label"].equals(other.clips["label"])


def test_every_stream_carries_the_label() -> None:
    draft = small_draft(clips={"train": 200, "valid": 2, "test": 2})
    for stream in draft.streams.values():
        means = stream.values.sum(1) / stream.lengths[:, None]  # (n, D)
        design = np.c_[means, np.ones(len(means))]
        fitted = design @ np.linalg.lstsq(design, draft.clips["label"], rcond=None)[0]
        assert np.corrcoef(fitted, draft.clips["label"])[0, 1] > 0.8


def test_a_corpus_without_streams_and_one_of_other_sizes(tmp_path: Path) -> None:
    text = small_corpus(tmp_path / "a", streams={}, clips={"train": 3, "valid": 2, "test": 1})
    assert dict(text.streams) == {}
    assert len(text.clips) == 6
    audio = small_corpus(tmp_path / "b", streams={"audio": (4, 3)})
    assert audio.streams["audio"].values.shape == (46, 4, 3)


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean mosi"):
        small_corpus(tmp_path, "mosii")
    small_corpus(tmp_path)
    with pytest.raises(DataError):
        small_corpus(tmp_path, seed=1)


# Encoder


def test_the_encoder_knows_every_word(tmp_path: Path) -> None:
    texts = ["a lovely film", "坏片子"]
    folder = tiny_encoder(tmp_path / "encoder", texts)
    tokens = tokenize(find_encoder(str(folder), tmp_path), texts, 16)
    vocabulary = (folder / "vocab.txt").read_text("utf-8").splitlines()
    assert vocabulary.index("[UNK]") not in set(tokens[:, 0].ravel())
    again = tiny_encoder(tmp_path / "again", texts)
    name = "model.safetensors"
    assert (folder / name).read_bytes() == (again / name).read_bytes()
    other = tiny_encoder(tmp_path / "other", texts, seed=1)
    assert (folder / name).read_bytes() != (other / name).read_bytes()


# Server


@pytest.fixture
def server():
    def answer(body):
        question = body["messages"][-1]["content"]
        return (429, {"error": "later"}) if question == "busy" else f"you said {question}"

    with serve_chat(answer) as running:
        yield running


def ask(server: ChatServer, question: str) -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": question}]}
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{server.url}/chat/completions", json=body)


def test_a_server_answers_what_the_test_says(server: ChatServer) -> None:
    reply = ask(server, "hello").json()
    assert reply["choices"][0]["message"]["content"] == "you said hello"
    assert ask(server, "busy").status_code == 429
    assert [body["messages"][0]["content"] for body in server.bodies] == ["hello", "busy"]


def test_a_server_names_its_model_and_ends_with_the_block() -> None:
    with serve_chat(lambda body: "x") as running, httpx.Client(trust_env=False) as client:
        assert client.get(f"{running.url}/models").json()["data"][0]["id"] == "m"
    with pytest.raises(httpx.ConnectError):
        ask(running, "still there?")


def test_a_failure_names_every_check_and_the_next_step(tmp_path: Path, monkeypatch) -> None:
    from harness.checks import conformance, findings

    def broken(subject) -> None:
        raise findings.Broken("on purpose")

    monkeypatch.setattr(conformance, "CHECKS", {**CHECKS, "shape": broken, "seed": broken})
    with pytest.raises(RunFailed, match=r"fails 2 of \d+ checks") as caught:
        check_system(systems["zero"], tmp_path)
    assert "  shape: on purpose\n  seed: on purpose" in str(caught.value)
    assert "Card.declares" in str(caught.value.hint)
