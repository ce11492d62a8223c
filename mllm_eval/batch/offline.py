"""Batches without a server: which model ``vllm run-batch`` will run here, and by which command.

It is the model as ``msa mllm serve`` would serve it on this machine, so answers of both are the
same and share a journal.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import SpecError
from mllm_eval.client import Served
from mllm_eval.model.card import ModelCard
from mllm_eval.model.weights import locate
from mllm_eval.server.command import Launch, argument_digest, batch_arguments, variables
from mllm_eval.server.environment import VERSION, prepare, which_build

__all__ = ["as_served", "command", "settings"]


def as_served(card: ModelCard, servers: Path) -> Served:
    """What a server of the card would say of it here.

    Args:
        card: Of an open model.
        servers: Folder of models made here.

    Raises:
        SpecError: For a hosted model.
        DataError: When the weights cannot be had.
    """
    if card.hosted:
        raise SpecError(
            f"{card.title} is run by its provider, not by vllm run-batch",
            hint="leave --run-batch out: the file goes to the provider's batch endpoint",
        )
    return Served(
        revision=locate(card, servers).revision,
        engine=f"vllm {VERSION}",
        arguments=argument_digest(card, Launch.of(which_build())),
    )


def command(card: ModelCard, servers: Path, file: Path, out: Path) -> list[str]:
    """The program and arguments that answer a batch file here.

    Args:
        card: Of an open model.
        servers: Folder of environments and models; the environment is made when it is not there.
        file: The batch.
        out: Where its output goes.

    Raises:
        DataError: When the weights cannot be had.
        RunFailed: When the environment cannot be made.
    """
    environment = prepare(servers)
    weights, launch = locate(card, servers), Launch.of(environment.build)
    return [str(environment.python), *batch_arguments(card, weights, launch, file=file, out=out)]


def settings(card: ModelCard, servers: Path) -> dict[str, str]:
    """Environment variables of that program."""
    return variables(prepare(servers), locate(card, servers))
