"""Submissions: what is stated is checked text, what is wrong is refused, what is odd is flagged."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import threading
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness._util import checksums
from harness._util.holding import held
from harness.data.datasets import datasets
from harness.data.split_labels import SplitLabels
from harness.errors import StoreError, SubmissionError
from harness.submissions import (
    NOT_STATED,
    Badge,
    Gold,
    SubmissionManifest,
    SubmissionRecord,
    SubmissionStore,
    check,
    read_submission,
    score_runs,
)
from harness.tests.official_labels import clips_of, predictions_for, write_table
from harness.tests.research import research_data

EXAMPLES = Path(__file__).parents[3] / "leaderboards" / "submissions"


def gold_of(dataset: str, split: str = "test") -> Gold:
    clips = labelled(clips_of(dataset))
    others = clips[clips["split"] != split]
    return Gold(
        truth=SplitLabels.of_table(clips, datasets[dataset], split),
        elsewhere={
            clip: (dataset, mode) for clip, mode in zip(others["id"], others["split"], strict=True)
        },
    )


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": table["video_id"] + "_" + table["clip_id"],
            "video": table["video_id"],
            "split": table["mode"],
            "label": table["label"].astype(float),
        }
    )


SIMS = gold_of("sims")
MINE = SubmissionManifest(name="mine", selection="validation")


def kinds(table: pd.DataFrame, manifest: SubmissionManifest = MINE, gold: Gold = SIMS) -> list[str]:
    return [flag.kind for flag in check(table, gold, manifest).flags]


# Manifests


def manifest(**keys: object) -> SubmissionManifest:
    return SubmissionManifest.parse({"name": "mine", **keys}, where="m.toml")


def test_everything_but_the_name_may_be_left_out() -> None:
    bare = manifest()
    assert bare.display == "mine"
    assert bare.selection == bare.shown("paper") == bare.shown("trained_on") == NOT_STATED
    assert bare.table() == {"name": "mine"}


FULL = {
    "name": "full-1",
    "title": "A full one",
    "paper": "Doe. A paper. 2026",
    "year": 2026,
    "url": "https://example.org/a%20b?c=d",
    "authors": ["Doe, J.", "Roe"],
    "description": "words",
    "seeds": [1, 2],
    "selection": "test",
    "side_info": "none",
    "encoder": "BERT",
    "trained_on": ["CH-SIMS train"],
    "inputs": ["text", "audio"],
    "mapping": "positive is 1",
    "protocol": "0123456789ab",
    "note": "谢谢",
    "columns": {"pred": "answer"},
    "where": {"fold": "0"},
    "values": {"positive": 1.0, "negative": -1.0},
    "scale": 0.5,
}


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_manifest_survives_writing_and_reading(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    lines = [f"{key} = {json.dumps(value)}" for key, value in FULL.items() if key not in _TABLES]
    sections = [
        f"[{name}]\n" + "\n".join(f'"{k}" = {json.dumps(v)}' for k, v in FULL[name].items())
        for name in _TABLES
    ]
    path.write_text(json.dumps(FULL) if suffix == ".json" else "\n".join([*lines, *sections]))
    read = SubmissionManifest.load(path, default="other")
    assert read.table() == FULL
    assert SubmissionManifest.parse(read.table(), where="again") == read
    assert read.stated_runs == 2
    assert SubmissionManifest.load(path, name="given", default="other").name == "given"


_TABLES = ("columns", "where", "values")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"papper": "x"}, "unknown key 'papper'; did you mean 'paper'"),
        ({"columns": {"prd": "x"}}, "columns: unknown key 'prd'; did you mean 'pred'"),
        ({"title": ""}, "title should be text"),
        ({"deterministic": "yes"}, "deterministic should be true or false, found 'yes'"),
        ({"title": 3}, "title should be text"),
        ({"title": "x" * 121}, "121 characters, at most 120"),
        ({"title": "two\nlines"}, "one line without control characters"),
        ({"title": "red\x1b[31m"}, "one line without control characters"),
        ({"title": "right\u202eleft"}, "one line without control characters"),
        ({"note": "a\u2028b"}, "one line without control characters"),
        ({"url": "javascript:alert(1)"}, "an http or https address"),
        ({"url": "https://example.org/<b>"}, "an http or https address"),
        ({"url": "https://example.org/a)b"}, "an http or https address"),
        ({"year": "2026"}, "an integer from 1990 to 2100"),
        ({"year": True}, "an integer from 1990 to 2100"),
        ({"seeds": 0}, "an integer from 1"),
        ({"seeds": [1, 1]}, "names one item twice"),
        ({"seeds": []}, "a list of 1 to 50 items"),
        ({"selection": "best"}, "one of 'validation', 'test', 'none (no training)', 'not stated'"),
        ({"inputs": ["smell"]}, "one of 'text', 'audio', 'vision'"),
        ({"protocol": "xyz"}, "12 hexadecimal digits"),
        ({"scale": 3.0}, "a reader of the board must know"),
        ({"values": {"good": 1}}, "a reader of the board must know"),
        ({"scale": 0, "mapping": "x"}, "another factor than zero"),
        ({"scale": float("nan"), "mapping": "x"}, "a finite number"),
        ({"values": {"good": "1"}, "mapping": "x"}, "a finite number"),
        ({"where": ["x"]}, "should be a table"),
        ({"where": {"a\nb": "x"}}, "one line without control characters"),
    ],
)
def test_what_a_manifest_may_not_say(keys: dict[str, object], message: str) -> None:
    with pytest.raises(SubmissionError, match=r"m\.toml") as caught:
        manifest(**keys)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["../up", "a/b", "..", ".hidden", "<script>alert(1)</script>", "a|b", "a\nb", "a`b", "", "-a"],
)
def test_a_name_is_a_plain_file_name(name: str) -> None:
    with pytest.raises(SubmissionError):
        manifest(name=name)


def test_a_broken_manifest_file_is_one_error(tmp_path: Path) -> None:
    for name, content, message in (
        ("m.toml", "name = ", "cannot read manifest"),
        ("m.json", "[1]", "should be a table"),
        ("m.json", "{", "cannot read manifest"),
        ("m.yaml", "", "is a .toml or .json file"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(SubmissionError, match=message):
            SubmissionManifest.load(tmp_path / name, default="x")


@given(st.text(max_size=30))
def test_any_title_is_one_printable_line_or_refused(title: str) -> None:
    try:
        shown = manifest(title=title).display
    except SubmissionError:
        return
    assert shown.isprintable()
    assert shown == unicodedata.normalize("NFC", title.strip())


def test_badges_say_what_they_mean() -> None:
    first, *others = [str(badge) for badge in Badge]
    assert first == "replayed"
    assert others == ["released weights", "recomputed", "reported", "literature"]
    assert len({badge.meaning for badge in Badge}) == 5


# Reading


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    table = pd.DataFrame(
        {
            "clip": ["a_1", "a_1", "b_1"],
            "mode": ["text", "both", "both"],
            "answer": ["good", "bad", "none"],
            "pred": ["x", "y", "z"],
        }
    )
    return write_table(table, tmp_path / "answers.csv")


def test_rows_columns_words_and_scale_are_applied_in_turn(answers: Path) -> None:
    how = manifest(
        columns={"id": "clip", "pred": "answer"},
        where={"mode": "both"},
        values={"bad": -1, "none": 0},
        scale=3.0,
        mapping="words",
    )
    read = read_submission(answers, how)
    assert dict(zip(read["id"], read["pred"], strict=True)) == {"a_1": -3.0, "b_1": 0.0}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_whole_number_picks_rows_in_every_format(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame({"id": ["a_1", "a_1"], "fold": [0, 1], "pred": [0.5, 0.25]})
    path = write_table(table, tmp_path / f"p{suffix}")
    assert read_submission(path, manifest(where={"fold": 1}))["pred"].tolist() == [0.25]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"where": {"mode": "all"}}, "no row has mode = 'all'; found 'text', 'both'"),
        ({"where": {"modality": "both"}}, "no column 'modality'"),
        ({"columns": {"pred": "answr"}}, "no column 'answr'; found 'clip'"),
        (
            {"columns": {"id": "clip", "pred": "answer"}, "values": {"good": 1}, "mapping": "w"},
            "2 outputs are not among the values of the manifest: 'bad', 'none'",
        ),
        ({"columns": {"id": "clip", "pred": "answer"}}, "pred of clip a_1 is not a finite number"),
    ],
)
def test_what_a_file_does_not_have(answers: Path, keys: dict[str, object], message: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        read_submission(answers, manifest(**keys))
    assert message in str(caught.value)
    assert caught.value.hint


TOLD_APART = {
    "id": ["a_1", "a_1", "a_1"],
    "condition": ["clean", "clean", "noise=0.5"],
    "variant": ["plain", "excluded", "plain"],
    "pred": [0.5, 0.25, 0.75],
}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_of_several_conditions_and_variants_the_manifest_chooses(tmp_path, suffix) -> None:
    path = write_table(pd.DataFrame(TOLD_APART), tmp_path / f"p{suffix}")
    with pytest.raises(SubmissionError, match="of 3 conditions or variants") as caught:
        read_submission(path, MINE)
    assert "[where]" in str(caught.value.hint)
    with pytest.raises(SubmissionError, match="of 2 conditions or variants"):
        read_submission(path, manifest(where={"condition": "clean"}))
    chosen = manifest(where={"condition": "clean", "variant": "excluded"})
    assert read_submission(path, chosen)["pred"].tolist() == [0.25]


def test_predictions_under_corruption_alone_are_not_those_of_clean_clips(tmp_path) -> None:
    path = write_table(pd.DataFrame(TOLD_APART).iloc[2:], tmp_path / "p.csv")
    with pytest.raises(SubmissionError, match=r"no predictions of condition 'clean'.*noise=0\.5"):
        read_submission(path, MINE)


def test_columns_of_other_names_say_condition_and_variant(tmp_path) -> None:
    table = pd.DataFrame(TOLD_APART).rename(columns={"condition": "seen", "variant": "policy"})
    path = write_table(table.iloc[:1], tmp_path / "p.csv")
    named = manifest(columns={"condition": "seen", "variant": "policy"})
    assert read_submission(path, named)["pred"].tolist() == [0.5]


# Checking: what passes


def test_predictions_are_kept_as_they_are() -> None:
    table = predictions_for("sims")
    checked = check(table.sample(frac=1, random_state=1), SIMS, MINE)
    assert (checked.clips, checked.expected, checked.left_out, checked.seeds) == (457, 457, 0, ())
    assert list(checked.predictions.columns) == ["id", "seed", "pred", "split"]
    expected = table.sort_values("id", ignore_index=True)
    assert checked.predictions["id"].tolist() == expected["id"].tolist()
    np.testing.assert_array_equal(checked.predictions["pred"], expected["pred"])
    assert [flag.kind for flag in checked.flags] == ["one-run"]
    assert kinds(table, manifest(deterministic=True, selection="validation")) == []


def test_what_no_seed_changes_has_one_run() -> None:
    assert manifest(deterministic=True, seeds=1).table()["deterministic"] is True
    with pytest.raises(SubmissionError, match="deterministic = true and 2 runs contradict"):
        manifest(deterministic=True, seeds=[1, 2])
    table = pd.concat([predictions_for("sims", by=by).assign(seed=by) for by in (1, 2)])
    with pytest.raises(SubmissionError, match="deterministic = true, the file holds 2 runs"):
        check(table, SIMS, manifest(deterministic=True))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_digits_beyond_the_sixth_count(tmp_path: Path, store: SubmissionStore, suffix: str) -> None:
    table = predictions_for("sims", by=0.4)
    table["pred"] = 0.1234567 + 1e-7 * table["pred"]  # a network that has all but collapsed
    _, _, checked = put(store, read_submission(write_table(table, tmp_path / f"p{suffix}"), MINE))
    stored = store.get("sims", "mine").predictions()
    found = score_runs(stored, SIMS.truth.by_id, SIMS.truth.dataset)[0]["corr"]
    truth = table["id"].map(SIMS.truth.by_id)
    assert found == pytest.approx(np.corrcoef(table["pred"], truth)[0, 1], rel=1e-6)
    assert "near-constant" in [flag.kind for flag in checked.flags]


@pytest.mark.parametrize("factor", [1e-100, 1e-200, 1e-310])
def test_numbers_whose_squares_are_none_are_flagged(factor: float) -> None:
    table = predictions_for("sims")
    assert "near-constant" in kinds(table.assign(pred=factor * table["pred"]))


def test_scores_are_those_of_the_clips_each_run_covers() -> None:
    table = pd.concat(
        [
            predictions_for("sims", by=0.2).assign(seed=1),
            predictions_for("sims", by=0.4).iloc[:400].assign(seed=2),
        ]
    )
    checked = check(table, SIMS, MINE)
    scores = score_runs(checked.predictions, SIMS.truth.by_id, SIMS.truth.dataset)
    for seed, part in table.groupby("seed"):
        truth = part["id"].map(SIMS.truth.by_id)
        clipped = part["pred"].clip(-1, 1)
        assert scores[seed]["mae"] == pytest.approx((clipped - truth).abs().mean(), abs=1e-9)
    assert checked.clips == 400
    flags = {flag.kind: flag.text for flag in checked.flags}
    assert flags["holes"] == "400 of 457 clips are predicted"
    assert flags["uneven"] == "runs cover different clips (400 to 457 of them)"
    assert "one-run" not in flags


def test_rows_of_other_splits_are_left_out_and_counted() -> None:
    table = pd.concat([predictions_for("sims", split) for split in ("valid", "test")])
    checked = check(table, SIMS, MINE)
    assert (checked.clips, checked.left_out) == (457, 456)


def test_few_clips_are_accepted_when_asked_for() -> None:
    table = predictions_for("sims").iloc[:100]
    with pytest.raises(SubmissionError, match="100 of 457 test clips"):
        check(table, SIMS, MINE)
    assert check(table, SIMS, MINE, partial=True).clips == 100


# Checking: what is flagged


def spread_to(share: float) -> pd.DataFrame:
    """Predictions whose standard deviation is this share of the labels'."""
    table = predictions_for("sims")
    truth = table["id"].map(SIMS.truth.by_id)
    standard = (table["pred"] - table["pred"].mean()) / table["pred"].std(ddof=0)
    return table.assign(pred=standard * truth.std(ddof=0) * share)


def shaped(change: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    table = predictions_for("sims")
    return table.assign(pred=change(table["pred"]))


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (shaped(lambda p: 0 * p + 0.25), "constant"),
        (spread_to(0.09), "near-constant"),
        (shaped(lambda p: (p > 0) * 0.5), "near-constant"),
        (shaped(lambda p: -p), "sign-flipped"),
        (shaped(lambda p: p.clip(-1, 1) * 2.7), "scale"),
        (shaped(lambda p: p / 4), "scale"),
        (shaped(lambda p: p + 1.2), "shifted"),
        (shaped(lambda p: p.round()), "classes"),
        (predictions_for("sims").iloc[1:], "holes"),
        (pd.concat([predictions_for("sims").assign(seed=s) for s in (1, 2)]), "copies"),
    ],
)
def test_what_a_reader_must_know(table: pd.DataFrame, kind: str) -> None:
    assert kind not in kinds(predictions_for("sims"))
    assert kind in kinds(table)


def test_a_weak_but_living_system_is_not_called_collapsed() -> None:
    assert "near-constant" not in kinds(spread_to(0.11))


def test_two_numbers_are_called_that_however_far_apart() -> None:
    (text,) = (
        flag.text
        for flag in check(shaped(lambda p: (p > 0) * 2.0 - 1.0), SIMS, MINE).flags
        if flag.kind == "near-constant"
    )
    assert text == "near-constant: every prediction is one of two numbers in the only run"


def test_one_collapsed_run_among_good_ones_is_named() -> None:
    runs = [predictions_for("sims", by=by).assign(seed=i) for i, by in enumerate((0.1, 0.2))]
    collapsed = spread_to(0.01).assign(seed=7)
    flags = check(pd.concat([*runs, collapsed]), SIMS, MINE).flags
    assert [f.text for f in flags if f.kind == "near-constant"] == [
        "near-constant: predictions spread 1.0% as much as the labels in 1 of 3 runs (seed 7)"
    ]


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        (SubmissionManifest(name="m"), "selection-not-stated"),
        (SubmissionManifest(name="m", selection="test"), "selected-on-test"),
        (SubmissionManifest(name="m", seeds=5), "runs"),
        (SubmissionManifest(name="m", seeds=(1, 2)), "runs"),
    ],
)
def test_what_is_stated_or_not_is_flagged(stated: SubmissionManifest, kind: str) -> None:
    assert kind not in kinds(
        predictions_for("sims"), SubmissionManifest(name="m", selection="validation")
    )
    assert kind in kinds(predictions_for("sims"), stated)


def test_a_few_contradicting_labels_are_flagged_and_many_refused() -> None:
    table = predictions_for("sims")
    table = table.assign(label=table["id"].map(SIMS.truth.by_id) + 1e-7)
    assert "labels-differ" not in kinds(table)
    few = table.copy()
    few.loc[:4, "label"] += 0.2
    (flag,) = (f for f in check(few, SIMS, MINE).flags if f.kind == "labels-differ")
    assert flag.text == (
        "5 of 457 labels in the file contradict the stored ones (1.1%: sims-test_v0_0000 0 for"
        " -0.2, sims-test_v0_0001 -0.2 for -0.4, sims-test_v0_0002 -0.4 for -0.6, …)"
    )
    with pytest.raises(SubmissionError, match="457 of 457 labels in the file contradict"):
        check(table.assign(label=table["label"] + 0.2), SIMS, MINE)


# Store


@pytest.fixture
def store(tmp_path: Path) -> SubmissionStore:
    return SubmissionStore(tmp_path)


def put(store: SubmissionStore, table: pd.DataFrame, *, replace: bool = False, name: str = "mine"):
    how = SubmissionManifest(
        name=name, title="<b>Mine</b> | [x](y)", selection="validation", scale=1.0
    )
    checked = check(table, SIMS, how)
    source = str(int(table["pred"].sum() * 1e6))
    record = SubmissionRecord.of(checked, how, dataset="sims", split="test", source=source)
    return store.put(record, checked.predictions, replace=replace), record, checked


def named(store: SubmissionStore, name: str, title: str | None = None) -> str:
    """What storing a submission of that name does."""
    how = SubmissionManifest.parse(
        {"name": name, "selection": "validation", **({} if title is None else {"title": title})},
        where="m.toml",
    )
    checked = check(predictions_for("sims", by=0.2), SIMS, how)
    record = SubmissionRecord.of(checked, how, dataset="sims", split="test", source="s")
    return store.put(record, checked.predictions)


@pytest.mark.parametrize("other", ["ｍine", "mіne", "mine\u00ad"])
def test_names_that_print_alike_are_named_together(store: SubmissionStore, other: str) -> None:
    assert named(store, "mine") == "added"
    with pytest.raises(SubmissionError, match=r"prints alike: 'mine' and|control characters"):
        named(store, other)
    assert store.names("sims") == ["mine"]
    assert named(store, "mine") == "unchanged"
    assert named(store, "Mine") == "added"


def test_titles_that_print_alike_are_named_together(store: SubmissionStore) -> None:
    assert named(store, "one", "MISA (ours)") == "added"
    for title in ("MISA (ours)", "MISA  (ours)", "МISA (ours)"):
        with pytest.raises(
            SubmissionError, match=r"title prints alike: 'MISA \(ours\)' and .*'one'"
        ):
            named(store, "two", title)
    with pytest.raises(SubmissionError, match="title prints alike"):
        named(store, "two", "ＭISA (ours)")
    assert named(store, "two", "MISA (theirs)") == "added"


def test_what_is_stored_comes_back(store: SubmissionStore) -> None:
    table = pd.concat(
        [predictions_for("sims", by=b).assign(seed=s) for s, b in ((3, 0.1), (9, 0.2))]
    )
    outcome, record, checked = put(store, table)
    stored = store.get("sims", "mine")
    assert outcome == "added"
    assert stored.manifest == record
    assert stored.manifest.runs == 2
    assert stored.manifest.seeds == (3, 9)
    assert stored.manifest.badge is Badge.RECOMPUTED
    pd.testing.assert_frame_equal(stored.predictions(), checked.predictions)
    assert [submission.name for submission in store.of("sims")] == ["mine"]
    assert store.names("mosi") == []


def test_the_record_names_no_time_host_or_path(store: SubmissionStore) -> None:
    put(store, predictions_for("sims"))
    record = json.loads((store.root / "sims" / "mine" / "manifest.json").read_text())
    keys = {"format", "dataset", "split", "badge", "stated", "source", "seeds"}
    assert set(record) == keys | {"clips", "expected", "left_out", "flags"}


def test_the_same_again_changes_nothing_and_other_content_needs_a_word(
    store: SubmissionStore,
) -> None:
    put(store, predictions_for("sims"))
    folder = store.root / "sims" / "mine"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert put(store, predictions_for("sims"))[0] == "unchanged"
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    other = predictions_for("sims", by=0.3)
    with pytest.raises(SubmissionError, match="already has a submission 'mine'") as caught:
        put(store, other)
    assert caught.value.hint == "--replace, or --name another"
    outcome, record, checked = put(store, other, replace=True)
    assert outcome == "replaced"
    assert store.get("sims", "mine").manifest == record
    pd.testing.assert_frame_equal(store.get("sims", "mine").predictions(), checked.predictions)
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_a_failed_replacement_leaves_the_old_one(
    store: SubmissionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, record, _ = put(store, predictions_for("sims"))

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    renamed = Path.rename

    def full_at_the_place(path: Path, target: Path) -> Path:
        if path.name.startswith(".new-"):
            full()
        return renamed(path, target)

    places = {"pandas.DataFrame.to_parquet": full, "os.fsync": full}
    for broken, fault in {**places, "pathlib.Path.rename": full_at_the_place}.items():
        with monkeypatch.context() as patch:
            patch.setattr(broken, fault)
            with pytest.raises(StoreError, match="no space left"):
                put(store, predictions_for("sims", by=0.3), replace=True)
        assert store.get("sims", "mine").manifest == record
        assert [path.name for path in (store.root / "sims").iterdir()] == ["mine"]


def test_an_unknown_submission_has_a_nearest_one(store: SubmissionStore) -> None:
    put(store, predictions_for("sims"))
    with pytest.raises(SubmissionError, match="did you mean 'mine'"):
        store.get("sims", "mien")
    for outside in ("../mine", "..", "", "*"):
        assert store.names(outside) == []
        with pytest.raises(SubmissionError):
            store.get("sims", outside)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: "[]",
        lambda text: text.replace('"format": 2', '"format": 9'),
        lambda text: text.replace('"badge": "recomputed"', '"badge": "golden"'),
        lambda text: text.replace('"clips"', '"klips"'),
        lambda text: text.replace('"name": "mine"', '"name": "../mine"'),
        lambda text: text.replace('"seeds": []', '"seeds": 3'),
        lambda text: text.replace('"stated": {', '"stated": {"url": "javascript:x",'),
    ],
)
def test_a_damaged_record_is_one_error_and_can_be_replaced(
    store: SubmissionStore, damage: Callable[[str], str]
) -> None:
    put(store, predictions_for("sims"))
    path = store.root / "sims" / "mine" / "manifest.json"
    intact = path.read_text()
    path.write_text(damage(intact))
    assert path.read_text() != intact
    for _ in range(2):
        with pytest.raises(StoreError, match="'mine' is damaged") as caught:
            _ = store.get("sims", "mine").manifest
        assert caught.value.hint == "msa submit FILE --replace"
        (path.parent / checksums.SUMS).unlink()
        checksums.seal(path.parent)  # once more, with digests that fit
    assert put(store, predictions_for("sims"), replace=True)[0] == "replaced"
    assert path.read_text() == intact


def test_damaged_predictions_are_one_error(store: SubmissionStore) -> None:
    put(store, predictions_for("sims"))
    path = store.root / "sims" / "mine" / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(StoreError, match=r"damaged: predictions\.parquet"):
        store.get("sims", "mine").predictions()


def test_what_was_not_written_so_is_never_read(store: SubmissionStore) -> None:
    put(store, predictions_for("sims"))
    folder = store.root / "sims" / "mine"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert files.keys() == {"manifest.json", "predictions.parquet", checksums.SUMS}
    chance = random.Random(3)
    for name, whole in files.items():
        for _ in range(10):
            content = bytearray(whole)
            content[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            (folder / name).write_bytes(bytes(content))
            with pytest.raises(StoreError, match="'mine' is damaged"):
                store.get("sims", "mine").predictions()
        (folder / name).unlink()
        with pytest.raises(StoreError, match=f"'mine' is damaged: .*{re.escape(name)}"):
            store.get("sims", "mine").predictions()
        (folder / name).write_bytes(whole)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"notes\.txt was added"):
        store.get("sims", "mine").predictions()
    (folder / "notes.txt").unlink()
    folder.rename(folder.with_name("other"))
    with pytest.raises(StoreError, match="it is sims/mine"):
        store.get("sims", "other").predictions()


def test_submissions_of_before_there_were_digests_are_read(store: SubmissionStore) -> None:
    _, record, _ = put(store, predictions_for("sims"))
    folder = store.root / "sims" / "mine"
    older = (folder / "manifest.json").read_text().replace('"format": 2', '"format": 1')
    (folder / "manifest.json").write_text(older)
    (folder / checksums.SUMS).unlink()
    stored = store.get("sims", "mine")
    assert (stored.manifest, stored.sealed) == (record, False)
    assert put(store, predictions_for("sims"))[0] == "unchanged"


# Replacing, killed at each step

REPLACE = """
    import os, shutil, signal, sys
    from pathlib import Path
    from harness.submissions import SubmissionStore
    from harness.submissions.tests.test_submissions import predictions_for, put

    calls = 0

    def deadly(function):
        def call(*arguments, **options):
            global calls
            calls += 1
            if calls == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call

    for place, name in ((os, "fsync"), (Path, "rename"), (shutil, "rmtree"), (Path, "write_text")):
        setattr(place, name, deadly(getattr(place, name)))
    put(SubmissionStore(Path(sys.argv[1])), predictions_for("sims", by=0.3), replace=True)
    print(calls)
"""


def replace_and_die(root: Path, step: int) -> subprocess.CompletedProcess[str]:
    """Replace a submission in another process, killed before its ``step``-th act on the disk."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(REPLACE), str(root), str(step)],
        env={**os.environ, "PYTHONPATH": str(Path(harness.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_kill_at_any_step_of_a_replacement_leaves_the_old_or_the_new_one(
    store: SubmissionStore,
) -> None:
    old = predictions_for("sims")
    put(store, old)
    last = replace_and_die(store.root.parent, 0)
    assert last.returncode == 0, last.stderr
    new = store.get("sims", "mine").manifest
    put(store, old, replace=True)
    before = store.get("sims", "mine").manifest
    found = []
    for step in range(1, int(last.stdout) + 1):
        assert replace_and_die(store.root.parent, step).returncode == -signal.SIGKILL
        for sweeps in range(2):
            assert store.names("sims") == ["mine"]
            stored = store.get("sims", "mine")
            assert stored.manifest in (before, new)
            assert stored.predictions()["pred"].notna().all()
            found.append(stored.manifest == new)
            if not sweeps:
                with held(store.root.parent):  # the next driver
                    pass
        assert [path.name for path in (store.root / "sims").iterdir()] == ["mine"]
        put(store, old, replace=True)
    assert True in found
    assert False in found


def test_a_reader_meanwhile_finds_the_old_or_the_new_one(store: SubmissionStore) -> None:
    tables = [predictions_for("sims", by=by) for by in (0.1, 0.3)]
    written = [put(store, table, replace=True) for table in tables]
    whole = {record.source: (record, checked.predictions) for _, record, checked in written}
    writing = threading.Thread(
        target=lambda: [put(store, tables[n % 2], replace=True) for n in range(30)]
    )
    writing.start()
    while writing.is_alive():
        assert store.names("sims") == ["mine"]
        stored = store.get("sims", "mine")
        record, predictions = whole[stored.manifest.source]
        assert stored.manifest == record
        assert stored.predictions().equals(predictions)
    writing.join()


def test_a_folder_renamed_in_the_middle_of_a_reading_is_read_where_it_is(
    store: SubmissionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, checked = put(store, predictions_for("sims"))[1:]
    place = store.root / "sims" / "mine"
    renamed = place.with_name(".old-mine")

    def damage(folder: Path, since: int) -> list[str]:
        if place.exists():
            place.rename(renamed)
            return ["files are missing"]
        return checksums.damage(folder, since)

    monkeypatch.setattr("harness.submissions.store.checksums", Mock(checksums, damage=damage))
    stored = store.get("sims", "mine")
    assert stored.manifest == record
    assert stored.predictions().equals(checked.predictions)
    assert stored.folder == renamed


def test_a_submission_waits_for_no_driver_and_says_who_is_there(store: SubmissionStore) -> None:
    put(store, predictions_for("sims"))
    refused = pytest.raises(StoreError, match=rf"another driver \(process {os.getpid()}\)")
    with held(store.root.parent), refused:
        put(store, predictions_for("sims", by=0.3), replace=True)
    refused = pytest.raises(StoreError, match=rf"another submission \(process {os.getpid()}\)")
    with held(store.root.parent, "submission"), refused, held(store.root.parent):
        pass
    assert store.names("sims") == ["mine"]


# Real files


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_example_manifests_are_valid_and_named_like_their_files(path: Path) -> None:
    read = SubmissionManifest.load(path, default="other")
    assert read.name == path.stem
    assert read.table() == tomllib.loads(path.read_text("utf-8"))
    assert read.url is not None


REAL = [
    ("gpt4v_mosi_test", "gpt4v-multi", "mosi", 682, {"corr": 0.7693}),
    ("gpt4v_mosi_test", "gpt4v-text", "mosi", 685, {"corr": 0.7191}),
    ("gpt4v_mosi_test", "gpt4v-video", "mosi", 685, {"corr": 0.1102}),
    ("mag_qwen3_mosi_seed24", "mag-qwen3-mosi", "mosi", 685, {"mae": 0.8051, "corr": 0.7646}),
    ("mag_qwen3_mosei_seed24", "mag-qwen3-mosei", "mosei", 4590, {"mae": 0.5284, "corr": 0.7802}),
    ("mag_bert_mosi_a", "mag-bert-mosi-a", "mosi", 685, {"mae": 1.4604, "corr": 0.0404}),
    ("mag_bert_mosi_b", "mag-bert-mosi-b", "mosi", 685, {"mae": 1.2078, "corr": 0.4494}),
]


def real_gold(dataset: str) -> Gold:
    table = pd.read_csv(research_data(dataset, "label.csv"), dtype=str)
    return Gold(truth=SplitLabels.of_table(labelled(table), datasets[dataset], "test"))


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "name", "dataset", "clips", "known"), REAL, ids=[case[1] for case in REAL]
)
def test_published_predictions_score_as_known(
    file: str, name: str, dataset: str, clips: int, known: dict[str, float]
) -> None:
    how = SubmissionManifest.load(EXAMPLES / f"{name}.toml", default=name)
    table = read_submission(research_data("predictions", f"{file}.csv"), how)
    checked = check(table, real_gold(dataset), how)
    (scores,) = score_runs(
        checked.predictions, real_gold(dataset).truth.by_id, datasets[dataset]
    ).values()
    assert checked.clips == clips
    assert {metric: round(scores[metric], 4) for metric in known} == known
    found = {flag.kind for flag in checked.flags}
    assert ("near-constant" in found) == (name == "mag-bert-mosi-a")
    assert ("classes" in found) == name.startswith("gpt4v")
    assert found - {"near-constant", "classes"} == {"holes", "one-run"}
