"""Cells on a Ray cluster: many nodes, no shared file system, the driver still the only writer.

Workers fetch their inputs by content (``harness.runs.executors.ray_inputs``), return records, and
never see the run store. A cell whose worker or node is lost is tried again, three times in all, and
then fails with the reason. A lost head ends this process with one line. Nodes must have the
driver's source: a cell refuses to run on any other.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import ray
import torch
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as NodeAffinity

from harness import own
from harness.errors import DataError, RunFailed, SpecError
from harness.home import Home
from harness.runs.cell import Job, limit_threads
from harness.runs.checkpoints import CHECKPOINT
from harness.runs.costs import Cost, cost_of
from harness.runs.events import Broke, CellEvent, Hear, Tell, unheard
from harness.runs.executors import Done
from harness.runs.executors.guard import Answer, measured, told, within
from harness.runs.executors.ray_inputs import RayInputs, RayInputStore, unpacked
from harness.runs.executors.resources import Demand, Measured, kind_of
from harness.runs.identity import code_of
from harness.runs.record import RunRecord
from harness.system import systems

__all__ = ["RayExecutor"]

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_LOOK = 2.0  # seconds between looks at the cluster while nothing ends
_GLANCE = 2.0  # seconds between glances at its head
_MISSES = 4  # glances in a row that find none
_SETTINGS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_LOSSES = {
    exceptions.WorkerCrashedError: "its worker process died",
    exceptions.NodeDiedError: "its node was lost",
    exceptions.LocalRayletDiedError: "its node was lost",
    exceptions.OutOfMemoryError: "it was stopped as its node ran out of memory",
    exceptions.OutOfDiskError: "its node ran out of disk",
    exceptions.ObjectLostError: "its result was lost with its node",
}


@dataclass(frozen=True, kw_only=True)
class RayExecutor:
    """Cells on a cluster.

    Args:
        home: Where corpora and encoders are.
        address: ``host:port`` of the head node, ``auto`` for the cluster this machine is part of;
            None starts a cluster on this machine alone.
        workers: Cells at once on this machine's own cluster; elsewhere the cluster's cores count.
        costs: Stored runs, which tell what memory their like will need.
        patience: Seconds to wait for a node that can run what is left, before that fails.
        cell_timeout: Seconds that a cell may take on its node; None for any time.
        hear: Hears what workers say of their cells.
    """

    home: Home
    address: str | None = None
    workers: int = 1
    costs: tuple[Cost, ...] = ()
    patience: float = 300.0
    cell_timeout: float | None = None
    hear: Hear = unheard

    def heard_by(self, hear: Hear) -> RayExecutor:
        """The same, with another to hear."""
        return replace(self, hear=hear)

    def run(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """Carry out ``jobs``; see ``Executor``."""
        with _connected(self.address, self.workers):
            store, measured = RayInputStore(self.home), Measured(self.costs)
            here = NodeAffinity(ray.get_runtime_context().get_node_id(), soft=False)
            kind: Any = ray.remote(_Letters)
            letters = kind.options(num_cpus=0, scheduling_strategy=here).remote()
            flights = _Flights(
                store, measured, letters, self.hear, self.patience, self.cell_timeout
            )
            try:
                yield from flights.carry_out(jobs)
            finally:
                flights.cancel()


@contextlib.contextmanager
def _connected(address: str | None, workers: int) -> Iterator[None]:
    """A connection to the cluster, or a cluster of its own while the block runs."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    _need_answer(address)
    if address is None:  # nobody else's processes may join, and no token is left in ~/.ray
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        ray.init(
            address or "local",
            num_cpus=workers if address is None else None,
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": _SETTINGS | {"MSA_PLUGINS": str(own.folder())}},
        )
    except Exception as error:  # Ray raises the bare class when a start takes too long
        raise _no_cluster(address or "this machine", error) from error
    try:
        with _watched(ray.get_runtime_context().gcs_address):
            yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _watched(head: str) -> Iterator[None]:
    """End this process with one line once the head of its cluster is gone.

    Ray itself aborts it a minute later, from code that no Python can catch, without a word; by then
    any question to the cluster, even to leave it, waits. What was committed is whole either way.
    """
    over = threading.Event()
    threading.Thread(target=_watch, args=(head, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(head: str, over: threading.Event) -> None:
    missed = 0
    while not over.wait(_GLANCE):
        missed = 0 if _listens(head) else missed + 1
        if missed == _MISSES:
            log.error(
                "error: the head of the Ray cluster at %s is gone; what finished is stored\n"
                "next: start the cluster again; the same command continues",
                head,
            )
            logging.shutdown()
            os._exit(RunFailed.exit_code)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_GLANCE).close()
    except OSError:
        return False
    return True


def _need_answer(address: str | None) -> None:
    """Fail at once where nobody listens; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdecimal() or "://" in host:
        return  # auto, and what only Ray can resolve
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(f"{host}:{port}", error) from error


def _no_cluster(where: str, error: Exception) -> SpecError:
    return SpecError(
        f"no Ray cluster answers at {where}: {_first_line(error)}",
        hint="ray start --head, then --ray-address HOST:6379, or auto on a node of the cluster",
    )


@dataclass(frozen=True, eq=False)
class _Flight:
    """A cell on its way."""

    job: Job
    demand: Demand
    attempt: int = 1


@dataclass
class _Flights:
    """What is under way, and what waits for the first of its kind to tell its size."""

    store: RayInputStore
    measured: Measured
    letters: ray.actor.ActorHandle[_Letters]
    hear: Hear
    patience: float
    cell_timeout: float | None = None
    _aloft: dict[ray.ObjectRef[Answer], _Flight] = field(default_factory=dict)
    _waiting: dict[str, deque[Job]] = field(default_factory=lambda: defaultdict(deque))
    _pilots: set[str] = field(default_factory=set)
    _starved: float | None = None
    _device_bytes: int | None = None

    def carry_out(self, jobs: Iterable[Job]) -> Iterator[Done]:
        jobs = list(jobs)
        self._device_bytes = _smallest_device() if any(_on_gpu(job) for job in jobs) else None
        for job in jobs:
            yield from self._begin(job)
        while self._aloft:
            ready, _ = ray.wait(list(self._aloft), timeout=_LOOK)
            self._hear()
            if not ready:
                yield from self._give_up_if_starved()
            for reference in ready:
                self._starved = None
                yield from self._end(reference)

    def _hear(self) -> None:
        """Hand on what workers said since."""
        jobs = {flight.job.spec.key: flight.job for flight in self._aloft.values()}
        with contextlib.suppress(exceptions.RayError):  # what is said is worth no cell
            said: list[tuple[str, CellEvent]] = ray.get(self.letters.take.remote())
            for key, event in said:
                if key in jobs:  # else of a worker that was given up
                    self.hear(jobs[key], event)

    def cancel(self) -> None:
        for reference in self._aloft:
            with contextlib.suppress(exceptions.RayError):
                ray.cancel(reference, force=True)

    def _begin(self, job: Job) -> Iterator[Done]:
        """Submit a cell, unless the first of its kind is still to show what it takes."""
        demand, kind = self.measured.demand(job, self._device_bytes), kind_of(job)
        if demand.pilot and kind in self._pilots:
            self._waiting[kind].append(job)
            return
        if demand.pilot:
            self._pilots.add(kind)
        yield from self._submit(_Flight(job, demand))

    def _submit(self, flight: _Flight) -> Iterator[Done]:
        try:
            inputs = self.store.inputs_of(flight.job)
        except DataError as error:
            yield Done(job=flight.job, failure=str(error))
            return
        task = _carry_out.options(**_options(flight.demand))
        reference = task.remote(flight.job, inputs, self.letters, self.cell_timeout)
        self._aloft[reference] = flight

    def _end(self, reference: ray.ObjectRef[Answer]) -> Iterator[Done]:
        flight = self._aloft.pop(reference)
        try:
            record, failure = ray.get(reference)
        except exceptions.RayTaskError as error:  # before our boundary: the node lacks something
            record, failure = None, _first_line(error.cause)
        except exceptions.RayError as error:
            yield from self._lost(flight, error)
            return
        if record is not None:
            record = self._as_planned(record, flight.job)
            self.measured.add(cost_of(record.manifest))
        yield Done(job=flight.job, record=record, failure=failure)
        yield from self._release(flight.job)

    def _lost(self, flight: _Flight, error: exceptions.RayError) -> Iterator[Done]:
        why = next(
            (text for kind, text in _LOSSES.items() if isinstance(error, kind)), _first_line(error)
        )
        if flight.attempt < _ATTEMPTS:
            log.warning("%s: %s; trying again", flight.job.title, why)
            yield from self._submit(replace(flight, attempt=flight.attempt + 1))
            return
        yield Done(job=flight.job, failure=f"lost {_ATTEMPTS} times: {why}")
        yield from self._release(flight.job)

    def _release(self, pilot: Job) -> Iterator[Done]:
        """Let go those that waited for this one; should it have failed, the next one leads."""
        kind = kind_of(pilot)
        self._pilots.discard(kind)
        for job in self._waiting.pop(kind, ()):
            yield from self._begin(job)

    def _give_up_if_starved(self) -> Iterator[Done]:
        """Fail what no node of the cluster can run, once that has lasted too long."""
        nodes = _nodes()
        stuck = {ref: f for ref, f in self._aloft.items() if not _fits(f.demand, nodes)}
        if not stuck:
            self._starved = None
            return
        self._starved = self._starved or time.monotonic()
        if time.monotonic() - self._starved < self.patience:
            return
        for reference, flight in stuck.items():
            del self._aloft[reference]
            ray.cancel(reference, force=True)
            wanted = _spoken(_options(flight.demand))
            yield Done(job=flight.job, failure=f"no node of the cluster offers {wanted}")

    def _as_planned(self, record: RunRecord, job: Job) -> RunRecord:
        """The record with the encoder called as the driver calls it, not by the node's folder."""
        if "encoder" not in job.spec.artifacts:
            return record
        name = self.store.inputs_of(job)["encoder"].name
        return replace(record, manifest=replace(record.manifest, encoder=name))


class _Letters:
    """What workers say of their cells, until the driver takes it; it lives beside the driver.

    It becomes an actor once there is a cluster.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[str, CellEvent]] = []

    def put(self, key: str, event: CellEvent) -> None:
        self._waiting.append((key, event))

    def take(self) -> list[tuple[str, CellEvent]]:
        taken, self._waiting = self._waiting, []
        return taken


@ray.remote(max_retries=0)
def _carry_out(
    job: Job,
    inputs: RayInputs,
    letters: ray.actor.ActorHandle[_Letters],
    cell_timeout: float | None,
) -> Answer:
    """A cell, on a node."""
    limit_threads()

    def tell(event: CellEvent) -> None:
        sent: ray.ObjectRef[None] = letters.put.remote(job.spec.key, event)
        if isinstance(event, Broke):  # before the answer arrives
            ray.get(sent)

    work = partial(_in_time, job, inputs, tell, cell_timeout)
    return told(job, work, tell, worker=f"process {os.getpid()} on {socket.gethostname()}")


def _in_time(job: Job, inputs: RayInputs, tell: Tell, cell_timeout: float | None) -> RunRecord:
    with within(cell_timeout):
        return _on_this_node(job, inputs, tell)


def _on_this_node(job: Job, inputs: RayInputs, tell: Tell) -> RunRecord:
    spec = job.spec
    if spec.system not in systems:
        raise RunFailed(
            f"a node has no system {spec.system!r}; every node needs its package or, at"
            f" {own.folder()}, its file"
        )
    here = code_of(spec.system, spec.params, spec.protocol, released=CHECKPOINT in spec.artifacts)
    if here != spec.code:
        raise RunFailed(
            f"a node has other source than the driver ({here}, planned {spec.code});"
            " install the same version on every node"
        )
    kind = torch.device(job.device).type  # Ray shows a worker its own device only
    record = measured(replace(unpacked(job, inputs), device=kind), tell)
    weights = None if record.weights is None else record.weights.packed()
    return replace(record, weights=weights)


def _options(demand: Demand) -> dict[str, float]:
    requested = {"num_cpus": demand.cpus, "num_gpus": demand.gpus}
    if demand.memory is not None:
        largest = max((node.get("memory", 0.0) for node in _nodes()), default=0.0)
        requested["memory"] = min(demand.memory, int(largest)) or demand.memory
    return requested


def _nodes() -> list[dict[str, float]]:
    """Resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _fits(demand: Demand, nodes: list[dict[str, float]]) -> bool:
    return any(
        node.get("CPU", 0.0) >= demand.cpus and node.get("GPU", 0.0) >= demand.gpus
        for node in nodes
    )


def _spoken(requested: dict[str, float]) -> str:
    return ", ".join(f"{value:g} {name.removeprefix('num_')}" for name, value in requested.items())


def _on_gpu(job: Job) -> bool:
    return torch.device(job.device).type == "cuda"


def _smallest_device() -> int | None:
    """Bytes of the smallest GPU of the cluster; None without one."""
    sizes = [
        _device_bytes.options(scheduling_strategy=NodeAffinity(node["NodeID"], soft=False)).remote()
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("GPU")
    ]
    return min(ray.get(sizes), default=None)


@ray.remote(num_cpus=0, num_gpus=0.01)
def _device_bytes() -> int:
    return int(torch.cuda.get_device_properties(0).total_memory)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
