"""``msa mllm run``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag
from harness.cli._plan import print_plan
from harness.cli.run import (
    JobsOption,
    OnlyOption,
    PlanOption,
    SeedsOption,
    SuiteArgument,
    run_suite,
    seeds_of,
)
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.spec import Scalar, Suite

__all__ = ["register"]


def register(mllm_app: typer.Typer) -> None:
    """Add the command."""
    mllm_app.command("run")(_run)


def _run(
    context: typer.Context,
    suite: SuiteArgument,
    server: Annotated[
        str, typer.Option(help="Base URL of the server, up to and including /v1.", metavar="URL")
    ] = "",
    media: Annotated[
        Path | None, typer.Option(help="Folder of the recordings.", metavar="FOLDER")
    ] = None,
    key_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the API key.", metavar="NAME")
    ] = "",
    seeds: SeedsOption = None,
    only: OnlyOption = None,
    jobs: JobsOption = 1,
    plan_only: PlanOption = False,
    as_json: JsonFlag = False,
) -> None:
    """As msa run, with the server and the recordings of the suite's language models given."""
    from harness.runs.suite_files import find_suite

    if as_json and not plan_only:
        raise SpecError("--json goes with --plan", hint="msa board SUITE --json")
    home = home_of(context)
    places = {
        "server": server,
        "media": "" if media is None else str(media.absolute()),
        "key_variable": key_variable,
    }
    chosen = _placed(
        find_suite(suite, home).with_seeds(seeds_of(seeds)),
        {name: place for name, place in places.items() if place},
    )
    if plan_only:
        print_plan(chosen, home, device="cpu", jobs=jobs, only=only or (), as_json=as_json)
    else:
        run_suite(chosen, home, only=only or (), jobs=jobs)


def _placed(suite: Suite, places: dict[str, Scalar]) -> Suite:
    """The suite with these places for its language models; a row's own come first."""
    from harness.system import systems

    served = {entry.system for entry in suite.entries if systems[entry.system].locations}
    if not served:
        raise SpecError(
            f"suite {suite.name} has no row with a language model",
            hint=f"msa run {suite.name}",
        )
    return dataclasses.replace(suite, defaults={**suite.defaults, **places})
