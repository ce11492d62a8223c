"""Padding comes to the end; no signal is lost, and what belongs together stays together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.readers.padding import Lengths, settle
from harness.errors import DataError


def drawn(*clips: str) -> np.ndarray:
    """(N, T, 2) one clip per text: ``#`` a frame with signal, ``.`` a zero frame."""
    values = np.zeros((len(clips), len(clips[0]), 2), dtype=np.float32)
    for row, clip in enumerate(clips):
        for frame, sign in enumerate(clip):
            values[row, frame] = (frame + 1) * (sign == "#")
    return values


def shown(values: np.ndarray) -> list[str]:
    return ["".join("#" if frame.any() else "." for frame in clip) for clip in values]


def stated(*frames: int, starts: Sequence[int] | None = None) -> Lengths:
    return Lengths(
        frames=np.array(frames, dtype=np.int64),
        source="text_bert mask" if starts is not None else "audio_lengths",
        places=[f"train[{row}]" for row in range(len(frames))],
        starts=None if starts is None else np.array(starts, dtype=np.int64),
    )


def one(clips: Sequence[str], lengths: Sequence[int] | None = None):
    """Audio alone: what its clips look like after, their lengths, the record."""
    known = {} if lengths is None else {"audio": stated(*lengths)}
    stream, record = settle({"audio": drawn(*clips)}, known)["audio"]
    return shown(stream.values), stream.lengths.tolist(), record


FULL = ["########"] * 4

STATED = {
    "at the end": ("####....", 4, "####....", 4),
    "silent at the end": ("###.....", 4, "###.....", 4),
    "silent at the start": ("..##....", 4, "..##....", 4),
    "silent at the start, full": ("..######", 8, "..######", 8),
    "at the front": ("....####", 4, "####....", 4),
    "at the front, silent at the end": ("...####.", 5, "####....", 5),
    "at the front, silent at the start": ("....#..#", 5, ".#..#...", 5),
    "at the front, the signal of one frame": (".......#", 1, "#.......", 1),
    "at the front, two frames": ("......##", 2, "##......", 2),
    "on both sides": ("..###...", 3, "###.....", 3),
    "on both sides with a pause": ("..#.#...", 3, "#.#.....", 3),
    "stated too short": ("########", 5, "########", 8),
    "stated too short, silent at the start": (".#######", 5, ".#######", 8),
    "stated too long": ("###.....", 6, "###.....", 6),
    "stated to be empty": ("##......", 0, "##......", 2),
    "empty": ("........", 0, "........", 1),
    "empty but stated": ("........", 3, "........", 3),
}


@pytest.mark.parametrize("case", STATED)
@pytest.mark.parametrize("company", ["alone", "few", "most"])
def test_stated_frames_decide(case, company):
    clip, length, expected, settled = STATED[case]
    others, counts = {
        "alone": ([], []),
        "few": (FULL, [8] * 4),
        "most": (["....####"] * 9, [4] * 9),
    }[company]
    clips, lengths, record = one([clip, *others], [length, *counts])
    assert (clips[0], lengths[0]) == (expected, settled)
    assert record["cut_clips"] == 0
    assert record["extended_clips"] == case.startswith("stated too short") + (
        case == "stated to be empty"
    )


SIGNAL = {
    "most are padded at the front": (
        ["...#####", "....####", "..######", "########"],
        ["#####...", "####....", "######..", "########"],
    ),
    "most at the front, one silent at the end": (
        ["...####.", "...#####", "...#####", "...#####"],
        ["####....", "#####...", "#####...", "#####..."],
    ),
    "a few at the front": (
        ["...#####", *FULL],
        ["#####...", *FULL],
    ),
    "a few at the front beside a shorter pause": (
        ["...#####", "##..####", *FULL],
        ["#####...", "##..####", *FULL],
    ),
    "zero frames as long as a pause are data": (
        ["..######", "##..####", *FULL],
        ["..######", "##..####", *FULL],
    ),
    "a face not found yet, padded at the end": (
        ["..####..", "#####...", *FULL],
        ["..####..", "#####...", *FULL],
    ),
    "both sides": (
        ["...#####", "#####...", "########", "##......"],
        ["#####...", "#####...", "########", "##......"],
    ),
    "empty clips": (["........", "###.....", "........"], ["........", "###.....", "........"]),
    "one frame": (["#", "."], ["#", "."]),
}


@pytest.mark.parametrize("case", SIGNAL)
def test_signal_decides_where_nothing_is_stated(case):
    before, after = SIGNAL[case]
    clips, lengths, record = one(before)
    assert clips == after
    assert lengths == [max(1, len(clip.rstrip("."))) for clip in after]
    assert record["moved_clips"] == sum(a != b for a, b in zip(before, after, strict=True))
    starts = sum(clip.startswith(".") and "#" in clip for clip in after)
    assert record["silent_starts"] == starts


def test_the_record_says_how_the_padding_stood():
    assert one(FULL)[2]["padding"] == "end"
    assert one(["....####"] * 3)[2]["padding"] == "front, moved to the end"
    assert one(["....####", *FULL])[2]["padding"] == "front in some clips, moved to the end"


def test_values_move_with_their_frames():
    stream, _ = settle({"audio": drawn("...#####", *FULL)}, {})["audio"]
    np.testing.assert_array_equal(stream.values[0, :, 0], [4, 5, 6, 7, 8, 0, 0, 0])


# Lengths beyond the array


def test_a_cut_clip_is_as_long_as_the_array():
    clips, lengths, record = one(["########", "########", "###....."], [20, 9, 3])
    assert lengths == [8, 8, 3]
    assert record["truncated_clips"] == 2
    assert clips[2] == "###....."


def test_lengths_beyond_the_array_without_signal_there_are_refused():
    with pytest.raises(DataError, match=r"2 of 3 clips \(train\[0\] 20, train\[1\] 9\)") as caught:
        one(["####....", "###.....", "########"], [20, 9, 8])
    assert "audio_lengths" in caught.value.hint


# Streams of one size


def together(lengths: dict[str, Lengths], **clips: Sequence[str]):
    settled = settle({name: drawn(*rows) for name, rows in clips.items()}, lengths)
    return {name: shown(stream.values) for name, (stream, _) in settled.items()}, {
        name: record for name, (_, record) in settled.items()
    }


ALIGNED = {
    "a silent start beside a word": (
        {"text": ["####"], "audio": [".###"], "vision": ["..##"]},
        {"text": ["####"], "audio": [".###"], "vision": ["..##"]},
    ),
    "all padded at the front": (
        {"text": ["..##"], "audio": ["...#"], "vision": ["..##"]},
        {"text": ["##.."], "audio": [".#.."], "vision": ["##.."]},
    ),
    "without text": (
        {"audio": ["..##"], "vision": [".###"]},
        {"audio": [".##."], "vision": ["###."]},
    ),
    "each starts elsewhere": (
        {"text": ["..##"], "audio": [".#.#"], "vision": ["...."]},
        {"text": [".##."], "audio": ["#.#."], "vision": ["...."]},
    ),
    "one is full": (
        {"audio": ["####"], "vision": ["..##"]},
        {"audio": ["####"], "vision": ["..##"]},
    ),
}


@pytest.mark.parametrize("case", ALIGNED)
def test_aligned_streams_move_together_or_not_at_all(case):
    before, after = ALIGNED[case]
    found, records = together({}, **before)
    assert found == after
    for name, record in records.items():
        assert record["aligned_with"] == [other for other in before if other != name]


def test_streams_of_other_sizes_move_alone():
    found, records = together({}, audio=["..##"], vision=["#####"])
    assert found == {"audio": ["##.."], "vision": ["#####"]}
    assert records["audio"]["aligned_with"] == []


def test_stated_frames_that_differ_tell_streams_apart():
    lengths = {"audio": stated(2, 4), "vision": stated(3, 4)}
    found, _ = together(lengths, audio=["..##", "####"], vision=[".###", "####"])
    assert found == {"audio": ["##..", "####"], "vision": ["###.", "####"]}


def test_stated_frames_that_agree_do_not():
    lengths = {"audio": stated(3, 4), "vision": stated(3, 4)}
    found, _ = together(lengths, audio=["..##", "####"], vision=[".###", "####"])
    assert found == {"audio": [".##.", "####"], "vision": ["###.", "####"]}


def test_a_mask_holds_the_text_and_what_is_aligned_with_it():
    lengths = {"text": stated(3, 4, starts=[0, 0])}
    found, records = together(
        lengths, text=["####", "####"], audio=[".##.", ".###"], vision=["..#.", "####"]
    )
    assert found == {
        "text": ["###.", "####"],
        "audio": [".##.", ".###"],
        "vision": ["..#.", "####"],
    }
    assert (records["text"]["cut_clips"], records["text"]["cut_frames"]) == (1, 1)
    assert records["audio"]["cut_clips"] == 0


def test_a_mask_padded_at_the_front_moves_all():
    lengths = {"text": stated(2, 4, starts=[2, 0])}
    found, _ = together(lengths, text=["####", "####"], audio=["...#", "####"])
    assert found == {"text": ["##..", "####"], "audio": [".#..", "####"]}


def test_signal_where_the_mask_has_padding_is_refused():
    lengths = {"text": stated(2, 4, starts=[2, 0])}
    with pytest.raises(DataError, match=r"audio carries signal.*in 1 of 2 clips \(train\[0\] 2\)"):
        together(lengths, text=["..##", "####"], audio=[".###", "####"])


def test_signal_past_the_text_in_most_clips_is_not_aligned_with_it():
    lengths = {"text": stated(2, 2, 3, starts=[0, 0, 0])}
    found, records = together(
        lengths,
        text=["##..", "##..", "###."],
        audio=["..##", "..##", "..##"],
        vision=["...#", "..##", ".###"],
    )
    assert found["text"] == ["##..", "##..", "###."]
    assert found["audio"] == ["##..", "##..", ".##."]
    assert found["vision"] == [".#..", "##..", "###."]
    assert records["audio"]["aligned_with"] == ["vision"]


# For all clips

clip_texts = st.integers(1, 7).flatmap(
    lambda frames: st.lists(st.text("#.", min_size=frames, max_size=frames), min_size=1, max_size=6)
)


@settings(max_examples=300, deadline=None)
@given(clips=clip_texts, data=st.data())
def test_no_signal_is_ever_lost(clips, data):
    frames = len(clips[0])
    counts = st.lists(st.integers(0, frames + 1), min_size=len(clips), max_size=len(clips))
    lengths = data.draw(st.none() | counts)
    before = drawn(*clips)
    known = {} if lengths is None else {"audio": stated(*lengths)}
    try:
        stream, record = settle({"audio": before.copy()}, known)["audio"]
    except DataError:
        assert max(lengths) > frames
        return
    for row in range(len(clips)):
        kept = stream.values[row, : stream.lengths[row]]
        np.testing.assert_array_equal(kept[kept.any(axis=1)], before[row][before[row].any(axis=1)])
        assert not stream.values[row, stream.lengths[row] :].any()
    assert (stream.lengths >= 1).all()
    assert (stream.lengths <= frames).all()
    assert record["cut_clips"] == 0


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    sides=st.lists(st.booleans(), min_size=6, max_size=6),
    inside=st.lists(st.text("#.", min_size=7, max_size=7), min_size=6, max_size=6),
)
def test_a_clip_between_two_signals_is_found_on_either_side(sizes, sides, inside):
    """Stated frames give back every clip that begins and ends with signal."""
    clips = [f"#{inner[: size - 2]}#"[:size] for size, inner in zip(sizes, inside, strict=False)]
    padded = [
        clip.rjust(7, ".") if front else clip.ljust(7, ".")
        for clip, front in zip(clips, sides, strict=False)
    ]
    found, lengths, _ = one(padded, [len(clip) for clip in clips])
    assert found == [clip.ljust(7, ".") for clip in clips]
    assert lengths == [len(clip) for clip in clips]


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.text("#.", min_size=5, max_size=5)] * 3), min_size=1, max_size=5)
)
def test_alignment_is_never_shifted(rows):
    before = {
        name: drawn(*clips)
        for name, clips in zip(("text", "audio", "vision"), zip(*rows, strict=True), strict=True)
    }
    settled = settle({name: values.copy() for name, values in before.items()}, {})
    for row in range(len(rows)):
        shifts = [
            {
                shift
                for shift in range(5)
                if np.array_equal(
                    np.roll(values[row], -shift, axis=0), settled[name][0].values[row]
                )
            }
            for name, values in before.items()
        ]
        assert set.intersection(*shifts)
