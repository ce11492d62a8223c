"""Labels beside predictions: agreement, contradiction and its cause, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.data.labels import contradiction, copied, finest, gather, judge, judge_rows
from harness.errors import SubmissionError

RNG = np.random.default_rng(0)
IDS = [f"v{place // 5}_{place % 5}" for place in range(60)]
KNOWN = dict(zip(IDS, (RNG.integers(-15, 16, 60) / 5).tolist(), strict=True))
SIXTHS = dict(zip(IDS, (RNG.integers(-18, 19, 60) / 6).round(6).tolist(), strict=True))


def of(labels, ids=IDS) -> dict[str, float]:
    return dict(zip(ids, map(float, labels), strict=True))


def values(known=KNOWN) -> np.ndarray:
    return np.array(list(known.values()))


# What agrees


@pytest.mark.parametrize(
    "spelt",
    [
        lambda known: known,
        lambda known: known.round(3),
        lambda known: known.round(2),
        lambda known: known.astype(np.float32).astype(float),
        lambda known: known + 4.9e-4,
        lambda known: known.astype(np.float16).astype(float),
        lambda known: known.astype(np.float16).astype(float).round(3),
        lambda known: torch.tensor(known).bfloat16().double().numpy(),
        lambda known: torch.tensor(known).bfloat16().double().numpy().round(4),
    ],
)
def test_labels_agree_however_they_are_printed(spelt) -> None:
    assert contradiction(of(spelt(values(SIXTHS))), SIXTHS, against="label.csv") is None


def test_only_clips_that_both_label_are_compared() -> None:
    found = contradiction({"a": 1.0, IDS[0]: 9.0}, KNOWN, source="p.csv", against="label.csv")
    assert (found.compared, list(found.clips)) == (1, [IDS[0]])
    assert contradiction({"a": 1.0}, KNOWN, against="label.csv") is None


# What does not, and why


def shifted(by: int) -> np.ndarray:
    return np.roll(values(), by)


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        (RNG.permutation(values()), "a loader with shuffle=True"),
        (sorted(values()), "the labels are those of other clips"),
        (values()[::-1], "the labels are those of other clips"),
        (shifted(1), "that of the row before: rows are shifted by one"),
        (shifted(-1), "that of the row after: rows are shifted by one"),
        (-values(), "the sign is turned round"),
        (values() / 3, "another scale: 0.3333 times the known ones"),
        (values() * 10, "another scale: 10 times the known ones"),
        ((values() + 3) / 6, "another scale: 0.1667 times the known ones +0.5"),
        (values().round(), "rounded to integers"),
        ((values() * 2).round() / 2, "rounded to halves"),
        (np.sign(values()), "made 3 classes"),
        (np.digitize(values(), [-2, -1, 0, 1, 2]), "made 6 classes"),
        (values() + RNG.choice([-0.2, 0.2], 60), "another version of the labels"),
        (RNG.uniform(-3, 3, 60).round(3), "of another dataset or version"),
    ],
)
def test_the_cause_is_named(labels, cause: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        judge(contradiction(of(labels), KNOWN, source="p.csv", against="label.csv"))
    assert cause in str(caught.value)
    assert " of 60 labels in p.csv contradict label.csv (" in str(caught.value)
    assert "by id" in str(caught.value.hint)


def test_labels_in_the_order_of_the_known_clips_are_recognised() -> None:
    order = RNG.permutation(IDS).tolist()
    found = contradiction(of(values(), order), KNOWN, source="p.csv", against="label.csv")
    assert "the labels stand in the order of the known clips, the ids do not" in found.text


def test_rounding_to_one_decimal_is_told_from_labels_on_that_grid() -> None:
    found = contradiction(of(values(SIXTHS).round(1)), SIXTHS, against="label.csv")
    assert "rounded to one decimal" in found.text


@pytest.mark.parametrize("clips", [1, 2])
def test_no_cause_is_made_up_for_a_clip_or_two(clips: int) -> None:
    found = contradiction(of([9.0] * clips, IDS[:clips]), KNOWN, against="label.csv")
    assert found.cause == ""
    assert not found.is_small


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_labels_have_no_cause_that_needs_a_spread(value: float) -> None:
    found = contradiction(of([value] * 60), KNOWN, against="label.csv")
    assert found.cause
    same = dict.fromkeys(IDS, value)
    assert contradiction(of(values()), same, against="label.csv").cause


@pytest.mark.parametrize(("wrong", "refused"), [(1, False), (3, False), (4, True), (60, True)])
def test_single_clips_are_a_notice_and_many_an_error(wrong: int, refused: bool) -> None:
    labels = values()
    labels[:wrong] += 0.5
    found = contradiction(of(labels), KNOWN, source="p.csv", against="label.csv")
    assert found.share == pytest.approx(wrong / 60)
    if refused:
        with pytest.raises(SubmissionError, match=f"{wrong} of 60 labels in p.csv contradict"):
            judge(found)
    else:
        (notice,) = judge(found)
        assert notice.kind == "labels-differ"
        assert notice.text.startswith(f"{wrong} of 60 labels in p.csv contradict label.csv (")
        assert ";" not in notice.text
        assert notice.record() == {"kind": "labels-differ", "text": notice.text}


LABELS = st.lists(
    st.integers(-18, 18).map(lambda step: round(step / 6, 6)), min_size=2, max_size=30
)


@given(LABELS, LABELS)
def test_contradiction_is_symmetric_and_finds_exactly_the_different_clips(one, other) -> None:
    shared = min(len(one), len(other))
    a, b = of(one, IDS[: len(one)]), of(other, IDS[: len(other)])
    there = contradiction(a, b, source="a", against="b")
    back = contradiction(b, a, source="b", against="a")
    different = {clip for clip in IDS[:shared] if a[clip] != b[clip]}
    assert (there is None) == (back is None) == (not different)
    if there is not None and back is not None:
        assert set(there.clips) == set(back.clips) == different
        assert there.is_small == back.is_small


@given(st.permutations(IDS))
def test_the_order_of_rows_does_not_matter_to_what_agrees(order) -> None:
    assert contradiction({clip: KNOWN[clip] for clip in order}, KNOWN, against="x") is None


@given(LABELS, st.integers(1, 28))
def test_any_rotation_of_labels_is_refused_or_the_same(labels, by: int) -> None:
    ids = IDS[: len(labels)]
    turned = np.roll(labels, by % len(labels)).tolist()
    assume(np.mean(np.array(turned) != labels) > 0.05)
    with pytest.raises(SubmissionError, match="contradict"):
        judge(contradiction(of(turned, ids), of(labels, ids), against="label.csv"))


# Rows of one clip


def test_rows_of_one_clip_have_one_label() -> None:
    own = gather("p.csv", ["a", "b", "a", "b"], [0.667, 1.0, 0.666667, 1.0])
    assert own.labels == {"a": 0.666667, "b": 1.0}
    assert judge_rows(own) == ()


def test_rows_that_differ_are_counted_once_per_clip() -> None:
    own = gather("p.csv", IDS + IDS, [*values(), *shifted(1)])
    with pytest.raises(SubmissionError, match=r"of 60 clips of p\.csv have several labels"):
        judge_rows(own)
    labels = values()
    labels[7] += 1
    own = gather("p.csv", IDS + IDS, [*values(), *labels])
    (notice,) = judge_rows(own)
    assert notice.kind == "labels-disputed"
    assert notice.text.startswith("1 of 60 clips of p.csv have several labels (v1_2 ")
    assert list(own.disputed) == ["v1_2"]
    assert "v1_2" not in own.labels


@given(st.permutations([0.667, 0.666667, 0.6666666865348816]))
def test_the_finest_spelling_is_the_same_in_any_order(labels) -> None:
    assert finest(labels) == 0.666667


# Labels as predictions


def test_labels_handed_in_as_predictions_are_noticed() -> None:
    assert copied(values(), values()) == 60
    assert copied(values() + 1e-5, values()) == 0
    assert copied([*values()[:-3], 9, 9, 9], values()) == 57
    assert copied([*values()[:-6], 9, 9, 9, 9, 9, 9], values()) == 0
    assert copied([], []) == 0
