"""Running a stored run again from its manifest alone, and comparing the predictions bit by bit.

The replay is never stored: what is committed stays what it was. It runs with the source of today;
where that, the packages or the device differ from then, the report says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness._util.canonical import Json
from harness.errors import DataError, RunFailed, SpecError, StoreError
from harness.home import Home
from harness.runs.catalogue import key_of
from harness.runs.cell import Job
from harness.runs.checkpoints import CHECKPOINT, digest_of
from harness.runs.differences import Verdict, compared, surroundings
from harness.runs.executors import Executor
from harness.runs.identity import code_of
from harness.runs.record import RunRecord
from harness.runs.soundness import damage_of
from harness.runs.store import RunStore, StoredRun

__all__ = ["TOLERANCE", "Replay", "find_run", "job_of", "replay"]

TOLERANCE = 1e-3
"""On the label scale: bits differ between processors, findings do not."""


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


def find_run(store: RunStore, name: str) -> StoredRun:
    """The one stored run of that name.

    Args:
        store: Where it is.
        name: The first digits of its key, or ``SUITE:ROW:CORPUS:SEED``.

    Raises:
        SpecError: When the name is no beginning of a key, or of more than one, or no cell of the
            suite.
        StoreError: When no key begins so, the suite or cell was never run here, or the run is
            damaged.
    """
    run = store.get(key_of(store, name, stored=True))
    if damage := damage_of(store, run):
        raise StoreError(
            f"run {run.key} is damaged: {'; '.join(damage)}",
            hint="msa run SUITE runs it again; msa verify names the suite",
        )
    return run


def job_of(
    run: StoredRun,
    home: Home,
    *,
    encoder: str | None = None,
    checkpoint: Path | None = None,
    device: str = "",
) -> Job:
    """The job that a stored run was, to be executed here.

    Args:
        run: The run.
        home: Where corpora and encoders are.
        encoder: Where its text encoder is, when its name alone does not say.
        checkpoint: Where the released weights are that it evaluated, if it did.
        device: Another kind of device than then.

    Raises:
        SpecError: When it asked a model on a server, which no manifest can bring back, or
            evaluated released weights and nothing says where they are.
        DataError: When the released weights are others.
        StoreError: When its manifest is damaged.
    """
    spec, manifest = run.spec, run.manifest
    _check_checkpoint(run, checkpoint)
    known = {
        "encoder": encoder or manifest.encoder,
        "knowledge": spec.protocol.knowledge_data,
    }
    unknown = sorted(spec.artifacts.keys() - known.keys() - {CHECKPOINT})
    if unknown:
        raise SpecError(
            f"run {run.key} depends on a {unknown[0]}, which a manifest does not bring back",
            hint="msa mllm run asks again",
        )
    return Job(
        spec=spec,
        home=home,
        names={role: str(known[role]) for role in spec.artifacts if role in known},
        device=device or manifest.provenance.device,
        checkpoint=checkpoint,
    )


def _check_checkpoint(run: StoredRun, checkpoint: Path | None) -> None:
    """Refuse other weights than those that a run evaluated."""
    wanted = run.spec.artifacts.get(CHECKPOINT)
    if wanted is None and checkpoint is not None:
        raise SpecError(f"run {run.key} was trained: it evaluated no checkpoint")
    if wanted is None:
        return
    if checkpoint is None:
        raise SpecError(
            f"run {run.key} evaluated a released checkpoint, sha256 {wanted[:12]}",
            hint=f"msa replay {run.key[:8]} --checkpoint FILE",
        )
    if (found := digest_of(checkpoint)) != wanted:
        raise DataError(
            f"checkpoint {checkpoint.name} is another file: sha256 {found[:12]}, the run evaluated"
            f" {wanted[:12]}"
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
    released = CHECKPOINT in job.spec.artifacts
    code = code_of(job.spec.system, job.spec.params, job.spec.protocol, released=released)
    if job.spec.code != code:
        yield "source", (job.spec.code, code)
    yield from surroundings(run.manifest.provenance, record.manifest.provenance).items()
