"""``msa mllm``: serving multimodal language models, querying them, checking their answers.

One module per command; each adds its own through ``register``.
"""

from __future__ import annotations

import typer

from harness.cli.mllm import batch, canary, explain, probe, run, serve

__all__ = ["register"]

_mllm = typer.Typer(
    help="Serve multimodal language models, query them, check the answers.", no_args_is_help=True
)
for command in (serve, run, batch, canary, explain, probe):
    command.register(_mllm)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_mllm, name="mllm")
