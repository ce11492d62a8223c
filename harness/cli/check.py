"""``msa check``: whether a system, dataset or metric does what every one must."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness._util.extras import explained
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.errors import RunFailed, SpecError

if TYPE_CHECKING:
    from harness.checks.findings import ConformanceFinding

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(_check)


def _check(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="system, dataset or metric")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `msa list` names it.")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Of a system: a hyper-parameter, such as layers=1, to make it small; repeatable.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the conformance checks on a system, dataset or metric; exit 1 when one fails.

    Everything they need is made on the spot, small and synthetic.
    """
    if kind not in _CHECKS:
        raise SpecError(f"msa check takes {', '.join(_CHECKS)}; found {kind!r}")
    if changes and kind != "system":
        raise SpecError("--set goes with a system")
    findings = _CHECKS[kind](name, changes or ())
    if as_json:
        echo_json([dataclasses.asdict(finding) for finding in findings])
    else:
        echo_table(
            [{"check": f.check, "verdict": f.outcome, "why": f.detail} for f in findings],
        )
    failed = sum(not finding.passed for finding in findings)
    if failed:
        raise RunFailed(f"{kind} {name} fails {failed} of {len(findings)} checks", hint=_REPAIR)
    if not as_json:
        typer.echo(f"{kind} {name} conforms")


_REPAIR = "repair what they name; a system may declare what it breaks by design (Card.declares)"


def _of_system(name: str, changes: Sequence[str]) -> list[ConformanceFinding]:
    with explained():
        from harness.runs.asked import parameter
        from harness.system import systems
        from harness.testing import findings_of

    system = systems[name]
    with tempfile.TemporaryDirectory() as folder:
        return findings_of(system, Path(folder), changes=dict(map(parameter, changes)))


def _of_dataset(name: str, _: Sequence[str]) -> list[ConformanceFinding]:
    from harness.checks.datasets import check_dataset
    from harness.data.datasets import datasets

    return check_dataset(datasets[name])


def _of_metric(name: str, _: Sequence[str]) -> list[ConformanceFinding]:
    from harness.checks.metrics import check_metric
    from harness.metrics import metrics

    return check_metric(metrics[name])


_CHECKS: Mapping[str, Callable[[str, Sequence[str]], list[ConformanceFinding]]] = {
    "system": _of_system,
    "dataset": _of_dataset,
    "metric": _of_metric,
}
