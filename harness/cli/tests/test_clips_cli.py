"""``msa clips`` as a user runs it."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.data.datasets import datasets
from harness.data.readers import label_csv
from harness.data.store import CorpusStore
from harness.home import Home
from harness.tests.stores import NotRun, Off, Row, make_store

ROWS = (
    Row(label="near", cells={1111: Off(0.2), 1112: Off(0.3), 1113: Off(0.4)}),
    Row(label="far", cells={1111: Off(1.2), 1112: Off(1.5), 1113: NotRun()}),
    Row(label="still", cells={0: Off(0.8)}, deterministic=True, epochs=0),
    Row(label="once", cells={1111: Off(0.7)}),
    Row(label="waiting", cells={1111: NotRun()}),
    Row(label="mean", cells={0: Off(0.0)}, deterministic=True, reference=True, epochs=0),
)


@pytest.fixture
def store(home: Home):
    return make_store(home.store, ROWS)


def clips_of(msa, *arguments: object) -> dict:
    code, text, error = msa("clips", "small", *arguments, "--json")
    assert code == 0, error
    (found,) = json.loads(text)["corpora"]
    return found


def test_every_clip_has_its_difficulty_and_discrimination(msa, store) -> None:
    found = clips_of(msa)
    assert found["rows"] == [
        {"row": "near", "runs": 3, "planned": 3},
        {"row": "far", "runs": 2, "planned": 3},
        {"row": "still", "runs": 1, "planned": 1},
        {"row": "once", "runs": 1, "planned": 1},
    ]
    assert found["left_out"] == {"waiting": "no run", "mean": "constant predictor"}
    assert (found["about"], len(found["clips"])) == ("rows", 24)
    labels = np.array([clip["label"] for clip in found["clips"]])
    preds = np.array([list(clip["preds"].values()) for clip in found["clips"]])
    assert preds.mean(axis=1) == pytest.approx([clip["answer"] for clip in found["clips"]])
    alone = np.abs(preds[:, 2:] - labels[:, None])  # rows of one run: the error of the mean
    for clip, (still, once) in zip(found["clips"], alone, strict=True):
        assert clip["low"] < clip["error"] < clip["high"]
        assert clip["least"] <= min(still, once)
        assert clip["text"] is None


def test_lists_name_the_clips_that_matter(msa, store) -> None:
    found = clips_of(msa, "--between", "near", "far")
    code, text, error = msa("clips", "small", "--between", "near", "far", "--most", 3)
    assert code == 0
    hardest = sorted(found["clips"], key=lambda clip: (-clip["error"], clip["id"]))[:3]
    listed = text[text.index("hardest") : text.index("parting")]
    assert all(f"\n{clip['id']} " in listed for clip in hardest)
    certain = [clip for clip in found["clips"] if clip["q"] < 0.05]
    assert f"{len(certain)} clips part them, false discoveries at most 5%" in text
    agreed = [clip for clip in found["clips"] if clip["against"]]
    assert f"labelled against every run of every row: {len(agreed)} clips" in text
    assert "without transcripts and slices of mosi@unaligned-50" in error


@pytest.mark.parametrize(
    ("between", "said"),
    [
        (("near", "once"), "one run of a row does not tell how its seeds vary"),
        (("still", "mean"), "no seed changes either row"),
        (("near", "waiting"), "waiting: no run with all clips here"),
    ],
)
def test_what_seeds_do_not_tell_is_said(msa, store, between, said) -> None:
    code, text, _ = msa("clips", "small", "--between", *between)
    assert code == 0
    assert said in text


@pytest.mark.parametrize(
    ("rows", "about", "said"),
    [
        (("near",), "seeds", "for new seeds of the only row"),
        (("once",), "nothing", "one run of one row does not tell"),
    ],
)
def test_few_rows_tell_less(msa, store, rows, about, said) -> None:
    arguments = [part for row in rows for part in ("--row", row)]
    found = clips_of(msa, *arguments)
    assert found["about"] == about
    assert found["reliability"] is None
    assert all(clip["discrimination"] is None for clip in found["clips"])
    assert all((clip["low"] is None) == (about == "nothing") for clip in found["clips"])
    _, text, _ = msa("clips", "small", *arguments)
    assert said in text


def test_a_suite_without_a_run_says_so(msa, home: Home) -> None:
    make_store(home.store, [Row(label="waiting", cells={1111: NotRun()})])
    code, text, _ = msa("clips", "small")
    assert code == 0
    assert "left out: waiting, no run\nno row has a run here" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--row", "nears"), "has no row 'nears'"),
        (("--between", "near", "fa"), "has no row 'fa'"),
        (("--between", "near", "near"), "two rows part clips"),
        (("--corpus", "mosei@x"), "has no corpus 'mosei@x'"),
        (("--texts",), "--texts puts transcripts into a page"),
        (("--page", "clips.md"), "--page is an HTML file"),
    ],
)
def test_wrong_input_is_one_line_with_a_next_step(msa, store, arguments, said) -> None:
    code, text, error = msa("clips", "small", *arguments)
    assert (code, text) == (2, "")
    assert said in error
    assert "\nnext: " in error or "twice" in error


def labelled(home: Home, folder: Path):
    """A corpus of a label file, each clip with words of its own."""
    table = pd.DataFrame(
        {
            "video_id": [f"v{i // 2}" for i in range(36)],
            "clip_id": [i % 2 for i in range(36)],
            "text": [
                f"transcript of clip{' <' * (i % 3)}{' more' * (i % 4)} {i * 7919}"
                for i in range(36)
            ],
            "label": [(i % 7) - 3 for i in range(36)],
            "mode": ["train"] * 6 + ["valid"] * 6 + ["test"] * 24,
        }
    )
    table.to_csv(folder / "label.csv", index=False)
    known = label_csv.read(folder / "label.csv", datasets["mosi"])
    return CorpusStore(home.corpora).add(known)


def test_transcripts_are_listed_and_leave_the_page_alone(msa, home: Home, tmp_path: Path) -> None:
    make_store(home.store, ROWS[:3], [labelled(home, tmp_path)])
    page = tmp_path / "clips.html"
    found = clips_of(msa, "--page", page)
    texts = {clip["text"] for clip in found["clips"]}
    assert None not in texts
    assert {"strength", "text_length"} <= found["clips"][0]["slices"].keys()
    _, listed, _ = msa("clips", "small", "--most", 1)
    assert any(text in listed for text in texts)
    written = page.read_text("utf-8")
    assert found["clips"][0]["id"] in written
    assert "transcript of" not in written
    msa("clips", "small", "--page", page, "--texts")
    shown = html.unescape(page.read_text("utf-8"))
    assert all(text in shown for text in texts)
