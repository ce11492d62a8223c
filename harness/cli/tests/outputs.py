"""Every JSON that a command prints in a test is held against the schema that users are given."""

from __future__ import annotations

import pytest
from typer.main import get_current_context

from harness.cli import _output
from harness.cli._outputs import schema_of_output

__all__ = ["command_of", "hold_to_schemas", "strict"]


def hold_to_schemas(patch: pytest.MonkeyPatch) -> None:
    """Check what ``echo_json`` prints in this process from now on."""
    plain, depth = _output._defined, 0

    def checked(value: object) -> object:
        nonlocal depth
        depth += 1
        try:
            found = plain(value)
        finally:
            depth -= 1
        command = command_of() if depth == 0 else None
        if command is not None and command != "schema":
            import jsonschema  # not in every environment that runs some test

            jsonschema.Draft7Validator(strict(schema_of_output(command))).validate(found)
        return found

    patch.setattr(_output, "_defined", checked)


def command_of() -> str | None:
    """The command that runs, dotted, without the program's name."""
    context = get_current_context(silent=True)
    if context is None:
        return None
    words = []
    while context.parent is not None:
        words.append(context.info_name)
        context = context.parent
    return ".".join(reversed(words))


def strict(schema: object) -> object:
    """The schema that allows no key but those it lists: what is printed has to be told."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: strict(value) for key, value in schema.items()}
    return {"additionalProperties": False, **inner} if "properties" in inner else inner
