"""Whether a system fits a corpus is asked of the corpus, and said before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.data.corpus import EXPLANATIONS, LABELS, STREAMS, Stream
from harness.data.store import CorpusStore, Draft
from harness.home import Home
from harness.runs.plan import Plan, make_plan
from harness.runs.store import RunStore
from harness.spec import Suite
from harness.text.synthetic import TWIN_ENCODER

GIVEN = dict.fromkeys(LABELS[1:], 0.2)
TOLD = dict.fromkeys(EXPLANATIONS, "told")
SPLITS = ("train",) * 6 + ("valid",) * 3 + ("test",) * 3
LOST = "uni-modal labels (no training clip has {})"
Adder = Callable[..., str]
Planner = Callable[..., Plan]


@pytest.fixture
def add(home: Home) -> Adder:
    """Store a small corpus; returns its name."""

    def store(
        columns: Mapping[str, Any] = {},
        *,
        name: str = "sims@x",
        streams: tuple[str, ...] = STREAMS,
        splits: tuple[str, ...] = SPLITS,
        tokens: int | None = None,
    ) -> str:
        n, rng = len(splits), np.random.default_rng(0)
        clips = pd.DataFrame({"split": splits, "video": "v", "clip": [str(k) for k in range(n)]})
        own = {"text": [f"words {k % 3}" for k in range(n)], "label": rng.uniform(-1, 1, n)}
        clips = clips.assign(id="v_" + clips["clip"], **{**own, **columns})
        values = rng.normal(size=(n, 3, 2)).astype(np.float32)
        draft = Draft(
            name=name,
            clips=clips,
            streams=dict.fromkeys(streams, Stream(values, np.full(n, 3))),
            tokens=None if tokens is None else np.full((n, 3, 4), tokens, np.int32),
            manifest={},
        )
        return CorpusStore(home.corpora).add(draft).name

    return store


@pytest.fixture
def planned(home: Home) -> Planner:
    """The plan of one row on one corpus."""

    def make(corpus: str, system: str, *, protocol: Mapping[str, Any] = {}, **params: Any) -> Plan:
        table = {
            "corpora": [corpus],
            "seeds": 1,
            "systems": [{"name": system, "label": "row", "params": params}],
            "protocol": {"max_epochs": 1, **protocol},
        }
        return make_plan(Suite.parse(table, name="demo", where="demo.toml"), home)

    return make


def reason(plan: Plan, label: str = "row") -> str | None:
    (cell,) = [cell for cell in plan.cells if cell.label == label]
    assert (cell.job is None) == (cell.reason is not None)
    (record,) = [cell for cell in plan.record().cells if cell.label == label]
    assert record.reason == cell.reason
    return cell.reason


SOME = [0.5, *[np.nan] * 11]
TESTED = [*[np.nan] * 9, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("system", ["mtfn", "mlf_dnn", "mlmf"])
@pytest.mark.parametrize(
    ("columns", "lost"),
    [
        (GIVEN, None),
        (dict.fromkeys(LABELS[1:], SOME), None),
        ({}, "label_T, label_A, label_V"),
        (dict.fromkeys(LABELS[1:], np.nan), "label_T, label_A, label_V"),
        ({**GIVEN, "label_A": np.nan}, "label_A"),
        ({"label_V": 0.1}, "label_T, label_A"),
        ({**GIVEN, "label_V": TESTED}, "label_V"),
    ],
)
def test_unimodal_labels_are_asked_of_the_clips(
    add: Adder, planned: Planner, system: str, columns: dict[str, Any], lost: str | None
) -> None:
    expected = None if lost is None else f"needs {LOST.format(lost)}"
    assert reason(planned(add(columns), system)) == expected


@pytest.mark.parametrize("name", ["mosi@unaligned-50", "mosei@x", "simsv2@label-csv"])
def test_neither_dataset_nor_feature_set_decides(add: Adder, planned: Planner, name: str) -> None:
    assert reason(planned(add(GIVEN, name=name), "mtfn")) is None


@pytest.mark.parametrize(
    ("system", "params", "corpus", "expected"),
    [
        ("tfn", {}, {"streams": ("text", "vision")}, "needs audio"),
        ("mult", {}, {"streams": ()}, "needs audio, text, vision"),
        (
            "mtfn",
            {},
            {"streams": ("text", "vision")},
            f"needs audio, {LOST.format('label_T, label_A, label_V')}",
        ),
        ("tfidf_ridge", {}, {"columns": {"text": ""}}, "needs transcripts"),
        ("tfidf_ridge", {}, {"columns": {"text": " "}}, "needs transcripts"),
        ("sentence_ridge", {}, {"columns": {"text": "\n"}}, "needs transcripts"),
        ("bert_text", {}, {"columns": {"text": ""}}, "needs transcripts to make tokens of"),
        ("misa", {"tokens": "corpus"}, {}, "needs stored tokens"),
        ("bert_text", {"tokens": "corpus"}, {"columns": {"text": ""}}, "needs stored tokens"),
        ("bert_text", {"tokens": "corpus"}, {"columns": {"text": ""}, "tokens": 7}, None),
        (
            "bert_text",
            {"tokens": "corpus"},
            {"tokens": 9_999},
            f"its stored tokens go up to id 9999; encoder {TWIN_ENCODER} has ",
        ),
        ("bert_text", {}, {"tokens": 9_999}, None),  # they are not read
        ("bert_text", {}, {}, None),
    ],
)
def test_every_requirement_is_asked_of_the_corpus(
    add: Adder,
    planned: Planner,
    system: str,
    params: dict[str, Any],
    corpus: dict[str, Any],
    expected: str | None,
) -> None:
    textual = {"encoder": TWIN_ENCODER} if system in ("bert_text", "misa", "sentence_ridge") else {}
    found = reason(planned(add(**corpus), system, **params, **textual))
    assert found == expected or (found is not None and found.startswith(f"{expected}"))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (TOLD, None),
        ({}, "needs audio_clue, summary, visual_clue"),
        ({**TOLD, "summary": ""}, "needs summary"),
        ({**TOLD, "audio_clue": [*[""] * 6, *["told"] * 6]}, "needs audio_clue"),
        ({**TOLD, "visual_clue": [None] * 12}, "needs visual_clue"),
    ],
)
def test_explanations_are_those_of_training_clips(
    add: Adder, planned: Planner, columns: dict[str, Any], expected: str | None
) -> None:
    plan = planned(
        add(columns),
        "explanation_ridge",
        protocol={"side_info": "both"},
        encoder=TWIN_ENCODER,
    )
    assert reason(plan) == expected


def test_a_system_that_can_do_without_explanations_says_how(add: Adder, planned: Planner) -> None:
    found = reason(planned(add(), "text", protocol={"side_info": "both"}, encoder=TWIN_ENCODER))
    assert found == (
        "needs audio_clue, summary, visual_clue; params = {"
        ' explanations = "none", tokens = "transcript" } runs it without'
    )


@pytest.mark.parametrize(
    ("splits", "expected", "of_references"),
    [
        (("train",) * 6 + ("test",) * 3, "needs valid clips", None),
        (("train",) * 6 + ("valid",) * 3, "needs test clips", "needs test clips"),
        (("valid",) * 3 + ("test",) * 3, "needs train clips", "needs train clips"),
        (("train",) * 6, "needs valid and test clips", "needs test clips"),
        (("test",) * 6, "needs train and valid clips", "needs train clips"),
    ],
)
@pytest.mark.parametrize("system", ["tfidf_ridge", "lf_dnn"])
def test_a_split_without_clips_is_one_reason(
    add: Adder,
    planned: Planner,
    system: str,
    splits: tuple[str, ...],
    expected: str,
    of_references: str | None,
) -> None:
    plan = planned(add(splits=splits), system)
    assert reason(plan) == expected
    assert reason(plan, "train_mean") == of_references


KNOWING = {"encoder": TWIN_ENCODER, "knowledge": "simsv2@y"}


@pytest.mark.parametrize(
    ("knowledge", "expected"),
    [
        ({}, None),
        ({"splits": ("train",) * 4 + ("test",)}, "simsv2@y has no valid clips to learn from"),
        ({"splits": ("valid", "test")}, "simsv2@y has no train clips to learn from"),
        ({"splits": ("test",)}, "simsv2@y has no train and no valid clips to learn from"),
        ({"splits": ("train", "valid")}, None),  # nothing is scored on it
        ({"columns": {"text": ""}}, "simsv2@y has no transcripts to learn from"),
    ],
)
def test_a_knowledge_corpus_that_cannot_teach_is_a_reason(
    add: Adder, planned: Planner, knowledge: dict[str, Any], expected: str | None
) -> None:
    add(name="simsv2@y", **knowledge)
    allowed = {"knowledge_data": "simsv2@y"}
    assert reason(planned(add(), "kuda", protocol=allowed, **KNOWING)) == expected


def test_a_knowledge_corpus_that_is_not_here_is_a_hole(add: Adder, planned: Planner) -> None:
    allowed = {"knowledge_data": "simsv2@y"}
    plan = planned(add(), "kuda", protocol=allowed, **KNOWING)
    assert "'simsv2@y' is not here" in reason(plan)
    assert {cell.lack.title for cell in plan.cells if cell.lack} == {"corpus simsv2@y"}


SUITE = """
corpora = ["sims@x"]
seeds = 1
[protocol]
max_epochs = 1
[[systems]]
name = "mtfn"
params = { batch_size = 4 }
[[systems]]
name = "tfidf_ridge"
"""


@pytest.mark.slow
def test_the_hole_is_in_plan_json_store_and_board(add: Adder, home: Home, msa: Any) -> None:
    add(dict.fromkeys(LABELS[1:], np.nan))
    (home.suites / "demo.toml").write_text(SUITE)
    why = f"needs {LOST.format('label_T, label_A, label_V')}"
    code, out, _ = msa("run", "demo", "--plan")
    assert code == 0
    assert "does not apply" in out and why in out
    rows = json.loads(msa("run", "demo", "--plan", "--json")[1])["rows"]
    assert {row["label"]: row["reason"] for row in rows}["mtfn"] == why
    code, out, err = msa("run", "demo")
    assert code == 0, err
    assert "0 failed" in out
    stored = {cell.label: cell for cell in RunStore(home.store).plan("demo").cells}
    assert (stored["mtfn"].key, stored["mtfn"].reason) == (None, why)
    assert why in msa("board", "demo")[1] + "".join(
        path.read_text("utf-8") for path in home.root.rglob("*.md")
    )


@pytest.mark.slow
def test_partly_labelled_corpora_run(add: Adder, home: Home, msa: Any) -> None:
    add({"label_T": SOME, "label_A": GIVEN["label_A"], "label_V": [np.nan, *[0.1] * 11]})
    (home.suites / "demo.toml").write_text(SUITE)
    code, out, err = msa("run", "demo", "--only", "mtfn")
    assert code == 0, err
    assert "1 cells run, 0 already stored, 0 failed" in out


@pytest.mark.slow
def test_a_corpus_without_validation_clips_is_a_board_of_holes(
    add: Adder, home: Home, msa: Any
) -> None:
    add(splits=("train",) * 6 + ("test",) * 3)
    (home.suites / "demo.toml").write_text(SUITE)
    code, out, err = msa("run", "demo")
    assert code == 0, err
    assert "0 failed" in out


def test_doctor_says_what_corpora_have(add: Adder, msa: Any) -> None:
    add({**GIVEN, **TOLD}, tokens=3)
    add(name="mosi@bare", streams=(), splits=("train", "test"))
    found = {row["check"]: row for row in json.loads(msa("doctor", "--json")[1])}
    assert found["corpus sims@x"]["verdict"] == "ok"
    assert found["corpus sims@x"]["found"] == (
        "6 train, 3 valid, 3 test clips; audio, text, vision, audio_clue, summary, transcript,"
        " visual_clue, label_T, label_A, label_V, tokens"
    )
    assert found["corpus mosi@bare"]["verdict"] == "warn"
    assert found["corpus mosi@bare"]["found"] == "1 train, 0 valid, 1 test clips; transcript"


def test_doctor_names_a_damaged_corpus(add: Adder, home: Home, msa: Any) -> None:
    name = add()
    (home.corpora / name / "clips.parquet").write_bytes(b"")
    found = {row["check"]: row for row in json.loads(msa("doctor", "--json")[1])}
    assert found[f"corpus {name}"]["verdict"] == "warn"
    assert "is damaged" in found[f"corpus {name}"]["found"]
