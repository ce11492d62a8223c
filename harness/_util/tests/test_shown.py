"""What a terminal would obey or a reader cannot see is shown; what prints alike is found."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import unicodedata

import pytest

from harness._util.shown import bounded, look, print_alike, shown, unseen, visible
from harness._util.streams import drawing, guarded

HOSTILE = [
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[31m",
    "\x9b31m",
    "\x00\x08\x7f",
    "over\rwritten",
    "\u202egnp.exe\u2066",
    "zero\u200bwidth\ufeff\u2060",
    "tag\U000e0041",
    "half \ud83d",
    "\u2028line",
    "\u115f\u3164\uffa0",
    "soft\xadhyphen",
]
ORDINARY = ["a\tb\nc", "情感分析，很好。", "café — “quoted” 😀", "x² ½ ＴＦＮ", "~`!@#$%^&*()"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_reaches_a_terminal(text) -> None:
    plain = visible(text)
    assert plain != text
    kinds = {unicodedata.category(one) for one in plain if one not in "\n\t"}
    assert kinds.isdisjoint({"Cc", "Cs", "Cf", "Zl", "Zp"})
    assert unseen(text)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_json_is_the_same_data_afterwards(text) -> None:
    told = json.dumps({"id": text}, ensure_ascii=False)
    assert json.loads(visible(told)) == {"id": text}


def test_every_control_and_mark_of_direction_is_shown() -> None:
    every = [chr(code) for code in range(0x110000)]
    acting = [c for c in every if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    acting += [
        c for c in every if unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF")
    ]
    acting += [c for c in every if unicodedata.bidirectional(c) in ("LRI", "RLI", "FSI", "PDI")]
    assert [c for c in acting if visible(c) == c] == []


def test_a_value_is_one_line_of_bounded_length() -> None:
    assert shown("a\nb\x1b") == "a\\u000ab\\u001b"
    assert len(shown("x" * 10_000_000)) < 300
    assert "9,999,800 characters left out" in shown("x" * 10_000_000)
    assert bounded("end of it", 9) == "end of it"
    assert bounded("0123456789" * 2, 10) == "01234567… (10 characters left out) …89"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tfn", "tfn "),
        ("tfn", "tfn\u200b"),
        ("tfn (small)", "tfn  (small)"),
        ("tfn (small)", "tfn\u00a0(small)"),
        ("TFN", "ＴＦＮ"),
        ("misa", "mіsa"),  # a Cyrillic letter
        ("MISA", "ΜISA"),  # a Greek one
        ("a-b", "a‑b"),
        ("a-b", "a–b"),
        ("it's", "it’s"),
        ("fi", "ﬁ"),
        ("café", "cafe\u0301"),
        ("情感", "情\ufe0f感\u200d"),
    ],
)
def test_look_alikes(one, other) -> None:
    assert print_alike([one, "else", other]) == (one, other)


def test_different_labels_are_not_alike() -> None:
    labels = [
        "tfn",
        "TFN",
        "tfn2",
        "t f n",
        "tfn (text)",
        "tfn (text+audio)",
        "情感",
        "情緒",
        "x²y",
    ]
    assert print_alike(labels) is None
    assert look("R² = ½") == "R2 = 1⁄2"


class Terminal(io.StringIO):
    encoding = "utf-8"
    errors = "strict"

    def isatty(self) -> bool:
        return True


def test_everything_that_is_printed_goes_through(monkeypatch) -> None:
    import typer

    monkeypatch.setenv("A_TOKEN", "t0ken-t0ken")
    terminal = Terminal()
    with contextlib.redirect_stdout(terminal), guarded():
        sys.stdout.write("\x1b[31mred\n")
        typer.echo("\x9bx http://u:pw@h/")
        sys.stdout.writelines(["\u202ea ", "t0ken-t0ken\n"])
        with pytest.raises(TypeError):
            sys.stdout.write(b"\x1b")  # type: ignore[arg-type]
        assert not hasattr(sys.stdout, "buffer")
        assert sys.stdout.isatty()
        drawing(sys.stdout).write("\x1b[?25h")
        inner = sys.stdout
        with guarded():
            assert sys.stdout is inner
    assert terminal.getvalue() == (
        "\\u001b[31mred\n\\u009bx http://***@h/\n\\u202ea ***\n\x1b[?25h"
    )


def test_bars_of_libraries_are_drawn() -> None:
    terminal = Terminal()
    with contextlib.redirect_stdout(terminal), guarded():
        sys.stdout.write("\r 10%|█   | 1/10")
        sys.stdout.write("\x1b[A")
        sys.stdout.write("\rover\x1b[2J")
        sys.stdout.write("\rover\n")
    assert terminal.getvalue() == "\r 10%|█   | 1/10\x1b[A\\u000dover\\u001b[2J\\u000dover\n"


def test_a_stream_that_takes_ascii_alone_gets_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii", "strict")
    with contextlib.redirect_stdout(stream), guarded():
        sys.stdout.write("é情\n")
        sys.stdout.flush()
    assert raw.getvalue() == b"\\xe9\\u60c5\n"
