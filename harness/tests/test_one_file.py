"""One file adds one thing: each test adds one to a copy of the sources, edits nothing, and uses it.

What runs are the commands that users run, in processes of their own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("harness", "baselines", "text_model", "mllm_eval", "leaderboards")
LABELS = """video_id,clip_id,text,label,annotation,mode
aa,0001,good,2.0,Positive,train
aa,0002,bad,-1.0,Negative,train
bb,0001,fine,0.5,Positive,valid
cc,0001,poor,-1.5,Negative,test
cc,0002,great,1.5,Positive,test
dd,0001,dull,-0.5,Negative,test
"""
PREDICTIONS = "id,pred\ncc_0001,-1.0\ncc_0002,0.5\ndd_0001,0.1\n"


@dataclass(frozen=True)
class Checkout:
    """A copy of the sources.

    Args:
        root: Its folder.
        work: Where commands are run and leave their files.
    """

    root: Path
    work: Path

    def add(self, place: str, text: str) -> None:
        """Add one file, which must not be there yet."""
        path = self.root / place
        assert path.parent.is_dir() and not path.exists()
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def python(self, *arguments: str) -> str:
        """What Python prints with the copy's packages in reach and nothing else of ours."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.work,
            env=os.environ | {"PYTHONPATH": str(self.root), "MSA_HOME": str(self.work / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def msa(self, *arguments: str) -> str:
        """What a command prints."""
        return self.python("-m", "harness", *arguments)

    def listed(self, noun: str) -> list[str]:
        """The names that ``msa list`` gives."""
        rows: list[dict[str, Any]] = json.loads(self.msa("list", noun, "--json"))
        return [row["name"] for row in rows]

    def write(self, name: str, text: str) -> str:
        """A user's file beside the checkout."""
        (self.work / name).write_text(textwrap.dedent(text), encoding="utf-8")
        return name

    def tests(self, place: str, words: str) -> None:
        """Run tests of the copy, those whose names have these words."""
        options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(self.root))
        self.python("-m", "pytest", str(self.root / place), "-k", words, *options)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root, work = tmp_path / "checkout", tmp_path / "work"
    work.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, root / name, symlinks=True)  # with what Python has compiled
    shutil.copytree(ROOT / "runs" / "suites", root / "runs" / "suites")
    for name in ("pyproject.toml", "conftest.py", "README.md"):
        shutil.copy2(ROOT / name, root / name)
    return Checkout(root, work)


SUITE = """
corpora = ["mosi-twin@compact-x5"]
seeds = 1
[protocol]
name = "{protocol}"
max_epochs = 1
[[systems]]
name = "{system}"
params = {{ {params} }}
"""


@pytest.mark.slow
def test_a_system(checkout: Checkout) -> None:
    """The README's own."""
    (source,) = re.findall(
        r"```python\n# (?=baselines/mean_mlp\.py)(.*?)```",
        (ROOT / "README.md").read_text("utf-8"),
        re.S,
    )
    checkout.add("baselines/mean_mlp.py", source.partition("\n")[2])
    assert "mean_mlp" in checkout.listed("systems")
    assert "Mean MLP" in checkout.msa("card", "mean_mlp")
    suite = SUITE.format(protocol="in_domain", system="mean_mlp", params="hidden = 8")
    assert "0 failed" in checkout.msa("run", checkout.write("mine.toml", suite))
    board = checkout.work / "home" / "boards" / "mine.md"
    assert "mean_mlp" in board.read_text("utf-8")
    checkout.tests("baselines/tests/test_conformance.py", "mean_mlp")
    checkout.tests("harness/spec/tests/test_shipped_suites.py", "left_out or every_row or idle")


@pytest.mark.slow
def test_a_dataset(checkout: Checkout) -> None:
    """On a scale that no other has: its metrics are those that ask nothing of the scale."""
    checkout.add(
        "harness/data/datasets/stars.py",
        """
        from harness.data.datasets import Counts, Dataset

        STARS = Dataset(
            name="stars",
            title="Stars",
            language="en",
            low=-2.0,
            high=2.0,
            family="stars",
            grid=0.5,
            splits={
                "train": Counts(clips=2, negative=1, zero=0, positive=1, videos=1),
                "valid": Counts(clips=1, negative=0, zero=0, positive=1, videos=1),
                "test": Counts(clips=3, negative=2, zero=0, positive=1, videos=2),
            },
            unimodal_labels=False,
            shapes={},
            licence="none",
            url="https://example.org",
            citation="nobody",
        )
        """,
    )
    assert "stars" in checkout.listed("datasets")
    labels = checkout.write("label.csv", LABELS)
    assert "stars@label-csv: 6 clips" in checkout.msa("data", "add", labels, "--dataset", "stars")
    checkout.write("p.csv", PREDICTIONS)
    rows = json.loads(checkout.msa("score", "p.csv", "--dataset", "stars", "--json"))
    assert rows
    compared = json.loads(
        checkout.msa("compare", "p.csv", "p.csv", "--dataset", "stars", "--json")
    )
    assert compared
    checkout.tests("harness/data/tests/test_transfer.py", "found_and_not_listed")


METRIC = """
    \"\"\"Share of clips whose error is at most half a unit.\"\"\"

    import numpy as np

    from harness.metrics.base import Metric
    from harness.metrics.sums import Summed, ratio


    def near(pred, truth):
        return float((np.abs(pred - truth) <= 0.5).mean())


    def terms(pred, truth):
        return (np.abs(pred - truth) <= 0.5).astype(np.float64), np.ones_like(pred)


    NEAR = Metric(
        name="near",
        title="Near",
        definition="share of |p - y| <= 0.5",
        otherwise=Summed(near, terms, ratio),
        source="this test",
        primary=True,
        percent=True,
        place=15,
    )
"""


def test_a_metric_in_its_place_and_fast(checkout: Checkout) -> None:
    checkout.add("harness/metrics/near.py", METRIC)
    assert "near" in checkout.listed("metrics")
    program = """
        import json
        import numpy as np
        from harness.data.datasets import datasets
        from harness.metrics import metrics, metrics_for, score
        from harness.stats.resample import evaluator
        from harness.stats.sums import Sums

        truth = (np.arange(40) % 13 - 6) / 2
        pred = (truth + np.linspace(-1, 1, 40)).round(6)
        weights = np.random.default_rng(0).integers(0, 3, (5, 10)).astype(float)
        videos = np.arange(40) // 4
        function = metrics["near"].on(datasets["mosi"])
        found = evaluator(pred[None], truth, videos, function)
        clips = [np.repeat(np.arange(40), w[videos].astype(int)) for w in weights]
        drawn = [function(pred[c], truth[c]) for c in clips]
        print(json.dumps({
            "fast": isinstance(found, Sums),
            "right": np.allclose(found(weights)[:, 0], drawn),
            "scored": list(score(pred, truth, "mosi"))[:3],
            "sims": [metric.name for metric in metrics_for("sims", primary=True)][:3],
        }))
    """
    assert json.loads(checkout.python("-c", textwrap.dedent(program))) == {
        "fast": True,
        "right": True,
        "scored": ["mae", "near", "corr"],
        "sims": ["mae", "near", "corr"],
    }


def test_a_protocol(checkout: Checkout) -> None:
    checkout.add(
        "harness/spec/protocols/brief.py",
        """
        from harness.spec import Protocol

        BRIEF = Protocol(name="brief", title="Brief", max_epochs=2, patience=1, seeds=(1, 2))
        """,
    )
    assert "brief" in checkout.listed("protocols")
    suite = SUITE.format(protocol="brief", system="tfidf_ridge", params="")
    printed = checkout.msa("run", checkout.write("mine.toml", suite), "--plan")
    assert "cells to run" in printed


def test_a_language_model(checkout: Checkout) -> None:
    card = 'title = "Somebody\'s model"\nweights = "somebody/some-model"\ninputs = ["text"]\n'
    checkout.add("mllm_eval/model/cards/some-model.toml", card)
    assert "some-model" in checkout.listed("mllms")


@pytest.mark.slow
def test_a_law_of_corruption(checkout: Checkout) -> None:
    """Half of the clips go silent."""
    checkout.add(
        "harness/spec/laws/hush.py",
        """
        from harness.spec.laws import Law


        def damage(draw):
            return draw.damage(gone={"audio": draw.share("clip", "hush") < 0.5})


        HUSH = Law(
            name="hush",
            about="half of the clips without sound",
            damage=damage,
            seen=frozenset({"modality"}),
        )
        """,
    )
    suite = SUITE.format(
        protocol="in_domain", system="lf_dnn", params='training_corruption = "hush", epochs = 1'
    )
    checkout.msa("run", checkout.write("mine.toml", suite))
    manifests = (checkout.work / "home" / "store" / "runs").rglob("manifest.json")
    specs = [json.loads(path.read_text("utf-8"))["spec"] for path in manifests]
    assert "hush" in {spec["params"].get("training_corruption") for spec in specs}


def test_an_objective(checkout: Checkout) -> None:
    checkout.add(
        "harness/training/objectives/calm.py",
        """
        from harness.training.objectives.base import Objective, Term


        class _Calm(Term):
            def __init__(self, setting):
                super().__init__()
                self.weight = setting.penalty

            def forward(self, evidence):
                return self.weight * evidence.risks.max()


        CALM = Objective(name="calm", title="Calm", paper="none", term=_Calm)
        """,
    )
    assert "erm | coral | vrex | group_dro | dann | calm" in checkout.msa("card", "tfn")
