"""``msa schema``: what may stand in the files that people write, for editors and other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._output import echo_json
from harness.cli._outputs import OUTPUTS, schema_of_output

if TYPE_CHECKING:
    from harness._util.canonical import Json

__all__ = ["register", "schema_of"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schema")(_schema)


def _schema(
    noun: Annotated[
        str,
        typer.Argument(
            metavar="NOUN",
            help="suite, manifest, card, prompt or instruction; or output.COMMAND, such as"
            " output.data.check",
        ),
    ],
) -> None:
    """Print the JSON Schema of a file that people write, or of what a command's --json prints."""
    echo_json(schema_of(noun))


def schema_of(noun: str) -> dict[str, Json]:
    """The JSON Schema of what a noun names.

    Raises:
        SpecError: For another noun.
    """
    from harness._util.registry import suggest
    from harness.errors import SpecError

    command = noun.removeprefix("output.")
    if command != noun and command in OUTPUTS:
        return schema_of_output(command)
    if noun not in _SCHEMAS:
        names = [*_SCHEMAS, *(f"output.{name}" for name in OUTPUTS)]
        known = f"{', '.join(_SCHEMAS)} and output.COMMAND"
        raise SpecError(f"msa schema takes {known}; found {noun!r}{suggest(noun, names)}")
    return _SCHEMAS[noun]()


def _suite() -> dict[str, Json]:
    from harness._util.schema import json_schema
    from harness.spec import SuiteFile

    return json_schema(SuiteFile, "Suite", optional={"corpora", "systems"})  # what extends may give


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
