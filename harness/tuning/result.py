"""The suite that a search ends in, as a TOML file: chosen settings, seeds that no trial used."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.errors import SpecError
from harness.runs.plan import protocol_of
from harness.spec import Scalar
from harness.tuning.search import RowResult, TuningResult, fresh_seeds

__all__ = ["is_ours", "suite_text"]

_OURS = "# What `msa tune "


def is_ours(path: Path) -> bool:
    """Whether a file is one that ``suite_text`` wrote."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(len(_OURS)) == _OURS
    except OSError:
        return False


def suite_text(result: TuningResult, *, untuned: bool = False) -> str:
    """The file, which ``msa run`` takes.

    Args:
        result: Of ``tune``.
        untuned: Whether each row also stands there as it was, beside what was chosen.
    """
    suite, budget = result.suite, result.budget
    corpora = tuple(dict.fromkeys(row.corpus for row in result.rows))
    seeds = {c: fresh_seeds(suite, c, protocol_of(suite), budget) for c in corpora}
    lines = [
        f"{_OURS}{suite.name}` chose, on validation clips alone. Its seeds are fresh: no"
        " trial used them.",
        f"title = {_value(f'{suite.title}: tuned, {budget.trials} trials ({budget.sampler})')}",
        f"corpora = {_list(corpora)}",
        f"seeds = {_seeds(seeds)}",
        "",
        "[protocol]",
        f"name = {_value(suite.protocol)}",
        *(f"{name} = {_value(value)}" for name, value in suite.protocol_changes.items()),
    ]
    for row in result.rows:
        several = len(corpora) > 1
        where = f" on {row.corpus}" if several else ""
        lines += ["", *_row(result, row, f"{row.row.label}{where}", several=several)]
        if untuned:
            lines += ["", *_untuned(row, f"{row.row.label}{where}, untuned", several=several)]
    return "\n".join(lines) + "\n"


def _row(result: TuningResult, row: RowResult, label: str, *, several: bool) -> Iterator[str]:
    entry, budget = row.row.entry, result.budget
    yield from _head(row, label, {**entry.params, **row.setting}, several=several)
    yield "[systems.tuned]"
    yield f"trials = {row.trials}"
    yield f"sampler = {_value(budget.sampler)}"
    yield f"seed = {budget.seed}"
    yield f"space = {_value(row.row.space.digest(budget.sampler))}"
    yield f"plan = {_value(row.plan)}"
    yield f"trial = {row.chosen}"
    yield f"run = {_value(row.run)}"
    yield f"valid = {_value(row.valid)}"


def _untuned(row: RowResult, label: str, *, several: bool) -> Iterator[str]:
    yield from _head(row, label, row.row.entry.params, several=several)


def _head(
    row: RowResult, label: str, params: Mapping[str, Scalar], *, several: bool
) -> Iterator[str]:
    yield "[[systems]]"
    yield f"name = {_value(row.row.entry.system)}"
    yield f"label = {_value(label)}"
    if several:
        yield f"corpora = {_list((row.corpus,))}"
    if params:
        inside = ", ".join(f"{name} = {_value(params[name])}" for name in sorted(params))
        yield f"params = {{ {inside} }}"


def _seeds(seeds: Mapping[str, Sequence[int]]) -> str:
    """One list, or a table of lists where corpora have others."""
    if len(set(map(tuple, seeds.values()))) == 1:
        return str(list(next(iter(seeds.values()))))
    first = list(next(iter(seeds.values())))
    parts = [f"default = {first}", *(f"{_value(c)} = {list(own)}" for c, own in seeds.items())]
    return f"{{ {', '.join(parts)} }}"


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(map(_value, names))}]"


def _value(value: Scalar) -> str:
    """A scalar as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and not math.isfinite(value):
        raise SpecError(f"a suite holds finite numbers, found {value}")
    return repr(value)
