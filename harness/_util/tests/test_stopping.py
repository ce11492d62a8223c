"""Whatever asks a process to stop, at whatever moment: one line, exit code 1, no traceback."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys, time
from pathlib import Path
from harness._util.stopping import ending_in_one_line

def work():
    {work}

ending_in_one_line(work)
"""
SLEEP = "Path(sys.argv[1]).touch(); time.sleep(60)"
CLEAN = """
    try:
        Path(sys.argv[1]).touch(); time.sleep(60)
    finally:
        Path(sys.argv[1] + ".cleaning").touch()
        time.sleep({seconds})
        Path(sys.argv[1] + ".clean").touch()
"""
COMMAND = """
    import typer
    app = typer.Typer()
    @app.command()
    def command(path: str):
        Path(path).touch(); time.sleep(60)
    app()
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start(work: str, place: Path, **options: object) -> subprocess.Popen[str]:
    program = PROGRAM.format(work=work)
    made = subprocess.Popen(
        [sys.executable, "-c", program, str(place)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},
    )
    wait_for(place)
    return made


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("work", [SLEEP, COMMAND], ids=["function", "command"])
def test_one_line_and_exit_code_1(tmp_path, work, number) -> None:
    process = start(work, tmp_path / "there")
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert errors == f"error: stopped by {number.name}\n"


@pytest.mark.parametrize("number", SIGNALS)
def test_who_has_to_clean_up_does(tmp_path, number) -> None:
    process = start(CLEAN.format(seconds=0), tmp_path / "there")
    process.send_signal(number)
    process.communicate(timeout=30)
    assert (tmp_path / "there.clean").exists()


@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_one_ends_it_at_once(tmp_path, second) -> None:
    process = start(CLEAN.format(seconds=60), tmp_path / "there")
    process.send_signal(signal.SIGINT)
    wait_for(tmp_path / "there.cleaning")
    process.send_signal(second)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert errors == f"error: stopped at once by {second.name}\n"


def test_an_end_of_its_own_is_kept(tmp_path) -> None:
    for ending, code in (("pass", 0), ("sys.exit(2)", 2), ("sys.exit(130)", 130)):
        process = start(f"Path(sys.argv[1]).touch(); {ending}", tmp_path / "there")
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == code
    process = start("Path(sys.argv[1]).touch(); 1 / 0", tmp_path / "there")
    assert "ZeroDivisionError" in process.communicate(timeout=30)[1]


def test_ignored_signals_stay_ignored(tmp_path) -> None:
    process = start(
        "Path(sys.argv[1]).touch(); time.sleep(1)",
        tmp_path / "there",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_the_cursor_is_there_and_a_closed_terminal_is_no_fault(tmp_path) -> None:
    ours, theirs = pty.openpty()
    process = start(SLEEP, tmp_path / "there", stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 1
    shown = os.read(ours, 1000).decode().replace("\r\n", "\n")
    os.close(ours)
    assert shown == "\x1b[?25herror: stopped by SIGTERM\n"
    ours, theirs = pty.openpty()
    process = start(SLEEP, tmp_path / "again", stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    os.close(ours)  # the terminal is gone
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == 1


@pytest.mark.parametrize("number", SIGNALS)
def test_imports_of_the_command_line_can_be_interrupted(tmp_path, number) -> None:
    """The module that the command line imports first holds it up."""
    (tmp_path / "typer.py").write_text(
        f"import pathlib, time; pathlib.Path({str(tmp_path / 'there')!r}).touch(); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "list", "systems"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(tmp_path / "there")
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert errors == f"error: stopped by {number.name}\n"
