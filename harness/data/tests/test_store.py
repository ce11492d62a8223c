"""A stored corpus is what was handed over, is found by its content, and appears whole or not."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness._util import checksums
from harness.data.corpus import Stream
from harness.data.datasets import datasets
from harness.data.store import CorpusStore, Draft, corpus_name, fingerprint
from harness.errors import DataError, StoreError

SPLIT = ["test", "train", "valid", "train", "test"]
ORDER = [1, 3, 2, 0, 4]  # train, valid, test, source order within each


def draft(**changes) -> Draft:
    clips = pd.DataFrame(
        {
            "id": [f"v_{i}" for i in range(5)],
            "video": ["v"] * 5,
            "clip": [f"{i:03d}" for i in range(5)],
            "split": SPLIT,
            "text": ["a", "b", "", "d", "嫁"],
            "label": [0.6666666865, -1.0, 0.0, 1.0, 2.0],
            "label_T": [0.2, np.nan, 0.0, 0.0, 0.0],
            "note": ["x", None, "", "y", "z"],
        }
    )
    values = np.arange(5 * 3 * 2, dtype=np.float32).reshape(5, 3, 2) + 1
    values[:, 2] = 0
    whole = Draft(
        name="mosi@test",
        clips=clips,
        streams={"audio": Stream(values, np.array([1, 2, 2, 2, 2]))},
        tokens=np.arange(5 * 3 * 4, dtype=np.int32).reshape(5, 3, 4),
        manifest={"reader": "test", "number": 0.5},
    )
    return replace(whole, **changes)


def clips_with(**columns) -> pd.DataFrame:
    return draft().clips.assign(**columns)


@pytest.fixture
def store(tmp_path) -> CorpusStore:
    return CorpusStore(tmp_path / "corpora")


def test_what_is_stored_comes_back_in_split_order(store):
    corpus = store.add(draft())
    again = CorpusStore(store.root).load("mosi@test")
    assert again.fingerprint == corpus.fingerprint
    assert again.dataset is datasets["mosi"]
    assert again.manifest == {"reader": "test", "number": 0.5}
    assert again.clips["id"].tolist() == [f"v_{i}" for i in ORDER]
    assert again.clips["clip"].tolist() == [f"{i:03d}" for i in ORDER]
    source = draft()
    audio = again.streams["audio"]
    np.testing.assert_array_equal(audio.values, source.streams["audio"].values[ORDER])
    np.testing.assert_array_equal(audio.lengths, source.streams["audio"].lengths[ORDER])
    np.testing.assert_array_equal(again.tokens, source.tokens[ORDER])
    assert isinstance(audio.values, np.memmap)


def test_splits_are_views(store):
    corpus = store.add(draft())
    train, test = corpus.split("train"), corpus.splits["test"]
    assert train.ids == ["v_1", "v_3"]
    assert test.texts == ["a", "嫁"]
    assert test.labels.tolist() == [0.666667, 2.0]  # rounded to 6 decimals
    assert np.shares_memory(test.stream("audio").values, corpus.streams["audio"].values)
    assert test.tokens.shape == (2, 3, 4)
    assert test.stream("vision") is None
    with pytest.raises(DataError, match="found 'dev'"):
        corpus.split("dev")


def test_missing_cells_stay_missing_and_empty_ones_empty(store):
    clips = store.add(draft()).clips.set_index("id")
    assert pd.isna(clips.loc["v_1", "note"])
    assert clips.loc["v_2", "note"] == ""
    assert np.isnan(clips.loc["v_1", "label_T"])


def test_names(store):
    assert store.names() == []
    store.add(draft())
    store.add(draft(name="mosi-twin@test"))
    assert store.names() == ["mosi-twin@test", "mosi@test"]
    assert "mosi@test" in store
    assert store.load("mosi-twin@test").is_twin


def test_adding_the_same_again_changes_nothing(store):
    first = store.add(draft())
    written = (store.root / "mosi@test" / "audio.npy").stat().st_mtime_ns
    assert store.add(draft()).fingerprint == first.fingerprint
    assert (store.root / "mosi@test" / "audio.npy").stat().st_mtime_ns == written


def test_other_content_under_a_stored_name_is_refused(store):
    store.add(draft())
    with pytest.raises(DataError, match="already stored with other content") as caught:
        store.add(draft(clips=clips_with(text="other")))
    assert "--feature-set" in caught.value.hint
    assert store.load("mosi@test").clips["text"].iloc[0] == "b"


def audio(value=None, length=None) -> dict[str, Stream]:
    stream = draft().streams["audio"]
    values, lengths = stream.values.copy(), stream.lengths.copy()
    if value is not None:
        values[0, 0, 0] = value
    if length is not None:
        lengths[1] = length
    return {"audio": Stream(values, lengths)}


@pytest.mark.parametrize(
    "change",
    [
        {"clips": clips_with(label=[0.5, -1.0, 0.0, 1.0, 2.0])},
        {"clips": clips_with(label_T=0.0)},
        {"clips": clips_with(note="")},
        {"clips": clips_with(id=[f"w_{i}" for i in range(5)])},
        {"clips": clips_with(extra="x")},
        {"clips": draft().clips.drop(columns="note")},
        {"clips": clips_with(split=["test", "train", "valid", "train", "train"])},
        {"streams": audio(value=7)},
        {"streams": audio(length=1)},
        {"streams": {"vision": audio()["audio"]}},
        {"streams": {}},
        {"tokens": None},
        {"tokens": np.zeros((5, 3, 4), dtype=np.int32)},
    ],
)
def test_the_fingerprint_covers_every_cell(store, change):
    plain = store.add(draft()).fingerprint
    assert store.add(draft(name="mosi@other", **change)).fingerprint != plain


@pytest.mark.parametrize(
    "change",
    [
        {"manifest": {"reader": "other"}},
        {
            "streams": {
                "audio": Stream(
                    audio()["audio"].values.astype(np.float64), audio()["audio"].lengths
                )
            }
        },
        {"clips": clips_with(label=[0.66666667, -1.0, 0.0, 1.0, 2.0])},
    ],
)
def test_the_fingerprint_covers_nothing_else(store, change):
    plain = store.add(draft()).fingerprint
    assert store.add(draft(name="mosi@other", **change)).fingerprint == plain


def test_the_fingerprint_is_pinned(store):
    """A change here orphans every stored run: it must be deliberate."""
    expected = "5db5935fd3fe8f52d77cbc222892d7a9e128f97fc907c8c58c6418e38e7594dd"
    assert store.add(draft()).fingerprint == expected


BROKEN = {
    "no split column": ({"clips": draft().clips.drop(columns="split")}, "lack the columns split"),
    "no label column": ({"clips": draft().clips.drop(columns="label")}, "lack the columns label"),
    "no clips": ({"clips": draft().clips.head(0)}, "no clips"),
    "repeated id": ({"clips": clips_with(id="v_0")}, "occur twice: v_0"),
    "unknown split": ({"clips": clips_with(split="dev")}, "found 'dev'"),
    "no label": ({"clips": clips_with(label=np.nan)}, "no finite label"),
    "fewer rows": (
        {"streams": {"audio": audio()["audio"][slice(0, 4)]}},
        r"5 clips, found \(4, 3, 2\)",
    ),
    "no frames": (
        {"streams": {"audio": Stream(np.ones((5, 2), dtype=np.float32), np.ones(5, dtype=int))}},
        r"found \(5, 2\)",
    ),
    "length 0": ({"streams": audio(length=0)}, "lengths leave 1..3"),
    "length too long": ({"streams": audio(length=4)}, "lengths leave 1..3"),
    "NaN": ({"streams": audio(value=np.nan)}, "NaN or infinite"),
    "infinite": ({"streams": audio(value=np.inf)}, "NaN or infinite"),
    "token rows": ({"tokens": np.zeros((5, 2, 4), dtype=np.int32)}, "tokens should be"),
    "token clips": ({"tokens": np.zeros((4, 3, 4), dtype=np.int32)}, "tokens should be"),
    "name without feature set": ({"name": "mosi"}, "named dataset@feature-set"),
    "name that leaves the folder": ({"name": "../mosi@test"}, "named dataset@feature-set"),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_a_broken_draft_is_refused_and_leaves_nothing(store, defect):
    change, message = BROKEN[defect]
    with pytest.raises(DataError, match=message):
        store.add(draft(**change))
    assert not store.root.exists() or not list(store.root.iterdir())


def test_a_corpus_that_is_not_here(store):
    with pytest.raises(DataError, match="stored: none yet") as caught:
        store.load("mosi@test")
    assert "msa data add" in caught.value.hint
    store.add(draft())
    with pytest.raises(DataError, match="stored: mosi@test"):
        store.load("mosei@test")


def test_a_name_never_leaves_the_folder(store):
    store.add(draft())
    inner = CorpusStore(store.root / "mosi@test")
    assert "../mosi@test" not in inner
    with pytest.raises(DataError, match="not here"):
        inner.load("../mosi@test")


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_format(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("audio.npy", cut_in_half),
        ("audio.npy", lambda path: path.write_bytes(b"")),
        ("audio.npy", lambda path: path.unlink()),
        ("audio_lengths.npy", cut_in_half),
        ("tokens.npy", cut_in_half),
        ("clips.parquet", cut_in_half),
        ("clips.parquet", lambda path: path.write_bytes(b"")),
        ("manifest.json", cut_in_half),
        ("manifest.json", lambda path: path.write_text("[]")),
        ("manifest.json", lambda path: path.write_text("{}")),
        ("manifest.json", other_format),
    ],
)
def test_a_damaged_folder_is_a_data_error(store, file, damage):
    store.add(draft())
    damage(store.root / "mosi@test" / file)
    with pytest.raises(DataError, match="damaged") as caught:
        store.load("mosi@test")
    assert "msa data add" in caught.value.hint


FILES = (
    *("audio.npy", "audio_lengths.npy", "tokens.npy", "clips.parquet"),
    *("manifest.json", checksums.SUMS),
)


@pytest.mark.parametrize("file", FILES)
def test_no_changed_byte_is_computed_on(store, file):
    """Each is named, or, where a line ends by another sign, gives the clean corpus."""
    clean = store.add(draft())
    path = store.root / "mosi@test" / file
    whole = path.read_bytes()
    draw = random.Random(file)
    named = 0
    for _ in range(60):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
        path.write_bytes(content)
        try:
            found = store.load("mosi@test")
        except DataError as error:
            named += 1
            assert "'mosi@test' is damaged" in str(error)
        else:
            assert file == checksums.SUMS
            assert fingerprint(found.clips, found.streams, found.tokens) == clean.fingerprint
    assert named >= 55
    path.write_bytes(whole)
    assert store.load("mosi@test").fingerprint == clean.fingerprint


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_damage(store, file):
    store.add(draft())
    (store.root / "mosi@test" / file).unlink()
    with pytest.raises(DataError):
        store.load("mosi@test")


def test_a_file_without_digest_is_damage(store):
    store.add(draft())
    path = store.root / "mosi@test" / checksums.SUMS
    path.write_text(
        "".join(line for line in path.read_text().splitlines(True) if "tokens" not in line)
    )
    with pytest.raises(DataError, match=r"does not list tokens\.npy"):
        store.load("mosi@test")


def test_a_damaged_twin_says_that_it_is_made_again(store):
    store.add(draft(name="mosi-twin@test"))
    cut_in_half(store.root / "mosi-twin@test" / "audio.npy")
    with pytest.raises(DataError, match=r"damaged: audio\.npy is not what was written") as caught:
        store.load("mosi-twin@test")
    assert "it is made again" in caught.value.hint


def without_digests(store):
    """The corpus as versions before digests wrote it."""
    store.add(draft())
    folder = store.root / "mosi@test"
    (folder / checksums.SUMS).unlink()
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}))
    return folder


def test_a_corpus_from_before_digests_gets_them_where_it_is_sound(store):
    folder = without_digests(store)
    store.load("mosi@test")
    assert checksums.damage(folder, 2) == []
    assert set(checksums.read_sums(folder)) == set(FILES) - {checksums.SUMS}
    store.load("mosi@test")


@pytest.mark.parametrize("file", ["audio.npy", "audio_lengths.npy", "tokens.npy"])
def test_a_damaged_corpus_from_before_digests_is_refused(store, file):
    folder = without_digests(store)
    content = bytearray((folder / file).read_bytes())
    content[-3] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(DataError, match=r"its content is .*, its manifest says"):
        store.load("mosi@test")
    assert not (folder / checksums.SUMS).exists()


@pytest.mark.parametrize("refused", ["No space left on device", "Read-only file system"])
def test_a_disk_that_refuses_a_corpus_is_one_line_and_nothing_is_left(store, monkeypatch, refused):
    def full(*_):
        raise OSError(28, refused)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(StoreError, match=refused) as caught:
            store.add(draft())
    assert caught.value.exit_code == 1
    assert "run the same command again" in caught.value.hint
    assert store.names() == []
    assert [path.name for path in store.root.iterdir()] in ([], [".lock"])
    store.add(draft())


def test_half_made_corpora_are_swept(store):
    leftover = store.root / ".new-mosi@test-abc"
    for clear in (store.sweep, lambda: store.add(draft())):
        leftover.mkdir(parents=True)
        (leftover / "audio.npy").write_bytes(b"half")
        clear()
        assert not leftover.exists()


def test_a_corpus_that_is_being_made_is_not_swept(store):
    with store._writing():
        leftover = store.root / ".new-mosi@test-abc"
        leftover.mkdir()
        CorpusStore(store.root).sweep()
        assert leftover.exists()


@pytest.mark.parametrize("feature_set", ["", "A", "a/b", "a b", "a@b", "..", "a_b", "é"])
def test_feature_sets_have_plain_names(feature_set):
    with pytest.raises(DataError, match="lower-case letters"):
        corpus_name(datasets["mosi"], feature_set)


def test_corpus_name():
    assert corpus_name(datasets["mosi"], "unaligned-50") == "mosi@unaligned-50"


def sized(**sizes: int) -> pd.DataFrame:
    """Clips of three splits, of the sizes given and else of MOSI's."""
    counts = {name: sizes.get(name, known.clips) for name, known in datasets["mosi"].splits.items()}
    splits = [name for name, n in counts.items() for _ in range(n)]
    return pd.DataFrame(
        {
            "id": [f"v_{i}" for i in range(len(splits))],
            "video": "v",
            "clip": [str(i) for i in range(len(splits))],
            "split": splits,
            "text": "t",
            "label": 0.0,
        }
    )


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({}, None),
        ({"train": 1}, "1 of 1,284 train clips"),
        ({"test": 685}, "685 of 686 test clips"),
        ({"valid": 0}, "0 of 229 valid clips"),
        ({"train": 1285}, "1,285 instead of 1,284 train clips"),
        ({"train": 1283, "valid": 230}, "1,283 of 1,284 train and 230 instead of 229 valid clips"),
        (
            {"train": 1, "valid": 1, "test": 2},
            "1 of 1,284 train, 1 of 229 valid and 2 of 686 test clips",
        ),
    ],
)
def test_a_corpus_says_how_it_differs_from_the_official_split(store, sizes, said):
    corpus = store.add(draft(clips=sized(**sizes), streams={}, tokens=None))
    assert corpus.differs_from_official == said
    twin = replace(corpus, name="mosi-twin@test")
    assert twin.differs_from_official is None
