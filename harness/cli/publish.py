"""``msa publish``: a board and all that it follows from, in one file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json

if TYPE_CHECKING:
    from harness.runs.archive import Packed
    from harness.runs.store import RunStore

__all__ = ["register", "rendered"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("publish")(_publish)


def _publish(
    context: typer.Context,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="A suite that was run here.")],
    out: Annotated[Path, typer.Option(help="The archive to write.", metavar="FILE")],
    sign: Annotated[
        Path | None,
        typer.Option(help="Sign it with this SSH key, by ssh-keygen.", metavar="KEYFILE"),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Pack a board with its runs' predictions; msa verify FILE checks it anywhere."""
    from harness._util.canonical import file_digest
    from harness.runs import archive
    from harness.runs.store import RunStore

    home = home_of(context)
    store = RunStore(home.store)
    with tempfile.TemporaryDirectory() as folder:
        board = rendered(store, suite, Path(folder))
        packed = archive.pack(
            *(store, suite, out), board=board, suite_file=home.suite_files().get(suite)
        )
    signature = None if sign is None else archive.sign(out, sign)
    facts = {
        "archive": str(packed.path),
        "sha256": file_digest(out),
        "runs": packed.runs,
        "submissions": packed.submissions,
        "missing": packed.missing,
        "signature": None if signature is None else str(signature),
    }
    if as_json:
        echo_json(facts)
        return
    _show(packed, facts)


def _show(packed: Packed, facts: dict[str, object]) -> None:
    holes = f", {packed.missing} cells without a run" if packed.missing else ""
    typer.echo(
        f"archive: {packed.path} ({packed.runs} runs, {packed.submissions} submissions{holes})"
    )
    typer.echo(f"sha256: {facts['sha256']}")
    if facts["signature"] is not None:
        typer.echo(f"signature: {facts['signature']}")
    if packed.without_suite:
        typer.echo(f"without the suite's file: {packed.without_suite}; its plan is there")


def rendered(store: RunStore, suite: str, folder: Path) -> tuple[bytes, bytes]:
    """Markdown and page of a board, by way of an empty folder."""
    import leaderboards

    path = leaderboards.write(store, suite, folder / "board.md")
    return path.read_bytes(), path.with_suffix(".html").read_bytes()
