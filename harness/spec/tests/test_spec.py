"""Specifications: an identity pinned digit by digit, and suites that are valid or refused."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SpecError
from harness.spec import (
    Protocol,
    Query,
    ReleasedSelection,
    RunSpec,
    SelectionRule,
    Suite,
    record_of,
    refine,
    spec_of,
)

PROTOCOL = Protocol(
    name="in_domain",
    title="In-domain, official split",
    kind="in_domain",
    split="official",
    selection_metric="mae",
    selection_split="valid",
    selection_ties="earliest",
    max_epochs=100,
    patience=8,
    corruption="none",
    side_info="none",
    metric_set="canonical",
    seeds=(1111, 1112),
)
SPEC = RunSpec(
    corpus="mosi@unaligned-50",
    data="d" * 64,
    protocol=PROTOCOL,
    system="tfn",
    params={"lr": 0.001, "batch_size": 32, "loss": "l1", "use_bn": True},
    labels={"low": -3.0, "high": 3.0, "family": "mosi"},
    artifacts={"encoder": "e" * 64},
    seed=1111,
    code="0123456789abcdef",
)


def changed(spec: RunSpec, **protocol: object) -> RunSpec:
    """The specification with protocol fields set to anything, valid or not."""
    copy = dataclasses.replace(spec.protocol)
    for name, value in protocol.items():
        object.__setattr__(copy, name, value)
    return dataclasses.replace(spec, protocol=copy)


# Identity


def test_the_key_of_a_fully_specified_run_is_pinned() -> None:
    """A change here orphans every stored run: raise KEY_VERSION and say so, or do not do it."""
    assert SPEC.key == "572bf70eb5c38e7f0d89c280b4756b0a"
    assert PROTOCOL.digest == "113b16e5fccd"


@pytest.mark.parametrize(
    "change",
    [
        {"data": "c" * 64},
        {"system": "lmf"},
        {"seed": 1112},
        {"labels": {"low": -1.0, "high": 1.0, "family": "sims"}},
        {"code": "0123456789abcdee"},
        {"artifacts": {}},
        {"artifacts": {"encoder": "f" * 64}},
        {"artifacts": {"tokenizer": "e" * 64}},
        {"params": {**SPEC.params, "lr": 0.0010000000000000002}},
        {"params": {**SPEC.params, "batch_size": 64}},
        {"params": {**SPEC.params, "loss": "mse"}},
        {"params": {**SPEC.params, "use_bn": False}},
        {"params": {**SPEC.params, "use_bn": 1}},
        {"params": {**SPEC.params, "added": 0}},
        {"params": {k: v for k, v in SPEC.params.items() if k != "lr"}},
    ],
    ids=str,
)
def test_the_key_depends_on_everything_that_can_change_the_result(change: dict[str, Any]) -> None:
    assert dataclasses.replace(SPEC, **change).key != SPEC.key


def test_every_field_of_a_specification_has_been_considered_here() -> None:
    names = {field.name for field in dataclasses.fields(RunSpec)}
    display, protocol = {"corpus"}, {"protocol"}
    content = {"data", "system", "seed", "code", "artifacts", "labels", "params"}
    assert names == content | display | protocol


DISPLAY = {"name", "title", "seeds"}
IDENTITY = sorted({field.name for field in dataclasses.fields(Protocol)} - DISPLAY)


@pytest.mark.parametrize("name", IDENTITY)
def test_the_key_depends_on_every_field_of_the_protocol(name: str) -> None:
    value = getattr(PROTOCOL, name)
    more: object = {int: 1, str: "_other", tuple: (SelectionRule(monitor="corr"),)}[type(value)]
    other = changed(SPEC, **{name: value + more})
    assert other.key != SPEC.key
    assert other.protocol.digest != PROTOCOL.digest


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(SPEC, corpus="renamed@elsewhere"),
        changed(SPEC, name="renamed"),
        changed(SPEC, title="Renamed"),
        changed(SPEC, seeds=(1, 2, 3)),
        dataclasses.replace(SPEC, params=dict(reversed(SPEC.params.items()))),
    ],
    ids=["corpus", "protocol name", "title", "seed list", "order of parameters"],
)
def test_the_key_does_not_depend_on_display_or_order(other: RunSpec) -> None:
    assert other.key == SPEC.key
    assert other.protocol.digest == PROTOCOL.digest


def test_rules_of_a_run_are_stored_and_read_back_with_its_key() -> None:
    rules = (
        SelectionRule(monitor="last", stages=("warm",)),
        SelectionRule(monitor="l1", digits=4, patience=8),
    )
    spec = changed(SPEC, selection="released", rules=rules)
    again = spec_of(json.loads(json.dumps(record_of(spec))))
    assert again.protocol.rules == rules
    assert again.key == spec.key
    before = {
        k: v for k, v in record_of(SPEC)["protocol"].items() if k not in ("selection", "rules")
    }
    assert spec_of({**record_of(SPEC), "protocol": before}).key == SPEC.key


def test_the_first_rule_that_fits_counts_and_no_other_is_kept() -> None:
    found = ReleasedSelection(
        source="somewhere",
        rules=(
            SelectionRule(monitor="corr", stages=("a", "b"), datasets=("mosi",)),
            SelectionRule(monitor="acc2", stages=("a",)),
            SelectionRule(monitor="mae", datasets=("mosi", "sims")),
            SelectionRule(monitor="last"),
        ),
    )
    assert [(r.monitor, r.stages) for r in found.on("mosi")] == [("corr", ("a", "b")), ("mae", ())]
    assert [(r.monitor, r.stages) for r in found.on("sims")] == [("acc2", ("a",)), ("mae", ())]
    assert [(r.monitor, r.stages) for r in found.on("other")] == [("acc2", ("a",)), ("last", ())]


@pytest.mark.parametrize("name", ["max_epochs", "patience"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_protocol_trains_at_least_one_epoch(name: str, value: int) -> None:
    with pytest.raises(SpecError, match=f"{name} must be at least 1"):
        dataclasses.replace(PROTOCOL, **{name: value})


# Refinement


def test_refining_changes_named_fields_only() -> None:
    refined = refine(PROTOCOL, {"max_epochs": 3, "selection_metric": "corr"}, "suite")
    assert refined == dataclasses.replace(PROTOCOL, max_epochs=3, selection_metric="corr")
    assert refine(PROTOCOL, {}, "suite") == PROTOCOL


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_epoch": 3}, r"suite: unknown key 'max_epoch'; did you mean 'max_epochs'\?"),
        ({"name": "other"}, "unknown key 'name'"),
        ({"seeds": 3}, "unknown key 'seeds'"),
        ({"kind": "in_domain"}, "unknown key 'kind'"),
        ({"max_epochs": 3.0}, "max_epochs should be an integer of at least 1, found 3.0"),
        ({"max_epochs": True}, "max_epochs should be an integer of at least 1, found True"),
        ({"patience": "8"}, "patience should be an integer of at least 1, found '8'"),
        ({"patience": 0}, "patience should be an integer of at least 1, found 0"),
        ({"split": "random"}, "split should be one of 'official'; found 'random'"),
        ({"split": "off"}, "split should be one of 'official'; found 'off'"),
        ({"split": ""}, "split should be one of"),
    ],
)
def test_a_refinement_that_makes_no_sense_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        refine(PROTOCOL, changes, "suite")


# Suites

FULL = """
title = "Everything at once"
corpora = ["mosi@unaligned-50", "sims@unaligned"]
seeds = [1111, 7]

[protocol]
name = "in_domain"
max_epochs = 5

[[systems]]
name = "tfn"

[[systems]]
name = "tfn"
label = "TFN, slow"
corpora = ["sims@unaligned"]
params = { lr = 1e-4, loss = "mse", use_bn = false, depth = 2 }
"""


def parse(text: str) -> Suite:
    return Suite.parse(tomllib.loads(text), name="demo", where="demo.toml")


def test_a_full_suite_is_read_as_written() -> None:
    suite = parse(FULL)
    assert suite.title == "Everything at once"
    assert suite.corpora == ("mosi@unaligned-50", "sims@unaligned")
    assert suite.seeds == (1111, 7)
    assert (suite.protocol, suite.protocol_changes) == ("in_domain", {"max_epochs": 5})
    plain, slow = suite.entries
    assert (plain.system, plain.label, plain.params, plain.corpora) == ("tfn", "tfn", {}, None)
    assert (slow.label, slow.corpora) == ("TFN, slow", ("sims@unaligned",))
    assert slow.params == {"lr": 1e-4, "loss": "mse", "use_bn": False, "depth": 2}


def test_a_query_is_no_row_until_the_systems_are_known() -> None:
    text = 'corpora = ["a@x", "b@x"]\n[[systems]]\nname = "tfn"\n[[systems]]\nquery = "trained"\n'
    suite = parse(text + 'corpora = ["a@x"]')
    assert [entry.system for entry in suite.entries] == ["tfn"]
    assert suite.queries == (Query(kind="trained", corpora=("a@x",)),)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('query = "trainde"', "query should be one of 'trained'; found 'trainde'"),
        ('query = "trained"\nname = "tfn"', "unknown key 'name'"),
        ('query = "trained"\ncorpora = ["b@x"]', "query 'trained' names corpora outside"),
        ("query = 1", "query should be one of 'trained'; found 1"),
    ],
)
def test_a_query_that_is_none_is_refused(row: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse(f'corpora = ["a@x"]\n[[systems]]\n{row}')


def test_a_minimal_suite_has_sensible_defaults() -> None:
    suite = parse('corpora = ["mosi@x"]\n[[systems]]\nname = "tfn"')
    assert (suite.title, suite.protocol, suite.seeds) == ("demo", "in_domain", 5)


def test_other_seeds_can_be_asked_for() -> None:
    suite = parse(FULL)
    assert suite.with_seeds(None) == suite
    assert suite.with_seeds(3).seeds == 3
    assert suite.with_seeds((4, 5)).seeds == (4, 5)


START = 'corpora = ["mosi@x"]\n'
SYSTEM = '[[systems]]\nname = "tfn"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "demo.toml: corpora is missing; it should be a non-empty list"),
        (START, "systems is missing"),
        (SYSTEM, "demo.toml: corpora is missing; it should be a non-empty list"),
        (START + "systems = []", "systems should be a non-empty list"),
        (START + 'systems = "tfn"', "systems should be a non-empty list, found 'tfn'"),
        (START + 'systems = ["tfn"]', r"systems\[0\] should be a table, found 'tfn'"),
        (START + "[[systems]]", r"systems\[0\]: name is missing; it should be text"),
        (START + '[[systems]]\nname = " "', "name should be text"),
        (
            START + SYSTEM + 'lable = "x"',
            r"systems\[0\]: unknown key 'lable'; did you mean 'label'",
        ),
        (START + SYSTEM + "label = 3", "label should be text, found 3"),
        (START + SYSTEM + "params = 3", r"systems\[0\]: params should be a table, found 3"),
        (START + SYSTEM + "params = { lr = [1] }", r"params\.lr should be text, a finite number"),
        (START + SYSTEM + "params = { lr = nan }", r"params\.lr should be text, a finite number"),
        (START + SYSTEM + "params = { lr = -inf }", r"params\.lr should be text, a finite number"),
        (START + SYSTEM + "params = { day = 2020-01-01 }", r"params\.day should be text"),
        (START + SYSTEM + "corpora = []", r"systems\[0\]: corpora should be a non-empty list"),
        (START + SYSTEM + 'corpora = ["sims@x"]', "corpora outside the suite: sims@x"),
        (START + SYSTEM + SYSTEM, "two rows are labelled 'tfn'"),
        ("corpora = []\n" + SYSTEM, "corpora should be a non-empty list"),
        ("corpora = [1]\n" + SYSTEM, r"corpora\[0\] should be text, found 1"),
        ('corpora = "mosi@x"\n' + SYSTEM, "corpora should be a non-empty list"),
        ('corpora = ["a", "a"]\n' + SYSTEM, "corpora names one item twice"),
        (START + 'protocl = "x"\n' + SYSTEM, r"unknown key 'protocl'; did you mean 'protocol'\?"),
        (START + 'protocol = "in_domain"\n' + SYSTEM, "protocol should be a table"),
        (START + "protocol = { name = 3 }\n" + SYSTEM, r"protocol\.name should be text"),
        (START + "protocol = { patiense = 8 }\n" + SYSTEM, "protocol: unknown key 'patiense'; did"),
        (
            START + "protocol = { patience = [8] }\n" + SYSTEM,
            r"protocol\.patience should be an integer of at least 1",
        ),
        (START + "title = 3\n" + SYSTEM, "title should be text, found 3"),
    ],
)
def test_a_faulty_suite_is_refused_naming_the_place(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a b", "a  b"), ("misa", "mіsa"), ("TFN", "ＴＦＮ"), ("a-b", "a–b"), ("fi", "ﬁ")],
)
def test_two_labels_that_print_alike_are_named_together(one: str, other: str) -> None:
    rows = "".join(f'{SYSTEM}label = "{label}"\n' for label in (one, "else", other))
    with pytest.raises(SpecError, match=r"demo\.toml: the labels .* print alike") as caught:
        parse(START + rows)
    assert one in str(caught.value) and other in str(caught.value)
    assert other.isascii() or f"{other!a}" in str(caught.value)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("tfn\\u200b", "one line without control characters"),
        ("tfn\\u001b[31m", "one line without control characters"),
        ("\\u202enft", "one line without control characters"),
        ("tfn\\u3164", r"holds the character \\u3164, which nobody sees"),
        ("x" * 121, "has 121 characters, at most 120 are shown"),
        ("   ", "label should be text"),
    ],
)
def test_a_label_is_a_short_line_of_what_can_be_seen(label: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(f'{START}{SYSTEM}label = "{label}"')


def test_a_label_has_one_spelling() -> None:
    (entry,) = parse(f'{START}{SYSTEM}label = "  cafe\u0301 情感（小）  "').entries
    assert entry.label == "café 情感（小）"


@pytest.mark.parametrize(
    "seeds", ["0", "-1", "true", "1.5", '"5"', "[]", "[-1]", "[1.0]", "[true]", '["1"]', "[1, 1]"]
)
def test_seeds_are_a_count_or_distinct_non_negative_integers(seeds: str) -> None:
    with pytest.raises(SpecError, match=r"demo\.toml: seeds"):
        parse(f"{START}seeds = {seeds}\n{SYSTEM}")


def test_corpora_may_have_seeds_of_their_own() -> None:
    suite = parse(f'{START}seeds = {{ default = 3, "mosi@x" = [7, 8] }}\n{SYSTEM}')
    assert (suite.seeds_on("mosi@x"), suite.seeds_on("another")) == ((7, 8), 3)
    assert suite.with_seeds(2).seeds_on("mosi@x") == 2


@pytest.mark.parametrize("seeds", ['{ "mosi@y" = 3 }', '{ "mosi@x" = 0 }', "{ default = [] }"])
def test_faulty_seeds_of_a_corpus_are_refused(seeds: str) -> None:
    with pytest.raises(SpecError, match=r"demo\.toml: seeds"):
        parse(f"{START}seeds = {seeds}\n{SYSTEM}")


@pytest.mark.parametrize("name", ["../demo", "a/b", "..", ".demo", "a\\b", "", "a\nb", "x" * 300])
def test_a_suite_whose_name_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="a suite is called by letters"):
        Suite.parse(tomllib.loads(FULL), name=name, where="demo.toml")


def test_a_suite_is_called_like_its_file(tmp_path: Path) -> None:
    path = tmp_path / "my suite.toml"
    path.write_text(FULL, "utf-8")
    assert Suite.load(path) == dataclasses.replace(parse(FULL), name="my suite")


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"\xff\xfe",
        b"corpora = [",
        b"a = " + b"9" * 5000,
        b"a = " + b"[" * 20_000,
        b"a = 2020-13-45",
        b"a = 1\na = 2",
        b"\x00",
    ],
    ids=["absent", "not UTF-8", "cut", "huge integer", "deep", "no date", "twice", "NUL"],
)
def test_an_unreadable_file_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "demo.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=re.escape(f"cannot read suite {path}")):
        Suite.load(path)


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read suite"):
        Suite.load(tmp_path)


NAMES = ["title", "corpora", "seeds", "protocol", "systems", "name", "label", "params", "patience"]
KEYS = st.sampled_from(NAMES) | st.text(max_size=3)
LEAVES = (
    st.sampled_from(["tfn", "mosi@x", "in_domain", ""])
    | st.integers()
    | st.booleans()
    | st.floats()
    | st.just(datetime.date(2020, 1, 1))
)
TABLES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    ),
)
NEARLY = st.fixed_dictionaries(
    {
        "corpora": st.lists(st.sampled_from(["mosi@x", "sims@x", ""]), max_size=3),
        "systems": st.lists(
            st.dictionaries(
                st.sampled_from(["name", "label", "params", "corpora"]), TABLES | LEAVES
            ),
            max_size=3,
        ),
    },
    optional={"seeds": LEAVES | st.lists(LEAVES), "title": LEAVES, "protocol": TABLES | LEAVES},
)


@given(TABLES | NEARLY, st.text() | st.just("demo"))
def test_any_table_is_a_suite_or_a_spec_error(table: dict[str, Any], name: str) -> None:
    try:
        suite = Suite.parse(table, name=name, where="demo.toml")
        refine(PROTOCOL, suite.protocol_changes, "demo.toml")
    except SpecError:
        return
    for entry in suite.entries:  # what passes has a key
        assert dataclasses.replace(SPEC, params=entry.params).key


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.text("[]{}=\"'.\n a1#", max_size=30).map(str.encode)
)
def test_any_bytes_are_a_suite_or_a_spec_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError):
        Suite.load(path)


# Suites that extend another


BASE = """
title = "Base"
corpora = ["mosi@unaligned-50"]
seeds = 3
[protocol]
max_epochs = 7
[[systems]]
name = "tfn"
"""


def test_a_suite_takes_what_it_leaves_out_from_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "more.toml").write_text(
        'extends = "base"\ntitle = "More"\n[protocol]\nname = "as_released"\n'
    )
    base, more = (Suite.load(tmp_path / f"{name}.toml") for name in ("base", "more"))
    assert (more.name, more.title) == ("more", "More")
    assert (more.protocol, more.protocol_changes) == ("as_released", {})
    assert (more.corpora, more.seeds, more.entries) == (base.corpora, base.seeds, base.entries)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "absent"\n', "absent.toml"),
        ('extends = "../base"\n', "is the name of a suite file beside this one"),
        ("extends = 3\n", "extends should be"),
        ('extends = "chain"\n', "more.toml extends chain, which extends another suite itself"),
    ],
)
def test_what_cannot_be_extended_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "chain.toml").write_text('extends = "base"\n')
    (tmp_path / "more.toml").write_text(text)
    with pytest.raises(SpecError, match=said):
        Suite.load(tmp_path / "more.toml")


def test_a_suite_that_is_no_file_extends_none() -> None:
    with pytest.raises(SpecError, match="extends names a file beside this one"):
        parse('extends = "base"\n' + FULL)
