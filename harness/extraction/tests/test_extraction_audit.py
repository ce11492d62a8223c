"""Recordings against their annotation, with ears that need no package."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from harness.data.corpus import Corpus
from harness.data.datasets import datasets
from harness.data.readers import label_csv
from harness.data.store import CorpusStore
from harness.errors import MissingExtra
from harness.extraction import audit, cuts
from harness.extraction.words import Word

pytest.importorskip("av")

CLIPS = {  # video, clip: split, transcript, seconds by annotation, seconds and loudness of the file
    ("v", "1"): ("train", "a fine film", 2.0, (2.0, 0.3)),
    ("v", "2"): ("train", "a dull film", 3.0, (1.0, 0.3)),
    ("w", "1"): ("valid", "nothing new", 1.0, (1.0, 0.0)),
    ("x", "1"): ("test", "great great fun", 1.0, None),
    ("x", "2"): ("test", "so so", 1.0, (1.0, 0.3)),
}


@pytest.fixture
def media(tmp_path: Path) -> Path:
    for (video, clip), (*_, sound) in CLIPS.items():
        if sound is None:
            continue
        path = tmp_path / "media" / video / f"{clip}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds, size = sound
        tone = np.sin(2 * np.pi * 200 * np.arange(round(16000 * seconds)) / 16000)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes((size * 32767 * tone).astype("<i2").tobytes())
    return tmp_path / "media"


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    lines = ["video_id,clip_id,mode,text,label,start,stop"]
    for (video, clip), (split, text, seconds, _) in CLIPS.items():
        lines.append(f"{video},{clip},{split},{text},0,10,{10 + seconds}")
    (tmp_path / "label.csv").write_text("\n".join(lines), "utf-8")
    draft = label_csv.read(tmp_path / "label.csv", datasets["mosi"])
    return CorpusStore(tmp_path / "corpora").add(draft)


class Ear:
    """Hears what it is told that clips say, in a language of its own."""

    def __init__(self, said: dict[str, str], language: str = "en") -> None:
        self.said, self.language = said, language

    def hear(self, cut):
        words = self.said.get(cut.id, "").split()
        return [Word(text=word, start=0.0, stop=1.0) for word in words]

    def spoken(self, cut):
        return self.language, 0.9


def stands_out(checks) -> dict[str, tuple[str, object]]:
    return {check.name: (check.verdict, check.found) for check in checks if check.verdict != "ok"}


def test_durations_silence_and_gaps_stand_out(corpus, media, monkeypatch) -> None:
    monkeypatch.setattr(audit, "speech_seconds", lambda samples: 0.5)
    checks, rows = audit.audit_recordings(corpus, media)
    assert stands_out(checks) == {
        "clips without a recording": ("warn", 1),
        "clips of another duration": ("note", 1),
        "recordings without pictures": ("note", 4),
        "clips whose sound is all 0": ("warn", 1),
    }
    (other,) = (check for check in checks if check.name == "clips of another duration")
    assert other.detail == "v_2 (3.00 s annotated, 1.00 s decoded)"
    assert [row["clip"] for row in rows] == corpus.clips["id"].tolist()
    assert [row["recording"] for row in rows] == ["v/1.wav", "v/2.wav", "w/1.wav", "", "x/2.wav"]
    assert [row["sound, s"] for row in rows] == [2.0, 1.0, 1.0, None, 1.0]
    assert [row["speech, s"] for row in rows] == [0.5, 0.5, None, None, 0.5]


def test_what_is_heard_is_held_against_language_and_transcript(corpus, media, monkeypatch) -> None:
    monkeypatch.setattr(audit, "speech_seconds", lambda samples: 0.0)
    said = {"v_1": "A fine film!", "v_2": "it was quite another thing", "x_2": "so so"}
    found = stands_out(audit.audit_recordings(corpus, media, Ear(said, "de"))[0])
    assert found["clips spoken in another language"] == ("note", 3)
    assert found["transcripts that were not heard"] == ("warn", 1)
    assert found["clips without speech"] == ("note", 3)


def test_a_detector_that_is_not_there_is_said(corpus, media, monkeypatch) -> None:
    def absent(samples):
        raise MissingExtra("this needs faster-whisper, which is not installed")

    monkeypatch.setattr(audit, "speech_seconds", absent)
    checks, rows = audit.audit_recordings(corpus, media)
    (said,) = (check for check in checks if check.name == "clips without speech")
    assert (said.verdict, said.found) == ("note", "not looked for")
    assert {row["speech, s"] for row in rows} == {None}


def test_a_segment_behind_the_end_of_its_video_stands_out(corpus, media) -> None:
    (media / "manifest.csv").write_text("id,file,start,stop\nv_1,v/1.wav,1.5,4.0\n", "utf-8")
    facts = audit.look(corpus, cuts.cuts(corpus, media))
    found = stands_out(audit.recording_checks(corpus, facts))
    assert found["clips beyond their recording"] == ("warn", 1)


def test_the_command_writes_a_report_and_prints_json(msa, tmp_path, media, corpus) -> None:
    assert msa("data", "add", tmp_path / "label.csv", "--dataset", "mosi")[0] == 0
    page = tmp_path / "audit.md"
    code, out, err = msa("data", "check", "--media", media, "--report", page, "--json")
    assert code == 1  # a part of the official split
    assert {"clips of another duration", "clips train"} <= {row["check"] for row in json.loads(out)}
    assert "report written" in err
    assert "| x_2 | x/2.wav | 1.000 | 1.000 |" in page.read_text("utf-8")
    code, _, err = msa("data", "check", "--whisper", "base")
    assert code == 2 and "next: say where they are: --media DIR" in err
