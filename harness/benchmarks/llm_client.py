"""Our client against the benchmark that vLLM brings, and against asking one question at a time.

All three put the same questions to the same real server, which was asked them once before.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness._util.canonical import dumps
from harness.benchmarks.measure import BenchmarkRow, Measure, Scale, alternate, wall
from harness.errors import RunFailed
from harness.home import Home
from mllm_eval.canary.items import made
from mllm_eval.client import Client, Journal, Limits, Request, TokenSampling, ask_all
from mllm_eval.model.card import models
from mllm_eval.model.weights import locate
from mllm_eval.prompt.prompt import prompts
from mllm_eval.server.environment import prepare
from mllm_eval.server.process import Server, serve

__all__ = ["asking", "questions"]

_MODEL = models["smollm2-135m-q4"]
_SAMPLING = TokenSampling(max_tokens=8)
_IN_FLIGHT = 32
"""Of the reference; what the server computes together. Ours finds its own number."""


def questions(count: int) -> list[str]:
    """As many different questions as a run has, each about one sentence."""
    texts = (item.text for item in made(frozenset()))
    numbered = (f"{text} ({i})" for i, text in enumerate(itertools.cycle(texts)))
    prompt = prompts["en-direct"]
    return [prompt.render(text, -3.0, 3.0).user for text in itertools.islice(numbered, count)]


def asking(folder: Path, scale: Scale) -> list[BenchmarkRow]:
    """Answers to all questions from a real server on this machine."""
    cache, asked = Home.default().cache, questions(scale.questions)
    with serve(_MODEL, cache=cache) as server:
        names = (folder / f"{i}.jsonl" for i in itertools.count())
        measured = alternate(
            wall(lambda: _ask(server, asked, Limits(), next(names))),
            _benchmark_of_engine(server, asked, cache, folder),
            wall(lambda: _ask(server, asked, Limits(start=1, most=1), next(names))),
            repeats=scale.repeats,
        )
    what = f"Asking {scale.questions} questions of a vLLM server ({_MODEL.title})"
    rate = f"{scale.questions / min(measured[0]):.1f} answers/s at best"
    return [
        BenchmarkRow(
            what=what,
            reference=f"vllm bench serve, {_IN_FLIGHT} in flight",
            ours=measured[0],
            theirs=measured[1],
            target=1.1,
            note=f"{rate}; ours writes each answer to its journal, too; {server.engine}",
        ),
        BenchmarkRow(what=what, reference="one at a time", ours=measured[0], theirs=measured[2]),
    ]


def _ask(server: Server, asked: Sequence[str], limits: Limits, journal: Path) -> None:
    """Ask everything, remembering nothing."""
    client = Client(
        base_url=server.base_url,
        model=server.model,
        revision=server.revision,
        engine=server.engine,
        limits=limits,
    )
    requests = [
        Request.of([{"role": "user", "content": text}], sampling=_SAMPLING) for text in asked
    ]
    with Journal(journal) as kept:
        answers = ask_all(requests, client, kept)
    _check(sum(answer.state == "answered" for answer in answers), len(asked))


def _benchmark_of_engine(
    server: Server, asked: Sequence[str], cache: Path, folder: Path
) -> Measure:
    """Seconds by the engine's own clock, without the start of its benchmark."""
    table, result = folder / "questions.jsonl", folder / "result.json"
    table.write_text("".join(dumps({"prompt": text}) + "\n" for text in asked), "utf-8")
    command = [str(prepare(cache).python), "-m", "vllm.entrypoints.cli.main", "bench", "serve"]
    command += ["--backend=openai-chat", "--endpoint=/v1/chat/completions"]
    command += [f"--base-url={server.base_url.removesuffix('/v1')}", f"--model={server.model}"]
    command += [f"--tokenizer={locate(_MODEL, cache).source}", "--dataset-name=custom"]
    command += [f"--dataset-path={table}", f"--num-prompts={len(asked)}", "--disable-shuffle"]
    command += ["--skip-chat-template", f"--custom-output-len={_SAMPLING.max_tokens}"]
    command += [f"--extra-body={json.dumps(_sampled())}", f"--max-concurrency={_IN_FLIGHT}"]
    command += ["--disable-tqdm", "--save-result", f"--result-dir={folder}"]
    command += [f"--result-filename={result.name}"]

    def measure() -> float:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RunFailed(f"vllm bench serve failed: {done.stderr[-500:]}")
        found = json.loads(result.read_text("utf-8"))
        _check(found["completed"], len(asked))
        return float(found["duration"])

    return measure


def _sampled() -> dict[str, object]:
    """Our sampling fields, but for those that the benchmark sets itself."""
    fields = _SAMPLING.fields()
    return {name: fields[name] for name in ("temperature", "top_p", "top_k", "seed")}


def _check(answered: int, asked: int) -> None:
    if answered != asked:
        raise RunFailed(f"expected {asked} answers, found {answered}: nothing to compare")
