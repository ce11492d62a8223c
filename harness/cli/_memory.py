"""The option of commands that read files from outside: how much memory such a file may take."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["MemoryOption"]


def _allow(context: typer.Context, size: str | None) -> None:
    """Let the command that is about to run read with so much memory."""
    if size is not None:
        from harness._util.budget import memory_allowed

        context.with_resource(memory_allowed(size))


MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="What a file may take of memory, such as 4G; default: 32 times its size, or 512M.",
        callback=_allow,
        expose_value=False,
    ),
]
