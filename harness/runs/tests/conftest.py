"""A home whose runs keep their weights, made once for all tests."""

from __future__ import annotations

import shutil

import pytest

from harness.home import Home
from harness.runs.driver import carry_out
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.runs.tests.test_verify import Here
from harness.testing import small_corpus

WEIGHTS_SUITE = """
corpora = ["mosi@small"]
seeds = 2
[protocol]
max_epochs = 2
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "lf_dnn"
[[systems]]
name = "bert_text"
params = { encoder = "tiny-twin", max_tokens = 16 }
"""


@pytest.fixture(scope="session")
def kept(tmp_path_factory) -> Home:
    """Runs of a ridge, which keeps none, of a network of three streams and of a text encoder."""
    home = Home(tmp_path_factory.mktemp("kept"))
    home.suites.mkdir(parents=True)
    small_corpus(home.corpora)
    (home.suites / "small.toml").write_text(WEIGHTS_SUITE)
    plan = make_plan(find_suite("small", home), home)
    carry_out(plan, RunStore(home.store), Here())
    return home


@pytest.fixture
def spoilt(kept: Home, home: Home) -> Home:
    """The same home, which a test may spoil."""
    shutil.copytree(kept.root, home.root, dirs_exist_ok=True)
    return home
