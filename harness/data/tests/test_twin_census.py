"""Twins like a real file: its zeros, range and padding; their story and ceilings."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from harness.data.audit.census import StreamCensus, take_census
from harness.data.store import Draft
from harness.data.twins.census import Census
from harness.data.twins.generate import generate
from harness.errors import DataError, SpecError

AUDIO = StreamCensus(
    **{"clips": 2199, "frames": 50, "features": 5, "low": -12.0, "high": 376.0},
    **{"mean": 2.5, "deviation": 23.0, "padding": 0.76, "zero_values": 0.4},
    **{"zero_frames": 0.2, "zero_clips": 0.05, "zero_features": 1},
    **{"shortest": 1, "median": 11.0, "longest": 50},
)
TEXT = dataclasses.replace(
    AUDIO,
    **{"features": 12, "low": -9.0, "high": 12.0, "mean": 0.1, "deviation": 0.6},
    **{"zero_values": 0.0, "zero_frames": 0.0, "zero_clips": 0.0, "zero_features": 0},
)
CENSUS = Census(
    dataset="mosi",
    feature_set="aligned-50",
    streams={"text": TEXT, "audio": AUDIO, "vision": dataclasses.replace(AUDIO, features=20)},
)
NAME = f"mosi-twin@aligned-50-like-{CENSUS.mark}-x25"


@pytest.fixture(scope="module")
def made() -> Draft:
    return generate(NAME, CENSUS)


@pytest.mark.parametrize("name", ["text", "audio", "vision"])
def test_the_numbers_are_those_of_the_census(made: Draft, name: str) -> None:
    found, wanted = take_census(made.streams[name]), CENSUS.streams[name]
    assert (found.frames, found.features) == (wanted.frames, wanted.features)
    assert (found.low, found.high) == (wanted.low, wanted.high)
    assert found.zero_features == wanted.zero_features
    for share in ("zero_values", "zero_frames", "zero_clips"):
        assert getattr(found, share) == pytest.approx(getattr(wanted, share), abs=0.03), share
    assert found.mean == pytest.approx(wanted.mean, abs=0.05 * wanted.deviation)
    assert found.deviation == pytest.approx(wanted.deviation, rel=0.1)
    assert found.median == pytest.approx(wanted.median, abs=4)
    assert found.padding == pytest.approx(wanted.padding, abs=0.1)


def test_what_is_shown_keeps_its_order_and_clips_their_story(made: Draft) -> None:
    plain = generate("mosi-twin@aligned-50-x25")
    assert made.clips["id"].tolist() == plain.clips["id"].tolist()
    assert made.clips["label"].tolist() == plain.clips["label"].tolist()
    assert made.manifest["ceilings"] == plain.manifest["ceilings"]
    assert made.manifest["generator"]["census"]["audio"]["zero_features"] == 1
    assert "census" not in plain.manifest["generator"]
    again = generate(NAME, CENSUS)
    assert all(
        np.array_equal(made.streams[k].values, again.streams[k].values) for k in made.streams
    )


def test_padding_of_streams_that_are_not_aligned_is_their_own() -> None:
    audio = dataclasses.replace(AUDIO, frames=100, longest=90, padding=0.5)
    census = dataclasses.replace(
        CENSUS, feature_set="unaligned-50", streams={**CENSUS.streams, "audio": audio}
    )
    draft = generate(f"mosi-twin@unaligned-50-like-{census.mark}-x10", census)
    found = take_census(draft.streams["audio"])
    assert found.padding == pytest.approx(0.5, abs=0.05)
    assert found.longest <= 90


def test_a_census_and_a_name_belong_together() -> None:
    with pytest.raises(SpecError, match="made from a census that is not here"):
        generate(NAME)
    other = dataclasses.replace(CENSUS, streams={**CENSUS.streams, "text": AUDIO})
    with pytest.raises(SpecError, match="no twin of the census"):
        generate(NAME, other)
    with pytest.raises(SpecError, match="no twin of the census"):
        generate("mosi-twin@compact", CENSUS)


def test_a_census_is_read_as_it_was_written_and_nothing_else_is() -> None:
    assert Census.loads(CENSUS.dumps(), "c.json") == CENSUS
    table = json.loads(CENSUS.dumps())
    table["streams"]["audio"]["padding"] = 1.5
    for text in ("[]", "{}", "no json", json.dumps(table)):
        with pytest.raises(DataError, match=r"c\.json is no census"):
            Census.loads(text, "c.json")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("frames", 400.5, "stream audio: frames should be a whole number, found 400.5"),
        ("clips", 2.5, "stream audio: clips should be a whole number"),
        ("low", "0", "stream audio: low should be a number"),
        ("mean", float("nan"), "contradict each other"),
    ],
)
def test_a_figure_of_a_census_that_is_none_is_named(key: str, value: object, says: str) -> None:
    table = json.loads(CENSUS.dumps())
    table["streams"]["audio"][key] = value
    with pytest.raises(DataError, match=rf"c\.json is no census: .*{says}"):
        Census.loads(json.dumps(table), "c.json")


def test_a_census_of_more_than_there_is_room_for_is_refused_before_anything_is_made(
    msa, tmp_path
) -> None:
    table = json.loads(CENSUS.dumps())
    table["streams"]["audio"]["frames"] = 10**12
    path = tmp_path / "census.json"
    path.write_text(json.dumps(table))
    code, out, errors = msa("data", "twin", path, "--percent", "5")
    assert (code, out) == (2, "")
    assert "its twin" in errors and "--memory" in errors
    code, _, errors = msa("data", "twin", "/dev/zero")
    assert code == 2 and "expected a census, found a device" in errors


def test_the_commands_take_a_census_and_make_its_twin(msa, tmp_path) -> None:
    path = tmp_path / "census.json"
    code, out, _ = msa("data", "census", "mosi-twin@compact-x5", "--out", path)
    assert (code, "next: msa data twin" in out) == (0, True)
    code, out, _ = msa("data", "twin", path, "--percent", "5")
    assert code == 0 and out.startswith("mosi-twin@compact-like-")
    name = out.partition(":")[0]
    code, out, _ = msa("data", "info", name)
    assert (code, "no: synthetic" in out) == (0, True)
    code, _, err = msa("data", "twin", tmp_path / "other.json")
    assert code == 2 and f"no such file: {tmp_path}" in err
