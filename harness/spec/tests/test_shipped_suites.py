"""The suites that come with the project: valid, complete, and no row that cannot be resolved."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.data.twins.generate import is_twin
from harness.runs.plan import expand_queries
from harness.spec import Suite, refine
from harness.spec.protocols import protocols
from harness.system import systems

FOLDER = Path(__file__).parents[3] / "runs" / "suites"
SUITES = sorted(path.stem for path in FOLDER.glob("*.toml"))
EVERY = ("paper_baselines", "zoo_twins")
FOUR = {"mosi", "mosei", "sims", "simsv2"}


def suite(name: str) -> Suite:
    return Suite.load(FOLDER / f"{name}.toml")


def dataset_of(corpus: str) -> str:
    return corpus.partition("@")[0].removesuffix("-twin")


@pytest.mark.parametrize("name", SUITES)
def test_every_row_resolves_on_its_corpora(name):
    found = suite(name)
    refine(protocols[found.protocol], found.protocol_changes, name)
    for entry in found.entries:
        system = systems[entry.system]
        known = {item.name for item in dataclasses.fields(system.params)}
        own = {key: value for key, value in found.defaults.items() if key in known}
        for corpus in entry.corpora or found.corpora:
            system.resolve(dataset_of(corpus), {**own, **entry.params})


@pytest.mark.parametrize("name", EVERY)
def test_no_system_is_left_out(name):
    listed = {entry.system for entry in expand_queries(suite(name)).entries}
    here = {key: system for key, system in systems.items() if "server" not in system.locations}
    trained = {key for key, system in here.items() if system.supervision == "train"}
    assert listed == {key for key in trained if not systems[key].reference}


@pytest.mark.parametrize("name", EVERY)
def test_no_default_is_idle(name):
    found = suite(name)
    fields = {
        item.name for e in found.entries for item in dataclasses.fields(systems[e.system].params)
    }
    assert set(found.defaults) <= fields


def test_the_zoo_runs_without_anything_fetched():
    found = suite("zoo_twins")
    assert all(map(is_twin, found.corpora))
    assert {dataset_of(corpus) for corpus in found.corpora} == FOUR
    assert found.defaults["encoder"] == "tiny-twin"
    assert not any("encoder" in entry.params for entry in found.entries)


def test_papers_settings_are_not_touched():
    """Besides an encoder where the preset is a small one, rows choose inputs and controls only."""
    found = suite("paper_baselines")
    assert not found.defaults and found.seeds == 5
    changed = {name for entry in found.entries for name in entry.params}
    assert changed <= {"streams", "encoder", "lr", "tokens", "explanations"}
    assert {e.system for e in found.entries if "lr" in e.params} == {"bert_text"}


def test_every_system_of_the_papers_runs_on_every_dataset_it_can():
    found = suite("paper_baselines")
    covered: dict[str, set[str]] = {}
    for entry in found.entries:
        own = {dataset_of(corpus) for corpus in entry.corpora or found.corpora}
        covered.setdefault(entry.system, set()).update(own)
    unimodal = {"mlf_dnn", "mtfn", "mlmf"}
    assert {name for name, own in covered.items() if own != FOUR} == unimodal
    assert all(covered[name] == {"sims", "simsv2"} for name in unimodal)


def test_papers_as_released_are_the_same_rows_under_the_other_protocol():
    own, other = suite("paper_baselines"), suite("paper_baselines_as_released")
    assert (other.entries, other.queries, other.corpora) == (own.entries, own.queries, own.corpora)
    assert (other.protocol, own.protocol) == ("as_released", "in_domain")
    assert "max_epochs" not in other.protocol_changes
