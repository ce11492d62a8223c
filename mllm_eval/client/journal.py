"""What a model said, kept: an append-only file with one JSON line per settled request.

A line is written in one piece when its answer arrives, so a kill loses no answer; the disk is
synced about once a second, so a power cut loses about a second of them. Lines are keyed by
everything that can change an answer, and hold their own digest. Reading needs neither the server
nor the media.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

from harness._util.canonical import Json, digest, dumps
from harness._util.sealed import sealed_line, unsealed_line
from harness.errors import DataError, StoreError

__all__ = [
    "KEPT",
    "SETTLED",
    "Answer",
    "Identity",
    "Journal",
    "State",
    "TokenChoices",
    "read_journal",
]

log = logging.getLogger(__name__)

State = Literal["answered", "refused", "blocked", "rejected", "no_media", "timed_out", "failed"]
SETTLED: frozenset[State] = frozenset({"answered", "refused", "blocked", "rejected", "no_media"})
"""Last words about a request. The other states are worth another try."""
KEPT: frozenset[State] = frozenset({"answered", "refused", "blocked"})
"""Last words of the server, kept as they come and never asked for again. Of those that are left,
rejections are kept once it is clear whose fault they are; a recording is looked at every time."""

TokenChoices = tuple[tuple[str, float | None], ...]
"""(token, natural log-probability) at one position, the generated token first; None where the
server told none, or what can be none."""

_WHOLE = frozenset({"stop", "eos_token", "stop_sequence", "end_turn"})
"""How servers say that a model ended by itself."""
_SYNC_EVERY = 1.0  # seconds
_ASKED = ("model", "revision", "engine", "arguments")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Everything that can change an answer.

    Args:
        model: Name the server knows.
        revision: Of the weights, or the snapshot of a closed model.
        engine: Inference engine and version.
        prompt: Digest of all words shown.
        media: Digest of all media shown; empty when there are none.
        sampling: Every sampling field.
        schema: JSON schema the answer is held to, if any.
        extra: Further request fields.
        arguments: How the server was started, as far as it tells; empty where it does not.
    """

    model: str
    revision: str
    engine: str
    prompt: str
    media: str
    sampling: Mapping[str, Json]
    schema: Json
    extra: Mapping[str, Json]
    arguments: str = ""

    @property
    def key(self) -> str:
        """SHA-256 of all of it; arguments that nobody told take no part."""
        told = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        if not self.arguments:
            del told["arguments"]
        return digest(told)

    @property
    def asked(self) -> tuple[str, ...]:
        """Who is asked, whatever the question."""
        return self.model, self.revision, self.engine, self.arguments


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Args:
        key: Of the request's identity.
        state: ``answered``; ``refused`` by the model; ``blocked`` by a content policy before it
            reached the model; ``rejected`` by the server, which answers other requests;
            ``no_media``: not sent, for its recording cannot be shown; ``timed_out`` and ``failed``
            after all attempts.
        text: The answer or refusal as received; the error message of the other states.
        finish_reason: As the server gave it; empty when it gave none.
        logprobs: One entry per generated token; empty unless asked for.
        prompt_tokens: None when the server did not count.
        completion_tokens: None when the server did not count.
        seconds: Of the last attempt, waiting for a turn not included.
        attempts: Requests sent, 1 unless something was retried.
        model: Which model answered, as the server says; empty where it does not.
        fingerprint: Of the server's configuration, likewise.
    """

    key: str
    state: State
    text: str
    finish_reason: str
    logprobs: tuple[TokenChoices, ...]
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    attempts: int
    model: str = ""
    fingerprint: str = ""

    @property
    def whole(self) -> bool:
        """Whether the server says that the model ended by itself: nothing is cut off."""
        return self.finish_reason.lower() in _WHOLE


class Journal:
    """A journal open for appending, by one process at a time.

    Args:
        path: The file; made with its folder when absent.

    Raises:
        StoreError: When another process has it open, or it cannot be written.
        DataError: When a line other than a torn last one is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise StoreError(f"cannot open the journal {path}: {error.strerror}") from None
        try:
            self._lock()
            self._answers, self._answering, end = _read(path)
            self._file.truncate(end)
        except BaseException:
            self._file.close()
            raise
        self._synced = time.monotonic()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process
        except BlockingIOError:
            raise StoreError(
                f"another process is writing the journal {self.path}",
                hint="wait for it to end, or stop it; no answer is lost",
            ) from None

    @property
    def answers(self) -> Mapping[str, Answer]:
        """Key -> answer, in the order of arrival."""
        return self._answers

    def answering(self, identity: Identity) -> str:
        """Which model has answered whoever is asked here; empty where nobody said."""
        return self._answering.get(identity.asked, "")

    def append(self, answer: Answer, identity: Identity) -> None:
        """Keep a settled answer; a key that is there already keeps its first answer.

        Raises:
            StoreError: When the disk does not take it.
        """
        if answer.key in self._answers:
            return
        line = sealed_line(dumps({"answer": answer, "identity": identity}).encode())
        try:
            while line:
                line = line[self._file.write(line) :]
            if time.monotonic() - self._synced >= _SYNC_EVERY:
                self._sync()
        except OSError as error:
            raise StoreError(
                f"cannot append to the journal {self.path}: {error.strerror}",
                hint="make room, then repeat the same command: what was answered is kept",
            ) from None
        self._answers[answer.key] = answer
        if answer.model:
            self._answering.setdefault(identity.asked, answer.model)

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Sync and close; closing twice is fine."""
        if not self._file.closed:
            self._sync()
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read_journal(path: Path) -> dict[str, Answer]:
    """Key -> first answer of a journal, in the order of arrival; nothing is changed on disk.

    Raises:
        DataError: When there is no such file, or a line other than a torn last one is damaged.
    """
    try:
        return _read(path)[0]
    except OSError as error:
        raise DataError(f"cannot read the journal {path}: {error.strerror}") from None


def _read(path: Path) -> tuple[dict[str, Answer], dict[tuple[str, ...], str], int]:
    """The answers, who answered whoever was asked, and where the last whole line ends (bytes)."""
    answers: dict[str, Answer] = {}
    answering: dict[tuple[str, ...], str] = {}
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                log.warning("%s: line %d is torn and dropped; it is asked again", path, number)
                break
            answer, asked = _answer_of(line, f"{path}, line {number}")
            answers.setdefault(answer.key, answer)
            if answer.model:
                answering.setdefault(asked, answer.model)
            end += len(line)
    return answers, answering, end


def _answer_of(line: bytes, where: str) -> tuple[Answer, tuple[str, ...]]:
    """The answer, and who was asked."""
    try:
        told = json.loads(unsealed_line(line))
        stored = {"model": "", "fingerprint": "", **told["answer"]}
        fields = {f.name: stored[f.name] for f in dataclasses.fields(Answer)}
        identity = {"arguments": "", **told["identity"]}
        asked = tuple(str(identity[name]) for name in _ASKED)
        if fields["state"] not in get_args(State):
            raise ValueError(f"state {fields['state']!r}")
        fields["logprobs"] = tuple(
            tuple((str(token), None if at is None else float(at)) for token, at in choices)
            for choices in fields["logprobs"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{where}: expected a journalled answer, found a damaged line ({error!r})",
            hint="delete that line; its request is asked again",
        ) from None
    return Answer(**fields), asked
