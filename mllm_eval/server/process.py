"""A vLLM server of one model in its own environment, for as long as a ``with`` block.

Any OpenAI-compatible server will do for everything else; this one is started with what a card says,
asked what it is, and leaves no process behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.errors import RunFailed, SpecError
from mllm_eval.client import ask_served
from mllm_eval.model.card import ModelCard
from mllm_eval.model.weights import locate
from mllm_eval.server.command import Launch, arguments, variables
from mllm_eval.server.environment import prepare
from mllm_eval.server.logs import last_words, newest_line

__all__ = ["Server", "Watcher", "serve"]

Watcher = Callable[[float, str], None]
"""Called about once a second while a server starts: seconds so far, the last line of its log."""

_LAUNCH: Final = Path(__file__).with_name("launch.py")
_PATIENCE: Final = 3600.0  # s to load; tens of gigabytes may have to come over the network
_GRACE: Final = 30.0  # s to end in peace
_TICK: Final = 0.25  # s


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers.

    Args:
        base_url: Up to and including ``/v1``.
        model: Name to ask for.
        engine: Engine and version, as the server tells them.
        revision: Of the weights.
        arguments: Digest of what it was started with, as far as that can change an answer.
        log: File of what the server prints.
    """

    base_url: str
    model: str
    engine: str
    revision: str
    arguments: str
    log: Path
    _process: subprocess.Popen[bytes] = field(repr=False, compare=False)

    @property
    def pid(self) -> int:
        """Process id; also that of the server's process group."""
        return self._process.pid

    def wait(self) -> None:
        """Return never, unless the server ends by itself.

        Raises:
            RunFailed: When it does.
        """
        self._process.wait()
        raise _died(self._process, self.model, self.log)


@contextlib.contextmanager
def serve(
    card: ModelCard,
    *,
    cache: Path,
    port: int = 0,
    host: str = "127.0.0.1",
    launch: Launch | None = None,
    flags: Sequence[str] = (),
    patience: float = _PATIENCE,
    watch: Watcher | None = None,
) -> Iterator[Server]:
    """Serve a model; on leaving the block, however that happens, all its processes are gone.

    Args:
        card: The model; not a hosted one.
        cache: Folder of what can be made again; holds the environment, made models and logs.
        port: To listen on; 0 picks a free one.
        host: Address to listen on.
        launch: What the machine gives; None: what suits the build.
        flags: Further arguments of ``vllm serve``; they win over the card's.
        patience: Longest time to load, seconds.
        watch: For progress.

    Raises:
        SpecError: For a hosted model or a port that is taken.
        DataError: When the weights cannot be had.
        RunFailed: When the environment cannot be made, or the server dies or does not get ready.
    """
    if card.hosted:
        raise SpecError(
            f"{card.title} is served by its provider at {card.base_url}: there is nothing to start",
            hint=f"give --server {card.base_url} to the command that asks it",
        )
    port = _free_port(host, port)
    weights = locate(card, cache)
    environment = prepare(cache)
    command = arguments(
        card, weights, launch or Launch.of(environment.build), host=host, port=port, flags=flags
    )
    log = _log_file(cache, card.name, port)
    with _process([str(environment.python), *command], variables(environment, weights), log) as run:
        base_url = f"http://{host}:{port}/v1"
        _await_health(run, base_url, card.name, log, patience, watch)
        about = ask_served(base_url, card.name)
        yield Server(
            base_url=base_url,
            model=card.name,
            engine=about.engine,
            revision=about.revision,
            arguments=about.arguments,
            log=log,
            _process=run,
        )


def _free_port(host: str, port: int) -> int:
    """The port, once it is known to be free; a free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SpecError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                hint="stop what listens there, or let a free port be picked: --port 0",
            ) from None
        return int(probe.getsockname()[1])


def _log_file(cache: Path, name: str, port: int) -> Path:
    folder = cache / "vllm" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{port}.log"


@contextlib.contextmanager
def _process(
    command: Sequence[str], environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The command as leader of its own process group, which is gone afterwards."""
    tied = [command[0], str(_LAUNCH), str(os.getpid()), *command]
    with log.open("wb") as output:
        run = subprocess.Popen(
            tied,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield run
        finally:
            _stop(run)


def _stop(run: subprocess.Popen[bytes]) -> None:
    """End the leader in peace, then whatever is left of its group."""
    if run.poll() is None:
        run.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(_GRACE)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def _await_health(
    run: subprocess.Popen[bytes],
    base_url: str,
    model: str,
    log: Path,
    patience: float,
    watch: Watcher | None,
) -> None:
    began = reported = time.monotonic()
    while not _is_healthy(base_url):
        if run.poll() is not None:
            raise _died(run, model, log)
        now = time.monotonic()
        if now - began > patience:
            raise RunFailed(
                f"{model} is not ready after {patience:.0f} s: {last_words(log)}",
                hint=f"read {log}, or wait longer: --patience SECONDS",
            )
        if watch is not None and now - reported >= 1.0:
            reported = now
            watch(now - began, newest_line(log))
        time.sleep(_TICK)


def _is_healthy(base_url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    try:
        with opener.open(base_url.removesuffix("v1") + "health", timeout=2.0) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _died(run: subprocess.Popen[bytes], model: str, log: Path) -> RunFailed:
    return RunFailed(
        f"the server of {model} ended ({_ending(run.returncode)}): {last_words(log)}",
        hint=f"read {log}",
    )


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name
    return f"{name}: out of memory?" if name == "SIGKILL" else name
