"""``msa run`` and ``msa status``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._output import JsonFlag, echo_json, echo_table, progress
from harness.cli._quote import duration, price
from harness.errors import RunFailed, SpecError

if TYPE_CHECKING:
    from harness.home import Home
    from harness.plan import Plan
    from harness.store import RunStore

__all__ = ["register"]

Suite = Annotated[str, typer.Argument(metavar="SUITE", help="A suite's name, or a TOML file.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(_run)
    app.command("status")(_status)


def _run(
    suite: Suite,
    seeds: Annotated[
        str | None, typer.Option(help="A count (first n of the protocol's list) or a,b,c.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Rows, systems or corpora to run now (* and ? allowed); repeatable."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    plan_only: Annotated[
        bool, typer.Option("--plan", help="Say what would run and what it takes; run nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run what is missing of a suite, then write its board; stopped, the same command goes on."""
    from harness.driver import carry_out
    from harness.executors.local import LocalExecutor
    from harness.home import Home
    from harness.plan import find_suite, make_plan
    from harness.store import RunStore

    home = Home.default()
    if plan_only:
        chosen = find_suite(suite, home).with_seeds(_seeds(seeds))
        price(chosen, home, device=_kind(device), jobs=jobs, only=only or (), as_json=as_json)
        return
    if as_json:
        raise SpecError("--json goes with --plan", hint="msa board SUITE --json")
    store = RunStore(home.store)
    _check_device(device)
    with store.writing(), progress() as shown:
        chosen = find_suite(suite, home).with_seeds(_seeds(seeds))
        plan = make_plan(chosen, home, device=device)
        try:
            report = carry_out(
                plan,
                store,
                LocalExecutor(jobs),
                only=only or (),
                on_start=shown.start,
                on_done=shown.advance,
            )
        except KeyboardInterrupt:
            raise RunFailed(
                f"interrupted after {shown.count} of {shown.total} cells; what finished is stored",
                hint="the same command continues",
            ) from None
    typer.echo(
        f"{report.done} cells run, {report.present} already stored, {len(report.failed)} failed"
    )
    _write_board(plan, store, home)
    if report.failed:
        raise RunFailed(
            "failed cells:\n" + "\n".join(f"  {cell}: {why}" for cell, why in report.failed),
            hint="the board shows them as holes; the same command tries them again",
        )


def _write_board(plan: Plan, store: RunStore, home: Home) -> None:
    import leaderboards

    path = leaderboards.write(store, plan.suite.name, home.boards / f"{plan.suite.name}.md")
    typer.echo(f"board: {path}")


def _seeds(text: str | None) -> int | tuple[int, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise SpecError(f"--seeds takes a count or numbers like 1,2,3; found {text!r}") from None
    if min(numbers) < 0 or len(set(numbers)) < len(numbers) or numbers == (0,):
        raise SpecError(f"--seeds takes a positive count or distinct seeds; found {text!r}")
    return numbers if "," in text else numbers[0]


def _check_device(device: str) -> None:
    """Refuse a device that is not there, rather than falling back to another."""
    import torch

    if _kind(device) == "cuda" and not torch.cuda.is_available():
        raise SpecError("no CUDA device is available here", hint="msa run SUITE --device cpu")


def _kind(device: str) -> str:
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise SpecError(f"--device takes cpu, cuda or cuda:N; found {device!r}")
    return kind


def _status(
    suite: Annotated[str | None, typer.Argument(metavar="[SUITE]")] = None,
    as_json: JsonFlag = False,
) -> None:
    """How far each planned suite is, also while it runs: cells, and what is left of the work."""
    from harness.home import Home
    from harness.store import RunStore

    store = RunStore(Home.default().store)
    names = store.plans() if suite is None else [suite]
    rows = [_progress_of(store, name) for name in names]
    if as_json:
        echo_json(rows)
    else:
        echo_table(
            [_with_time_in_words(row) for row in rows],
            right=frozenset({"cells", "stored", "failed", "missing"}),
        )


def _progress_of(store: RunStore, suite: str) -> dict[str, object]:
    from harness.costs import work_left

    cells = store.plan(suite)["cells"]
    assert isinstance(cells, list)
    keys = {str(cell["key"]) for cell in cells if cell["key"]}
    stored = {key for key in keys if key in store}
    failed = {key for key in keys - stored if store.failure(key) is not None}
    left = work_left(store, cells)
    return {
        "suite": suite,
        "cells": len(keys),
        "stored": len(stored),
        "failed": len(failed),
        "missing": len(keys - stored - failed),
        "seconds_left": left.seconds,
        "unpriced": left.unpriced,
    }


def _with_time_in_words(row: Mapping[str, object]) -> dict[str, object]:
    """One worker's time for what is not stored, as far as stored runs of the same rows tell."""
    shown = dict(row)
    seconds, unpriced = shown.pop("seconds_left"), shown.pop("unpriced")
    assert isinstance(seconds, float)
    parts = [duration(seconds)] if seconds else []
    parts += [f"{unpriced} cells not known"] if unpriced else []
    return {**shown, "left": " + ".join(parts)}
