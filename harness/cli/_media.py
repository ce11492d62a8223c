"""What commands share that look at recordings: options, the audit of each clip, its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._output import write_file

if TYPE_CHECKING:
    from harness.data.audit import Check
    from harness.data.audit.report import Row
    from harness.data.corpus import Corpus
    from harness.extraction.audit import ClipFacts
    from harness.home import Home

__all__ = ["ReportOption", "WhisperOption", "audited", "write_report"]

WhisperOption = Annotated[
    str | None,
    typer.Option(help="Transcribe with these faster-whisper weights (folder or name)."),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(help="Also write what the audit found as Markdown, a section for each corpus."),
]


def audited(
    corpus: Corpus, media: Path, whisper: str | None, home: Home
) -> tuple[list[Check], list[Row]]:
    """Decode the recordings of a corpus, telling on standard error how far it is."""
    from harness.extraction.audit import audit_recordings

    ear = None
    if whisper is not None:
        from harness.extraction.words import Ear

        ear = Ear(whisper, corpus.dataset.language, home.cache)
    return audit_recordings(corpus, media, ear, _Progress(len(corpus.clips)).advance)


class _Progress:
    """Plain lines: about twenty of them, and one for every problem."""

    def __init__(self, total: int) -> None:
        self._total, self._count = total, 0

    def advance(self, clip: ClipFacts) -> None:
        self._count += 1
        if clip.problem:
            typer.echo(f"{clip.id}: {clip.problem}", err=True)
        if self._count == self._total or self._count % max(1, self._total // 20) == 0:
            typer.echo(f"[{self._count}/{self._total}] {clip.id} decoded", err=True)


def write_report(path: Path, text: str) -> None:
    """Write a report and say where it is, on standard error: what is printed may be JSON."""
    write_file(path, text)
    typer.echo(f"{path}: report written", err=True)
