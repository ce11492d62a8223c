"""``msa study parity``: its table, its record, its page, and when it fails."""

from __future__ import annotations

import json

import pytest

from harness.errors import RunFailed
from harness.testing import mmsa, parity
from leaderboards.studies.parity_record import read_parity

FINE = parity.ParityFigures(
    weights=32,
    eval=7.5e-9,
    first_loss=0.0,
    losses=1.2e-7,
    after=3e-8,
    gradient=1.5e-8,
    largest=0.5,
    groups=0,
    parameters=28,
    faults=(),
)
UNLIKE = parity.ParityFigures(
    weights=32,
    eval=0.26,
    first_loss=0.1,
    losses=0.2,
    after=0.3,
    gradient=1.0,
    largest=2.0,
    groups=3,
    parameters=28,
    faults=("eval", "groups"),
)


@pytest.fixture
def outcomes(monkeypatch):
    """What comparing is told to give, by pair; by default that all is fine."""
    given = {}

    def compared(pairs, python, jobs):
        assert str(python) == "python"
        for name, shape in pairs:
            reason = parity.counterparts[name].reason(shape)
            told = {"reason": reason} if reason else {"figures": FINE}
            told = given.get((name, shape), told)
            yield [parity.PairOutcome(system=name, shape=shape, **told)]

    monkeypatch.setattr(parity, "compare_pairs", compared)
    monkeypatch.setattr(mmsa, "mmsa_python", lambda _: "python")
    return given


def test_the_table_has_a_line_per_system_and_shape(msa, outcomes):
    code, said, progress = msa("study", "parity", "--system", "tfn", "--system", "mtfn")
    assert code == 0
    lines = said.splitlines()
    assert lines[0].split() == [
        *("system", "shape", "format", "weights", "eval", "first", "loss", "all", "losses"),
        *("after", "grad", "/", "largest", "groups", "verdict"),
    ]
    assert [line.split()[:2] for line in lines[2:]] == [
        *(["tfn", shape] for shape in ("mosi", "mosi-aligned", "sims")),
        ["mtfn", "sims"],
    ]
    assert lines[2].split()[2:] == [
        *("float32", "32", "7.5e-09", "0", "1.2e-07", "3.0e-08", "1.5e-08", "/", "0.5"),
        *("equal", "equal"),
    ]
    assert "[4/4]" in progress


def test_what_is_left_out_is_shown_and_no_failure(msa, outcomes):
    code, said, _ = msa("study", "parity", "--corpus-shape", "sims")
    assert code == 0
    verdicts = {line.split()[0]: line.split()[-2:] for line in said.splitlines()[2:]}
    left_out = {name for name, verdict in verdicts.items() if verdict == ["left", "out"]}
    assert left_out == {"almt", "cenet", "mctn", "tetfn", "tfr_net"}


def test_a_system_that_differs_fails_and_is_named(msa, outcomes, tmp_path):
    outcomes["misa", "sims"] = {"figures": UNLIKE}
    page = tmp_path / "parity.md"
    code, said, complaint = msa("study", "parity", "--system", "misa", "--out", str(page))
    assert code == 1
    assert "3 of 28 differ  differs: eval, groups" in said
    assert "1 comparisons with MMSA failed; misa on sims: it differs in eval, groups" in complaint
    assert "2 of 3 comparisons equal up to rounding" in page.read_text("utf-8")


def test_a_system_that_cannot_be_compared_fails_with_the_reason(msa, outcomes):
    outcomes["misa", "sims"] = {"reason": "MMSA stopped: out of memory", "failed": True}
    code, said, complaint = msa("study", "parity", "--system", "misa")
    assert code == 1
    assert "failed" in said
    assert "misa on sims: MMSA stopped: out of memory" in complaint


def test_the_record_is_what_json_prints_and_can_be_read(msa, outcomes, tmp_path):
    file = tmp_path / "parity.json"
    code, said, _ = msa("study", "parity", "--system", "tfr_net", "--out", str(file), "--json")
    assert code == 0
    assert json.loads(said) == json.loads(file.read_text("utf-8"))
    record = read_parity(file)
    assert [row.verdict for row in record.rows] == ["equal", "equal", "left out"]
    assert record.rows[0].eval == 7.5e-9
    assert (record.mmsa, record.epochs) == ("2.2.1", 3)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--system", "tnf"], "unknown counterpart 'tnf'"),
        (["--corpus-shape", "mosei"], "unknown corpus shape 'mosei' (known: mosi,"),
        (["--system", "mtfn", "--corpus-shape", "mosi"], "mtfn cannot be compared on mosi"),
        (["--out", "parity.txt"], "parity.txt should end in .md (a page) or .json (the record)"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_made(msa, monkeypatch, arguments, complaint):
    def refuse(_):
        raise RunFailed("an environment was made")

    monkeypatch.setattr(mmsa, "mmsa_python", refuse)
    code, _, said = msa("study", "parity", *arguments)
    assert code == 2
    assert complaint in said
