"""Reading feature pickles without running them.

A pickle is a program, and public features travel as pickles from file-sharing sites. This module
interprets the few instructions that build numbers, text, lists, tuples, dictionaries and numpy
arrays. It imports nothing that a file names and calls only the stand-ins of ``_pickled_numpy``, so
an unknown name is an error message, not a call. Arrays are views of the memory-mapped file: nothing
large is copied, and what a file declares is compared with the bytes it really has.

Strings of Python 2 are text where they are UTF-8, else bytes, and in an array both are its numbers:
arrays as ``pickle.load(encoding="latin1")`` gives them, and texts that it would garble.
"""

from __future__ import annotations

import mmap
import pickletools
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness._util.budget import Budget
from harness.data.readers.foreign import NEUTRAL, foreign_file, foreign_name
from harness.data.readers.old_pickles import decimal, old_string, quoted, unescaped
from harness.data.readers.pickled_numpy import (
    NAMES,
    PLAIN,
    Dtype,
    Name,
    OldString,
    Pending,
    Refused,
    Spend,
    built_array,
    built_dtype,
)
from harness.errors import DataError

__all__ = ["load"]

_OBJECT = 256  # bytes charged per instruction: more than a small object takes, for its time too
_INLINE = 1 << 16  # longer byte strings stay in the file; only arrays hold so many bytes
_DAMAGE = (ValueError, TypeError, IndexError, struct.error)
_AGAIN = "download the file again and compare its SHA-256 with the published one"
_PYTHON_2 = "save the file again with Python 3"
_ONE = "one file holds one pickle: a dictionary of train, valid and test"
_FILLING = b"\0\t\n\r "  # what tools append to a file
_KEYS = "keys of dictionaries are text"
_BEGINS = re.compile(rb"\x80[\x02-\x05]|\([dl]p|[}\]]q")  # in protocols 0 and 1 without a version
_ADVICE = {
    "EMPTY_SET": "convert sets to lists",
    "FROZENSET": "convert sets to lists",
    "PERSID": "tensors are saved as numpy arrays: tensor.numpy()",
    "BINPERSID": "tensors are saved as numpy arrays: tensor.numpy()",
    "NEXT_BUFFER": "save with the buffers inside the file, without buffer_callback",
    "LONG": "numbers have at most 64 bits",
    "LONG4": "numbers have at most 64 bits",
}


def load(path: Path, budget: Budget | None = None) -> object:
    """The content of a feature pickle (protocols 0 to 5), read without executing anything.

    Allowed are None, booleans, numbers, text, bytes, lists, tuples, dictionaries with text keys,
    numpy scalars and numpy arrays of numbers or text, in the layouts of numpy 1 and 2. Arrays of
    objects may hold text, bytes, numbers, None and arrays of numbers only.

    Args:
        path: The file. It must stay unchanged as long as the returned arrays are used.
        budget: Bound on the memory of everything but arrays, which stay in the file; by default
            the file's own.

    Returns:
        Builtin containers; arrays are read-only views of the file, perhaps unaligned.

    Raises:
        DataError: When the file is missing, not such a pickle, truncated or damaged, asks for
            anything outside the list, or needs more memory than the bound.
    """
    budget = Budget.of(path, "a pickle file") if budget is None else budget
    data = _mapped(path)
    machine = _Machine(data, budget.spend)
    try:
        return machine.run()
    except Refused as error:
        problem, hint = f"holds {error}: not allowed; nothing was executed", error.hint or NEUTRAL
        cause: Exception = error
    except _DAMAGE as error:
        problem, hint = f"damaged or truncated: {error}", _AGAIN
        cause = error
    except DataError as error:
        raise DataError(f"{error}; it is read up to byte {machine.at}", hint=error.hint) from error
    raise DataError(f"{path.name} at byte {machine.at}: {problem}", hint=hint) from cause


def _mapped(path: Path) -> memoryview:
    """The bytes of a file that begins like a pickle."""
    try:
        with path.open("rb") as handle:
            if path.stat().st_size == 0:
                raise DataError(f"{path.name} is empty", hint=_AGAIN)
            data = memoryview(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}") from error
    head = bytes(data[:32])
    what, hint = foreign_file(path, head)
    if what or not _BEGINS.match(head):
        but = f" but {what}" if what else ""
        raise DataError(
            f"{path.name} is not a pickle of numpy arrays{but}: it begins with {head[:8]!r}",
            hint=hint,
        )
    return data


class _Machine:
    """Stack, marks and memo of one pickle."""

    def __init__(self, data: memoryview, spend: Spend) -> None:
        self.data = data
        self.at = 0
        self.spend = spend
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        while (code := self.take(1)[0]) != _STOP:
            self.spend(_OBJECT)
            if code not in _STEPS:
                raise _unknown(code)
            _STEPS[code](self)
        if bytes(self.data[self.at : self.at + _INLINE]).strip(_FILLING):
            raise Refused(f"{len(self.data) - self.at} bytes after its end", _ONE)
        (result,) = self.stack
        _check_types(result)
        return result

    # Reading

    def take(self, size: int) -> memoryview:
        left = len(self.data) - self.at
        if size > left:
            raise ValueError(f"{size} bytes announced, {left} left")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def real(self) -> float:
        return float(struct.unpack(">d", self.take(8))[0])

    def long(self) -> int:
        size = self.number("<B")
        if size > 9:  # 64 bits and a sign
            raise Refused(f"an integer of {size} bytes")
        return int.from_bytes(self.take(size), "little", signed=True)

    def text(self, form: str) -> str:
        raw = self.take(self.number(form))
        self.spend(len(raw) * _character_width(raw))
        return str(raw, "utf-8", "surrogatepass")  # half characters are refused where they stand

    def payload(self, form: str) -> bytes | memoryview:
        raw = self.take(self.number(form))
        return raw if len(raw) > _INLINE else bytes(raw)

    def old(self, form: str) -> str | bytes | memoryview:
        raw = self.take(self.number(form))
        if len(raw) > _INLINE:
            return raw
        self.spend(4 * len(raw))
        return old_string(bytes(raw))

    def line(self, most: int = 256) -> bytes:
        """What stands before the next end of a line, which is taken too."""
        begin, size, stop = self.at, 128, min(self.at + most, len(self.data))
        while begin < stop:
            end = bytes(self.data[begin : min(begin + size, stop)]).find(b"\n")
            if end >= 0:
                line = self.take(begin + end + 1 - self.at)
                self.spend(_OBJECT + 8 * len(line))
                return bytes(line[:-1])
            begin, size = begin + size, min(4 * size, _INLINE)
        raise ValueError("a line without an end")

    def name(self) -> str:
        return self.line().decode()

    def old_line(self) -> str | bytes:
        return old_string(quoted(self.line(len(self.data))))

    def unicode_line(self) -> str:
        return unescaped(self.line(len(self.data)))

    def slot(self) -> int:
        return int(decimal(self.line()))

    def protocol(self) -> None:
        if (version := self.number("<B")) > 5:
            raise ValueError(f"protocol {version}")

    def frame(self) -> None:
        size = self.number("<Q")
        if size > len(self.data) - self.at:
            raise ValueError(f"a frame of {size} bytes, {len(self.data) - self.at} left")

    # Stack and memo

    def push(self, value: object) -> None:
        self.stack.append(value)

    def popped(self, count: int) -> list[object]:
        if count > len(self.stack):
            raise ValueError("the stack is too short")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def marked(self) -> list[object]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def extend(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise Refused(f"items added to {_title(target)}")
        target.extend(items)

    def update(self, items: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise Refused(f"entries added to {_title(target)}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, OldString):
                raise Refused("a key written by Python 2 that is not UTF-8", _PYTHON_2)
            if not isinstance(key, str):
                raise Refused(f"{_title(key)} as a dictionary key", _KEYS)
            self.spend(4 * len(key))  # read again, however often it is recalled
            if not _is_whole(key):
                raise Refused("half a character in a dictionary key", _KEYS)
            target[key] = value

    def dictionary(self) -> None:
        items = self.marked()
        self.push({})
        self.update(items)

    def remember(self, slot: int) -> None:
        self.memo[slot] = value = self.stack[-1]
        if isinstance(value, Pending):
            value.slots.append(slot)

    def recall(self, slot: int) -> None:
        if slot not in self.memo:
            raise ValueError(f"nothing was remembered as {slot}")
        self.push(self.memo[slot])

    # Names, calls and states

    def resolve(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused("the name of something that is no text")
        title = f"{module}.{name}"
        if title not in NAMES:
            raise Refused(*foreign_name(title))
        self.push(NAMES[title])

    def reduce(self) -> None:
        function, arguments = self.popped(2)
        if not isinstance(function, Name) or function.call is None:
            raise Refused(f"a call of {_title(function)}")
        if not isinstance(arguments, tuple):
            raise ValueError("a call without a tuple of arguments")
        self.push(function.call(self.spend, arguments))

    def build(self) -> None:
        target, state = self.popped(2)
        if isinstance(target, Dtype):
            self.push(built_dtype(target, state))
        elif isinstance(target, Pending):
            array = built_array(self.spend, state)
            self.memo.update(dict.fromkeys(target.slots, array))
            self.push(array)
        else:
            raise Refused(f"a state for {_title(target)}")


def _check_types(result: object) -> None:
    """Refuse a result with parts that were never finished: bare names, dtypes, announced arrays."""
    seen: set[int] = set()
    todo = [result]
    while todo:
        value = todo.pop()
        if value is None or isinstance(value, (*PLAIN, np.ndarray)) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, list | tuple):
            todo.extend(value)
        else:
            raise Refused(f"{_title(value)} as a value")


def _is_whole(text: str) -> bool:
    """Whether a text has no half characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _title(value: object) -> str:
    return value.title if isinstance(value, Name) else f"a {type(value).__name__}"


def _character_width(raw: memoryview) -> int:
    """Bytes that Python takes per character of the UTF-8 text ``raw``: 1, 2 or 4."""
    top = int(np.frombuffer(raw, np.uint8).max()) if raw else 0
    return 1 if top < 0xC4 else 2 if top < 0xF0 else 4


def _unknown(code: int) -> Exception:
    if code not in _OPCODES:
        return ValueError(f"0x{code:02x} is not a pickle instruction")
    name = _OPCODES[code]
    return Refused(f"the instruction {name}", _ADVICE.get(name, ""))


_INSTRUCTIONS: dict[str, Callable[[_Machine], None]] = {
    "PROTO": _Machine.protocol,
    "FRAME": _Machine.frame,
    "NONE": lambda m: m.push(None),
    "NEWTRUE": lambda m: m.push(True),
    "NEWFALSE": lambda m: m.push(False),
    "BININT": lambda m: m.push(m.number("<i")),
    "BININT1": lambda m: m.push(m.number("<B")),
    "BININT2": lambda m: m.push(m.number("<H")),
    "LONG1": lambda m: m.push(m.long()),
    "BINFLOAT": lambda m: m.push(m.real()),
    "INT": lambda m: m.push(decimal(m.line(_INLINE))),
    "LONG": lambda m: m.push(decimal(m.line(_INLINE))),
    "FLOAT": lambda m: m.push(float(m.line())),
    "STRING": lambda m: m.push(m.old_line()),
    "BINSTRING": lambda m: m.push(m.old("<i")),
    "SHORT_BINSTRING": lambda m: m.push(m.old("<B")),
    "UNICODE": lambda m: m.push(m.unicode_line()),
    "SHORT_BINUNICODE": lambda m: m.push(m.text("<B")),
    "BINUNICODE": lambda m: m.push(m.text("<I")),
    "BINUNICODE8": lambda m: m.push(m.text("<Q")),
    "SHORT_BINBYTES": lambda m: m.push(m.payload("<B")),
    "BINBYTES": lambda m: m.push(m.payload("<I")),
    "BINBYTES8": lambda m: m.push(m.payload("<Q")),
    "BYTEARRAY8": lambda m: m.push(m.payload("<Q")),
    "EMPTY_LIST": lambda m: m.push([]),
    "EMPTY_DICT": lambda m: m.push({}),
    "EMPTY_TUPLE": lambda m: m.push(()),
    "TUPLE1": lambda m: m.push(tuple(m.popped(1))),
    "TUPLE2": lambda m: m.push(tuple(m.popped(2))),
    "TUPLE3": lambda m: m.push(tuple(m.popped(3))),
    "TUPLE": lambda m: m.push(tuple(m.marked())),
    "MARK": _Machine.mark,
    "LIST": lambda m: m.push(m.marked()),
    "DICT": _Machine.dictionary,
    "APPEND": lambda m: m.extend(m.popped(1)),
    "APPENDS": lambda m: m.extend(m.marked()),
    "SETITEM": lambda m: m.update(m.popped(2)),
    "SETITEMS": lambda m: m.update(m.marked()),
    "PUT": lambda m: m.remember(m.slot()),
    "BINPUT": lambda m: m.remember(m.number("<B")),
    "LONG_BINPUT": lambda m: m.remember(m.number("<I")),
    "MEMOIZE": lambda m: m.remember(len(m.memo)),
    "GET": lambda m: m.recall(m.slot()),
    "BINGET": lambda m: m.recall(m.number("<B")),
    "LONG_BINGET": lambda m: m.recall(m.number("<I")),
    "GLOBAL": lambda m: m.resolve(m.name(), m.name()),
    "STACK_GLOBAL": lambda m: m.resolve(*m.popped(2)),
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}

_STOP = ord(".")
_OPCODES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_STEPS = {code: _INSTRUCTIONS[name] for code, name in _OPCODES.items() if name in _INSTRUCTIONS}
