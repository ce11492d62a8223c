"""The generated part of the site: commands, tables from the registries, a page for each interface.

mkdocs runs this file while it builds (mkdocs-gen-files); nothing is written into the checkout.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import mkdocs_gen_files
import numpy as np

from harness._util.schema import rows_of as keys_of
from harness.cli.lists import rows_of
from harness.cli.schema import schema_of
from harness.metrics import CONVENTIONS, Metric, metrics
from harness.metrics.classification import Code, Rate, weighted_f1

TABLES = {
    "systems": "Every trained or computed system. `msa card NAME` tells more of each.",
    "datasets": "The sets as published; a corpus is one of them in one feature set.",
    "protocols": "What must be equal for two numbers to share a table.",
    "suites": "What is run, cited and published together, as files in `harness/suites`.",
    "mllms": "Multimodal language models with a card; `msa mllm run` asks any that a server knows.",
    "prompts": "What language models are asked. A digest pins the wording.",
}
FILES = {
    "suite": "Suite",
    "manifest": "Manifest of a submission",
    "card": "Card of a language model",
    "prompt": "Prompt",
}
TITLES = {"mllms": "Language models"}
INTERFACES = (
    *("harness", "harness.data", "harness.metrics", "harness.stats", "harness.submissions"),
    "harness.testing",
    *("leaderboards", "text_model.checkpoint"),
)


def commands() -> str:
    """What Typer itself writes about the command line."""
    command = [sys.executable, "-m", "typer", "harness.cli", "utils", "docs", "--name", "msa"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    codes = "Exit codes: 0 done, 1 the work failed, 2 wrong input."
    return done.stdout.replace("# `msa`\n", f"# Commands\n\n{codes}\n", 1)


def table(noun: str, about: str) -> Iterator[str]:
    """The lines of the page of one noun."""
    rows = rows_of(noun)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    yield from (f"# {TITLES.get(noun, noun.capitalize())}", "", about, "")
    yield from (f"`msa list {noun}` prints this table.", "")
    yield from (line(columns), line(["---"] * len(columns)))
    yield from (line([cell(row.get(name)) for name in columns]) for row in rows)


def metric_rows() -> Iterator[dict[str, object]]:
    """Every metric with its definition, in the order of the list."""
    for metric in metrics.values():
        families = sorted(metric.functions) + (["every other"] if metric.otherwise else [])
        yield {
            "name": f"`{metric.name}`",
            "title": metric.title,
            "definition": metric.definition,
            "families": ", ".join(families),
            "range": f"[{metric.low:g}, {metric.high:g}]",
            "better": "near the ideal" if metric.ideal is not None else _direction(metric),
            "undefined": metric.undefined,
            "source": metric.source,
        }


def _direction(metric: Metric) -> str:
    return "higher" if metric.higher_is_better else "lower"


def convention_rows() -> Iterator[dict[str, object]]:
    """Every named repository's way with every family of datasets that it scores."""
    for convention in CONVENTIONS:
        for family, rules in convention.rules.items():
            yield {
                "name": f"`{convention.name}`",
                "repository": convention.title,
                "family": family,
                "Acc-2, all clips": _positive(rules.all_clips),
                "Acc-2, non-zero clips": _positive(rules.non_zero_clips),
                "F1 weighted by": _weights(rules.f1),
                "also": ", ".join(rules.others),
                "times": f"{rules.scale:g}",
                "note": convention.note,
            }


def _positive(code: Code | None) -> str:
    """Which values a code calls positive."""
    if code is None:
        return ""
    return "p ≥ 0" if code(np.zeros(1))[0] else "p > 0"


def _weights(rate: Rate | None) -> str:
    """Told by the example that the two differ on."""
    if rate is None:
        return ""
    pred, truth = np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1])
    return "labels" if rate(pred, truth) == weighted_f1(pred, truth) else "predictions"


TABLES_WITH_RULES: Mapping[str, tuple[str, str, Callable[[], Iterator[dict[str, object]]]]] = {
    "metrics": (
        "Metrics",
        "p is the prediction, y the label; [what all share](../metrics.md).",
        metric_rows,
    ),
    "conventions": (
        "Conventions",
        "How named repositories score predictions; `msa score` prints one file under each of them.",
        convention_rows,
    ),
}


def written(title: str, about: str, rows: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """The lines of a page with one table."""
    yield from (f"# {title}", "", about, "", line(list(rows[0])), line(["---"] * len(rows[0])))
    yield from (line([cell(value) for value in row.values()]) for row in rows)


def files() -> Iterator[str]:
    """The lines of the page of the files that people write: every key, from its reader."""
    yield from ("# Keys of files", "", "What may stand in the files that people write.", "")
    for noun, title in FILES.items():
        rows = keys_of(schema_of(noun)["properties"])
        yield from (f"## {title}", "", f"`msa schema {noun}` prints the same for editors.", "")
        yield from (line(list(rows[0])), line(["---"] * len(rows[0])))
        yield from (line([cell(value) for value in row.values()]) for row in rows)
        yield ""


def line(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def cell(value: object) -> str:
    """A value as the text of a cell."""
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


with mkdocs_gen_files.open("reference/commands.md", "w") as page:
    page.write(commands())
for name, sentence in TABLES.items():
    with mkdocs_gen_files.open(f"reference/{name}.md", "w") as page:
        page.write("\n".join(table(name, sentence)) + "\n")
for name, (title, sentence, rows) in TABLES_WITH_RULES.items():
    with mkdocs_gen_files.open(f"reference/{name}.md", "w") as page:
        page.write("\n".join(written(title, sentence, list(rows()))) + "\n")
with mkdocs_gen_files.open("reference/files.md", "w") as page:
    page.write("\n".join(files()) + "\n")
for name in INTERFACES:
    with mkdocs_gen_files.open(f"reference/api/{name}.md", "w") as page:
        page.write(f"# {name}\n\n::: {name}\n")
