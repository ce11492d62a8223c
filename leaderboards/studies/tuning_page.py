"""A search as a page: what was tried, what was chosen, what k trials find, what mattered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness._util.atomic import write_atomic
from harness._util.printed import defined
from harness.errors import StoreError
from harness.metrics import Metric
from harness.spec import Scalar
from harness.stats.search import BestOf
from leaderboards.document import (
    BREAK,
    Block,
    Bullets,
    Document,
    Heading,
    Notice,
    Part,
    Table,
    bold,
    code,
    left,
    right,
    text,
)
from leaderboards.numbers import EMPTY, arrow, bounds, number
from leaderboards.rendering import render_html, render_markdown
from leaderboards.studies.tuning import SearchStudy, TrialPoint, TuningStudy

__all__ = ["document", "write"]

_SHOWN = 10  # trials that a page lists, the best ones


def write(study: TuningStudy, path: Path) -> None:
    """Write Markdown to ``path`` and the same as a page to ``<name>.html``.

    Raises:
        StoreError: When a file cannot be written.
    """
    found = document(study)
    try:
        write_atomic(path, render_markdown(found))
        write_atomic(path.with_suffix(".html"), render_html(found))
    except OSError as error:
        raise StoreError(f"report {path.name} cannot be written: {error}") from error


def document(study: TuningStudy) -> Document:
    """The page of one search."""
    tuning = study.tuning
    return Document(
        title=f"Search: {tuning.title}",
        about=f"Plan {study.plan}, corpus {tuning.corpus}.",
        parts=(
            Part(
                name="budget",
                title="Budget and choice",
                blocks=tuple(_overview(study)),
                twin=study.twin,
            ),
            *(
                Part(
                    name=f"row-{place}",
                    title=search.label,
                    blocks=tuple(_row(study, search)),
                    twin=study.twin,
                )
                for place, search in enumerate(study.searches, start=1)
            ),
            Part(
                name="reading",
                title="How to read this",
                blocks=(Heading(2, text("How to read this")), _legend(study)),
                reference=True,
            ),
        ),
    )


def _overview(study: TuningStudy) -> Iterator[Block]:
    metric, tuning = study.metric, study.tuning
    yield Heading(2, text("Budget and choice"))
    if study.twin:
        words = (
            f" a SYNTHETIC TWIN of {study.dataset.title}. Nothing here is a result on real data."
        )
        yield Notice(text(bold("Synthetic:"), words), "twin")
    yield text(_budget(study))
    yield Table(
        columns=(
            *left("System"),
            *right("Trials", "Failed", "Settings", "Epochs", "Chosen"),
            *right(f"Validation {metric.title} {arrow(metric)}", f"Test {metric.title}"),
            *right("Oracle, test", "Optimism on test"),
        ),
        rows=tuple(_line(search) for search in study.searches),
        caption="What every row spent and what was chosen",
    )
    yield text(
        f"One run each, training seed {tuning.training_seed}: how the chosen settings do with other"
        " seeds is what the suite that was written says."
    )


def _budget(study: TuningStudy) -> str:
    tuning = study.tuning
    said = (
        f"{tuning.trials} settings a row by sampler {tuning.sampler} with seed {tuning.seed}, each"
        f" trained for at most {study.max_epochs} epochs, the best chosen by {study.metric.title}"
        " on validation clips."
    )
    if tuning.rungs:
        steps = ", ".join(f"{rung.trials} with {rung.max_epochs}" for rung in tuning.rungs)
        said += f" Successive halving: {steps} epochs at most before the last round."
    elif tuning.sampler == "tpe":
        said += f" Settings are drawn {tuning.batch} at a time."
    return said


def _line(search: SearchStudy) -> tuple[str, ...]:
    chosen, oracle, metric = search.chosen, search.oracle, search.metric
    settings = len({tuple(sorted(trial.setting.items())) for trial in search.trials})
    counts = (len(search.trials), search.failed, settings, search.epochs)
    return (
        search.label,
        *map(str, counts),
        EMPTY if chosen is None else f"#{chosen.number}",
        EMPTY if chosen is None else number(chosen.valid, metric, decimals=4),
        EMPTY if chosen is None else number(chosen.test, metric, decimals=4),
        EMPTY
        if oracle is None
        else f"{number(oracle.test, metric, decimals=4)} (#{oracle.number})",
        number(search.optimism, metric, decimals=4, signed=True),
    )


def _row(study: TuningStudy, search: SearchStudy) -> Iterator[Block]:
    yield Heading(2, text(search.label))
    yield text(f"System {search.planned.system}. Space: {search.planned.source}.")
    yield _space(search)
    if search.curves:
        yield Heading(3, text("The best of k trials"))
        yield _curve(search)
    yield Heading(3, text("What mattered"))
    yield _importance(search)
    yield Heading(3, text("The best trials"))
    yield _trials(search)


def _space(search: SearchStudy) -> Table:
    chosen = search.chosen
    return Table(
        columns=left("Parameter", "Searched", "Chosen"),
        rows=tuple(
            (
                _named(name),
                _searched(each),
                EMPTY if chosen is None else _shown(chosen.setting[name]),
            )
            for name, each in search.planned.dimensions.items()
        ),
        caption=f"What was searched for {search.label}",
    )


def _named(dimension: str) -> str:
    return ", ".join(dimension.split("+"))


def _searched(dimension: object) -> str:
    assert isinstance(dimension, dict)  # as the plan has it
    if "choices" in dimension:
        return " | ".join(" ".join(map(_shown, values)) for values in dimension["choices"])
    scale = ", logarithmic" if dimension["log"] else ""
    return f"{_shown(dimension['low'])} to {_shown(dimension['high'])}{scale}"


def _shown(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _curve(search: SearchStudy) -> Table:
    metric = search.metric
    columns = ("Validation, chosen there", "Test, chosen on validation", "Test, oracle")
    rows = zip(*search.curves.values(), strict=True)
    return Table(
        columns=(*right("k"), *right(*columns), *right("Optimism")),
        rows=tuple(
            (
                str(each[0].k),
                *(_with_interval(point, metric) for point in each),
                number(
                    metric.cost(each[1].value) - metric.cost(each[2].value),
                    metric,
                    decimals=4,
                    signed=True,
                ),
            )
            for each in rows
        ),
        caption=f"Expected {metric.title} of the best of k trials of {search.label}, 95 % interval",
    )


def _with_interval(point: BestOf, metric: Metric) -> str:
    return f"{number(point.value, metric, decimals=4)} {bounds(point.low, point.high, metric)}"


def _importance(search: SearchStudy) -> Block:
    if not search.influences:
        return text("No trial gave a score.")
    return Table(
        columns=(*left("Parameter"), *right("Share of variance", "Chance stays below")),
        rows=tuple(
            (_named(name), defined(each.share, ".2f", EMPTY), defined(each.chance, ".2f", EMPTY))
            for name, each in search.influences.items()
        ),
        caption=f"Importance of each parameter of {search.label}",
    )


def _trials(search: SearchStudy) -> Table:
    metric = search.metric
    names = list(search.planned.dimensions)
    return Table(
        columns=(
            *right("Trial", f"Validation {metric.title} {arrow(metric)}", f"Test {metric.title}"),
            *left(*map(_named, names)),
        ),
        rows=tuple(
            (
                f"#{trial.number}",
                number(trial.valid, metric, decimals=4),
                number(trial.test, metric, decimals=4),
                *(_shown(trial.setting[name]) for name in names),
            )
            for trial in _best(search.finished, metric)
        ),
        caption=f"The best trials of {search.label} on validation clips",
    )


def _best(trials: Sequence[TrialPoint], metric: Metric) -> list[TrialPoint]:
    return sorted(trials, key=lambda trial: metric.cost(trial.valid))[:_SHOWN]


def _legend(study: TuningStudy) -> Bullets:
    metric = study.metric
    items = [
        text(
            "Epochs: those that all trials of a row trained. Equal numbers of trials are not equal"
            " epochs: settings",
            BREAK,
            "stop early at different times.",
        ),
        text(
            f"Optimism: how much better the test {metric.title} looks when the trial is chosen on"
            " test clips (",
            code("oracle"),
            ") than when it",
            BREAK,
            "is chosen on validation clips. Nothing that was chosen on test clips is a result.",
        ),
        text(
            "The best of k: k of these trials drawn anew with replacement, the best on validation"
            " clips kept. Interval:",
            BREAK,
            "bootstrap over the trials, too narrow where k comes near their number. (Dodge et al.,"
            " EMNLP 2019.)",
        ),
        text(
            "Share of variance: of the ranks of validation scores, by one parameter alone (adjusted"
            " η²); four bins",
            BREAK,
            "for a range. Below what chance gives in 95 of 100 shuffles it says nothing.",
        ),
    ]
    if study.tuning.sampler == "tpe":
        items.append(
            text(
                "These trials were not drawn independently: later ones follow what earlier ones"
                " gave. Curves describe draws",
                BREAK,
                "from the settings that were tried, not another search.",
            )
        )
    if study.tuning.rungs:
        items.append(
            text(
                "Successive halving trains settings for different numbers of epochs: there is no"
                " curve over k, and shares",
                BREAK,
                "are of the last round alone.",
            )
        )
    return Bullets(tuple(items))
