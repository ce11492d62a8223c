"""What a person sees in a terminal: tables that fit it, commands that say what they take."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import sys
import termios
from collections.abc import Iterator, Sequence
from subprocess import Popen

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import app
from harness.cli._tables import _columns_of, drawn

COLUMNS = ["name", "n", "what it says"]
ROWS = [
    ["one", "1", "a sentence that takes more room than a narrow terminal has"],
    ["a-name-without-any-space-in-it", "22", "short"],
    ["情感分析", "3", "这是一个很长的句子这是一个很长的句子"],
]


def test_where_there_is_no_terminal_each_row_is_a_line() -> None:
    assert len(drawn(COLUMNS, ROWS).splitlines()) == 2 + len(ROWS)
    assert drawn(COLUMNS, ROWS, width=500) == drawn(COLUMNS, ROWS)


@pytest.mark.parametrize("width", [120, 80, 60, 40, 30])
def test_a_table_is_as_wide_as_its_terminal_and_loses_nothing(width: int) -> None:
    text = drawn(COLUMNS, ROWS, right=frozenset("n"), width=width)
    assert max(map(_columns_of, text.splitlines())) <= width
    letters = sorted("".join(text.split()).replace("-", ""))
    for row in ROWS:
        for cell in row:
            wanted = "".join(cell.split()).replace("-", "")
            assert not [one for one in wanted if letters.count(one) < wanted.count(one)]


@given(
    rows=st.lists(st.lists(st.text("ab 语", max_size=40), min_size=3, max_size=3), min_size=1),
    width=st.integers(min_value=24, max_value=100),
)
def test_any_table_fits(rows: list[list[str]], width: int) -> None:
    assert max(map(_columns_of, drawn(COLUMNS, rows, width=width).splitlines())) <= width


def test_words_stay_whole_and_long_ones_break_behind_a_mark() -> None:
    text = drawn(["corpus", "note"], [["mosi@unaligned-50", "two words " * 9]], width=40)
    assert "mosi@unaligned-50" in text
    lines = drawn(["corpus", "n"], [["mosi@unaligned", "1" * 9]], width=21).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["mosi@", "unaligned"]


def test_a_wide_table_is_parted_below_the_names_of_its_rows() -> None:
    numbers = [f"metric {i}" for i in range(8)]
    rows = [["tfn", "mosi", *map(str, range(8))], ["lmf", "mosi", *"87654321"]]
    text = drawn(["row", "corpus", *numbers], rows, right=frozenset(numbers), width=60)
    first, second = text.split("\n\n")
    assert max(map(len, text.splitlines())) <= 60
    assert [part.split()[:2] for part in (first, second)] == [["row", "corpus"]] * 2
    for part in (first, second):
        assert [line.split()[0] for line in part.splitlines()[2:]] == ["tfn", "lmf"]
    assert "metric 0" in first and "metric 7" in second and "metric 7" not in first


def test_columns_without_any_cell_are_left_out_where_room_is_scarce() -> None:
    rows = [["tfn", "", "a sentence that takes more room than there is"]]
    assert "empty" in drawn(["row", "empty", "note"], rows)
    assert "empty" not in drawn(["row", "empty", "note"], rows, width=40)


def in_a_terminal(words: Sequence[str], columns: int) -> list[str]:
    """The lines that a command prints where its output is a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "harness", *words]
    with Popen(command, stdout=theirs, stdin=theirs, stderr=theirs) as process:
        os.close(theirs)
        text = b"".join(_everything(ours))
        assert process.wait(120) == 0
    os.close(ours)
    return text.decode().replace("\r", "").splitlines()


def _everything(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # how a terminal says that its other side is closed
            return
        if not part:
            return
        yield part


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", [("list", "systems"), ("list", "metrics"), ("list", "tables")])
def test_lists_fit_a_real_terminal(words: tuple[str, ...], columns: int) -> None:
    lines = in_a_terminal(words, columns)
    assert len(lines) > 10
    assert max(map(_columns_of, lines)) <= columns


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("list", "systems"),
        ("card", "text"),
        ("run", "demo", "--plan"),
        ("check", "metric", "mae"),
        ("check", "dataset", "sims"),
        ("run", "--help"),
    ],
)
def test_what_people_read_fits_eighty_columns(words: tuple[str, ...], home) -> None:
    lines = in_a_terminal(words, 80)
    assert len(lines) > 5
    assert [line for line in lines if _columns_of(line) > 80] == []


def test_the_paper_of_a_system_is_on_its_card(msa) -> None:
    _, text, _ = msa("list", "systems")
    assert "paper" not in text.splitlines()[0]
    assert "paper" in json.loads(msa("list", "systems", "--json")[1])[0]


def test_an_empty_list_of_corpora_says_what_brings_one(msa) -> None:
    assert "next: msa data add FILE" in msa("list", "corpora")[1]


def commands(command, path: tuple[str, ...] = ("msa",)):
    """Every command that can be given, with the words that give it."""
    inner = getattr(command, "commands", {})
    for name, one in inner.items():
        yield from commands(one, (*path, name))
    if not inner:
        yield path, command
    elif getattr(command, "default", None) is not None:
        yield path, command.default


@pytest.mark.parametrize(("path", "command"), list(commands(typer.main.get_command(app))))
def test_every_command_says_what_it_does_and_takes(path: tuple[str, ...], command) -> None:
    assert command.help
    silent = [p.name for p in command.params if p.name != "help" and not getattr(p, "help", "")]
    assert silent == []
    usage = command.get_usage(command.make_context(path[-1], [], resilient_parsing=True))
    assert "[[" not in usage
