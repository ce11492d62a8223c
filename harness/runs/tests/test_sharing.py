"""Cells share a GPU as measured memory allows; figures are made up, no device is needed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.home import Home
from harness.runs import running
from harness.runs.costs import Cost
from harness.runs.executors import sharing
from harness.runs.executors.local import LocalExecutor
from harness.runs.executors.resources import Measured
from harness.runs.executors.sharing import Room, room_on
from harness.runs.store import RunStore

GIB = 2**30


def job(system: str, seed: int = 0, **params: float) -> Any:
    spec = SimpleNamespace(system=system, data="d", params=params, seed=seed)
    return SimpleNamespace(spec=spec, device="cuda")


def cost(system: str, taken: float, **params: float) -> Cost:
    return Cost(
        **{"system": system, "corpus": "c", "data": "d", "params": params, "encoder": None},
        **{"device": "cuda", "max_epochs": 1, "patience": 1, "train_clips": 1, "seconds": 1.0},
        **{"memory": GIB, "device_memory": int(taken * GIB)},
    )


def room(*costs: Cost, free: float = 80, cores: int = 16) -> Room:
    return Room(int(free * GIB), cores, Measured(costs))


def test_cells_start_while_their_memory_and_a_core_is_left() -> None:
    large = room(cost("lmf", 20))  # 24.6 GiB with margin and context
    assert large.admits(job("lmf"), [job("lmf")] * 2)
    assert not large.admits(job("lmf"), [job("lmf")] * 3)
    small = room(cost("lmf", 1), cores=4)
    assert small.admits(job("lmf"), [job("lmf")] * 3)
    assert not small.admits(job("lmf"), [job("lmf")] * 4)


def test_large_and_small_cells_add_up() -> None:
    mixed = room(cost("text", 50), cost("lmf", 1))
    assert mixed.admits(job("lmf"), [job("text")])
    assert not mixed.admits(job("text"), [job("text")])


def test_what_was_never_measured_has_the_device_to_itself() -> None:
    unknown = room(cost("lmf", 1))
    assert unknown.admits(job("mult"), [])
    assert not unknown.admits(job("mult"), [job("lmf")])
    assert not unknown.admits(job("lmf"), [job("mult")])


def test_other_hyper_parameters_on_the_corpus_tell_until_their_own_are_known() -> None:
    measured = Measured([cost("lmf", 10, lr=0.1)])
    other = measured.needed(job("lmf", lr=0.2))
    assert other is not None and other == measured.needed(job("lmf", lr=0.1))
    measured.add(cost("lmf", 1, lr=0.2))
    own = measured.needed(job("lmf", lr=0.2))
    assert own is not None and own < other


def test_one_cell_of_each_unknown_kind_runs_first() -> None:
    jobs = [job(name, seed) for name in ("lmf", "mult", "tfn") for seed in (1, 2)]
    ordered = room(cost("lmf", 1)).in_order(jobs)
    assert [(each.spec.system, each.spec.seed) for each in ordered] == [
        *(("mult", 1), ("tfn", 1)),
        *(("lmf", 1), ("lmf", 2), ("mult", 2), ("tfn", 2)),
    ]


@pytest.mark.parametrize(
    ("known", "workers", "alone"),
    [([], 1, 1), ([cost("lmf", 1)], 16, 0), ([cost("lmf", 30)], 2, 0), ([cost("lmf", 300)], 1, 0)],
)
def test_how_many_is_said_with_the_reason(known: list[Cost], workers: int, alone: int) -> None:
    foretold = room(*known).foretold([job("lmf", 1), job("lmf", 2)])
    assert (foretold.workers, foretold.alone) == (workers, alone)
    assert "16 cores, 80.0 GiB free" in foretold.why
    assert ("run alone first" in foretold.why) == (alone > 0)


def test_workers_that_are_asked_for_are_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "refuse_absent", lambda device: None)
    monkeypatch.setattr(sharing, "free_bytes", lambda device: 5 * GIB)
    store = RunStore(Home(tmp_path).store)

    def workplace(workers: int | None, device: str) -> LocalExecutor:
        found = running.workplace_of(None, workers, device, None, store)
        assert isinstance(found, LocalExecutor)
        return found

    assert (workplace(3, "cuda").workers, workplace(3, "cuda").room) == (3, None)
    assert (workplace(None, "cpu").workers, workplace(None, "cpu").room) == (1, None)
    shared = workplace(None, "cuda").room
    assert shared is not None and shared.free == 5 * GIB


def test_the_room_of_a_device_is_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "free_bytes", lambda device: 7 * GIB)
    monkeypatch.setattr(sharing, "cores", lambda: 3)
    found = room_on("cuda:1", [])
    assert (found.free, found.cores) == (7 * GIB, 3)


@pytest.mark.usefixtures("faulty_systems")
def test_cells_run_through_a_room_and_are_learned_of(home: Home) -> None:
    from harness.runs.plan import make_plan
    from harness.spec import Suite

    suite = {
        "corpora": ["mosi-twin@compact-x5"],
        "seeds": 3,
        "systems": [{"name": "faulty_fine"}],
    }
    plan = make_plan(Suite.parse(suite, name="s", where="here"), home)
    learned: list[str] = []

    class Watched(Room):
        def learn(self, record: Any) -> None:
            learned.append(record.key)
            super().learn(record)

    shared = Watched(10 * GIB, 2, Measured())
    done = list(LocalExecutor(room=shared).run(plan.jobs.values()))
    assert sorted(learned) == sorted(plan.jobs)
    assert all(each.record is not None for each in done)
