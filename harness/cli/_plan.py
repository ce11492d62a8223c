"""``msa run --plan``: what a suite takes, as a table and a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from harness._util.printed import duration
from harness.cli._output import echo_json, echo_table

if TYPE_CHECKING:
    from harness.home import Home
    from harness.runs.pricing import RowEstimate, SuiteEstimate
    from harness.spec import Suite

__all__ = ["duration", "print_plan"]

_NUMBERS = frozenset({"cells", "stored", "failed", "missing", "each", "memory"})


def print_plan(
    suite: Suite, home: Home, *, device: str, jobs: int, only: Sequence[str], as_json: bool
) -> None:
    """Print what a run would do and take."""
    from harness.runs.pricing import estimate_suite

    estimated = estimate_suite(suite, home, device=device, jobs=jobs, only=only)
    if as_json:
        echo_json(estimated.record())
        return
    echo_table([_row(item) for item in estimated.rows], right=_NUMBERS)
    for line in _summary(estimated):
        typer.echo(line)


def _row(item: RowEstimate) -> dict[str, object]:
    each = item.each
    remarks = [*([item.reason] if item.reason else [each.detail]), *item.needs]
    return {
        "corpus": item.corpus,
        "row": item.label,
        "cells": item.cells,
        "stored": item.stored,
        "failed": item.failed,
        "missing": item.missing,
        "each": "" if each.seconds is None else duration(each.seconds),
        "memory": "" if each.memory is None else f"{each.memory / 2**30:.1f} GiB",
        "basis": "does not apply" if item.reason else each.basis,
        "remarks": "; ".join(remarks),
    }


def _summary(estimated: SuiteEstimate) -> Iterator[str]:
    device, jobs, longest = estimated.device, estimated.jobs, estimated.longest
    waiting = sum(item.to_run for item in estimated.rows)
    stored = sum(item.stored for item in estimated.rows)
    failed = sum(item.failed for item in estimated.rows)
    yield ""
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
    if device == "cuda" and jobs > 1 and longest is not None:
        yield "these hours take each worker to have a device, or enough of one, to itself"
