"""Writing what rows still have to ask as OpenAI batch lines, and reading what came of it.

A file is one round: second tries are known once the first answers are read. So files are written
and read in turns until nothing is pending, and ``msa mllm run`` finds every answer in the journal.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import filelock

from harness._util.atomic import write_pieces
from harness.data.corpus import Corpus
from harness.errors import DataError
from mllm_eval.client import (
    KEPT,
    Answer,
    BatchResponse,
    Client,
    Journal,
    Request,
    batch_line,
    check_answering,
    response_of,
)
from mllm_eval.zero_shot.survey import Survey
from mllm_eval.zero_shot.system import ASKED, MLLMParams, journal_of

__all__ = ["BatchRead", "BatchRow", "read", "write"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BatchRow:
    """A row of a suite on one corpus.

    Args:
        label: The row.
        params: Of its language model.
        corpus: What it is asked about.
        cache: Folder of journals.
    """

    label: str
    params: MLLMParams
    corpus: Corpus
    cache: Path
    client: Client = field(init=False)
    journal: Path = field(init=False)

    def __post_init__(self) -> None:
        served = self.params.served(self.cache)
        object.__setattr__(self, "client", self.params.client(served))
        object.__setattr__(self, "journal", journal_of(self.params, served, self.cache))

    def pending(self) -> dict[str, Request]:
        """Key -> request that the journal has no answer to."""
        dataset = self.corpus.dataset
        self.params.check_senses(dataset)
        asks = self.params.asks(dataset)
        survey = Survey(self.client, asks, self.params.setting, self.journal)
        found = survey.pending([self.corpus.split(name) for name in ASKED])
        return {self.client.identity(request).key: request for request in found}


@dataclass(kw_only=True)
class BatchRead:
    """What came of reading files.

    Args:
        kept: Answers that were added to journals.
        known: Lines whose question was answered before.
        open: Lines without a last word: their questions are asked again.
        foreign: Lines that answer no question of these rows.
        damaged: What is wrong with lines that are none.
    """

    kept: int = 0
    known: int = 0
    open: int = 0
    foreign: int = 0
    damaged: list[str] = field(default_factory=list)


def write(rows: Sequence[BatchRow], file: Path) -> int:
    """Write a line per pending question, each once; the file appears when it is whole.

    Returns:
        How many there are; without any, no file is written.

    Raises:
        DataError: When the file is there already or cannot be written, or no clip can be shown.
    """
    if file.exists():
        raise DataError(f"{file} is there already", hint="give another --out, or remove it")
    pending = {key: (row, one) for row in rows for key, one in row.pending().items()}
    unshown: list[str] = []
    lines = (
        line for row, request in pending.values() for line in _line(request, row.client, unshown)
    )
    first = next(lines, None)
    if first is not None:
        try:
            write_pieces(file, itertools.chain([first], lines))
        except OSError as error:
            raise DataError(f"cannot write {file}: {error.strerror}") from None
    if unshown:
        log.warning("%d questions are left out, such as: %s", len(unshown), unshown[0])
    return len(pending) - len(unshown)


def _line(request: Request, client: Client, unshown: list[str]) -> Iterator[bytes]:
    """The line of a request; none where a recording breaks off when it is decoded, but the reason.

    ``msa mllm run`` counts such a clip as one without media.
    """
    try:
        yield batch_line(request, client)
    except DataError as error:
        unshown.append(str(error))


def read(rows: Sequence[BatchRow], files: Sequence[Path]) -> BatchRead:
    """Keep the answers of batch outputs that are about questions of these rows.

    Good lines are kept whatever is wrong with others. Rejections count where the same files hold an
    answer to the same model: it takes other requests.

    Raises:
        DataError: When a file cannot be read, or no line is about a question of these rows.
        RunFailed: When another model has answered than was asked.
    """
    found = BatchRead()
    responses = [one for file in files for one in _responses(file, found)]
    pending = {key: (row, one) for row in rows for key, one in row.pending().items()}
    seen: set[str] = set()
    for journal_file in dict.fromkeys(row.journal for row in rows):
        own = {k: v for k, v in pending.items() if v[0].journal == journal_file}
        with (
            filelock.FileLock(journal_file.with_suffix(".lock")),
            Journal(journal_file) as journal,
        ):
            known = {one.key for one in responses if one.key in journal.answers}
            told = [one for one in responses if one.key in own and one.key not in known]
            seen |= known.union(one.key for one in told)
            found.known += sum(one.key in known for one in responses)
            _keep(told, own, journal, found)
    found.foreign = sum(one.key not in seen for one in responses)
    if responses and not seen:
        raise DataError(
            f"none of the {len(responses)} lines answers a question of these rows:"
            " they are of another suite, model, server or prompt",
            hint="name the suite and the server that the file was written for",
        )
    return found


def _responses(file: Path, found: BatchRead) -> Iterator[BatchResponse]:
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    yield response_of(line, f"{file.name}, line {number}")
                except DataError as error:
                    found.damaged.append(str(error))
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from None


def _keep(
    responses: Sequence[BatchResponse],
    pending: dict[str, tuple[BatchRow, Request]],
    journal: Journal,
    found: BatchRead,
) -> None:
    """Add last words to a journal."""
    answers = [(one.answer(pending[one.key][1]), *pending[one.key]) for one in responses]
    takes = any(answer.state in ("answered", "refused") for answer, _, _ in answers)
    for answer, row, request in answers:
        identity = row.client.identity(request)
        check_answering(answer, identity, row.client, journal)
        if _is_last_word(answer, takes=takes):
            journal.append(answer, identity)
            found.kept += 1
        else:
            found.open += 1


def _is_last_word(answer: Answer, *, takes: bool) -> bool:
    return answer.state in KEPT or (takes and answer.state == "rejected")
