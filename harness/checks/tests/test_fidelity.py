"""The fidelity report: it measures what it says, finds what is wrong, says what is not there."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from baselines.ef_lstm import EF_LSTM
from baselines.lf_dnn import LF_DNN
from baselines.tfn import TFN
from harness import data
from harness.checks.conformance import CHECKS
from harness.checks.fidelity import (
    TWINS,
    ByHeart,
    CheckedSystem,
    SystemSize,
    conform,
    learn_by_heart,
    measure_size,
    quirks,
    twin_for,
)
from harness.checks.findings import ConformanceFinding
from harness.cli import app
from harness.cli.study._fidelity_report import (
    FidelityReport,
    SizeCell,
    declared,
    document,
    facts,
    summary,
)
from harness.data.datasets import datasets
from harness.home import Home
from harness.system import Card, Network, Output, System, TrainingParams, param, systems
from harness.text.synthetic import twin_encoder
from leaderboards.literature import parameter_counts
from leaderboards.rendering import render_html, render_markdown
from leaderboards.studies.fidelity import TwinResult
from leaderboards.studies.parity_record import ParityRow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def encoder(home):
    return twin_encoder(home.cache)


@pytest.fixture(scope="module")
def twin(home):
    return data.load(TWINS[0], home)


@dataclass(frozen=True, kw_only=True)
class ToyParams(TrainingParams):
    """A network that forgets its input, or sees the clips beside it."""

    fault: str = param("none", choices=("none", "blind", "neighbours"), source="test")
    dropout: float = param(0.9, low=0.0, high=1.0, source="test")
    weight_decay: float = param(10.0, low=0.0, source="test")
    lr: float = param(1e-9, low=0.0, source="test")


@dataclass(frozen=True, kw_only=True)
class OnlyPublished(systems["tfr_net"].params):
    """TFR-Net as released and nothing else."""

    quirk: str = param("published", choices=("published",), source="test")


class Toy(Network):
    """y = MLP(dropout(mean text))."""

    def __init__(self, dims, params):
        super().__init__()
        self.fault = params.fault
        self.dropout = nn.Dropout(params.dropout)
        self.layers = nn.Sequential(
            nn.Linear(dims.need("text")[1], 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, batch):
        means = batch.text.values.sum(1) / batch.text.lengths.unsqueeze(1)
        if self.fault == "blind":
            means = means * 0
        prediction = self.layers(self.dropout(means)).squeeze(1)
        if self.fault == "neighbours":
            prediction = prediction - prediction.mean()
        return Output(prediction)


def toy(fault="none"):
    params = dataclasses.make_dataclass("Params", [], bases=(ToyParams,), frozen=True, kw_only=True)
    card = Card(title="Toy", paper="none", year=None)
    return System(
        name="toy",
        card=card,
        params=params,
        presets={"mosi": {"fault": fault}},
        inputs=frozenset({"text"}),
        build=Toy,
    )


@pytest.mark.parametrize("system", [EF_LSTM, LF_DNN, TFN], ids=lambda s: s.name)
def test_sizes_are_those_of_the_table(system):
    published = [one for one in parameter_counts() if one.system == system.name]
    assert len(published) == 4
    for one in published:
        size = measure_size(system, datasets[one.dataset], one.features, "published")
        assert size.parameters == one.parameters


def test_a_network_that_cannot_be_built_there_says_why():
    size = measure_size(systems["mtfn"], datasets["mosi"], "unaligned-50", "published")
    assert size.parameters is None
    assert "labels" in size.reason


def test_nothing_is_allocated_to_count():
    size = measure_size(systems["mag_bert"], datasets["mosi"], "aligned-50", "published")
    assert size.parameters is not None and size.parameters > 1e8
    assert torch.zeros(1).device.type == "cpu"


def test_quirks_are_those_of_the_parameters():
    assert quirks(LF_DNN) == ("fixed", "published")
    assert quirks(systems["feature_ridge"]) == ("",)


@pytest.mark.parametrize(("name", "twin"), [("tfn", TWINS[0]), ("mtfn", TWINS[1])])
def test_systems_are_checked_where_they_were_published(name, twin):
    assert twin_for(systems[name]) == twin


def test_a_sound_network_learns_by_heart_whatever_its_preset(twin, encoder, home):
    """The preset's learning rate, dropout and decay would keep it from learning anything."""
    found = learn_by_heart(toy(), twin, encoder, home.cache)
    assert found.passed and found.loss_fall >= 0.9
    assert found.error_fall > 0.5
    assert 1 < found.epochs < 300, "it stops when the loss has fallen"


def test_a_blind_network_does_not(twin, encoder, home):
    found = learn_by_heart(toy("blind"), twin, encoder, home.cache)
    assert not found.passed
    assert found.error_fall < 0.5
    assert found.epochs == 300


def test_every_check_is_run_in_every_quirk(twin, encoder, home):
    found = list(conform(LF_DNN, twin, encoder, home.cache))
    assert [checked.quirk for checked in found] == ["fixed", "published"]
    for checked in found:
        assert [finding.check for finding in checked.findings] == list(CHECKS)
        assert not checked.outcomes("failed")


def test_a_network_that_looks_at_its_neighbours_is_found_out(twin, encoder, home):
    (checked,) = conform(toy("neighbours"), twin, encoder, home.cache)
    assert {"neighbours"} <= {finding.check for finding in checked.outcomes("failed")}


def test_a_network_that_refuses_the_twin_is_not_called_broken(encoder, home):
    """TFR-Net as released divides a stream's steps among 25 heads."""
    corpus = data.load(twin_for(systems["tfr_net"]), home)
    quirk = dataclasses.replace(systems["tfr_net"], params=OnlyPublished)
    (checked,) = conform(quirk, corpus, encoder, home.cache)
    assert not checked.outcomes("failed")
    reasons = {finding.detail for finding in checked.outcomes("skipped")}
    assert any("25 heads" in reason for reason in reasons)


def a_report():
    count = next(one for one in parameter_counts() if one.system == "tfn")
    equal = SystemSize(dataset="mosi", quirk="published", parameters=count.parameters)
    kuda = next(one for one in parameter_counts() if one.indicative)
    more = SystemSize(dataset="mosei", quirk="published", parameters=kuda.parameters + 1234)
    nowhere = SystemSize(dataset="sims", quirk="published", parameters=None, reason="no labels")
    findings = (
        ConformanceFinding(check="shape", outcome="passed"),
        ConformanceFinding(check="padding", outcome="declared", detail="reads |padding|"),
        ConformanceFinding(check="seed", outcome="failed", detail="same"),
    )
    return FidelityReport(
        system=TFN,
        sizes=(
            SizeCell(ours=equal, published=count),
            SizeCell(ours=more, published=kuda),
            SizeCell(ours=nowhere, published=None),
        ),
        checked=(CheckedSystem(quirk="published", findings=findings),),
        by_heart=ByHeart(loss_fall=0.25, error_fall=0.1, epochs=300),
        twins=(
            TwinResult(
                system="tfn",
                suite="demo",
                label="tfn (small)",
                corpus="mosi-twin@compact",
                runs=3,
                mae=0.75,
                ceiling=0.5,
                constant=1.0,
            ),
        ),
        parity=(
            ParityRow(
                system="tfn",
                source="MMSA 2.2.1",
                shape="mosi",
                verdict="equal",
                eval=0.0,
                first_loss=0.0,
                losses=3.6e-7,
                after=2.4e-7,
                gradient=4.5e-8,
                largest=0.74,
                groups=0,
            ),
            ParityRow(
                system="tfn",
                source="MMSA 2.2.1",
                shape="sims",
                verdict="left out",
                reason="no such settings",
            ),
        ),
        published={"reproduced by training": 2, "cannot tell": 1, "not comparable": 4},
    )


def test_the_summary_says_what_holds_and_what_does_not():
    assert summary(a_report()) == {
        "system": "tfn",
        "sizes equal": "1 of 2",
        "parity": "equal on 1 of 1",
        "checks": "1 passed, 1 failed, 1 declared",
        "by heart": "NO, 25 %",
        "twins, reached": "50 %",
        "published verdicts": "2 reproduced by training, 1 cannot tell",
        "declared": str(len(declared(TFN))),
    }
    nothing = summary(FidelityReport(system=TFN))
    assert set(nothing.values()) == {"tfn", str(len(declared(TFN))), ""}


def test_the_page_shows_every_cell():
    shown = render_markdown(document([a_report()]))
    count = next(one for one in parameter_counts() if one.system == "tfn")
    assert f"{count.parameters:,} =" in shown
    assert "(+1,234)" in shown and "indicative only" in shown
    assert "CH-SIMS: no labels" in shown
    assert "padding declared: reads \\|padding\\|" in shown, "what cards say is no markup"
    assert "seed failed: same" in shown
    assert "| tfn (small)" in shown and "50 %" in shown
    (line,) = (
        line for line in shown.splitlines() if line.startswith("| tfn") and " 3.6e-07 " in line
    )
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        *("tfn", "MMSA 2.2.1", "mosi", "0", "0", "3.6e-07", "2.4e-07", "4.5e-08 / 0.74"),
        *("equal", "equal"),
    ]
    assert "- tfn: no such settings" in shown
    assert shown.endswith("\n") and "\n\n\n" not in shown
    assert render_html(document([a_report()])).count("<table") == shown.count("\n| System")


def test_what_was_not_asked_for_has_no_section():
    shown = render_markdown(document([FidelityReport(system=TFN)]))
    assert "## Summary" in shown
    parts = ("Size", "Parity", "Conformance", "By heart", "Twins", "Published", "Verdicts")
    assert not any(f"## {part}" in shown for part in parts)


def test_what_nobody_measured_is_said():
    (cell, *_) = a_report().sizes
    shown = render_markdown(document([FidelityReport(system=TFN, sizes=(cell,))]))
    assert "not measured here: tfn" in shown


def test_declared_differences_are_those_of_the_card():
    told = declared(systems["misa"])
    assert len(told) == 4
    assert all(line in systems["misa"].card.deviations for line in told)
    shown = render_markdown(document([FidelityReport(system=systems["misa"])]))
    assert shown.count("- misa, quirk=fixed: ") == 4


def test_records_are_json_with_stable_keys():
    record = json.loads(json.dumps(facts(a_report())))
    assert list(record) == [
        *("system", "sizes", "parity", "conformance", "by_heart", "twins", "reached"),
        *("published", "declared"),
    ]
    assert record["sizes"][1]["difference"] == 1234
    assert record["parity"][0]["losses"] == 3.6e-7
    assert record["twins"][0]["reached"] == pytest.approx(0.5)
    assert facts(FidelityReport(system=TFN))["by_heart"] is None


def test_a_result_as_good_as_the_ceiling_has_reached_it_all():
    twin = a_report().twins[0]
    assert dataclasses.replace(twin, mae=0.5).reached == 1
    assert dataclasses.replace(twin, mae=1.0).reached == 0
    assert math.isnan(dataclasses.replace(twin, ceiling=1.0).reached)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MSA_HOME", str(tmp_path / "home"))
    return lambda *words: CliRunner().invoke(app, ["study", "fidelity", *words])


def test_the_command_writes_markdown_and_prints_json(run, tmp_path):
    out = tmp_path / "fidelity.md"
    words = ("--systems", "tfn,lmf", "--part", "sizes", "--out", str(out), "--json")
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "[1/2] tfn" in result.stderr
    found = json.loads(result.stdout)
    assert [(record["system"], len(record["sizes"])) for record in found] == [
        ("tfn", 4),
        ("lmf", 4),
    ]
    assert all(size["difference"] == 0 for record in found for size in record["sizes"])
    assert "9,497,043 =" in out.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--part", "everything"), "unknown part"),
        (("--systems", "tfnn"), "tfn"),
    ],
)
def test_unknown_names_are_refused(run, words, said):
    result = run(*words)
    assert result.exit_code != 0
    assert said in str(result.exception)
