"""The TOML and JSON files that people write, read in one way.

Text is UTF-8, with or without a byte order mark. Whatever is wrong with a file is one error that
names the file, the place in it and what to do.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from importlib.resources.abc import Traversable
from pathlib import Path

from harness._util.budget import no_file
from harness.errors import HarnessError, SpecError

__all__ = ["read_json", "read_toml"]

_MANY_DIGITS = "an integer of thousands of digits"
_LONGEST = 1 << 20  # bytes of a file that people write
_MOST_BITS = 1 << 12  # of an integer; beyond that Python does not print it
_TOML_STRING = re.compile(r"""(?<!\\)"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_DEEP = re.compile(r"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){64}")
"""A dotted name of 64 parts: time and memory of the parser grow with their square."""
_WIDE = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_toml(
    path: Path | Traversable,
    kind: str,
    *,
    error: type[HarnessError] = SpecError,
    hint: str | None = None,
) -> dict[str, object]:
    """The table in a TOML file.

    Args:
        path: The file.
        kind: What it is, for messages: ``suite``, ``manifest``.
        error: Class of the error.
        hint: What to do about a file that is missing or not TOML.

    Raises:
        HarnessError: An ``error`` naming the file, for one that cannot be opened, is not UTF-8
            (with line and column) or not TOML, is longer than 1 MiB, or nests tables without end.
    """
    return _read(path, kind, _parsed_toml, error, hint)


def read_json(
    path: Path | Traversable,
    kind: str,
    *,
    error: type[HarnessError] = SpecError,
    hint: str | None = None,
) -> dict[str, object]:
    """The object in a JSON file; the arguments are those of ``read_toml``.

    Raises:
        HarnessError: An ``error`` naming the file, for one that cannot be opened, is not UTF-8 or
            not JSON, is longer than 1 MiB, has a key twice in one object, a number that is not
            finite, or anything but an object at the top.
    """
    return _read(path, kind, _parsed_json, error, hint)


def _read(
    path: Path | Traversable,
    kind: str,
    parse: Callable[[str], object],
    error: type[HarnessError],
    hint: str | None,
) -> dict[str, object]:
    name = f"{kind} {path}" if isinstance(path, Path) else f"{kind} {path.name}"
    try:
        found = no_file(path) if isinstance(path, Path) else ""
        content = b"" if found else _content(path)
    except (OSError, ValueError) as reason:  # ValueError: a NUL in the path
        why = getattr(reason, "strerror", None) or reason
        raise error(f"cannot read {name}: {why}", hint=hint) from reason
    if found:
        raise error(f"cannot read {name}: it is {found}", hint=hint)
    try:
        text = _decoded(content)
    except ValueError as reason:
        raise error(f"cannot read {name}: {reason}", hint="save it as UTF-8") from reason
    try:
        table = parse(text)
        _refuse_long_numbers(table)
    except (ValueError, RecursionError) as reason:
        why = _MANY_DIGITS if "digits" in str(reason) else reason  # Python's own advice is for code
        raise error(f"cannot read {name}: {why}", hint=hint) from reason
    if not isinstance(table, dict):
        found = type(table).__name__
        raise error(f"cannot read {name}: it should be a table, found a {found}", hint=hint)
    return table


def _content(path: Path | Traversable) -> bytes:
    with path.open("rb") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ValueError(f"it is longer than the {_LONGEST >> 20} MiB that such a file may have")
    return content


def _refuse_long_numbers(content: object) -> None:
    todo = [content]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
        elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise ValueError(_MANY_DIGITS)


def _parsed_toml(text: str) -> object:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") >= 64 and _DEEP.search(_TOML_STRING.sub("s", line)):
            raise ValueError(f"a name of 64 parts or more (at line {number})")
    return tomllib.loads(text)


def _decoded(content: bytes) -> str:
    """UTF-8 without its byte order mark.

    Raises:
        ValueError: Saying which other encoding it is, or where the first wrong byte is.
    """
    if content.startswith(_WIDE) or 0 in content[:2]:  # neither format can hold a NUL
        raise ValueError("it is UTF-16 or UTF-32 text, or no text at all; expected UTF-8")
    body = content.removeprefix(codecs.BOM_UTF8)
    try:
        return body.decode()
    except UnicodeDecodeError as reason:
        before = body[: reason.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ValueError(
            f"expected UTF-8, found the byte 0x{body[reason.start]:02x}"
            f" (at line {line}, column {column})"
        ) from reason


def _parsed_json(text: str) -> object:
    return json.loads(
        text, object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant
    )


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        times = Counter(key for key, _ in pairs)
        twice = next(key for key, count in times.items() if count > 1)
        raise ValueError(f"the key {twice!r} occurs twice in one object")
    return table


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"expected finite numbers, found {number}")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"expected finite numbers, found {name}")
