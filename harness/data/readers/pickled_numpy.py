"""Numpy's pickled objects, rebuilt from checked parts.

A pickle names numpy's own constructors and hands them arguments. Those constructors trust what they
are given; the functions here take their place, compare every declared size with the bytes that are
really there, and return plain arrays. No message repeats a value from the file other than a short
text or a number: printing a nested list can be an attack of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NAMES",
    "PLAIN",
    "Dtype",
    "Name",
    "OldString",
    "OldText",
    "Pending",
    "Refused",
    "Spend",
    "built_array",
    "built_dtype",
]

PLAIN = (str, bytes, bool, int, float, np.generic, type(None))
"""What lists and object arrays may hold, next to arrays of numbers."""

Arguments = tuple[object, ...]
Spend = Callable[[int], None]
"""Takes bytes from the memory budget; raises when it is used up."""

_ITEM = 64  # bytes charged per entry of an object array, which is looked at one by one
_SCALAR = 128  # and per scalar
_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[US][1-9]\d{0,7}|O8")


class Refused(Exception):
    """The file asks for something outside the allowed list.

    Args:
        what: What it asks for.
        hint: What to do about it, where more is known than that.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class OldText(str):
    """A string of Python 2 that is UTF-8: text, or numbers of an array that look like it."""

    __slots__ = ()


class OldString(bytes):
    """A string of Python 2 that is not UTF-8: numbers of an array, or text in another encoding."""


@dataclass(eq=False)
class Dtype:
    """A dtype as pickled: its code first, its byte order when it is built."""

    code: str
    order: str = "|"

    def numpy(self) -> np.dtype[np.generic]:
        """The dtype of numpy."""
        return np.dtype(self.order + self.code)


@dataclass(eq=False)
class Pending:
    """An array that is announced but not yet built, and where it is remembered."""

    slots: list[int] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Name:
    """An allowed name and what stands in for it (None: it is only ever an argument)."""

    title: str
    call: Callable[[Spend, Arguments], object] | None


def built_dtype(dtype: Dtype, state: object) -> Dtype:
    """``dtype`` with the byte order of its state.

    Raises:
        ValueError: For any other state, sub-arrays, fields and time units included.
    """
    match state:
        case (int(), "<" | ">" | "|" as order, None, None, None, int(), int(), int(), *_):
            dtype.order = str(order)
            return dtype
    raise ValueError("a dtype state of unknown layout")


def built_array(spend: Spend, state: object) -> NDArray[np.generic]:
    """The array of a state ``(1, shape, dtype, fortran, bytes or list of objects)``.

    Raises:
        Refused: When an object array holds anything but text, bytes, numbers, None and arrays of
            numbers.
        ValueError: For another layout, or sizes that do not add up.
    """
    match state:
        case (1, tuple() as shape, Dtype() as dtype, bool() as fortran, data):
            order: Literal["C", "F"] = "F" if fortran else "C"
            if isinstance(data, list):
                return _object_array(spend, data, dtype, shape).reshape(shape, order=order)
            return _array(spend, data, dtype, shape, order)
    raise ValueError("an array state of unknown layout")


def _object_array(
    spend: Spend, items: list[object], dtype: Dtype, shape: Arguments
) -> NDArray[np.generic]:
    sizes = _sizes(spend, shape, 8)
    if dtype.code != "O8" or len(items) != math.prod(sizes):
        raise ValueError(f"{len(items)} objects for an array of shape {sizes}")
    spend(_ITEM * len(items))
    flat = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):  # at once, numpy would take arrays apart
        if not isinstance(item, PLAIN) and not _is_numbers(item):
            raise Refused(f"a {type(item).__name__} in an object array")
        flat[place] = item
    return flat


def _is_numbers(item: object) -> bool:
    return isinstance(item, np.ndarray) and item.dtype.kind in "fiub"


def _array(
    spend: Spend, data: object, dtype: object, shape: Arguments, order: Literal["C", "F"]
) -> NDArray[np.generic]:
    if isinstance(data, OldText):
        spend(4 * len(data))
        data = data.encode()
    if not isinstance(data, bytes | memoryview) or not isinstance(dtype, Dtype):
        raise ValueError("an array without data or dtype")
    if dtype.code == "O8":
        raise Refused("an object array made of raw bytes")
    kind = dtype.numpy()
    sizes = _sizes(spend, shape, kind.itemsize)
    if math.prod(sizes) * kind.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes for an array of shape {sizes} and dtype {kind}")
    if not data:
        return np.empty(sizes, dtype=kind)
    if kind.kind == "U":
        spend(len(data))  # nothing is copied, but read, however often it is recalled
        if np.frombuffer(data, kind.byteorder + "u4").max() > 0x10FFFF:
            raise ValueError("an array of text holds characters that do not exist")
    return np.frombuffer(data, dtype=kind).reshape(sizes, order=order)


def _sizes(spend: Spend, shape: Arguments, itemsize: int) -> tuple[int, ...]:
    sizes = tuple(size for size in shape if isinstance(size, int) and size >= 0)
    if len(sizes) != len(shape) or len(shape) > 8:
        raise ValueError("a shape that no array has")
    if 0 in sizes:  # no bytes vouch for the other sizes
        spend(math.prod(max(size, 1) for size in sizes) * itemsize)
    return sizes


def _reconstruct(spend: Spend, arguments: Arguments) -> Pending:
    return Pending()


def _dtype(spend: Spend, arguments: Arguments) -> Dtype:
    match arguments:
        case (str() as code, *_) if _DTYPE.fullmatch(code):
            return Dtype(code)
        case (str() as code, *_):
            raise Refused(f"the dtype {code[:40]!r}")
    raise Refused("a dtype that is not a plain code")


def _scalar(spend: Spend, arguments: Arguments) -> object:
    dtype, data = arguments
    spend(_SCALAR + (2 * len(data) if isinstance(data, bytes | memoryview | str) else 0))
    return _array(spend, data, dtype, (), "C")[()]


def _from_buffer(spend: Spend, arguments: Arguments) -> NDArray[np.generic]:
    match arguments:
        case (data, dtype, tuple() as shape, "C"):
            return _array(spend, data, dtype, shape, "C")
        case (data, dtype, tuple() as shape, "F"):
            return _array(spend, data, dtype, shape, "F")
        case (data, dtype, tuple() as shape, "K", tuple() as axes):
            return _array(spend, data, dtype, shape, "C").transpose(_sizes(spend, axes, 1))
    raise ValueError("an array buffer of unknown layout")


def _encode(spend: Spend, arguments: Arguments) -> bytes | memoryview:
    match arguments:
        case (OldText() as text, "latin1"):
            spend(4 * len(text))
            return text.encode()
        case (OldString() | memoryview() as raw, "latin1"):  # what Python 2 wrote is its bytes
            return raw
        case (str() as text, "latin1"):  # how protocol 2 spells bytes
            spend(len(text))
            return text.encode("latin1")
    raise Refused("_codecs.encode for anything but text as latin1")


def _no_bytes(spend: Spend, arguments: Arguments) -> bytes:
    if arguments:
        raise Refused("bytes made from arguments")
    return b""


def _dictionary(spend: Spend, arguments: Arguments) -> dict[str, object]:
    if arguments:
        raise Refused("a dictionary made from arguments", "convert to a plain dict")
    return {}


def _names() -> dict[str, Name]:
    calls: dict[str, Callable[[Spend, Arguments], object] | None] = {
        "numpy.ndarray": None,
        "numpy.dtype": _dtype,
        "_codecs.encode": _encode,
        "__builtin__.bytes": _no_bytes,
        "collections.OrderedDict": _dictionary,
    }
    for core in ("numpy.core", "numpy._core"):  # numpy 1, numpy 2
        calls[f"{core}.multiarray._reconstruct"] = _reconstruct
        calls[f"{core}.multiarray.scalar"] = _scalar
        calls[f"{core}.numeric._frombuffer"] = _from_buffer
    return {title: Name(title, call) for title, call in calls.items()}


NAMES = _names()
"""Every name a feature file may use."""
