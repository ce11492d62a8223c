"""``msa schema``: what is printed agrees with what the readers take."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from typer.testing import CliRunner

from harness.cli import app
from harness.cli._outputs import OUTPUTS
from harness.errors import HarnessError
from harness.spec import Suite
from harness.spec.tests.test_spec import NEARLY, TABLES

jsonschema = pytest.importorskip("jsonschema")

ROOT = Path(__file__).parents[3]
FILES = {
    "suite": "runs/suites/*.toml",
    "card": "mllm_eval/model/cards/*.toml",
    "prompt": "mllm_eval/prompt/prompts/*.toml",
    "instruction": "mllm_eval/prompt/instructions/*.toml",
}


def validator(noun: str) -> Any:
    shown = CliRunner().invoke(app, ["schema", noun])
    assert shown.exit_code == 0
    schema = json.loads(shown.output)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("noun", FILES)
def test_every_file_that_came_with_the_code_is_valid(noun: str) -> None:
    schema = validator(noun)
    paths = sorted(ROOT.glob(FILES[noun]))
    assert paths
    for path in paths:
        table = tomllib.loads(path.read_text("utf-8"))
        assert [error.message for error in schema.iter_errors(table)] == [], path.name
        assert list(schema.iter_errors(table | {"tilte": 1})), "an unknown key"


def test_a_manifest_may_leave_everything_out() -> None:
    schema = validator("manifest")
    assert schema.is_valid({})
    assert schema.is_valid({"name": "mine", "year": 2026, "seeds": [1, 2], "where": {"fold": 0}})
    for wrong in ({"year": "2026"}, {"seeds": []}, {"inputs": ["smell"]}, {"scale": 0}):
        assert not schema.is_valid(wrong)


SUITES = validator("suite")


@given(TABLES | NEARLY)
def test_an_editor_complains_of_no_suite_that_can_be_read(table: dict[str, Any]) -> None:
    try:
        Suite.parse(table, name="demo", where="demo.toml")
    except HarnessError:
        return
    assert [error.message for error in SUITES.iter_errors(table)] == []


def test_an_unknown_noun_is_one_error() -> None:
    shown = CliRunner().invoke(app, ["schema", "promt"])
    assert isinstance(shown.exception, HarnessError)
    assert "did you mean prompt?" in str(shown.exception)


def commands_with_json(command, words: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted names of all commands that take ``--json``."""
    for name, part in getattr(command, "commands", {}).items():
        yield from commands_with_json(part, (*words, name))
    if any("--json" in parameter.opts for parameter in command.params):
        yield ".".join(words)


def test_every_command_with_json_has_a_schema_and_no_other_has_one() -> None:
    assert sorted(commands_with_json(typer.main.get_command(app))) == sorted(OUTPUTS)


@pytest.mark.parametrize("command", sorted(OUTPUTS))
def test_what_a_command_prints_has_a_valid_schema(command: str) -> None:
    schema = validator(f"output.{command}").schema
    assert schema["title"] == f"msa {command.replace('.', ' ')} --json"


def test_an_output_that_is_not_told_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OUTPUTS["list"]["items"], "required", ["name", "colour"])
    result = CliRunner().invoke(app, ["list", "tables", "--json"])
    assert isinstance(result.exception, jsonschema.ValidationError)
    assert "'colour' is a required property" in str(result.exception)
