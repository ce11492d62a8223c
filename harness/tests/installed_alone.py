"""What the wheel does without a single extra; ``tox -e base`` runs it away from the checkout."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness._util.extras import EXTRAS
from harness.data.datasets import SPLITS, datasets

MSA = Path(sys.executable).with_name("msa")
NOUNS = ("datasets", "corpora", "protocols", "metrics", "mllms", "prompts", "suites", "tables")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a home, a label file of MOSI's official size and two files of predictions."""
    folder = tmp_path_factory.mktemp("place")
    clips = [
        {
            "video_id": f"{split}{number // 8}",
            "clip_id": number % 8,
            "text": "words",
            "label": round((number * 7 % 31 - 15) / 5, 6),
            "mode": split,
        }
        for split in SPLITS
        for number in range(datasets["mosi"].splits[split].clips)
    ]
    write(folder / "label.csv", clips)
    for name, error in (("a", 0.3), ("b", 0.9)):
        test = (clip for clip in clips if clip["mode"] == "test")
        rows = [
            {
                "id": f"{clip['video_id']}_{clip['clip_id']}",
                "pred": clip["label"] + error * (1 - 2 * (n % 2)),
            }
            for n, clip in enumerate(test)
        ]
        write(folder / f"{name}.csv", rows)
    write(folder / "table.csv", [{"system": "ours", "metric": "acc2_non0", "value": "85.06"}])
    done = msa(folder, "data", "add", "label.csv", "--dataset", "mosi")
    assert done.returncode == 0, done.stderr
    return folder


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def msa(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MSA, *arguments],
        cwd=folder,
        env=os.environ | {"MSA_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_package_of_an_extra_is_here() -> None:
    wanted = {module for extra, modules in EXTRAS.items() for module in modules}
    assert [m for m in wanted - {"pip", "uv"} if importlib.util.find_spec(m) is not None] == []


@pytest.mark.parametrize(
    "command",
    [
        *(["--help"], ["--version"], ["status"], ["verify"]),
        *(["list", noun] for noun in NOUNS),
        ["data", "info", "mosi@label-csv"],
        ["score", "a.csv", "--dataset", "mosi"],
        ["compare", "a.csv", "b.csv", "--dataset", "mosi"],
        ["submit", "a.csv", "--dataset", "mosi", "--name", "first"],
        ["lint", "table.csv", "--dataset", "mosi"],
        ["reproduce", "mmsa"],
    ],
    ids=" ".join,
)
def test_commands_that_train_nothing_work(place: Path, command: list[str]) -> None:
    done = msa(place, *command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_corpus_is_checked(place: Path) -> None:
    done = msa(place, "data", "check")
    assert done.returncode == 1, "made-up labels are not those that were published"
    assert "fail" in done.stdout
    assert done.stderr == ""


def test_the_score_is_the_error_that_was_planted(place: Path) -> None:
    done = msa(place, "score", "a.csv", "--dataset", "mosi", "--json")
    (run,) = json.loads(done.stdout)
    assert run["scores"]["mae"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        (["list", "systems"], "PyTorch", "train"),
        (["card", "tfn"], "PyTorch", "train"),
        (["run", "demo"], "PyTorch", "train"),
        (["run", "demo", "--plan"], "PyTorch", "train"),
        (["replay", "3f2a"], "PyTorch", "train"),
        (["export", "mlflow"], "MLflow", "mlflow"),
    ],
    ids=" ".join,
)
def test_a_command_that_needs_more_says_what_to_install(
    place: Path, command: list[str], package: str, extra: str
) -> None:
    done = msa(place, *command)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: this needs {package}, which is not installed",
        f'next: pip install "msa-harness[{extra}]"',
    ]


def test_the_doctor_names_what_is_missing_and_fails(place: Path) -> None:
    done = msa(place, "doctor")
    assert done.returncode == 1
    assert 'not installed: pip install "msa-harness[train]"' in done.stdout
