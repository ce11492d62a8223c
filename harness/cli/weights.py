"""``msa weights``: those of a run as a folder of its own; those that may go, taken away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.cli.replay import RunArgument
from harness.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.runs.weights.removing import Removal

__all__ = ["register"]

_EXPORT = "export"


class _RunsFirst(TyperGroup):
    """``msa weights RUN --to FOLDER`` is ``msa weights export RUN --to FOLDER``."""

    @property
    def default(self) -> Any:  # noqa: ANN401 - the base's own
        """The command that is meant where none is named."""
        return self.commands[_EXPORT]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - the base's own
        """Name the command that is meant where none is."""
        asks_help = bool(args) and args[0] in ("-h", "--help")
        if args and not asks_help and args[0] not in self.commands:
            args = [_EXPORT, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    weights = typer.Typer(
        cls=_RunsFirst, no_args_is_help=True, help="Weights of a run: export them, free the disk."
    )
    weights.command(_EXPORT)(_export)
    weights.command("prune")(_prune)
    app.add_typer(weights, name="weights")


def _export(
    context: typer.Context,
    run: RunArgument,
    to: Annotated[
        Path, typer.Option(metavar="FOLDER", help="What to write; nothing may be there.")
    ],
    again: Annotated[
        bool,
        typer.Option("--again", help="Of a run that keeps none: train it once more, keep them."),
    ] = False,
    encoder: Annotated[
        str | None, typer.Option(help="With --again: where its text encoder is, if a folder.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a run's model.safetensors, config.json and README.md (also: msa weights RUN --to …)."""
    from harness.runs.replay import find_run
    from harness.runs.store import RunStore
    from harness.runs.weights.exporting import export, train_again

    home = home_of(context)
    store = RunStore(home.store)
    stored = find_run(store, run)
    if to.exists():
        raise SpecError(f"{to} is there already", hint="name a folder that is not: --to FOLDER")
    if again and (stored.weights is None or stored.weights.removed):
        from harness.runs.executors.local import LocalExecutor

        train_again(home, stored, LocalExecutor(1), encoder=encoder)
        stored = store.get(stored.key)
    card = export(store, stored, to)
    if as_json:
        echo_json({"key": stored.key, "folder": str(to), "card": card.json()})
        return
    model = card.model
    typer.echo(
        f"{to}: {model.system} on {card.run.corpus}, seed {card.run.seed}; {card.tensors} tensors,"
        f" {card.bytes / 1e6:,.1f} MB"
    )
    if model.encoder is not None:
        typer.echo(f"needs text encoder {model.encoder.name} ({model.encoder.digest[:12]})")
    typer.echo(f"next: msa predict {to} --on CORPUS --to predictions.csv")


def _prune(
    context: typer.Context,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Such as 12h, 30d or 8w.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Of a suite that was run here.")] = None,
    rank: Annotated[
        int | None,
        typer.Option(metavar="K", help="All but the best K of each row, by validation."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take them away.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List weights that all options apply to; with --yes, delete them. Runs and boards stay."""
    from harness.runs.weights.removing import Chosen, removable, remove, seconds_of

    home = home_of(context)
    age = None if older_than is None else seconds_of(older_than)
    chosen = Chosen(older_than=age, suite=suite, rank=rank)
    found = remove(home, chosen) if yes else removable(home, chosen)
    if as_json:
        size = sum(one.size for one in found)
        echo_json({"deleted": yes, "bytes": size, "found": [one.record() for one in found]})
        return
    if found and not yes:
        echo_table(_rows(found), right=frozenset({"MB", "days", "valid"}))
    typer.echo(_summary(found, yes))


def _rows(found: Sequence[Removal]) -> list[dict[str, object]]:
    return [
        {
            "run": one.key[:12],
            "what": one.what,
            "valid": one.valid,
            "days": f"{one.days:.1f}",
            "MB": f"{one.size / 1e6:,.1f}",
        }
        for one in found
    ]


def _summary(found: Sequence[Removal], yes: bool) -> str:
    counted = f"weights of {len(found)} runs, {sum(one.size for one in found) / 1e6:,.1f} MB"
    if not found:
        return "no weights are kept that this applies to"
    return f"deleted: {counted}" if yes else f"{counted}; the same with --yes deletes them"
