"""``msa data``: bring corpora in, look at them, audit them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag, echo_json, echo_table
from harness.errors import DataError

if TYPE_CHECKING:
    from harness.data.corpus import Corpus
    from harness.home import Home

__all__ = ["register"]

_EncodingOption = Annotated[
    str | None,
    typer.Option(help="What a CSV is in, such as cp1252; default: UTF-8, else by its characters."),
]
_data = typer.Typer(help="Add, audit and describe corpora.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_data, name="data")


@_data.command("add")
def _add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="An MMSA feature pickle or a label.csv.")],
    dataset: Annotated[str, typer.Option(help="mosi, mosei, sims or simsv2.")],
    feature_set: Annotated[
        str | None, typer.Option(help="Name of the feature set; public files name themselves.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Column of a label.csv to use as transcript, such as text_en."),
    ] = None,
    encoding: _EncodingOption = None,
    pad: Annotated[
        bool,
        typer.Option("--pad", help="Pad features that are one array per clip, at the end."),
    ] = False,
    layout: Annotated[
        str, typer.Option(help="How a pickle is laid out: mmsa or mag-bert.")
    ] = "mmsa",
    memory: MemoryOption = None,
) -> None:
    """Convert a data file once into the memory-mapped store. Pickles are read by an allow-list."""
    from harness import data

    corpus = data.add(
        *(file, dataset),
        feature_set=feature_set,
        text=text,
        encoding=encoding,
        pad=pad,
        layout=layout,
        home=home_of(context),
    )
    typer.echo(f"{corpus.name}: {len(corpus.clips)} clips, data {corpus.fingerprint[:12]}")
    streams = ", ".join(f"{k} {s.frames}x{s.dim}" for k, s in corpus.streams.items())
    typer.echo(f"streams: {streams or 'none (transcripts and labels)'}")
    _echo_encoding(corpus.manifest["source"])
    if corpus.differs_from_official:
        typer.echo(f"note: {_own_split(corpus.differs_from_official)}")


def _echo_encoding(source: object) -> None:
    """Say what a text file was read as and why, where that is not plain UTF-8."""
    if isinstance(source, Mapping) and "evidence" in source:
        typer.echo(f"encoding: {source['encoding']} ({source['evidence']})")


def _own_split(difference: str) -> str:
    return (
        f"not the official split ({difference}): boards say so, and its labels are not taken for"
        " the official ones"
    )


@_data.command("explain")
def _explain(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CORPUS")],
    file: Annotated[
        Path,
        typer.Argument(help="Texts by clip id: audio_clue, visual_clue, summary (CSV, JSONL, …)."),
    ],
    kind: Annotated[
        str,
        typer.Option(help="Written from what: transcript_llm, video_mllm or both."),
    ],
    feature_set: Annotated[
        str | None, typer.Option(help="Of the new corpus; default: the old one's and -explained.")
    ] = None,
    encoding: _EncodingOption = None,
    memory: MemoryOption = None,
) -> None:
    """Join explanations to a stored corpus, as a corpus of its own."""
    from harness import data
    from harness.data.corpus import EXPLANATIONS

    added, read_as = data.explain(
        *(name, file, kind), feature_set=feature_set, encoding=encoding, home=home_of(context)
    )
    typer.echo(f"{added.name}: {len(added.clips)} clips, data {added.fingerprint[:12]}")
    if read_as != "utf-8":
        typer.echo(f"encoding: {read_as}")
    for column in EXPLANATIONS:
        if column in added.clips:
            filled = int((added.clips[column].str.strip() != "").sum())
            typer.echo(f"{column}: {filled} of {len(added.clips)} clips")


@_data.command("check")
def _check(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CORPUS]...", help="Default: every stored corpus."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Audit corpora: counts, ids, labels, texts, times, NaN, leakage, overlaps."""
    from harness.data.audit import audit

    checks = audit(_corpora(names, home_of(context)))
    rows = [
        {
            "corpus": check.corpus,
            "check": check.name,
            "verdict": check.verdict,
            "expected": check.expected,
            "found": check.found,
            "detail": check.detail,
        }
        for check in checks
    ]
    if as_json:
        echo_json(rows)
    else:
        echo_table(rows)
        typer.echo(_tally(check.verdict for check in checks))
    if any(check.verdict == "fail" for check in checks):
        raise typer.Exit(1)


def _tally(verdicts: Iterable[str]) -> str:
    """How many of each verdict, in order of concern."""
    counted = Counter(verdicts)
    return ", ".join(f"{counted[name]} {name}" for name in ("fail", "warn", "note", "ok"))


@_data.command("info")
def _info(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CORPUS")],
    as_json: JsonFlag = False,
) -> None:
    """Describe one corpus: sizes, fingerprint, and what its reader recorded."""
    (corpus,) = _corpora([name], home_of(context))
    facts: dict[str, object] = {
        "corpus": corpus.name,
        "dataset": corpus.dataset.title,
        "data": corpus.fingerprint,
        "clips": {split: len(corpus.split(split)) for split in corpus.splits},
        "official": _official(corpus),
        "streams": {k: [s.frames, s.dim] for k, s in corpus.streams.items()},
        "tokens": None if corpus.tokens is None else list(corpus.tokens.shape),
        "columns": list(corpus.clips.columns),
        "licence": corpus.dataset.licence,
        "manifest": corpus.manifest,
    }
    if as_json:
        echo_json(facts)
        return
    for key, value in facts.items():
        typer.echo(f"{key:9} {_flat(value)}")


def _official(corpus: Corpus) -> str:
    if corpus.is_twin:
        return "no: synthetic"
    difference = corpus.differs_from_official
    return f"no: {difference}" if difference else "yes"


@_data.command("masks")
def _masks(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CORPUS")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    grid: Annotated[str, typer.Option(help="The conditions that the file lists.")] = "spectrum",
    split: Annotated[str, typer.Option(help="Whose clips.")] = "test",
    as_json: JsonFlag = False,
) -> None:
    """Export what is missing under a grid of conditions, for other programs to use."""
    from harness.corruption import write_masks
    from harness.spec.conditions import grid as conditions_of

    conditions = conditions_of(grid)
    (corpus,) = _corpora([name], home_of(context))
    digest = write_masks(corpus.split(split), grid, out)
    facts = {"file": str(out), "grid": grid, "conditions": len(conditions), "masks": digest}
    if as_json:
        echo_json(facts)
    else:
        typer.echo(f"{out}: {split} clips of {corpus.name}, {len(conditions)} conditions of {grid}")
        typer.echo(f"masks {digest}")


def _flat(value: object) -> str:
    from harness._util import canonical

    return value if isinstance(value, str) else canonical.dumps(value, indent=1)


def _corpora(names: list[str] | None, home: Home) -> list[Corpus]:
    from harness import data
    from harness.data.store import CorpusStore

    chosen = names or CorpusStore(home.corpora).names()
    if not chosen:
        raise DataError("no corpus is stored yet", hint="msa data add FILE --dataset NAME")
    return [data.load(name, home) for name in chosen]
