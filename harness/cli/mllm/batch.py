"""``msa mllm batch write|read``: a suite's questions as OpenAI batch files, answers out of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json
from harness.cli.mllm.run import completed
from harness.cli.run import OnlyOption, SuiteArgument
from harness.errors import RunFailed, SpecError

if TYPE_CHECKING:
    from harness.home import Home
    from harness.spec import Scalar, Suite
    from mllm_eval.batch.exchange import BatchRead, BatchRow
    from mllm_eval.model.card import ModelCard

__all__ = ["register"]

_SHOWN = 3  # damaged lines that are named

_batch = typer.Typer(
    help="Exchange a suite's questions and answers as OpenAI batch files.", no_args_is_help=True
)

ServerOption = Annotated[
    str, typer.Option(help="Server whose model is asked; default: as last met.", metavar="URL")
]
MediaOption = Annotated[
    Path | None, typer.Option(help="Folder of the recordings.", metavar="FOLDER")
]
KeyOption = Annotated[
    str, typer.Option(help="Environment variable that holds the API key.", metavar="NAME")
]


def register(mllm_app: typer.Typer) -> None:
    """Add the commands."""
    _batch.command("write")(_write)
    _batch.command("read")(_read)
    mllm_app.add_typer(_batch, name="batch")


def _write(
    context: typer.Context,
    suite: SuiteArgument,
    out: Annotated[Path, typer.Option(help="File to write.", metavar="FILE")],
    run_batch: Annotated[
        bool,
        typer.Option("--run-batch", help="For vllm run-batch here; says by which command."),
    ] = False,
    server: ServerOption = "",
    media: MediaOption = None,
    key_variable: KeyOption = "",
    only: OnlyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write what the suite's language models have still to be asked, a request a line.

    Answers go back by msa mllm batch read; then write again, for second tries, until nothing is
    left, and msa mllm run makes the rows.
    """
    from mllm_eval.batch import exchange

    home = home_of(context)
    given = {"server": server, "media": str(media.absolute()) if media else ""}
    rows = _rows(
        suite, home, {**given, "key_variable": key_variable}, only or (), run_batch=run_batch
    )
    if len(models := dict.fromkeys(row.params.model for row in rows)) > 1:
        raise SpecError(
            f"a batch file is for one model; these rows have {', '.join(models)}",
            hint='--only "ROW*"',
        )
    count = exchange.write(rows, out)
    command = _command(rows[0].params.card, home, out) if run_batch and count else ""
    if as_json:
        echo_json({"requests": count, "file": str(out) if count else None, "command": command})
    elif not count:
        typer.echo(f"nothing is left to ask; next: msa mllm run {suite}")
    else:
        typer.echo(f"{count} requests written to {out}")
        if command:
            typer.echo(command)
        typer.echo(f"next: msa mllm batch read {suite} OUTPUT")


def _command(card: ModelCard, home: Home, file: Path) -> str:
    from mllm_eval.batch import offline

    out = file.with_name(f"{file.stem}.out.jsonl")
    return shlex.join(offline.command(card, home.servers, file.absolute(), out.absolute()))


def _read(
    context: typer.Context,
    suite: SuiteArgument,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Outputs of a batch, and its errors.")
    ],
    server: ServerOption = "",
    media: MediaOption = None,
    key_variable: KeyOption = "",
    only: OnlyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Keep the answers of a batch where the suite's language models find them."""
    from mllm_eval.batch import exchange

    home = home_of(context)
    rows = _rows(suite, home, _given(server, media, key_variable), only or ())
    found = exchange.read(rows, files)
    left = len({key for row in rows for key in row.pending()})
    if as_json:
        counts = {"kept": found.kept, "known": found.known, "open": found.open}
        echo_json({**counts, "foreign": found.foreign, "damaged": found.damaged, "left": left})
    else:
        _print(found)
    again = f"msa mllm batch write {suite} --out FILE"
    if found.damaged or found.open:
        lines = "; ".join(found.damaged[:_SHOWN])
        raise RunFailed(
            f"{len(found.damaged)} lines are damaged and {found.open} have no answer"
            + (f" ({lines})" if lines else "")
            + f"; what was answered is kept, {left} questions are left",
            hint=again,
        )
    if not as_json:
        typer.echo(
            f"{left} questions left; next: {again}" if left else f"next: msa mllm run {suite}"
        )


def _print(found: BatchRead) -> None:
    typer.echo(f"{found.kept} answers kept, {found.known} known before")
    if found.foreign:
        typer.echo(f"{found.foreign} lines answer no question of these rows", err=True)


def _given(server: str, media: Path | None, key_variable: str) -> dict[str, Scalar]:
    """What rows are told of where things are."""
    told = {"server": server, "key_variable": key_variable}
    told |= {"media": str(media.absolute()) if media else ""}
    return {name: value for name, value in told.items() if value}


def _rows(
    suite: str, home: Home, given: dict[str, Scalar], only: Sequence[str], run_batch: bool = False
) -> list[BatchRow]:
    """The rows of language models that are asked, on each corpus.

    Raises:
        SpecError: When there is none, or no server of one was met.
    """
    from harness.runs.driver import select_cells
    from harness.runs.plan import make_plan
    from harness.runs.suite_files import find_suite
    from harness.system import systems
    from mllm_eval.batch.exchange import BatchRow
    from mllm_eval.zero_shot.system import MLLMParams

    chosen = completed(find_suite(suite, home), given)
    if run_batch:
        _meet(chosen, home, only)
    plan = make_plan(chosen, home, only=only)
    corpora = {corpus.name: corpus for corpus in plan.corpora}
    rows, lacking = [], ""
    for cell in select_cells(plan, only):
        entry = next(entry for entry in plan.suite.entries if entry.label == cell.label)
        if not issubclass(systems[entry.system].params, MLLMParams):
            continue
        if cell.job is None:
            lacking = lacking or f"{cell.label} on {cell.corpus}: {cell.reason}"
            continue
        params = systems[entry.system].params(**cell.job.spec.params, **cell.job.names)
        assert isinstance(params, MLLMParams)
        corpus = corpora[cell.corpus]
        rows.append(BatchRow(label=cell.label, params=params, corpus=corpus, cache=home.cache))
    if not rows:
        raise SpecError(
            f"suite {chosen.name} has no row that is asked" + (f" ({lacking})" if lacking else ""),
            hint="msa list suites",
        )
    return rows


def _meet(suite: Suite, home: Home, only: Sequence[str]) -> None:
    """Know the models as vllm run-batch will run them here, without a server to ask."""
    from harness.runs.selection import Selection
    from harness.system import systems
    from mllm_eval.batch.offline import as_served
    from mllm_eval.client import remember
    from mllm_eval.model.card import resolve
    from mllm_eval.zero_shot.system import MLLMParams

    selection = Selection.of(only, suite.entries, suite.corpora)
    asked = [
        entry
        for entry in suite.entries
        if issubclass(systems[entry.system].params, MLLMParams)
        and any(selection.holds(corpus, entry) for corpus in entry.corpora or suite.corpora)
    ]
    for model, stated in dict.fromkeys(
        (str(entry.params.get("model", "")), str(entry.params.get("revision", "")))
        for entry in asked
    ):
        remember(home.cache, model, stated, as_served(resolve(model), home.servers))
