"""What the leak gate found of a corpus's explanations, for whoever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from harness.cli._output import complain

if TYPE_CHECKING:
    from harness.data.corpus import Corpus

__all__ = ["echo_leak_gate", "warn_of_leak"]


def echo_leak_gate(corpus: Corpus) -> None:
    """Print the figures, and the warning where there is one."""
    from harness.data.leak_gate import leak_gate_of

    gate = leak_gate_of(corpus.manifest)
    if gate is not None:
        typer.echo(f"leak gate: {gate.figures}")
    warn_of_leak(corpus)


def warn_of_leak(corpus: Corpus) -> None:
    """Warn of texts that know the label, on standard error."""
    from harness.data.leak_gate import leak_gate_of

    gate = leak_gate_of(corpus.manifest)
    if gate is not None and gate.leaks:
        complain(f"warning: {corpus.name}: {gate.warning}", colour="red")
