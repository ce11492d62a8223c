"""Cells on a real Ray cluster: a head and two nodes as processes of their own, one of them killed.

The nodes share nothing but the network: each has its own folder for what it was sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from harness.home import Home
from harness.runs.costs import Cost
from harness.runs.executors.resources import Measured, share
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.runs.verify import verify

ray = pytest.importorskip("ray")
from harness.runs.executors import ray_inputs  # noqa: E402  # it needs ray

SUITE = """
title = "Small"
corpora = ["mosi-twin@compact-x5"]
seeds = 3
[protocol]
max_epochs = 2
[[systems]]
name = "tfidf_ridge"
[[systems]]
name = "lf_dnn"
[[systems]]
name = "tfn"
params = { text_hidden = 16, text_out = 8, audio_hidden = 4, vision_hidden = 8 }
"""
WAITING = '\n[[systems]]\nname = "patient"\n'
FAULTY = '\n[[systems]]\nname = "mortal_always"\n[[systems]]\nname = "mortal_once"\n'
MORTAL = """
    import os, signal, time
    from pathlib import Path
    import numpy as np
    from harness.system import Card, Fitted, System

    CARD = Card(title="mortal", paper="none", year=None)

    def always(task, params):
        os.kill(os.getpid(), signal.SIGKILL)

    def once(task, params):
        mark = Path(os.environ["MSA_TEST_MARK"]) / str(task.seed)
        if not mark.exists():
            mark.touch()
            always(task, params)
        return zeros()

    def wait(task, params):
        marks = Path(os.environ["MSA_TEST_MARK"])
        (marks / f"busy-{Path(os.environ.get('MSA_NODE_DIR', 'alone')).name}").touch()
        while not (marks / "go").exists():
            time.sleep(0.1)
        return zeros()

    def zeros():
        return Fitted(predict=lambda split: np.zeros(len(split)), parameters=0, trainable=0)

    mortal_always = System(name="mortal_always", card=CARD, inputs=frozenset(), fit=always)
    mortal_once = System(name="mortal_once", card=CARD, inputs=frozenset(), fit=once)
    patient = System(name="patient", card=CARD, inputs=frozenset(), fit=wait)
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Of the processes of a cluster, which import what this test imports and the plug-in."""
    places = [str(folder / "plugin"), *(p for p in sys.path if p)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(places),
        "MSA_TEST_MARK": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
        **more,
    }


def install_mortals(folder: Path) -> None:
    info = folder / "plugin" / "mortals-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "plugin" / "mortals.py").write_text(textwrap.dedent(MORTAL))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mortals\nVersion: 1.0\n")
    names = ("mortal_always", "mortal_once", "patient")
    lines = [f"{name} = mortals:{name}" for name in names]
    (info / "entry_points.txt").write_text("\n".join(["[msa_harness.systems]", *lines]))


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        for member in [*family, psutil.Process(process.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait()


@contextlib.contextmanager
def cluster(folder: Path, nodes: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A head without cores and some nodes with one each, all at 127.0.0.1."""
    address = f"127.0.0.1:{free_port()}"
    head = ["--head", f"--port={address[10:]}", "--num-cpus=0", "--include-dashboard=false"]
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(launch(folder, "head", head))
        for number in range(nodes):
            node = [f"--address={address}", "--num-cpus=1"]
            started.append(launch(folder, f"node-{number}", node))
        yield address, started[1:]
    finally:
        for process in reversed(started):
            kill_tree(process)


def launch(folder: Path, place: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    """A member of the cluster, up; Ray gives up after 30 s, which a busy machine may need."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *arguments]
    command += ["--disable-usage-stats", "--node-ip-address=127.0.0.1"]
    log = folder / f"{place}.log"
    for _ in range(10):
        with log.open("wb") as output:
            env = environment(folder, MSA_NODE_DIR=str(folder / place))
            process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
        wait_for(partial(_is_decided, process, log), place)
        if process.poll() is None:
            return process
        kill_tree(process)
    pytest.fail(log.read_text())


def _is_decided(process: subprocess.Popen[bytes], log: Path) -> bool:
    return process.poll() is not None or b"runtime started" in log.read_bytes()


def wait_for(condition, what: str, seconds: float = 1200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.2)


def start(home: Home, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "--home", str(home.root), *arguments],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def home_with(folder: Path, suite: str) -> Home:
    home = Home(folder)
    home.suites.mkdir(parents=True)
    (home.suites / "small.toml").write_text(suite)
    return home


@pytest.mark.ray
@pytest.mark.slow
def test_a_cluster_that_loses_a_node_gives_the_board_of_one_machine(tmp_path: Path) -> None:
    install_mortals(tmp_path)
    go = tmp_path / "go"
    go.touch()
    local = home_with(tmp_path / "local", SUITE + WAITING)
    alone = start(local, tmp_path, "run", "small", "--jobs", "2")
    _, errors = alone.communicate()
    assert alone.returncode == 0, errors

    go.unlink()
    spread = home_with(tmp_path / "spread", SUITE + WAITING)
    store = RunStore(spread.store)
    with cluster(tmp_path, nodes=2) as (address, nodes):
        on_it = ("--executor", "ray", "--ray-address", address)
        driver = start(spread, tmp_path, "run", "small", *on_it)
        busy = [tmp_path / f"busy-node-{number}" for number in range(2)]
        wait_for(lambda: all(m.exists() for m in busy) or driver.poll() is not None, "both nodes")
        stored = len(list(store))
        kill_tree(nodes[0])  # in the middle of a cell
        go.touch()
        _, errors = driver.communicate(timeout=1200)
        assert driver.returncode == 0, errors
        assert "its node was lost; trying again" in errors
        assert stored < len(list(store)) == len(list(RunStore(local.store)))
        board = (spread.boards / "small.md").read_bytes()
        assert board == (local.boards / "small.md").read_bytes()
        weights = {run.key: run.weights and run.weights.digest for run in store}
        assert weights == {
            run.key: run.weights and run.weights.digest for run in RunStore(local.store)
        }
        assert sum(digest is not None for digest in weights.values()) == 6
        trained = [run.key for run in store if run.spec.system == "lf_dnn"]
        for log in (store.log_file(key).read_text("utf-8") for key in trained):
            assert f" on {socket.gethostname()}, cpu; run " in log  # nodes told the driver
            assert "epoch 2 of 2, loss " in log and "done: fitted in " in log

        # what a cell takes with it: retried where it dies once, failed where it always does
        (spread.suites / "mortals.toml").write_text(
            SUITE.replace("seeds = 3", "seeds = 1") + FAULTY
        )
        driver = start(spread, tmp_path, "run", "mortals", *on_it, "--only", "mortal_*")
        _, errors = driver.communicate(timeout=1200)
        assert driver.returncode == 1
        assert re.search(r"mortal_always .*: lost 3 times: its worker process died", errors)
        assert "mortal_once on" not in errors.partition("failed cells")[2]
    marks = {path.name for path in tmp_path.glob("[0-9]*")}
    assert marks == {"1111"}  # it did die once
    for place in tmp_path.glob("node-*/content"):
        contents = [path for path in place.iterdir() if path.is_dir()]
        assert len(contents) == 1  # one corpus, sent once
    assert len(list(tmp_path.glob("node-*/content"))) == 2


@pytest.mark.ray
@pytest.mark.slow
def test_a_cell_beyond_its_time_is_one_failure(tmp_path: Path) -> None:
    install_mortals(tmp_path)
    home = home_with(tmp_path / "home", SUITE.replace("seeds = 3", "seeds = 1") + WAITING)
    with cluster(tmp_path, nodes=1) as (address, _):
        on_it = ("--executor", "ray", "--ray-address", address)
        short = ("--only", "patient", "--cell-timeout", "5")
        driver = start(home, tmp_path, "run", "small", *on_it, *short)
        _, errors = driver.communicate(timeout=600)
        assert driver.returncode == 1
        assert re.search(r"patient on .*: stopped: it took longer than 5 s", errors)


@pytest.mark.ray
@pytest.mark.slow
def test_a_lost_head_is_one_line(tmp_path: Path) -> None:
    install_mortals(tmp_path)
    home = home_with(tmp_path / "home", SUITE.replace("seeds = 3", "seeds = 1") + WAITING)
    with cluster(tmp_path, nodes=1) as (address, _):
        on_it = ("--executor", "ray", "--ray-address", address, "--only", "patient")
        driver = start(home, tmp_path, "run", "small", *on_it)
        busy = tmp_path / "busy-node-0"
        wait_for(lambda: busy.exists() or driver.poll() is not None, "the node")
        for process in psutil.process_iter(["name", "cmdline"]):
            if process.info["name"] == "gcs_server" and address[10:] in str(process.info):
                process.kill()
        _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 1, errors
    port = address.partition(":")[2]
    assert re.search(rf"^error: the head of the Ray cluster at \S+:{port} is gone", errors, re.M)
    assert "next: start the cluster again; the same command continues" in errors
    assert "Traceback" not in errors
    assert not any(finding.damage for finding in verify(home))


@pytest.mark.ray
def test_a_cluster_that_is_not_there_is_one_line(home, msa) -> None:
    (home.suites / "small.toml").write_text(SUITE)
    address = f"127.0.0.1:{free_port()}"
    code, _, errors = msa("run", "small", "--executor", "ray", "--ray-address", address)
    assert code == 2
    assert f"no Ray cluster answers at {address}" in errors


def test_an_executor_that_does_not_exist_is_refused(home, msa) -> None:
    (home.suites / "small.toml").write_text(SUITE)
    assert msa("run", "small", "--executor", "slurm")[0] == 2


# What cells ask for


def cost_like(job, **changed) -> Cost:
    values = {
        **{"system": job.spec.system, "corpus": job.spec.corpus, "data": job.spec.data},
        **{"params": job.spec.params, "encoder": None, "device": "cpu", "max_epochs": 2},
        **{"patience": 8, "train_clips": 9, "seconds": 1.0, "memory": 10 * 2**20},
    }
    return Cost(**values | changed)


@pytest.fixture
def job(home: Home):
    (home.suites / "small.toml").write_text(SUITE)
    plan = make_plan(find_suite("small", home), home, device="cuda")
    return next(cell.job for cell in plan.cells if cell.label == "tfn")


def test_the_first_of_a_kind_takes_a_device_and_its_like_the_measured_share(job) -> None:
    measured, gib = Measured(), 2**30
    first = measured.demand(job, 80 * gib)
    assert (first.gpus, first.pilot, first.memory) == (1.0, True, None)
    measured.add(cost_like(job, device="cuda", device_memory=4 * gib, memory=gib))
    second = measured.demand(job, 80 * gib)
    assert (second.gpus, second.pilot) == (0.125, False)
    assert second.memory >= gib


def test_memory_of_other_hyper_parameters_or_data_tells_nothing(job) -> None:
    measured = Measured([cost_like(job, params={}), cost_like(job, data="0" * 64)])
    assert measured.demand(job, None).memory is None


@pytest.mark.parametrize("taken", [0, 1, 2**30, 7 * 2**30, 100 * 2**30])
def test_shares_never_promise_more_than_a_device_has(taken: int) -> None:
    part, device = share(taken, 16 * 2**30), 16 * 2**30
    assert 0 < part <= 1
    assert part == 1 or int(1 / part) * taken <= device


# What a node makes of what it was sent


def test_a_node_folder_of_somebody_else_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MSA_NODE_DIR", str(tmp_path))
    assert ray_inputs.node_folder() == tmp_path
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ray_inputs.DataError, match="belongs to another user"):
        ray_inputs.node_folder()


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/evil.npy", "a/b.npy"])
def test_an_input_cannot_leave_its_folder(tmp_path, monkeypatch, name: str) -> None:
    sent = ray_inputs.RayInput(name="mosi@a", digest="0" * 64, files={name: ()})
    with pytest.raises(ray_inputs.DataError, match="plain name"):
        ray_inputs._unpack(sent, tmp_path)
    assert not list(tmp_path.parent.rglob("evil.npy"))


def test_what_was_damaged_on_a_node_is_fetched_again(tmp_path, monkeypatch, caplog) -> None:
    content = b"\x01" * 1000
    monkeypatch.setattr(ray, "get", lambda block: block)
    mark = hashlib.sha256(content).hexdigest()
    one = ray_inputs.RayInput(
        name="mosi@a", digest="0" * 64, files={"a.npy": (content,)}, sums={"a.npy": mark}
    )
    file = ray_inputs._unpack(one, tmp_path) / "a.npy"
    assert not caplog.messages
    for damage in (lambda: file.write_bytes(content[:-1] + b"\x00"), file.unlink):
        damage()
        caplog.clear()
        assert ray_inputs._unpack(one, tmp_path) == file.parent
        assert file.read_bytes() == content
        assert caplog.messages == ["mosi@a was damaged on this node and is fetched again"]
