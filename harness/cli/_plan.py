"""``msa run --plan``: what a suite takes, as a table and a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from harness._util.printed import duration
from harness.cli._output import echo_json, echo_table, echo_text
from harness.cli._tables import terminal_width

if TYPE_CHECKING:
    from harness.home import Home
    from harness.runs.pricing import RowEstimate, SuiteEstimate
    from harness.spec import Suite

__all__ = ["duration", "print_plan"]

_NUMBERS = frozenset({"cells", "stored", "failed", "missing", "each", "memory"})


def print_plan(
    suite: Suite, home: Home, *, device: str, jobs: int | None, only: Sequence[str], as_json: bool
) -> None:
    """Print what a run would do and take; without ``jobs``, also how many workers it would have."""
    from harness.runs.pricing import estimate_suite

    estimated = estimate_suite(suite, home, device=device, jobs=jobs, only=only)
    if as_json:
        echo_json(estimated.record())
        return
    _echo_rows([_row(item) for item in estimated.rows])
    for line in _summary(estimated):
        echo_text(line)


def _echo_rows(rows: Sequence[Mapping[str, object]]) -> None:
    """One table; in a terminal, where room is scarce, one for each corpus below its name."""
    if terminal_width() is None or not rows:
        echo_table(rows, right=_NUMBERS)
        typer.echo()
        return
    for corpus, some in groupby(rows, key=lambda row: row["corpus"]):
        echo_text(f"{corpus}\n")
        left = [{name: cell for name, cell in row.items() if name != "corpus"} for row in some]
        echo_table(left, right=_NUMBERS)
        typer.echo()


def _row(item: RowEstimate) -> dict[str, object]:
    from harness.runs.stored_plan import longer_than_allowed

    each = item.each
    cut = [] if item.schedule is None else [longer_than_allowed(item.schedule)]
    why = [item.reason] if item.reason else filter(None, [each.detail])
    goes_on = [f"seed {seed} resumes at epoch {epoch + 1}" for seed, epoch in item.resumes]
    remarks = [*why, *item.needs, *cut, *goes_on]
    return {
        "corpus": item.corpus,
        "row": item.label,
        "cells": item.cells,
        "stored": item.stored,
        "failed": item.failed,
        "missing": item.missing,
        "each": "" if each.seconds is None else duration(each.seconds),
        "memory": "" if each.memory is None else f"{each.memory / 2**30:.1f} GiB",
        "basis": _basis(item),
        "remarks": "; ".join(remarks),
    }


def _basis(item: RowEstimate) -> str:
    if item.lack is not None:
        return "not here"
    return "does not apply" if item.reason else item.each.basis


def _summary(estimated: SuiteEstimate) -> Iterator[str]:
    device, jobs, longest = estimated.device, estimated.jobs, estimated.longest
    rows = estimated.rows
    waiting = sum(item.to_run for item in rows)
    stored = sum(item.stored for item in rows)
    failed = sum(item.failed for item in rows)
    carried = f" ({estimated.carried} of them carried over)" if estimated.carried else ""
    yield (
        f"{waiting} cells to run ({failed} of them failed before), {stored} already stored{carried}"
    )
    if estimated.changed:
        yield (
            f"{estimated.changed} of them because of code alone"
            f" ({duration(estimated.changed_seconds)} of work then): `msa carry {estimated.suite}`"
            " tells by a sample whether they have to be"
        )
    if longest is not None and longest.each.seconds is not None:
        yield (
            f"about {estimated.path / 3600:,.2f} hours on {device} with --jobs {jobs}:"
            f" {estimated.seconds / 3600:,.2f} hours of work, the longest cell"
            f" {duration(longest.each.seconds)} ({longest.label} on {longest.corpus})"
        )
    if estimated.unknown:
        yield (
            f"not yet measured: {estimated.unknown} cells; after"
            f" `msa run {estimated.suite} --seeds 1` this says what the rest takes"
        )
    if any(item.lack or any(need.startswith("needs") for need in item.needs) for item in rows):
        yield f"what is not here, and what brings it: msa doctor {estimated.suite}"
    if estimated.sharing:
        yield f"workers on {device}: {estimated.sharing}"
    elif device == "cuda" and jobs > 1 and longest is not None:
        yield "these hours take each worker to have a device, or enough of one, to itself"
