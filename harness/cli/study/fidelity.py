"""``msa study fidelity``: is every system what its paper describes?"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table, write_file
from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.checks.fidelity import ByHeart, CheckedSystem
    from harness.cli.study._fidelity_report import FidelityReport, SizeCell
    from harness.data.datasets import Dataset
    from harness.home import Home
    from harness.system import System
    from leaderboards.document import Document
    from leaderboards.studies.fidelity import TwinResult
    from leaderboards.studies.parity_record import ParityRow
    from leaderboards.studies.reproduce import ReproducedNumber

__all__ = ["register"]

_PARTS = ("sizes", "parity", "conformance", "by-heart", "twins", "published")

_Systems = Annotated[str | None, typer.Option(help="Registered names, comma-separated. [all]")]
_Parts = Annotated[
    list[str] | None, typer.Option("--part", help=f"{', '.join(_PARTS)}; repeatable. [all]")
]
_Out = Annotated[Path | None, typer.Option(help="Markdown file to write, an HTML page beside it.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fidelity")(_fidelity)


def _fidelity(
    context: typer.Context,
    systems: _Systems = None,
    part: _Parts = None,
    out: _Out = None,
    as_json: JsonFlag = False,
) -> None:
    """Size, parity, conformance, learning by heart, twins, published numbers: system by system."""
    from harness.cli.study import _fidelity_report as report

    parts = _chosen_parts(part or _PARTS)
    found = _reports(_chosen_systems(systems), parts, home_of(context))
    if out is not None:
        _write(out, report.document(found))
    if as_json:
        echo_json([report.facts(one) for one in found])
    else:
        echo_table([report.summary(one) for one in found])


def _chosen_parts(names: Sequence[str]) -> frozenset[str]:
    unknown = sorted(set(names) - set(_PARTS))
    if unknown:
        raise SpecError(f"unknown part {unknown[0]!r} (known: {', '.join(_PARTS)})")
    return frozenset(names)


def _chosen_systems(names: str | None) -> list[System]:
    from harness.system import systems

    wanted = list(systems) if names is None else [name.strip() for name in names.split(",")]
    return [systems[name] for name in wanted]


def _reports(chosen: Sequence[System], parts: frozenset[str], home: Home) -> list[FidelityReport]:
    """One report per system, in their order: what is measured first, then what is stored."""
    from harness.cli.study._fidelity_report import FidelityReport

    reports = []
    for number, system in enumerate(chosen, 1):
        with _timed(f"[{number:{len(str(len(chosen)))}}/{len(chosen)}] {system.name}"):
            reports.append(
                FidelityReport(
                    system=system,
                    sizes=tuple(_sizes(system)) if "sizes" in parts else (),
                    checked=tuple(_checked(system, home)) if "conformance" in parts else (),
                    by_heart=_by_heart(system, home) if "by-heart" in parts else None,
                )
            )
    stored = _stored([system.name for system in chosen], parts, home)
    return [_with_stored(report, stored) for report in reports]


def _with_stored(report: FidelityReport, stored: _Stored) -> FidelityReport:
    name = report.system.name
    return dataclasses.replace(
        report,
        parity=tuple(row for row in stored.parity if row.system == name),
        twins=tuple(one for one in stored.twins if one.system == name),
        reached=tuple(one for one in stored.reached if one.published.system == name),
        published=stored.published.get(name, {}),
    )


class _Stored(NamedTuple):
    """What was measured before, of all systems."""

    parity: tuple[ParityRow, ...] = ()
    twins: tuple[TwinResult, ...] = ()
    reached: tuple[ReproducedNumber, ...] = ()
    published: Mapping[str, Mapping[str, int]] = MappingProxyType({})


def _stored(names: Sequence[str], parts: frozenset[str], home: Home) -> _Stored:
    """Figures of parity, results on twins, and what became of published numbers."""
    from harness.runs.store import RunStore
    from leaderboards.studies import fidelity
    from leaderboards.studies.parity_record import read_parity_rows

    store, wanted = RunStore(home.store), "published" in parts
    return _Stored(
        parity=read_parity_rows() if "parity" in parts else (),
        twins=tuple(fidelity.twin_results(store, names)) if "twins" in parts else (),
        reached=fidelity.reached_numbers(store, names) if wanted else (),
        published=fidelity.published_verdicts(store, names) if wanted else {},
    )


def _sizes(system: System) -> Iterator[SizeCell]:
    """As published where the system has such a quirk, on every dataset."""
    from harness.checks.fidelity import measure_size, quirks
    from harness.cli.study._fidelity_report import SizeCell
    from harness.data.datasets import datasets
    from leaderboards.literature import parameter_counts

    if system.build is None:
        return
    quirk = "published" if "published" in quirks(system) else quirks(system)[0]
    published = {one.dataset: one for one in parameter_counts() if one.system == system.name}
    for name, dataset in datasets.items():
        known = published.get(name)
        features = known.features if known else _widest(dataset)
        ours = measure_size(system, dataset, features, quirk)
        yield SizeCell(ours=ours, published=known)


def _widest(dataset: Dataset) -> str:
    """The unaligned feature set, which every dataset has."""
    return next(name for name in dataset.shapes if name.startswith("unaligned"))


def _checked(system: System, home: Home) -> Iterator[CheckedSystem]:
    from harness import data
    from harness.checks.fidelity import conform, twin_for
    from harness.text.synthetic import twin_encoder

    corpus = data.load(twin_for(system), home)
    yield from conform(system, corpus, twin_encoder(home.cache), home.cache)


def _by_heart(system: System, home: Home) -> ByHeart | None:
    """None for systems that no gradient trains."""
    from harness import data
    from harness.checks.fidelity import learn_by_heart, twin_for
    from harness.text.synthetic import twin_encoder

    if system.build is None:
        return None
    corpus = data.load(twin_for(system), home)
    return learn_by_heart(system, corpus, twin_encoder(home.cache), home.cache)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    """Report the time a block took on standard error."""
    began = time.perf_counter()
    yield
    typer.echo(f"{what}: {time.perf_counter() - began:.1f} s", err=True)


def _write(path: Path, document: Document) -> None:
    """Markdown, and the page beside it."""
    from leaderboards.rendering import render_html, render_markdown

    page = path.with_suffix(".html")
    if page == path:
        raise SpecError(f"{path.name} should be the Markdown file: the page goes beside it")
    write_file(path, render_markdown(document))
    write_file(page, render_html(document))
    typer.echo(f"written: {path}, {page.name}", err=True)
