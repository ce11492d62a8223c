"""``msa mllm serve``: a vLLM server of one model, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from harness._util.redaction import redacted
from harness._util.shown import shown
from harness._util.streams import drawing
from harness.cli._home import home_of
from harness.cli._output import JsonFlag, echo_json

if TYPE_CHECKING:
    from mllm_eval.server.process import Server, Watcher

__all__ = ["register"]

_EVERY = 15.0  # seconds between lines of progress where there is no terminal


def register(mllm_app: typer.Typer) -> None:
    """Add the command."""
    mllm_app.command("serve")(_serve)


def _serve(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Card (msa list mllms), hub id or folder.")
    ],
    flags: Annotated[
        list[str] | None,
        typer.Argument(metavar="FLAGS", help="After --: further arguments of vllm serve."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    patience: Annotated[float, typer.Option(help="Longest time to load, seconds.")] = 3600.0,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Serve its hidden states: for rows of mllm_hidden.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Serve a model through vLLM until Ctrl-C; its environment is made on first use."""
    from mllm_eval.model.card import resolve
    from mllm_eval.server.command import HIDDEN
    from mllm_eval.server.process import serve

    card = resolve(model)
    with contextlib.suppress(KeyboardInterrupt), _stoppable(), _progress(card.name) as watch:
        cache = home_of(context).servers
        with serve(
            card,
            cache=cache,
            port=port,
            host=host,
            flags=[*(HIDDEN if hidden else ()), *(flags or ())],
            patience=patience,
            watch=watch,
        ) as server:
            _announce(server, as_json=as_json, answers=not hidden)
            server.wait()
    typer.echo(f"{card.name} is stopped", err=True)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that the server is stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _progress(model: str) -> Iterator[Watcher]:
    """Reports a start on standard error: one line that changes, or one every 15 seconds."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.markup import escape

        with Console(file=drawing(sys.stderr)).status(f"starting {model}") as status:
            yield lambda seconds, line: status.update(
                f"starting {model}, {seconds:.0f} s  [dim]{escape(shown(redacted(line), 80))}[/dim]"
            )
        return
    reported = 0.0

    def tell(seconds: float, line: str) -> None:
        nonlocal reported
        if seconds - reported >= _EVERY:
            reported = seconds
            typer.echo(f"starting {model}, {seconds:.0f} s: {line}", err=True)

    yield tell


def _announce(server: Server, *, as_json: bool, answers: bool) -> None:
    if as_json:
        echo_json(
            {
                "model": server.model,
                "base_url": server.base_url,
                "engine": server.engine,
                "revision": server.revision,
                "arguments": server.arguments,
                "log": str(server.log),
                "pid": server.pid,
            }
        )
        return
    known = f"{server.engine}, weights {server.revision[:12]}"
    typer.echo(f"{server.model} ({known}) answers at {server.base_url}; Ctrl-C stops it")
    typer.echo(f"log: {server.log}")
    check = f"msa mllm canary {server.model}" if answers else "msa mllm run SUITE"
    typer.echo(f"next: {check} --server {server.base_url}")
