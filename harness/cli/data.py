"""``msa data``: bring corpora in, look at them, audit them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._media import ReportOption, WhisperOption, audited, write_report
from harness.cli._memory import MemoryOption
from harness.cli._output import (
    JsonFlag,
    complain,
    echo_json,
    echo_table,
    echo_text,
    write_file,
    writing,
)
from harness.errors import DataError, NotHere, SpecError, StoreError

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
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An MMSA feature pickle or a label.csv.")
    ],
    dataset: Annotated[str, typer.Option(help="As `msa list datasets` names it, such as mosi.")],
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
        echo_text(f"note: {_own_split(corpus.differs_from_official)}")


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
    name: Annotated[str, typer.Argument(metavar="CORPUS", help="As msa list corpora names it.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Texts by clip id: audio_clue, visual_clue, summary (CSV, JSONL, …).",
        ),
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
    """Join explanations to a stored corpus, as a corpus of its own; say if they know the label."""
    from harness import data
    from harness.checks.leak_gate import measure
    from harness.cli._leak_gate import echo_leak_gate
    from harness.data.corpus import EXPLANATIONS

    added, read_as = data.explain(
        *(name, file, kind),
        feature_set=feature_set,
        encoding=encoding,
        gate=measure,
        home=home_of(context),
    )
    typer.echo(f"{added.name}: {len(added.clips)} clips, data {added.fingerprint[:12]}")
    if read_as != "utf-8":
        typer.echo(f"encoding: {read_as}")
    for column in EXPLANATIONS:
        if column in added.clips:
            filled = int((added.clips[column].str.strip() != "").sum())
            typer.echo(f"{column}: {filled} of {len(added.clips)} clips")
    echo_leak_gate(added)


@_data.command("remove")
def _remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CORPUS", help="As msa list corpora names it.")],
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring a removed corpus back instead.")
    ] = False,
) -> None:
    """Take a stored corpus away; --undo brings it back until `msa store clean`. Its runs stay."""
    from harness.data import removing
    from harness.runs.holder import running
    from harness.runs.removing import suites_on
    from harness.runs.store import RunStore

    home = home_of(context)
    if undo:
        removing.restore(name, home)
        typer.echo(f"{name}: back")
        return
    store = RunStore(home.store)
    if (driver := running(store)) is not None:
        raise StoreError(
            f"suite {driver.suite} is being run (process {driver.process})",
            hint="wait for it, or stop it, then remove the corpus",
        )
    suites = suites_on(store, name)
    removing.remove(name, home)
    typer.echo(f"{name}: removed; msa data remove {name} --undo brings it back")
    if suites:
        complain(
            f"{', '.join(suites)} ha{'s' if len(suites) == 1 else 've'} rows on it: they wait, and"
            " their stored runs stay",
            colour="yellow",
        )


@_data.command("check")
def _check(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="CORPUS", help="Default: every stored corpus."),
    ] = None,
    media: Annotated[
        Path | None,
        typer.Option(help="Folder of recordings: decode each, and hold it against its annotation."),
    ] = None,
    whisper: WhisperOption = None,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Audit corpora: counts, ids, labels, texts, times, NaN, leakage, overlaps; recordings.

    With --media, durations and frames are decoded and compared with headers and annotations, and
    speech is looked for; --whisper also tells the language, and how far transcripts are heard.
    """
    from harness.data.audit import audit
    from harness.data.audit.report import markdown

    if whisper is not None and media is None:
        raise SpecError("--whisper listens to recordings", hint="say where they are: --media DIR")
    home = home_of(context)
    corpora = _corpora(names, home)
    checks, clips = audit(corpora), {}
    if media is not None:
        for corpus in (one for one in corpora if not one.is_twin):
            found, clips[corpus.name] = audited(corpus, media, whisper, home)
            checks += found
    if report is not None:
        write_report(report, markdown(corpora, checks, clips))
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
    name: Annotated[str, typer.Argument(metavar="CORPUS", help="As msa list corpora names it.")],
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


@_data.command("census")
def _census(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CORPUS", help="As msa list corpora names it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON file to write.")],
) -> None:
    """Count what the numbers of a corpus are like: range, zeros, padding. Figures, no feature."""
    from harness.data.twins.census import Census

    (corpus,) = _corpora([name], home_of(context))
    census = Census.of(corpus)
    write_file(out, census.dumps())
    typer.echo(f"{out}: census {census.mark} of {corpus.name}")
    typer.echo(f"next: msa data twin {out}")


@_data.command("twin")
def _twin(
    context: typer.Context,
    census: Annotated[
        Path, typer.Argument(metavar="CENSUS", help="As `msa data census` writes one.")
    ],
    percent: Annotated[
        int, typer.Option(min=1, max=100, help="Of the dataset's clips; whole videos are kept.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Another one is another twin.")] = 0,
) -> None:
    """Make the twin whose numbers look like a census; it is synthetic all the same."""
    from harness._util.budget import Budget
    from harness.data.store import CorpusStore
    from harness.data.twins.census import Census
    from harness.data.twins.generate import generate

    try:
        content = Budget.of(census, "a census").read(census).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{census.name} cannot be read: {error}") from error
    counted = Census.loads(content, census.name)
    name = f"{counted.dataset}-twin@{counted.feature_set}-like-{counted.mark}"
    name += ("" if percent == 100 else f"-x{percent}") + (f"-s{seed}" if seed else "")
    store = CorpusStore(home_of(context).corpora)
    made = store.load(name) if name in store else store.add(generate(name, counted))
    typer.echo(f"{made.name}: {len(made.clips)} clips, data {made.fingerprint[:12]}")


@_data.command("masks")
def _masks(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CORPUS", help="As msa list corpora names it.")],
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
    clips = corpus.split(split)
    with writing(out):
        digest = write_masks(clips, grid, out)
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

    if names:
        return [data.load(name, home) for name in names]
    stored = CorpusStore(home.corpora).names()
    if not stored:
        raise DataError("no corpus is stored yet", hint="msa data add FILE --dataset NAME")
    found = []
    for name in stored:
        try:
            found.append(data.load(name, home))
        except NotHere as error:  # stored, and of a plug-in that is not installed
            complain(f"left out: {error}", colour="yellow")
    return found
