"""Are the recordings of a corpus those that its annotation tells of?

Every clip is decoded: how long it is by its header and how long it really is, whether someone
speaks in it, in which language, and whether what a recogniser hears is what the transcript says.
None of it is mended; what stands out becomes a check with a verdict.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.data.audit.agreement import error_rate, rates_check
from harness.data.audit.check import Check, Verdict, none_of, such_as
from harness.data.audit.report import Row
from harness.data.corpus import Corpus
from harness.data.media import decode as recording
from harness.data.media.measure import Track, measure
from harness.errors import DataError, MissingExtra
from harness.extraction import Cut
from harness.extraction.cuts import cuts
from harness.extraction.speech import speech_seconds

if TYPE_CHECKING:  # PyTorch comes with it, and durations need none
    from harness.extraction.words import Ear

__all__ = ["ClipFacts", "audit_recordings", "look", "recording_checks", "rows"]

_APART = 0.25  # s; headers are rounded to packets of sound, of 20 to 100 ms
_SHORT = 0.5  # s that an annotated clip may differ from its recording: cuts fall on key frames
_SURE = 0.5  # probability from which a language is taken for the one that is spoken


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """What was found of one clip. None: not asked, or nothing to ask.

    Args:
        id: The clip.
        file: Its recording, below the folder that all of them lie in; empty where there is none.
        problem: Why nothing could be decoded; empty where it could.
        tracks: Those of its whole recording.
        begin: Begin of the clip in the recording, seconds.
        stop: Its end; None for that of the recording.
        annotated: Its duration by the annotation, seconds.
        silent: Whether every sample of its sound is 0.
        speech: Seconds of speech in it.
        language: Code and probability of the language that is spoken.
        error_rate: Of the given transcript and what was heard.
        heard: Number of words heard.
    """

    id: str
    file: str = ""
    problem: str = ""
    tracks: Mapping[str, Track] = field(default_factory=dict)
    begin: float = 0.0
    stop: float | None = None
    annotated: float | None = None
    silent: bool | None = None
    speech: float | None = None
    language: tuple[str, float] | None = None
    error_rate: float | None = None
    heard: int | None = None

    @property
    def decoded(self) -> float | None:
        """Seconds of its whole recording, by its longest track."""
        return max((track.seconds for track in self.tracks.values()), default=None)


def audit_recordings(
    corpus: Corpus,
    media: Path,
    ear: Ear | None = None,
    on_clip: Callable[[ClipFacts], None] = lambda clip: None,
) -> tuple[list[Check], list[Row]]:
    """Decode the recording of every clip.

    Args:
        corpus: Whose clips.
        media: Folder of recordings, see ``harness.data.media.locate``.
        ear: Tells languages and hears transcripts; None leaves both out.
        on_clip: Called for each clip that was looked at.

    Returns:
        Checks, and a line for each clip.

    Raises:
        DataError: For a folder or table of recordings that cannot be read.
        MissingExtra: Where PyAV, or with ``ear`` faster-whisper, is not installed.
    """
    facts = look(corpus, cuts(corpus, media), ear, on_clip)
    return list(recording_checks(corpus, facts)), rows(facts)


def look(
    corpus: Corpus,
    places: Sequence[Cut],
    ear: Ear | None = None,
    on_clip: Callable[[ClipFacts], None] = lambda clip: None,
) -> list[ClipFacts]:
    """What there is to know of each clip; a recording of many clips is decoded once."""
    column = "text_given" if "text_given" in corpus.clips else "text"
    texts = corpus.clips[column].fillna("").astype(str)
    once = cache(measure)
    facts = []
    for cut, file, text, seconds in zip(
        places, _files(places), texts, _annotated(corpus), strict=True
    ):
        facts.append(_facts(cut, file, text, seconds, once, ear))
        on_clip(facts[-1])
    return facts


def _files(places: Sequence[Cut]) -> list[str]:
    """What to call each recording: datasets have a ``1.mp4`` for every video."""
    folders = [str(cut.media.parent) for cut in places if cut.media is not None]
    below = os.path.commonpath(folders) if folders else ""
    return ["" if cut.media is None else cut.media.relative_to(below).as_posix() for cut in places]


def _annotated(corpus: Corpus) -> list[float | None]:
    """Seconds from start to stop of each clip, where the corpus has them."""
    times = corpus.clips.reindex(columns=["start", "stop"]).astype(float)
    lasts = times["stop"] - times["start"]
    return [None if value != value else float(value) for value in lasts]


def _facts(
    cut: Cut,
    file: str,
    text: str,
    annotated: float | None,
    once: Callable[[Path], Mapping[str, Track]],
    ear: Ear | None,
) -> ClipFacts:
    if annotated is None and cut.stop is not None:
        annotated = cut.stop - cut.start
    known = {
        "id": cut.id,
        "file": file,
        "begin": cut.start,
        "stop": cut.stop,
        "annotated": annotated,
    }
    if cut.media is None and not cut.problem:
        return ClipFacts(**known)  # type: ignore[arg-type]  # as named above
    try:
        tracks = once(cut.recording())
        heard = _heard(cut, text, ear) if "audio" in tracks else {}
    except MissingExtra:
        raise
    except DataError as error:
        return ClipFacts(**known, problem=str(error))  # type: ignore[arg-type]  # likewise
    return ClipFacts(**known, tracks=tracks, **heard)  # type: ignore[arg-type]  # likewise


def _heard(cut: Cut, text: str, ear: Ear | None) -> dict[str, object]:
    """What there is to hear; nothing but zeros is asked no further."""
    samples = recording.sound(cut.recording(), cut.start, cut.stop)
    found: dict[str, object] = {"silent": not samples.any()}
    if found["silent"]:
        return found
    found["speech"] = _speech(samples)
    if ear is not None:
        words = ear.hear(cut)
        found["heard"] = len(words)
        found["language"] = ear.spoken(cut)
        found["error_rate"] = error_rate(text, " ".join(word.text for word in words))
    return found


def _speech(samples: NDArray[np.int16]) -> float | None:
    """None without the detector: durations alone need no more than PyAV."""
    try:
        return speech_seconds(samples)
    except MissingExtra:
        return None


def recording_checks(corpus: Corpus, facts: Sequence[ClipFacts]) -> Iterator[Check]:
    """What stands out, as checks; what was not asked makes none."""
    absent = [one.id for one in facts if not one.file and not one.problem]
    share = len(absent) / max(len(facts), 1)
    grave: Verdict = "fail" if share == 1 else "warn" if share > 0.05 else "note"
    yield none_of(corpus, "clips without a recording", len(absent), grave, such_as(absent))
    broken = [f"{one.id} ({one.problem})" for one in facts if one.problem]
    yield none_of(corpus, "recordings that do not decode", len(broken), "warn", such_as(broken))
    whole = [one for one in facts if one.tracks]
    yield from _header_checks(corpus, whole)
    yield from _duration_checks(corpus, whole)
    yield from _sound_checks(corpus, whole)
    yield from _speech_checks(corpus, whole)


def _header_checks(corpus: Corpus, facts: Sequence[ClipFacts]) -> Iterator[Check]:
    """Recordings, not clips: several clips of one video have one header."""
    files = {one.file: one.tracks for one in facts}
    every = [(f"{file}, {kind}", t) for file, tracks in files.items() for kind, t in tracks.items()]
    lasting = [
        f"{what} ({track.stated_seconds:.2f} s stated, {track.seconds:.2f} s decoded)"
        for what, track in every
        if track.seconds_off > _APART
    ]
    yield none_of(corpus, "headers with other durations", len(lasting), "note", such_as(lasting))
    counted = [
        f"{what} ({track.stated_frames} frames stated, {track.frames} decoded)"
        for what, track in every
        if track.frames_off
    ]
    yield none_of(corpus, "headers with other frames", len(counted), "note", such_as(counted))
    apart = [
        f"{file} (sound {tracks['audio'].seconds:.2f} s, pictures {tracks['vision'].seconds:.2f} s)"
        for file, tracks in files.items()
        if len(tracks) == 2 and abs(tracks["audio"].seconds - tracks["vision"].seconds) > _SHORT
    ]
    yield none_of(corpus, "sound and pictures of other lengths", len(apart), "note", such_as(apart))


def _duration_checks(corpus: Corpus, facts: Sequence[ClipFacts]) -> Iterator[Check]:
    """Annotated times against decoded ones: segments have to fit, clips of their own to match."""
    beyond = [
        f"{one.id} ({one.stop:.2f} of {one.decoded:.2f} s)"
        for one in facts
        if one.stop is not None and one.decoded is not None and one.stop > one.decoded + _APART
    ]
    yield none_of(corpus, "clips beyond their recording", len(beyond), "warn", such_as(beyond))
    other = [
        f"{one.id} ({one.annotated:.2f} s annotated, {one.decoded:.2f} s decoded)"
        for one in facts
        if one.stop is None
        and one.annotated is not None
        and one.decoded is not None
        and abs(one.annotated - one.decoded) > _SHORT
    ]
    yield none_of(corpus, "clips of another duration", len(other), "note", such_as(other))


def _sound_checks(corpus: Corpus, facts: Sequence[ClipFacts]) -> Iterator[Check]:
    for track, what in (("audio", "sound"), ("vision", "pictures")):
        without = [one.id for one in facts if track not in one.tracks]
        yield none_of(corpus, f"recordings without {what}", len(without), "note", such_as(without))
    silent = [one.id for one in facts if one.silent]
    yield none_of(corpus, "clips whose sound is all 0", len(silent), "warn", such_as(silent))


def _speech_checks(corpus: Corpus, facts: Sequence[ClipFacts]) -> Iterator[Check]:
    detected = [one for one in facts if one.speech is not None]
    if not detected and any(one.silent is False for one in facts):
        yield Check(
            corpus=corpus.name,
            name="clips without speech",
            verdict="note",
            expected="looked for",
            found="not looked for",
            detail='the detector comes with faster-whisper: pip install "msa-harness[extract]"',
        )
    if detected:
        mute = [one.id for one in detected if not one.speech]
        yield none_of(corpus, "clips without speech", len(mute), "note", such_as(mute))
    told = [(one.id, *one.language) for one in facts if one.language is not None]
    if told:
        expected = corpus.dataset.language
        foreign = [
            f"{clip} ({language}, {probability:.2f})"
            for clip, language, probability in told
            if language != expected and probability >= _SURE
        ]
        yield none_of(
            corpus, "clips spoken in another language", len(foreign), "note", such_as(foreign)
        )
    rates = [(one.id, one.error_rate) for one in facts if one.error_rate is not None]
    if rates and "text_given" not in corpus.clips:  # else its own audit says so
        yield rates_check(corpus, [clip for clip, _ in rates], [rate for _, rate in rates])


def rows(facts: Sequence[ClipFacts]) -> list[Row]:
    """A line of figures for each clip, as a report has them."""
    return [_row(one) for one in facts]


def _row(one: ClipFacts) -> Row:
    sound, film = one.tracks.get("audio"), one.tracks.get("vision")
    return {
        "clip": one.id,
        "recording": one.file,
        "annotated, s": one.annotated,
        "sound, s": sound and sound.seconds,
        "sound by header, s": sound and sound.stated_seconds,
        "pictures, s": film and film.seconds,
        "pictures by header, s": film and film.stated_seconds,
        "frames": film and film.frames,
        "frames by header": film and film.stated_frames,
        "speech, s": one.speech,
        "language": one.language and f"{one.language[0]} ({one.language[1]:.2f})",
        "words heard": one.heard,
        "error rate": one.error_rate,
        "problem": one.problem,
    }
