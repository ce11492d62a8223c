"""``msa verify``: whether what is stored is what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.runs.store import RunStore
    from harness.runs.verify import StoreFinding

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(_verify)


def _verify(
    context: typer.Context,
    corpora: Annotated[
        bool, typer.Option("--corpora", help="Read converted corpora too; takes longer.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check stored files against their digests, runs against their keys; exit 1 on damage."""
    from harness.runs.store import RunStore
    from harness.runs.verify import verify

    home = home_of(context)
    findings = list(verify(home, corpora=corpora))
    damaged = [finding for finding in findings if finding.damage]
    if as_json:
        echo_json([finding.record() for finding in findings])
    else:
        if damaged:
            echo_table(_rows(damaged))
        for line in _summary(findings, damaged, RunStore(home.store)):
            typer.echo(line)
    if damaged:
        raise typer.Exit(1)


def _rows(damaged: Iterable[StoreFinding]) -> list[dict[str, object]]:
    return [
        {"kind": item.kind, "name": item.name, "damage": "; ".join(item.damage)} for item in damaged
    ]


def _summary(
    findings: Sequence[StoreFinding], damaged: Sequence[StoreFinding], store: RunStore
) -> Iterator[str]:
    counts = Counter(finding.kind for finding in findings)
    checked = ", ".join(f"{kind}: {count}" for kind, count in counts.items()) or "nothing stored"
    yield f"checked {checked}; {len(damaged)} damaged"
    bare = sum(not finding.sealed for finding in findings)
    if bare:
        yield f"{bare} without digests, written by an older version: read, nothing to compare with"
    yield from _next(damaged, store)


def _next(damaged: Sequence[StoreFinding], store: RunStore) -> Iterator[str]:
    """What to type about each kind of damage."""
    names: dict[str, set[str]] = {}
    for finding in damaged:
        names.setdefault(finding.kind, set()).add(finding.name)
    cells = names.get("run", set()) | names.get("failure", set())
    suites = names.get("plan", set())
    for suite in set(store.plans()) - suites:
        plan = store.plan(suite)
        tables = {corpus.data[:32] for corpus in plan.corpora}
        if cells & plan.keys or names.get("labels", set()) & tables:
            suites = suites | {suite}
            cells = cells - plan.keys
    yield from (f"next: msa run {suite}" for suite in sorted(suites))
    for name in sorted(names.get("submission", set())):
        dataset, _, own = name.partition("/")
        yield f"next: msa submit FILE --dataset {dataset} --name {own} --replace"
    if cells and not names.get("plan"):
        yield f"in no suite that was run here, can be deleted: {', '.join(sorted(cells))}"
