"""Running a stored run again from its manifest alone, and comparing the predictions bit by bit.

The replay is never stored: what is committed stays what it was. It runs with the source of today;
where that, the packages or the device differ from then, the report says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness._util.canonical import Json
from harness.errors import RunFailed, SpecError, StoreError
from harness.home import Home
from harness.runs.cell import Job
from harness.runs.differences import Verdict, compared, surroundings
from harness.runs.executors import Executor
from harness.runs.identity import code_of
from harness.runs.record import RunRecord
from harness.runs.soundness import damage_of
from harness.runs.store import RunStore, StoredRun

__all__ = ["TOLERANCE", "Replay", "find_run", "job_of", "replay"]

TOLERANCE = 1e-3
"""On the label scale: bits differ between processors, findings do not."""

_SHORTEST = 4  # digits of a key; shorter prefixes are typing mistakes


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What became of a run that was run again.

    Args:
        key: The run.
        cell: System, corpus and seed, in words.
        verdict: Whether the predictions are the same.
        predictions: How many were compared, over splits, conditions and variants.
        changed: How many of them differ in any bit.
        largest: Largest difference, on the label scale; None when other clips were predicted.
        tolerance: Up to which differences are tolerated.
        surroundings: What is different from then: name -> (then, now).
    """

    key: str
    cell: str
    verdict: Verdict
    predictions: int
    changed: int
    largest: float | None
    tolerance: float
    surroundings: Mapping[str, tuple[str, str]]

    def record(self) -> dict[str, Json]:
        """The replay as JSON."""
        surroundings = {name: {"then": a, "now": b} for name, (a, b) in self.surroundings.items()}
        return {
            "key": self.key,
            "cell": self.cell,
            "verdict": self.verdict,
            "predictions": self.predictions,
            "changed": self.changed,
            "largest": self.largest,
            "tolerance": self.tolerance,
            "surroundings": surroundings,
        }


def find_run(store: RunStore, prefix: str) -> StoredRun:
    """The one stored run whose key begins with ``prefix``.

    Raises:
        SpecError: When the prefix is no beginning of a key, or of more than one.
        StoreError: When no key begins so, or the run is damaged.
    """
    if len(prefix) < _SHORTEST or not set(prefix) <= set("0123456789abcdef"):
        raise SpecError(
            f"a run is named by the first digits of its key, at least {_SHORTEST} of 0-9a-f;"
            f" found {prefix!r}",
            hint="msa board SUITE --json lists keys",
        )
    found = [run for run in store if run.key.startswith(prefix)]
    if not found:
        raise StoreError(f"no stored run begins with {prefix}", hint="msa run SUITE")
    if len(found) > 1:
        raise SpecError(f"{len(found)} stored runs begin with {prefix}; give more digits")
    if damage := damage_of(store, found[0]):
        raise StoreError(
            f"run {found[0].key} is damaged: {'; '.join(damage)}",
            hint="msa run SUITE runs it again; msa verify names the suite",
        )
    return found[0]


def job_of(run: StoredRun, home: Home, *, encoder: str | None = None, device: str = "") -> Job:
    """The job that a stored run was, to be executed here.

    Args:
        run: The run.
        home: Where corpora and encoders are.
        encoder: Where its text encoder is, when its name alone does not say.
        device: Another kind of device than then.

    Raises:
        SpecError: When it asked a model on a server, which no manifest can bring back.
        StoreError: When its manifest is damaged.
    """
    spec, manifest = run.spec, run.manifest
    known = {
        "encoder": encoder or manifest.encoder,
        "knowledge": spec.protocol.knowledge_data,
    }
    unknown = sorted(spec.artifacts.keys() - known.keys())
    if unknown:
        raise SpecError(
            f"run {run.key} depends on a {unknown[0]}, which a manifest does not bring back",
            hint="msa mllm run asks again",
        )
    return Job(
        spec=spec,
        home=home,
        names={role: str(known[role]) for role in spec.artifacts},
        device=device or manifest.provenance.device,
    )


def replay(run: StoredRun, job: Job, executor: Executor, *, tolerance: float = TOLERANCE) -> Replay:
    """Execute a stored run again and compare all of its predictions.

    Args:
        run: The run.
        job: Its ``job_of``.
        executor: Where to execute it.
        tolerance: Up to which differences are tolerated, on the label scale.

    Raises:
        RunFailed: When it fails today.
        StoreError: When the stored predictions are damaged.
    """
    stored = run.table()
    (done,) = executor.run([job])
    if done.record is None:
        raise RunFailed(f"the replay of run {run.key} failed: {done.failure}")
    found = compared(stored, done.record.predictions)
    spec = job.spec
    return Replay(
        key=run.key,
        cell=f"{spec.system} on {spec.corpus}, seed {spec.seed}",
        verdict=found.verdict(tolerance),
        predictions=found.predictions,
        changed=found.changed,
        largest=found.largest,
        tolerance=tolerance,
        surroundings=dict(_surroundings(run, job, done.record)),
    )


def _surroundings(
    run: StoredRun, job: Job, record: RunRecord
) -> Iterator[tuple[str, tuple[str, str]]]:
    """What may explain a difference: source, device, processor, packages."""
    code = code_of(job.spec.system, job.spec.params, job.spec.protocol)
    if job.spec.code != code:
        yield "source", (job.spec.code, code)
    yield from surroundings(run.manifest.provenance, record.manifest.provenance).items()
