"""``msa compare`` as a user runs it."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.cli import main
from harness.tests.research import research_data


@pytest.fixture
def msa(monkeypatch, tmp_path: Path, capsys):
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["msa", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


def write(path: Path, noise: float, seeds: int, *, skip: int = 0, label: bool = True) -> Path:
    """Predictions of ten videos of six clips, one row per clip and seed."""
    generator = np.random.default_rng(int(noise * 100))
    truth = np.random.default_rng(0).integers(-3, 4, 60).astype(float)
    columns = ["id", "pred", "seed", *(["label"] if label else [])]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for seed in range(seeds):
            for clip in range(skip, 60):
                pred = truth[clip] + generator.normal(0, noise)
                row = [f"a_video_{clip // 6}_{clip % 6}", pred, seed, truth[clip]]
                writer.writerow(row[: len(columns)])
    return path


def test_a_clearly_better_system(msa, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.csv", 0.2, 3), write(tmp_path / "b.csv", 2.0, 2, skip=4)
    arguments = ("compare", a, b, "--dataset", "mosi", "--draws", 500)
    code, text, _ = msa(*arguments, "--json")
    found = json.loads(text)
    assert code == 0
    assert (found["clips"], found["left_out"], found["videos"]) == (56, 4, 10)
    assert (found["seeds_a"], found["seeds_b"]) == (3, 2)
    assert not found["conditional_on_one_run"]
    assert "last underscore" in found["source_videos"]
    rows = {row["metric"]: row for row in found["metrics"]}
    assert rows["mae"]["difference"] == pytest.approx(rows["mae"]["a"] - rows["mae"]["b"])
    assert rows["mae"]["low"] < rows["mae"]["difference"] < rows["mae"]["high"] < 0
    assert rows["mae"]["verdict"] == "a better"
    assert rows["mae"]["p_holm"] >= rows["mae"]["p"]
    assert rows["acc7"]["p_holm"] is None
    code, text, _ = msa(*arguments)
    assert code == 0
    assert "56 clips of 10 source videos, 4 labelled clips left out" in text
    assert "conditional on one run" not in text


def test_the_same_file_twice_is_equivalent(msa, tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", 0.5, 1)
    code, text, _ = msa("compare", a, a, "--dataset", "mosi", "--draws", 200)
    assert code == 0
    assert "conditional on one run" in text
    (row,) = (line for line in text.splitlines() if line.startswith("mae"))
    assert "equivalent" in row


@pytest.mark.parametrize(
    ("label", "extra", "message"),
    [
        (False, (), "no labels of mosi at hand"),
        (True, ("--draws", 5), "at least 100 draws"),
        (True, ("--dataset", "moji"), "unknown dataset 'moji'"),
    ],
)
def test_a_mistake_is_one_clear_error(msa, tmp_path, label, extra, message) -> None:
    a = write(tmp_path / "a.csv", 0.5, 1, label=label)
    code, _, errors = msa("compare", a, a, "--dataset", "mosi", *extra)
    assert code == 2
    assert message in errors


def test_files_of_different_clips_share_nothing(msa, tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", 0.5, 1)
    (tmp_path / "b.csv").write_text("id,pred\nelse_1,0.5\n")
    code, _, errors = msa("compare", a, tmp_path / "b.csv", "--dataset", "mosi")
    assert code == 2
    assert "no labelled clip is predicted by every run" in errors


@pytest.mark.data
def test_two_real_checkpoints(msa) -> None:
    a, b = (research_data("predictions", f"mag_bert_mosi_{x}.csv") for x in "ab")
    truth = research_data("mosi", "label.csv")
    code, text, _ = msa("compare", a, b, "--dataset", "mosi", "--labels", truth, "--json")
    found = json.loads(text)
    assert code == 0
    assert (found["clips"], found["videos"], found["left_out"]) == (685, 31, 1)
    assert found["conditional_on_one_run"]
    assert {row["metric"]: row["verdict"] for row in found["metrics"]}["mae"] == "b better"
