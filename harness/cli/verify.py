"""``msa verify``: whether what is stored, or was published, is what was written."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.cli.publish import rendered
from harness.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.home import Home
    from harness.runs.archive import ArchiveReport
    from harness.runs.store import RunStore
    from harness.runs.verify import StoreFinding

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(_verify)


def _verify(
    context: typer.Context,
    archive: Annotated[
        Path | None,
        typer.Argument(metavar="ARCHIVE", help="One of msa publish; default: what is stored."),
    ] = None,
    corpora: Annotated[
        bool, typer.Option("--corpora", help="Read converted corpora too; takes longer.")
    ] = False,
    signers: Annotated[
        Path | None,
        typer.Option(help="Of an archive: who may have signed it, as OpenSSH lists them."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check stored files against their digests, runs against their keys; exit 1 on damage."""
    from harness.runs.store import RunStore
    from harness.runs.verify import verify

    home = home_of(context)
    if archive is not None:
        if corpora:
            raise SpecError("--corpora goes with what is stored here, not with an archive")
        _verify_archive(archive, home, signers, as_json=as_json)
        return
    if signers is not None:
        raise SpecError("--signers goes with an archive", hint="msa verify ARCHIVE --signers FILE")
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


def _verify_archive(path: Path, home: Home, signers: Path | None, *, as_json: bool) -> None:
    from harness.runs import archive

    signer = None if signers is None else archive.signer_of(path, signers)
    with tempfile.TemporaryDirectory() as folder:
        report = archive.check(path, home, Path(folder))
        checkable = not report.damage and not report.unlabelled
        damage = (*report.damage, *(_drift(report, Path(folder)) if checkable else ()))
    if as_json:
        facts = {
            "suite": report.suite,
            "version": report.version,
            "runs": report.runs,
            "submissions": report.submissions,
            "sound": not damage,
            "damage": list(damage),
            "numbers_checked": checkable,
            "labels_not_here": list(report.unlabelled),
            "signer": signer,
        }
        echo_json(facts)
    else:
        for line in (*damage, *_about(report, len(damage), checkable, path, signer)):
            typer.echo(_plain(line))
    if damage:
        raise typer.Exit(1)


def _drift(report: ArchiveReport, folder: Path) -> Iterator[str]:
    """Where the archived board is not what the archived predictions give."""
    from harness.errors import HarnessError
    from harness.runs.archive import version

    try:
        made = rendered(report.store, report.suite, folder / "rendered")
    except HarnessError as error:
        yield f"its board cannot be rendered: {error}"
        return
    other = "" if report.version == version() else f"; it was packed by version {report.version}"
    for file, content in zip(report.board, made, strict=True):
        if file.read_bytes() != content:
            yield f"board/{file.name} is not what its predictions give{other}"


def _plain(line: str) -> str:
    """A line that may quote an archive, as a terminal may see it."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in line)


def _about(
    report: ArchiveReport, damage: int, checkable: bool, path: Path, signer: str | None
) -> Iterator[str]:
    from harness.runs.archive import signature_of

    yield (
        f"checked suite {report.suite}: {report.runs} runs, {report.submissions} submissions;"
        f" {damage} damaged"
    )
    if checkable:
        yield (
            "numbers checked: "
            + ("the board is not" if damage else "the board is, byte for byte,")
            + " what the archived predictions and the labels here give"
        )
    elif report.unlabelled:
        yield f"labels not here ({', '.join(report.unlabelled)}): numbers not checked"
    if signer is not None:
        yield f"signed by {signer}"
    elif signature_of(path).is_file():
        yield "signed, and the signature was not checked: --signers FILE does"


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


def _about_records(records: set[str], store: RunStore) -> Iterator[str]:
    """What to type about equivalence records that do not hold."""
    used = {suite: _relied_on(suite, store) & set(records) for suite in store.plans()}
    yield from (f"next: msa carry {suite}" for suite, names in used.items() if names)
    for name in sorted(set(records).difference(*used.values())):
        yield f"no suite relies on it, can be deleted: equivalences/{name}.json"


def _relied_on(suite: str, store: RunStore) -> frozenset[str]:
    """Equivalence records of a plan; none of a damaged one, which is told as such."""
    from harness.errors import StoreError

    try:
        return store.plan(suite, written=True).records
    except StoreError:
        return frozenset()


def _next(damaged: Sequence[StoreFinding], store: RunStore) -> Iterator[str]:
    """What to type about each kind of damage."""
    names: dict[str, set[str]] = {}
    for finding in damaged:
        names.setdefault(finding.kind, set()).add(finding.name)
    cells = names.get("run", set()) | names.get("failure", set())
    suites = names.get("plan", set())
    for suite in set(store.plans()) - suites:
        plan = store.plan(suite, written=True)
        tables = {corpus.data[:32] for corpus in plan.corpora}
        if cells & plan.keys or names.get("labels", set()) & tables:
            suites = suites | {suite}
            cells = cells - plan.keys
    yield from (f"next: msa run {suite}" for suite in sorted(suites))
    yield from _about_records(names.get("equivalence", set()), store)
    for name in sorted(names.get("submission", set())):
        dataset, _, own = name.partition("/")
        yield f"next: msa submit FILE --dataset {dataset} --name {own} --replace"
    if cells and not names.get("plan"):
        yield f"in no suite that was run here, can be deleted: {', '.join(sorted(cells))}"
