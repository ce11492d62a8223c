"""``msa extract``: from recordings to a corpus in a feature space that datasets can share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._home import home_of
from harness.cli._media import ReportOption, WhisperOption, audited, write_report
from harness.cli._memory import MemoryOption
from harness.cli._output import JsonFlag, echo_json, echo_table

if TYPE_CHECKING:
    from harness.data.corpus import Corpus
    from harness.extraction.assemble import Extraction
    from harness.extraction.pieces import Piece

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("extract")(_extract)


def _extract(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="CORPUS", help="With clips and labels: `msa data add FILE`.")
    ],
    media: Annotated[
        Path,
        typer.Option(
            help="Of recordings: VIDEO/CLIP.mp4, VIDEO_CLIP.mp4, videos, or manifest.csv."
        ),
    ],
    feature_set: Annotated[
        str, typer.Option("--as", help="Name of the new feature set.")
    ] = "common",
    audio: Annotated[str, typer.Option(help="egemaps, acoustic-33 or none.")] = "egemaps",
    vision: Annotated[str, typer.Option(help="face-mesh, openface or none.")] = "face-mesh",
    openface: Annotated[
        Path | None, typer.Option(help="Folder of OpenFace tables, <clip id>.csv each.")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="Text encoder: packaged, a folder, or a model name.")
    ] = "minilm-l6",
    whisper: WhisperOption = None,
    align: Annotated[
        bool, typer.Option("--align", help="One frame per word as heard; needs --whisper.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Of a clip at most.")] = 30.0,
    max_tokens: Annotated[int, typer.Option(help="Of a transcript at most.")] = 50,
    pickle: Annotated[
        Path | None, typer.Option(help="Also write the corpus as a pickle in MMSA's layout.")
    ] = None,
    report: ReportOption = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes.")] = 1,
    memory: MemoryOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Extract common features from recordings; stopped, the same command goes on.

    Clips without a face, sound or recording keep their place with one frame of zeros and are listed
    with the reason.
    """
    from harness.extraction import ExtractionRecipe
    from harness.extraction.corpus import extract_corpus

    progress = _Progress()
    stored, made = extract_corpus(
        *(name, media),
        ExtractionRecipe(audio=audio, vision=vision, seconds=seconds, max_tokens=max_tokens),
        feature_set=feature_set,
        openface=openface,
        encoder=encoder,
        whisper=whisper,
        align=align,
        pickle=pickle,
        workers=jobs,
        home=home_of(context),
        on_start=progress.start,
        on_piece=progress.advance,
    )
    _report(stored, made, as_json=as_json)
    if report is not None:
        from harness.data.audit import audit
        from harness.data.audit.report import markdown

        found, clips = audited(stored, media, whisper, home_of(context))
        write_report(report, markdown([stored], [*audit([stored]), *found], {stored.name: clips}))


class _Progress:
    """Plain lines on standard error: about twenty of them, and one for every problem."""

    def __init__(self) -> None:
        self._total = self._count = 0

    def start(self, pieces: int) -> None:
        """Learn how many pieces there will be."""
        self._total = pieces

    def advance(self, piece: Piece) -> None:
        """Report a piece that is there."""
        self._count += 1
        if piece.problem:
            typer.echo(f"{piece.stream} of {piece.id}: {piece.problem}", err=True)
        if self._count == self._total or self._count % max(1, self._total // 20) == 0:
            typer.echo(f"[{self._count}/{self._total}] {piece.stream} of {piece.id}", err=True)


def _report(corpus: Corpus, made: Extraction, *, as_json: bool) -> None:
    sizes = {name: [s.frames, s.dim] for name, s in corpus.streams.items()}
    if as_json:
        echo_json(
            {
                "corpus": corpus.name,
                "data": corpus.fingerprint,
                "clips": len(corpus.clips),
                "space": corpus.manifest["space"],
                "streams": sizes,
                "problems": made.problems,
            }
        )
        return
    typer.echo(f"{corpus.name}: {len(corpus.clips)} clips, data {corpus.fingerprint[:12]}")
    typer.echo(f"feature space {corpus.manifest['space']}")
    rows = [
        {
            "stream": name,
            "frames": size[0],
            "features": size[1],
            "clips without": len(made.problems.get(name, {})),
        }
        for name, size in sizes.items()
    ]
    echo_table(rows, right=frozenset({"frames", "features", "clips without"}))
    for row in _reasons(made.problems):
        typer.echo(row)


def _reasons(problems: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [
        f"{stream} of {clip}: {why}"
        for stream, found in problems.items()
        for clip, why in found.items()
    ]
