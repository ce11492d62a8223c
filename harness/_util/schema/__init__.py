"""Files that people write, described once: a frozen dataclass is their reader and JSON Schema.

The types of its fields say what a file may hold; ``Annotated[int, Integer(low=1)]`` says it more
closely. Docstrings below fields become the help that editors show.
"""

from __future__ import annotations

from harness._util.schema.kinds import (
    JSON,
    SCALAR,
    BooleanKind,
    Choice,
    Integer,
    Kind,
    Number,
    Scalar,
    TextKind,
    stated,
)
from harness._util.schema.nested import Either, ListOf, TableOf
from harness._util.schema.place import Place, check_keys, located
from harness._util.schema.table import field_schemas, json_schema, kinds_of, parse, table_of
from harness._util.schema.words import example_of, rows_of, words_of

__all__ = [
    "JSON",
    "SCALAR",
    "BooleanKind",
    "Choice",
    "Either",
    "Integer",
    "Kind",
    "ListOf",
    "Number",
    "Place",
    "Scalar",
    "TableOf",
    "TextKind",
    "check_keys",
    "example_of",
    "field_schemas",
    "json_schema",
    "kinds_of",
    "located",
    "parse",
    "rows_of",
    "stated",
    "table_of",
    "words_of",
]
