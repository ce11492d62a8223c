"""The suite that a search ends in, as a TOML file: chosen settings, seeds that no trial used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.runs.plan import protocol_of
from harness.spec import Scalar, toml_list, toml_value
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
        f"title = {toml_value(f'{suite.title}: tuned, {budget.trials} trials ({budget.sampler})')}",
        f"corpora = {toml_list(corpora)}",
        f"seeds = {_seeds(seeds)}",
        "",
        "[protocol]",
        f"name = {toml_value(suite.protocol)}",
        *(f"{name} = {toml_value(value)}" for name, value in suite.protocol_changes.items()),
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
    yield f"sampler = {toml_value(budget.sampler)}"
    yield f"seed = {budget.seed}"
    yield f"space = {toml_value(row.row.space.digest(budget.sampler))}"
    yield f"plan = {toml_value(row.plan)}"
    yield f"trial = {row.chosen}"
    yield f"run = {toml_value(row.run)}"
    yield f"valid = {toml_value(row.valid)}"


def _untuned(row: RowResult, label: str, *, several: bool) -> Iterator[str]:
    yield from _head(row, label, row.row.entry.params, several=several)


def _head(
    row: RowResult, label: str, params: Mapping[str, Scalar], *, several: bool
) -> Iterator[str]:
    yield "[[systems]]"
    yield f"name = {toml_value(row.row.entry.system)}"
    yield f"label = {toml_value(label)}"
    if several:
        yield f"corpora = {toml_list((row.corpus,))}"
    if params:
        inside = ", ".join(f"{name} = {toml_value(params[name])}" for name in sorted(params))
        yield f"params = {{ {inside} }}"


def _seeds(seeds: Mapping[str, Sequence[int]]) -> str:
    """One list, or a table of lists where corpora have others."""
    if len(set(map(tuple, seeds.values()))) == 1:
        return str(list(next(iter(seeds.values()))))
    first = list(next(iter(seeds.values())))
    parts = [f"default = {first}", *(f"{toml_value(c)} = {list(own)}" for c, own in seeds.items())]
    return f"{{ {', '.join(parts)} }}"
