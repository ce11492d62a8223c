"""Suites as TOML files: what ``Suite.load`` reads, written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence

from harness._util.schema import Scalar
from harness.errors import SpecError
from harness.spec.search import Search, TuningTable
from harness.spec.suite import Entry, Seeds, Suite

__all__ = ["toml_list", "toml_value", "written"]


def written(suite: Suite, *comments: str) -> str:
    """A suite as the file that says the same.

    Args:
        suite: The suite.
        comments: Lines about it that come first.

    Raises:
        SpecError: For numbers that no file can hold.

    Example:
        >>> row = Entry(system="tfn", label="tfn", params={"lr": 0.001})
        >>> names = {"name": "x", "title": "X", "corpora": ("mosi@a",)}
        >>> suite = Suite(**names, protocol="in_domain", seeds=2, entries=(row,))
        >>> print(written(suite).strip())
        title = "X"
        corpora = ["mosi@a"]
        seeds = 2
        <BLANKLINE>
        [protocol]
        name = "in_domain"
        <BLANKLINE>
        [[systems]]
        name = "tfn"
        params = { lr = 0.001 }
    """
    lines = [
        *(f"# {comment}" for comment in comments),
        f"title = {toml_value(suite.title)}",
        f"corpora = {toml_list(suite.corpora)}",
        f"seeds = {_seeds(suite.seeds, suite.corpus_seeds)}",
        *([] if suite.weights is None else [f"weights = {toml_value(suite.weights)}"]),
        *([f"slices = {toml_list(suite.slices)}"] if suite.slices else []),
        "",
        "[protocol]",
        f"name = {toml_value(suite.protocol)}",
        *_pairs(suite.protocol_changes),
        *(["", "[defaults]", *_pairs(suite.defaults)] if suite.defaults else []),
        *_tune(suite.tune),
    ]
    for entry in suite.entries:
        lines += ["", "[[systems]]", *_row(entry)]
    for query in suite.queries:
        lines += ["", "[[systems]]", f"query = {toml_value(query.kind)}"]
        lines += [] if query.corpora is None else [f"corpora = {toml_list(query.corpora)}"]
    return "\n".join(lines) + "\n"


def toml_value(value: Scalar) -> str:
    """A scalar as TOML writes it.

    Raises:
        SpecError: For a number that is not finite.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and not math.isfinite(value):
        raise SpecError(f"a suite holds finite numbers, found {value}")
    return repr(value)


def toml_list(values: Sequence[Scalar]) -> str:
    """A list on one line."""
    return f"[{', '.join(map(toml_value, values))}]"


def _pairs(table: Mapping[str, Scalar]) -> Iterator[str]:
    return (f"{name} = {toml_value(value)}" for name, value in table.items())


def _inline(table: Mapping[str, Scalar]) -> str:
    return f"{{ {', '.join(_pairs(table))} }}"


def _seeds(seeds: Seeds, of_corpora: Mapping[str, Seeds]) -> str:
    def choice(one: Seeds) -> str:
        return str(one) if isinstance(one, int) else toml_list(one)

    if not of_corpora:
        return choice(seeds)
    own = (f"{toml_value(name)} = {choice(one)}" for name, one in of_corpora.items())
    return f"{{ default = {choice(seeds)}, {', '.join(own)} }}"


def _row(entry: Entry) -> Iterator[str]:
    yield f"name = {toml_value(entry.system)}"
    if entry.label != entry.system:
        yield f"label = {toml_value(entry.label)}"
    if entry.corpora is not None:
        yield f"corpora = {toml_list(entry.corpora)}"
    if entry.params:
        yield f"params = {_inline(entry.params)}"
    if entry.released is not None:
        files = entry.released.files
        pinned = [f"{one.file} sha256={one.sha256}" if one.sha256 else one.file for one in files]
        yield f"checkpoint = {toml_list(pinned)}"
        if entry.released.seeds is not None:
            yield f"seeds = {toml_list(entry.released.seeds)}"
        yield f"selected_on = {toml_value(entry.released.selection)}"
    if entry.space:
        yield f"space = {_space(entry.space)}"
    if entry.tuned is not None:
        tuned = entry.tuned
        yield "[systems.tuned]"
        for name in ("trials", "sampler", "seed", "space", "plan", "trial", "run", "valid"):
            yield f"{name} = {toml_value(getattr(tuned, name))}"


def _tune(tune: TuningTable) -> Iterator[str]:
    if tune == TuningTable():
        return
    yield from ("", "[tune]", f"base = {toml_value(tune.base)}")
    if tune.space:
        yield f"space = {_space(tune.space)}"


def _space(space: Mapping[str, Search]) -> str:
    return f"{{ {', '.join(f'{name} = {_search(one)}' for name, one in space.items())} }}"


def _search(one: Search) -> str:
    if one.choices is not None:
        return f"{{ choices = {toml_list(one.choices)} }}"
    assert one.low is not None
    assert one.high is not None
    return _inline({"low": one.low, "high": one.high, "log": one.log})
