"""``msa schema``: what may stand in the files that people write, for editors and other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._output import echo_json

if TYPE_CHECKING:
    from harness._util.canonical import Json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schema")(_schema)


def _schema(
    noun: Annotated[str, typer.Argument(help="suite, manifest, card, prompt or instruction")],
) -> None:
    """Print the JSON Schema of a suite, manifest, model card, prompt or instruction file."""
    from harness._util.registry import suggest
    from harness.errors import SpecError

    if noun not in _SCHEMAS:
        known = ", ".join(_SCHEMAS)
        raise SpecError(f"msa schema takes {known}; found {noun!r}{suggest(noun, _SCHEMAS)}")
    echo_json(_SCHEMAS[noun]())


def _suite() -> dict[str, Json]:
    from harness._util.schema import json_schema
    from harness.spec import SuiteFile

    return json_schema(SuiteFile, "Suite")


def _manifest() -> dict[str, Json]:
    from harness._util.schema import json_schema
    from harness.submissions import SubmissionManifest

    return json_schema(SubmissionManifest, "Manifest of a submission", optional={"name"})


def _card() -> dict[str, Json]:
    from harness._util.schema import json_schema
    from mllm_eval.model.card import ModelCard

    return json_schema(ModelCard, "Card of a language model", given={"name"})


def _prompt() -> dict[str, Json]:
    from harness._util.schema import json_schema
    from mllm_eval.prompt.prompt import Prompt

    return json_schema(Prompt, "Prompt", given={"name"})


def _instruction() -> dict[str, Json]:
    from mllm_eval.prompt.instruction import Instructions

    return Instructions.schema()


_SCHEMAS: Mapping[str, Callable[[], dict[str, Json]]] = {
    "suite": _suite,
    "manifest": _manifest,
    "card": _card,
    "prompt": _prompt,
    "instruction": _instruction,
}
