"""``msa new`` writes files that work as they are; ``msa check`` says what a broken one breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.checks.datasets import check_dataset
from harness.checks.metrics import check_metric
from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.home import Home
from harness.metrics import Metric, metrics
from harness.skeletons import filled
from harness.spec import Suite
from harness.submissions import SubmissionManifest

Done = tuple[int, str, str]


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Done]:
    """Call ``msa`` in a process of its own, in an empty folder."""

    def call(*arguments: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            cwd=tmp_path,
            env=os.environ | {"MSA_HOME": str(tmp_path / "runs")},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return call


@pytest.mark.slow
def test_a_new_system_conforms_and_gives_a_number(
    shell: Callable[..., Done], tmp_path: Path
) -> None:
    assert "systems/my_mlp.py written" in shell("new", "system", "my_mlp")[1]
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "large", "tests"],
        cwd=tmp_path,
        env=os.environ | {"MSA_HOME": str(tmp_path / "runs")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in tested.stdout
    code, out, err = shell("check", "system", "my_mlp")
    assert (code, err) == (0, "")
    assert "system my_mlp conforms" in out
    asked = ("--corpus", "mosi-twin@compact-x5", "--seeds", "1", "--epochs", "1")
    code, out, err = shell("run", "--system", "my_mlp", *asked)
    assert code == 0, err
    assert "0 failed" in out


@pytest.mark.slow
def test_a_new_dataset_metric_and_suite_work(shell: Callable[..., Done], tmp_path: Path) -> None:
    for kind in ("dataset", "metric", "suite"):
        assert shell("new", kind, "mine")[0] == 0
    for kind in ("dataset", "metric"):
        code, out, err = shell("check", kind, "mine")
        assert (code, err) == (0, ""), out
    assert shell("run", "mine", "--plan")[0] == 0
    code, out, err = shell("run", "--system", "tfidf_ridge", "--corpus", "mine-twin@compact-x5")
    assert code == 0, err


def test_nothing_is_overwritten(
    msa: Callable[..., Done], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.root.parent)
    for kind, noun in (("suite", "demo"), ("metric", "mae")):
        code, _, err = msa("new", kind, noun)
        assert (code, f"{kind} {noun!r} is there already" in err) == (2, True)
    for kind in ("suite", "metric", "submission"):
        assert msa("new", kind, "mine")[0] == 0
        code, _, err = msa("new", kind, "mine")
        assert (code, "mine" in err and "is there already" in err) == (2, True)


def test_a_manifest_has_every_key_and_is_one_as_it_is(
    msa: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert msa("new", "submission", "mine")[0] == 0
    file = tmp_path / "mine.toml"
    assert SubmissionManifest.load(file, default="x") == SubmissionManifest(name="mine")
    lines = file.read_text("utf-8").splitlines()
    keys = {line.removeprefix("# ").partition(" = ")[0] for line in lines if " = " in line}
    schema = json.loads(msa("schema", "manifest")[1])
    assert set(schema["properties"]) <= keys


@pytest.mark.slow
def test_a_system_comes_with_its_test_and_its_suite_or_not_at_all(
    msa: Callable[..., Done], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home.root.parent
    monkeypatch.chdir(folder)
    code, _, err = msa("new", "system", "demo")
    assert (code, "suite 'demo' is there already" in err) == (2, True)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_mine.py").write_text("", "utf-8")
    code, _, err = msa("new", "system", "mine")
    assert (code, "tests/test_mine.py is there already" in err) == (2, True)
    assert not (folder / "systems").exists()
    (folder / "tests" / "test_mine.py").unlink()
    code, out, _ = msa("new", "system", "mine")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:-1]] == [
        *("systems/mine.py", "tests/test_mine.py", "home/suites/mine.toml")
    ]
    rows = Suite.load(home.suites / "mine.toml").entries
    assert [row.system for row in rows] == ["mine", "lf_dnn", "tfn"]


@pytest.mark.parametrize("kind", ["system", "test", "rows", "dataset", "metric", "suite"])
def test_nothing_of_the_skeleton_is_left(kind: str) -> None:
    assert "skeleton" not in filled(kind, "mine").lower()


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError, match="lower-case letters and digits; found 'my_set'"):
        filled("dataset", "my_set")


@pytest.mark.parametrize("name", sorted(metrics))
def test_every_metric_conforms(name: str) -> None:
    assert [f for f in check_metric(metrics[name]) if not f.passed] == []


def test_what_a_broken_metric_breaks_is_said() -> None:
    def worse(pred, truth):
        pred[0] = 0.0
        return float(np.abs(pred - truth).mean())

    broken = Metric(name="b", title="B", definition="", otherwise=worse, source="x", high=9.0)
    found = {f.check: f.detail for f in check_metric(broken) if not f.passed}
    assert found["defined"] == "says nothing of its definition"
    assert found["direction"].startswith("on mosei: the labels themselves score 0.05")
    assert found["pure"] == "on mosei: it writes into its arguments"


def test_what_a_broken_dataset_breaks_is_said() -> None:
    counts = {**datasets["mosi"].splits, "test": replace(datasets["mosi"].splits["test"], zero=1)}
    broken = replace(datasets["mosi"], splits=counts, margins={"rmse": 0.1}, citation="", grid=0.7)
    found = {f.check: f.detail for f in check_dataset(broken) if not f.passed}
    assert set(found) == {"scale", "counts", "metrics", "source"}
    assert found["counts"] == "test: 686 clips, but negative, zero, positive make 657"


@pytest.mark.parametrize("name", sorted(datasets))
def test_every_dataset_conforms(name: str) -> None:
    assert [f for f in check_dataset(datasets[name]) if not f.passed] == []
