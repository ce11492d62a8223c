"""Records stored as JSON: what is read, what is refused, and what is written back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from harness._util.records import Record, stored
from harness.errors import StoreError


@dataclass(frozen=True, kw_only=True)
class Leaf(Record):
    size: float
    name: str | None


@dataclass(frozen=True, kw_only=True)
class Tree(Record):
    hint = "plant it again"

    leaves: tuple[Leaf, ...]
    by_name: Mapping[str, Leaf]
    counts: Mapping[str, int]
    price: complex = stored(complex, str)
    late: str | None = None
    kind: str = "oak"


WHOLE = {
    "by_name": {"b": {"name": "b", "size": 1}, "a": {"name": None, "size": 0.5}},
    "counts": {"x": 1},
    "kind": "elm",
    "late": "yes",
    "leaves": [{"name": "a", "size": 2.0}],
    "price": "(1+2j)",
}


def test_what_was_read_is_written_back() -> None:
    tree = Tree.of(WHOLE, "here")
    assert (tree.leaves[0].size, tree.by_name["a"].name, tree.price) == (2.0, None, 1 + 2j)
    assert tree.json() == WHOLE
    assert list(tree.json()) == sorted(WHOLE)


def test_keys_of_newer_versions_are_kept_at_every_depth() -> None:
    newer = {**WHOLE, "new": {"x": [1]}, "leaves": [{"name": None, "size": 1, "colour": "red"}]}
    tree = Tree.of(newer, "here")
    assert tree.more == {"new": {"x": [1]}}
    assert tree.leaves[0].more == {"colour": "red"}
    assert tree.json() == newer
    assert replace(tree, kind="ash").json() == {**newer, "kind": "ash"}


def test_keys_that_older_versions_lack_have_their_defaults() -> None:
    older = {name: value for name, value in WHOLE.items() if name not in ("late", "kind")}
    tree = Tree.of(older, "here")
    assert (tree.late, tree.kind) == (None, "oak")
    assert tree.json() == {**older, "kind": "oak"}  # None is not written, another default is


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leaves": "none"}, "leaves should be a list, found 'none'"),
        ({"leaves": [{"name": "a"}]}, r"leaves\[0\].size should be there, found no such key"),
        (
            {"by_name": {"b": {"name": 1, "size": 1}}},
            "by_name.b.name should be text, found 1",
        ),
        ({"leaves": [{"name": "a", "size": True}]}, "size should be a number, found True"),
        ({"counts": 3}, "counts should be a table, found 3"),
        ({"by_name": {"b": []}}, r"by_name.b should be a table, found \[\]"),
        ({"price": "dear"}, "price should be what was once written, found ValueError"),
        ({"kind": "x" * 100, "late": 3}, "late should be text, found 3"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(change, message: str) -> None:
    with pytest.raises(StoreError, match=f"^here: .*{message}") as caught:
        Tree.of({**WHOLE, **change}, "here")
    assert caught.value.hint == "plant it again"


def test_no_table_is_no_record() -> None:
    with pytest.raises(StoreError, match="here: the record should be a table, found None"):
        Tree.of(None, "here")
