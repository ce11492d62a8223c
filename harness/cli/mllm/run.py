"""``msa mllm run``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag
from harness.cli._plan import print_plan
from harness.cli.mllm._client import (
    AcceptOption,
    ConcurrencyOption,
    RateOption,
    ServerOption,
    TimeoutOption,
    addresses_of,
    check_rate,
)
from harness.cli.mllm._forecasts import print_forecasts
from harness.cli.run import (
    JobsOption,
    LimitOption,
    OnlyOption,
    PlanOption,
    SeedsOption,
    SuiteArgument,
    limited,
    run_suite,
    seeds_of,
)
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.spec import Scalar, Suite

__all__ = ["completed", "register"]


def register(mllm_app: typer.Typer) -> None:
    """Add the command."""
    mllm_app.command("run")(_run)


def _run(
    context: typer.Context,
    suite: SuiteArgument,
    server: ServerOption = None,
    media: Annotated[
        Path | None, typer.Option(help="Folder of the recordings.", metavar="FOLDER")
    ] = None,
    key_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the API key.", metavar="NAME")
    ] = "",
    accept_failed: AcceptOption = 0.0,
    concurrency: ConcurrencyOption = None,
    timeout: TimeoutOption = None,
    limit: LimitOption = None,
    rate: RateOption = None,
    seeds: SeedsOption = None,
    only: OnlyOption = None,
    jobs: JobsOption = 1,
    plan_only: PlanOption = False,
    as_json: JsonFlag = False,
) -> None:
    """As msa run, with the server and the recordings of the suite's language models given.

    --plan takes no server: it counts questions, tokens, bytes, price and hours.
    """
    from harness.runs.suite_files import find_suite

    check_rate(rate, plan_only=plan_only)
    if as_json and not plan_only:
        raise SpecError("--json goes with --plan", hint="msa board SUITE --json")
    home = home_of(context)
    given: dict[str, Scalar] = {
        "server": addresses_of(server),
        "media": "" if media is None else str(media.absolute()),
        "key_variable": key_variable,
        "accept_failed": accept_failed,
        "concurrency": "" if concurrency is None else str(concurrency),
        "timeout": "" if timeout is None else str(timeout),
    }
    named = find_suite(suite, home).with_seeds(seeds_of(seeds))
    if limit is not None:
        named = limited(named, limit, home, kept=not plan_only)
    chosen = completed(named, {name: value for name, value in given.items() if value})
    if plan_only:
        from mllm_eval.forecast.surveys import forecasts

        found = list(forecasts(chosen, home, rate=rate, only=only or ()))
        print_forecasts({"suite": chosen.name}, found, as_json=as_json)
        if server and not as_json:
            typer.echo("")
            print_plan(chosen, home, device="cpu", jobs=jobs, only=only or (), as_json=False)
    else:
        run_suite(chosen, home, only=only or (), jobs=jobs)


def completed(suite: Suite, given: dict[str, Scalar]) -> Suite:
    """The suite with what is given for its language models; what a row says itself comes first."""
    from harness.system import systems

    named = {entry.system for entry in suite.entries if entry.system in systems}
    served = {name for name in named if systems[name].locations}
    if not served:
        raise SpecError(
            f"suite {suite.name} has no row with a language model",
            hint=f"msa run {suite.name}",
        )
    return dataclasses.replace(suite, defaults={**suite.defaults, **given})
