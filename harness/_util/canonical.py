"""One spelling for every value: canonical JSON and the digests built on it.

Identity must not depend on dictionary order, float formatting or process. Canonical JSON has sorted
keys, no insignificant space and no NaN; undefined values are an explicit ``null``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

__all__ = ["Json", "digest", "dumps", "file_digest", "json_digest", "plain"]

_Scalar = str | int | float | bool | None
Json = _Scalar | Sequence["Json"] | Mapping[str, "Json"]


def plain(value: object) -> Json:
    """Turn dataclasses, mappings, sets and sequences into JSON values.

    Raises:
        TypeError: For paths (they never enter an identity) and objects without a canonical form.
        ValueError: For NaN and infinities.

    Example:
        >>> plain({"b": (1, 2.0), "a": None})
        {'b': [1, 2.0], 'a': None}
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no canonical JSON form; use None for undefined values")
        return value
    if isinstance(value, Path):
        raise TypeError(f"a path has no place in an identity or record: {value}")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted((plain(item) for item in value), key=dumps)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"canonical JSON keys are strings, found {key!r}")
    return key


def dumps(value: object, *, indent: int | None = None) -> str:
    """Canonical JSON of ``value``.

    Example:
        >>> dumps({"b": 1, "a": [True, None]})
        '{"a":[true,null],"b":1}'
    """
    return _spelled(plain(value), indent)


def _spelled(value: Json, indent: int | None = None) -> str:
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(
        value,
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        separators=separators,
        indent=indent,
    )


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON of ``value``, 64 hexadecimal digits."""
    return hashlib.sha256(dumps(value).encode()).hexdigest()


def json_digest(value: Json) -> str:
    """As ``digest``, of what was just read from JSON, in a quarter of the time.

    Raises:
        ValueError: For NaN and infinities.
    """
    return hashlib.sha256(_spelled(value).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
