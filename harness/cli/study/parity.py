"""``msa study parity``: is the code of a system equal to that of the library it comes from?"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table, write_file
from harness.errors import RunFailed, SpecError

if TYPE_CHECKING:
    from harness.home import Home
    from harness.testing.parity import Pair, PairOutcome
    from leaderboards.studies.parity_record import ParityRecord, ParityRow

__all__ = ["register"]

_NUMBERS = frozenset(
    {"weights", "eval", "first loss", "all losses", "after", "grad / largest", "groups"}
)
_COLUMNS = ("system", "shape", "format", "weights", "eval", "first loss", "all losses", "after")

_Systems = Annotated[
    list[str] | None, typer.Option("--system", help="Registered name; repeatable. [all]")
]
_Shapes = Annotated[
    list[str] | None,
    typer.Option("--corpus-shape", help="mosi, mosi-aligned or sims; repeatable. [all]"),
]
_Jobs = Annotated[int, typer.Option(help="Processes, each with one of MMSA.", min=1)]
_Out = Annotated[Path | None, typer.Option(help="File to write: .md a page, .json the record.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("parity")(_parity)


def _parity(
    context: typer.Context,
    system: _Systems = None,
    corpus_shape: _Shapes = None,
    jobs: _Jobs = 1,
    out: _Out = None,
    as_json: JsonFlag = False,
) -> None:
    """Weights, predictions, losses, gradients, optimisers: equal to MMSA's, system by system?"""
    from leaderboards.studies.parity import parity_cells

    pairs = _chosen(system, corpus_shape)
    if out is not None and out.suffix not in (".md", ".json"):
        raise SpecError(f"{out.name} should end in .md (a page) or .json (the record)")
    record = _record(_compared(pairs, home_of(context), jobs))
    if out is not None:
        _write(out, record)
    if as_json:
        echo_json(record.json())
    else:
        names = (*_COLUMNS, "grad / largest", "groups", "verdict")
        lines = [dict(zip(names, parity_cells(row), strict=True)) for row in record.rows]
        echo_table(lines, right=_NUMBERS)
    _judge(record.failed)


def _chosen(names: Sequence[str] | None, shapes: Sequence[str] | None) -> list[Pair]:
    from harness.testing.parity import SHAPES, counterparts, pairs_of

    unknown = sorted(set(shapes or ()) - set(SHAPES))
    if unknown:
        raise SpecError(f"unknown corpus shape {unknown[0]!r} (known: {', '.join(SHAPES)})")
    wanted = [counterparts[name].name for name in (names or counterparts)]
    pairs = pairs_of(wanted, shapes or SHAPES)
    if not pairs:
        raise SpecError(
            f"{', '.join(wanted)} cannot be compared on {', '.join(shapes or ())}",
            hint=f"--corpus-shape {counterparts[wanted[0]].shapes[0]}",
        )
    return pairs


def _compared(pairs: Sequence[Pair], home: Home, jobs: int) -> list[PairOutcome]:
    """Outcomes in the order of the pairs; what is done is told on standard error."""
    from harness.testing.mmsa import mmsa_python
    from harness.testing.parity import compare_pairs, counterparts

    runnable = any(not counterparts[name].reason(shape) for name, shape in pairs)
    began = time.perf_counter()
    python = mmsa_python(home) if runnable else Path()
    found: dict[Pair, PairOutcome] = {}
    for outcomes in compare_pairs(pairs, python, jobs):
        found |= {(one.system, one.shape): one for one in outcomes}
        seconds = time.perf_counter() - began
        typer.echo(f"[{len(found)}/{len(pairs)}] after {seconds:.0f} s", err=True)
    return [found[pair] for pair in pairs]


def _record(outcomes: Iterable[PairOutcome]) -> ParityRecord:
    import torch

    from harness.testing.mmsa import MMSA_VERSION
    from harness.testing.parity import EPOCHS, TOLERANCES
    from leaderboards.studies.parity_record import ParityRecord

    return ParityRecord(
        mmsa=MMSA_VERSION,
        torch=torch.__version__,
        epochs=EPOCHS,
        tolerances={name: dataclasses.asdict(limits) for name, limits in TOLERANCES.items()},
        rows=tuple(map(_row, outcomes)),
    )


def _row(outcome: PairOutcome) -> ParityRow:
    from harness.testing.mmsa import MMSA_VERSION
    from harness.testing.parity import MENDS
    from leaderboards.studies.parity_record import ParityRow

    known, figures = outcome.counterpart, outcome.figures
    told = {} if figures is None else {"dtype": known.dtype, **dataclasses.asdict(figures)}
    return ParityRow(
        system=outcome.system,
        source=f"MMSA {MMSA_VERSION}",
        shape=outcome.shape,
        model=known.model,
        verdict=outcome.verdict,
        reason=outcome.reason,
        mends=() if figures is None else tuple(MENDS[m] for m in known.mended(outcome.shape)),
        remarks=() if figures is None else known.remarks,
        **told,
    )


def _write(path: Path, record: ParityRecord) -> None:
    from leaderboards.studies.parity import parity_page

    if path.suffix == ".md":
        content = parity_page(record)
    else:
        content = json.dumps(record.json(), indent=1, ensure_ascii=False) + "\n"
    write_file(path, content)
    typer.echo(f"written: {path}", err=True)


def _judge(failed: Sequence[ParityRow]) -> None:
    """Fail where a system is not equal.

    Raises:
        RunFailed: Naming the first, with what differs.
    """
    if failed:
        first = failed[0]
        why = first.reason or f"it differs in {', '.join(first.faults)}"
        raise RunFailed(
            f"{len(failed)} comparisons with MMSA failed; {first.system} on {first.shape}: {why}",
            hint=f"msa study parity --system {first.system} --corpus-shape {first.shape}",
        )
