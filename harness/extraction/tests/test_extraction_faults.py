"""What is wrong with one clip is that clip's problem; what is wrong with all ends an extraction."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.corpus import Corpus
from harness.data.datasets import datasets
from harness.data.media import decode as recording
from harness.data.readers import label_csv
from harness.data.store import CorpusStore
from harness.errors import DataError, MissingExtra, RunFailed, SpecError, StoreError
from harness.extraction import Cut, ExtractionRecipe, Extractor, extractors
from harness.extraction.assemble import Extraction, extract
from harness.extraction.cuts import cuts
from harness.extraction.tools.openface import OPENFACE
from harness.extraction.words import Ear
from harness.text import find_encoder
from harness.text.synthetic import TWIN_ENCODER

IDS = ("v_1", "v_2", "w_1")
Runner = Callable[..., Extraction]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    path = tmp_path / "label.csv"
    rows = ("v,1,train,a,1", "v,2,valid,b,-1", "w,1,test,c,0")
    path.write_text("video_id,clip_id,mode,text,label\n" + "\n".join(rows), "utf-8")
    return CorpusStore(tmp_path / "corpora").add(label_csv.read(path, datasets["mosi"]))


@pytest.fixture
def run(corpus: Corpus, tmp_path: Path) -> Runner:
    media = tmp_path / "media"
    media.mkdir()
    for clip in IDS:
        (media / f"{clip}.wav").write_text(clip)

    def go(recipe: ExtractionRecipe, tables: Path | None = None, **options: Any) -> Extraction:
        return extract(
            corpus,
            options.pop("cuts", None) or cuts(corpus, media, tables),
            recipe,
            feature_set="x",
            encoder=find_encoder(TWIN_ENCODER, tmp_path / "cache"),
            cache=tmp_path / "cache",
            scratch=tmp_path,
            **options,
        )

    return go


def table(frames: int = 6) -> pd.DataFrame:
    """What OpenFace writes, as text."""
    moments = np.arange(frames) / 30
    head = {"frame": range(1, frames + 1), "face_id": 0, "timestamp": moments.round(3)}
    values = {name: moments + k for k, name in enumerate(OPENFACE.features)}
    return pd.DataFrame({**head, "confidence": 0.9, "success": 1, **values}).astype(str)


def written(path: Path, frame: pd.DataFrame) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(", ".join(frame) + "\n" + frame.to_csv(index=False, header=False), "utf-8")
    return path


def with_cell(column: str, cell: str, row: int = 2) -> pd.DataFrame:
    changed = table()
    changed.loc[row, column] = cell
    return changed


def with_repeated_header() -> pd.DataFrame:
    whole = table()
    return pd.concat(
        [whole.iloc[:3], pd.DataFrame([list(whole)], columns=list(whole)), whole.iloc[3:]]
    )


CELLS = [
    *("-nan(ind)", "nan(ind)", "1.#QNAN", "-1.#IND", "1.#INF", "inf", "-inf", "nan"),
    *("", "text", "1_0", "0x1F", "1.2.3"),
]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("column", ["gaze_0_x", "AU45_c", "timestamp", "success", "face_id"])
def test_a_cell_that_is_no_number_is_the_clips_problem(
    tmp_path: Path, column: str, cell: str
) -> None:
    path = written(tmp_path / "t.csv", with_cell(column, cell))
    with pytest.raises(DataError, match=rf"t\.csv: {column} should be a finite number.*in row 3"):
        OPENFACE.extract(Cut(id="a", media=None, table=path))


@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_in_frames_without_a_face_does_not_matter(tmp_path: Path, cell: str) -> None:
    lost = with_cell("success", "0")
    expected = OPENFACE.extract(Cut(id="a", media=None, table=written(tmp_path / "a.csv", lost)))
    lost.loc[2, ["gaze_0_x", "AU45_c", "timestamp"]] = cell
    found = OPENFACE.extract(Cut(id="a", media=None, table=written(tmp_path / "b.csv", lost)))
    assert np.allclose(found, expected, atol=1e-6)


def test_the_number_of_wrong_frames_is_told(tmp_path: Path) -> None:
    frame = with_cell("pose_Tx", "-nan(ind)")
    frame.loc[4, "pose_Tx"] = "-nan(ind)"
    path = written(tmp_path / "t.csv", frame)
    with pytest.raises(DataError, match=r"'-nan\(ind\)' in row 3 \(2 such rows\)"):
        OPENFACE.extract(Cut(id="a", media=None, table=path))


BROKEN: dict[str, tuple[bytes, str]] = {
    "OpenFace 3, places for names": (
        table().rename(columns={"AU04_r": "AU03_r"}).to_csv(index=False).encode(),
        "is of OpenFace 3 (column AU03_r)",
    ),
    "OpenFace 3, as it writes": (
        b"timestamp,face_detection,action_units,gaze_yaw\n0.0,[],[],0.1\n",
        "is of OpenFace 3 (column action_units)",
    ),
    "empty": (b"", "cannot be read"),
    "header alone": (", ".join(table()).encode(), "followed no face"),
    "no table": (b"frame,timestamp\n1,0.0\n", "has no column success"),
    "UTF-16": (table().to_csv(index=False).encode("utf-16"), "is in UTF-16"),
    "Latin-1": (table().to_csv(index=False).encode() + b"\xe9", "is not UTF-8"),
    "no text": (bytes(range(256)), "t.csv"),
    "two columns": (
        table().assign(more="1").rename(columns={"more": "AU01_r"}).to_csv(index=False).encode(),
        "has two columns AU01_r",
    ),
    "wide rows": (
        ",".join(table()).encode() + b"\n" + b"1," * (len(table().columns) + 1) + b"1\n",
        "more cells in its rows",
    ),
    "a wide row": (table().to_csv(index=False).encode() + b"1," * 900 + b"1\n", "cannot be read"),
    "header twice": (
        with_repeated_header().to_csv(index=False).encode(),
        "found 'face_id' in row 4",
    ),
    "milliseconds": (with_cell("timestamp", "1e12").to_csv(index=False).encode(), "in seconds"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_table_is_the_clips_problem(
    run: Runner, corpus: Corpus, tmp_path: Path, fault: str
) -> None:
    content, message = BROKEN[fault]
    tables = tmp_path / "of"
    written(tables / "v_1.csv", table())
    (tables / "v_2.csv").write_bytes(content)
    written(tables / "w_1.csv", table())
    made = run(ExtractionRecipe(audio="none", vision="openface"), tables)
    (problem,) = made.problems["vision"].items()
    assert problem[0] == "v_2"
    assert message.replace("t.csv", "v_2.csv") in problem[1]
    vision = made.draft.streams["vision"]
    assert vision.lengths.tolist() == [2, 1, 2]
    assert not vision.values[1].any()


def test_tables_that_are_all_broken_are_said_once(run: Runner, tmp_path: Path) -> None:
    for clip in IDS:
        written(tmp_path / "of" / f"{clip}.csv", with_cell("gaze_0_x", "-nan(ind)"))
    with pytest.raises(
        RunFailed, match=r"openface found nothing in any of 3 clips; the first"
    ) as f:
        run(ExtractionRecipe(audio="none", vision="openface"), tmp_path / "of")
    assert "--openface" in str(f.value.hint)


@settings(deadline=None)
@given(cell=st.text(st.characters(exclude_characters=',"\r\n', codec="utf-8"), max_size=6))
def test_any_cell_is_a_number_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, cell: str
) -> None:
    path = written(tmp_path_factory.getbasetemp() / "any.csv", with_cell("gaze_0_x", cell))
    try:
        assert np.isfinite(OPENFACE.extract(Cut(id="a", media=None, table=path))).all()
    except DataError as error:
        assert "any.csv" in str(error)


# Any extractor


def failing(monkeypatch: pytest.MonkeyPatch, how: Callable[[Cut], Any]) -> ExtractionRecipe:
    """A recipe with an extractor that does this."""
    own: Extractor = replace(
        extractors["acoustic-33"], name="own", package=None, features=("x",), extract=how
    )
    monkeypatch.setitem(extractors.__dict__, "_all", {**dict(extractors), "own": own})
    return ExtractionRecipe(audio="own", vision="none")


class LibraryError(Exception):
    """As librosa and openSMILE have: of no other base."""


def at_second(error: BaseException) -> Callable[[Cut], Any]:
    def measure(cut: Cut) -> Any:
        if cut.id == "v_2":
            raise error
        return np.ones((2, 1), np.float32)

    return measure


@pytest.mark.parametrize(
    "error",
    [
        ValueError("too short"),
        RuntimeError("decoder"),
        ZeroDivisionError("division"),
        IndexError("index 3"),
        OSError("permission"),
        LibraryError("Audio buffer is not finite everywhere"),
        DataError("expected an audio track, found none"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_extractor_that_fails_on_one_clip(
    run: Runner, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    recipe = failing(monkeypatch, at_second(error))
    made = run(recipe)
    assert list(made.problems["audio"]) == ["v_2"]
    assert str(error) in made.problems["audio"]["v_2"]
    assert made.draft.streams["audio"].values[:, 0, 0].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "values",
    [
        None,
        3.0,
        "text",
        np.zeros((0, 1)),
        np.zeros((2, 2)),
        np.zeros(3),
        np.array([[np.nan]]),
        np.array([[np.inf]]),
        [[len]],
    ],
    ids=repr,
)
def test_an_extractor_that_makes_no_frames_of_one_clip(
    run: Runner, monkeypatch: pytest.MonkeyPatch, values: Any
) -> None:
    recipe = failing(
        monkeypatch, lambda cut: values if cut.id == "v_2" else np.ones((2, 1), np.float32)
    )
    assert list(run(recipe).problems["audio"]) == ["v_2"]


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), StoreError("disk")])
def test_faults_that_are_not_the_clips_end_it(
    run: Runner, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    recipe = failing(monkeypatch, at_second(error))
    with pytest.raises(type(error)):
        run(recipe)


def test_a_package_that_is_not_installed_is_said_once(
    run: Runner, monkeypatch: pytest.MonkeyPatch, corpus: Corpus, tmp_path: Path
) -> None:
    recipe = failing(monkeypatch, lambda cut: recording.tracks(tmp_path / "label.csv"))
    monkeypatch.setitem(sys.modules, "av", None)
    seen: list[object] = []
    with pytest.raises(MissingExtra, match="this needs PyAV") as caught:
        run(recipe, on_piece=seen.append)
    assert (seen, caught.value.exit_code) == ([], 2)
    assert "pip install" in str(caught.value.hint)


def test_times_that_make_no_segment_are_the_clips_problem(
    run: Runner, corpus: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = failing(monkeypatch, at_second(AssertionError("never asked")))
    (tmp_path / "media" / "long.wav").touch()
    corpus.clips["file"] = "long.wav"
    corpus.clips["start"], corpus.clips["stop"] = [0.0, -1.0, 2.0], [1.0, 2.0, 3.0]
    made = run(recipe)
    assert made.problems["audio"] == {"v_2": "clip v_2 starts at -1 s, before its recording begins"}
    with pytest.raises(DataError, match="starts at -1 s"):
        cuts(corpus, tmp_path / "media")[1].recording()


# Hearing


class Deaf:
    """A recogniser that fails on some clips."""

    def __init__(self, *failing: str) -> None:
        self.identity: dict[str, Any] = {}
        self._failing = failing

    def hear(self, cut: Cut) -> list[Any]:
        if cut.id in self._failing:
            raise DataError(f"expected an audio track, found none: {cut.id}")
        return []


def test_nothing_heard_in_any_clip_is_said_once(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = failing(monkeypatch, at_second(ValueError("short")))
    for deaf in (Deaf(), Deaf(*IDS), Deaf("v_1")):
        with pytest.raises(RunFailed, match="no word was heard in any of 3 clips; the first: "):
            run(recipe, ear=deaf)


@pytest.mark.parametrize("language", ["mixed", "", "fr"])
def test_clips_are_heard_in_one_language(tmp_path: Path, language: str) -> None:
    with pytest.raises(SpecError, match="are heard in one language"):
        Ear("base", language, tmp_path)


def recogniser(monkeypatch: pytest.MonkeyPatch, model: Callable[..., Any] | None) -> None:
    from harness.extraction import words

    fake = None if model is None else types.SimpleNamespace(WhisperModel=model)
    monkeypatch.setitem(sys.modules, "faster_whisper", fake)
    monkeypatch.setattr(words.recording, "sound", lambda *cut: np.ones(1600, np.int16))


def test_a_recogniser_that_fails_on_a_clip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Model:
        def __init__(self, *arguments: Any, **options: Any) -> None: ...

        def transcribe(self, *arguments: Any, **options: Any) -> Any:
            raise RuntimeError("CTranslate2: out of range")

    recogniser(monkeypatch, Model)
    with pytest.raises(DataError, match="faster-whisper failed: RuntimeError: CTranslate2"):
        Ear("base", "en", tmp_path).hear(Cut(id="a", media=tmp_path))


def test_weights_that_cannot_be_loaded_and_a_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def model(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("Unable to open file 'model.bin'")

    recogniser(monkeypatch, model)
    with pytest.raises(SpecError, match=r"cannot load the speech recogniser base: .*model\.bin"):
        Ear("base", "en", tmp_path).hear(Cut(id="a", media=tmp_path))
    recogniser(monkeypatch, None)
    with pytest.raises(MissingExtra, match="this needs faster-whisper"):
        Ear("base", "en", tmp_path).hear(Cut(id="a", media=tmp_path))
