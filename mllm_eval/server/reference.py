"""The same requests answered by transformers, which a served model is checked against.

It runs in the server's environment, so that nothing but the engine differs: same versions of torch
and transformers, same weights, same chat template.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import RunFailed
from mllm_eval.client import Answer, PooledRequest, Request
from mllm_eval.model.card import ModelCard
from mllm_eval.model.weights import Weights, locate
from mllm_eval.server.command import Launch, variables
from mllm_eval.server.environment import prepare
from mllm_eval.server.logs import last_words

__all__ = ["Reference", "reference"]

_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_WORKER: Final = Path(__file__).with_name("reference_worker.py")


class Reference:
    """A model that answers through transformers; made by ``reference``."""

    def __init__(self, weights: Weights, process: subprocess.Popen[str], log: Path) -> None:
        self.revision = weights.revision
        self._process = process
        self._log = log

    def answer(self, request: Request) -> Answer:
        """The greedy answer to a request.

        Raises:
            RunFailed: When the model cannot be loaded or the request cannot be answered.
        """
        answer = self._asked(request)
        choices = tuple(tuple((t, p) for t, p in step) for step in answer["logprobs"] if step)
        reason = answer["finish_reason"]
        return Answer("", "answered", answer["text"], reason, choices, None, None, 0.0, 1)

    def hidden(self, request: PooledRequest) -> NDArray[np.float32]:
        """(H,) what the model holds before it answers.

        Raises:
            RunFailed: See ``answer``.
        """
        return np.array(self._asked(request), dtype=np.float32)

    def _asked(self, request: Request) -> Any:  # noqa: ANN401 - JSON
        requests, replies = self._process.stdin, self._process.stdout
        assert requests is not None
        assert replies is not None
        with contextlib.suppress(BrokenPipeError):
            requests.write(request.body("reference").decode() + "\n")
            requests.flush()
        line = replies.readline()
        if not line:
            raise RunFailed(
                f"transformers cannot answer: {last_words(self._log)}",
                hint=f"read {self._log}, or do without: --reference none",
            )
        return json.loads(line)


@contextlib.contextmanager
def reference(card: ModelCard, *, cache: Path) -> Iterator[Reference]:
    """Load a model in transformers for as long as the block lasts.

    Args:
        card: The model; its weights must be at hand.
        cache: Folder of what can be made again; holds the environment and made models.

    Raises:
        DataError: When the weights cannot be had.
        RunFailed: When the environment cannot be made.
    """
    weights, environment = locate(card, cache), prepare(cache)
    log = cache / "vllm" / "logs" / f"reference-{card.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    dtype = Launch.of(environment.build).dtype or "auto"
    command = [str(environment.python), str(_WORKER), weights.source, weights.revision, dtype]
    settings = variables(environment, weights)
    settings |= {name: os.environ[name] for name in _THREADS if name in os.environ}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield Reference(weights, process, log)
        finally:
            process.kill()
