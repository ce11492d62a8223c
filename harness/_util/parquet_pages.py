"""What the pages of a Parquet file declare, read from their headers.

A footer says how large a column is; the pages say it again, and theirs is what a reader allocates.
Only headers are read here: Thrift's compact protocol, of which Parquet uses integers, binaries,
booleans, lists and structures.

Source: apache/parquet-format, ``parquet.thrift``; apache/thrift, ``thrift-compact-protocol.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow.parquet as pq

__all__ = ["Page", "pages"]

_LONGEST_HEADER = 1 << 14  # bytes; statistics of long texts are cut by all writers
_DEEPEST = 8
_DICTIONARY = 2
_DATA = {0: 5, 3: 8}  # kind of page -> field of its own header, version 1 and 2
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)

Struct = dict[int, object]


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a column.

    Args:
        size: Its bytes when unpacked.
        encoding: Parquet's number of it.
    """

    size: int
    encoding: int


def pages(path: Path, chunk: pq.ColumnChunkMetaData) -> Iterator[Page]:
    """The pages of one column chunk that a reader would read.

    Args:
        path: The file.
        chunk: What its footer says of the chunk.

    Raises:
        OSError: When the file cannot be read.
        ValueError: For a damaged header.
    """
    at, rows = chunk.data_page_offset, 0
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < at:
        at = chunk.dictionary_page_offset
    end = at + chunk.total_compressed_size
    with path.open("rb") as file:
        while at < end and rows < chunk.num_values:
            header, length = _header(file, at)
            kind, size, packed = (_number(header, field) for field in (1, 2, 3))
            own = header.get(_DATA.get(kind, 7), {})
            if not isinstance(own, dict):
                raise ValueError("a page header of unknown layout")
            rows += _number(own, 1) if kind in _DATA else 0
            encoding = _number(own, 4 if kind == 3 else 2) if own else _DICTIONARY
            yield Page(size=size, encoding=encoding)
            at += length + packed


def _header(file: BinaryIO, at: int) -> tuple[Struct, int]:
    file.seek(at)
    reader = _Reader(file.read(_LONGEST_HEADER))
    try:
        return reader.struct(), reader.at
    except IndexError:
        raise ValueError("a page header that does not end") from None


def _number(struct: Struct, field: int) -> int:
    value = struct.get(field)
    if not isinstance(value, int) or value < 0:
        raise ValueError("a page header without a size")
    return value


class _Reader:
    """Values in the compact protocol."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise ValueError("a page header with a number of more than 64 bits")

    def integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise IndexError

    def struct(self, depth: int = 0) -> Struct:
        if depth > _DEEPEST:
            raise ValueError("a page header that is nested too deeply")
        fields: Struct = {}
        number = 0
        while (lead := self.byte()) != 0:
            kind, step = lead & 0x0F, lead >> 4
            number = number + step if step else self.integer()
            fields[number] = self.value(kind, depth)
        return fields

    def value(self, kind: int, depth: int) -> object:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind in _INTEGERS:
            return self.integer()
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind == _BINARY:
            self.skip(self.varint())
        elif kind in (_BYTE, _DOUBLE):
            self.skip(1 if kind == _BYTE else 8)
        elif kind in (_LIST, _SET):
            self.items(depth)
        else:
            raise ValueError("a page header of unknown layout")
        return None

    def items(self, depth: int) -> None:
        lead = self.byte()
        count, kind = lead >> 4, lead & 0x0F
        for _ in range(count if count < 15 else min(self.varint(), _LONGEST_HEADER)):
            self.value(kind, depth + 1) if kind > _FALSE else self.byte()
