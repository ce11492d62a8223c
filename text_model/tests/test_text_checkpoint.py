"""Released checkpoints: read, written, refused."""

from __future__ import annotations

import csv
import io
import os
import pickle
import resource
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from text_model.checkpoint import (
    FEATURES,
    PublishedText,
    load_published,
    load_released_state,
    save_published,
)

QUIET = {"noise": "never", "capacity": "never"}


def released_file(path, dataset):
    """A file in the released layout; every tensor is one number seen from everywhere."""
    state = {}
    with (Path(__file__).parent / "data" / "released_state.csv").open() as file:
        for row in csv.DictReader(file):
            if dataset in row["datasets"].split():
                layers = range(12) if ".encoder.layer.0." in row["name"] else [0]
                for layer in layers:
                    name = row["name"].replace(".layer.0.", f".layer.{layer}.")
                    state[name] = torch.tensor(0.01).expand(*map(int, row["shape"].split("x")))
    torch.save({"epoch": 5, "state_dict": state, "optimizer": {"state": {}}}, path)
    return path


def arrays(clips, features):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 2, (3, clips, 3, 50)).astype(np.float32)  # as the pickles hold them
    return {
        "text": tokens[0],
        "audio": rng.normal(size=(clips, 50, features.audio)),
        "vision": rng.normal(size=(clips, 50, features.vision)),
        "audio_clue": tokens[1],
        "visual_clue": tokens[2],
    }


def saved_state(network):
    """What a file of this network holds."""
    file = io.BytesIO()
    save_published(file, network, epoch=1)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.slow
def test_a_released_file_is_read_and_predicts(tmp_path):
    model = load_published(released_file(tmp_path / "epoch_28_1layers.pth", "simsv2"), "simsv2")
    clips = arrays(3, FEATURES["simsv2"])
    values = model.predict_arrays(**clips)
    assert values.shape == (3,) and np.isfinite(values).all()
    assert not model.training and not model.network.training
    assert np.array_equal(model.predict_arrays(**clips), values)


def test_predictions_are_those_of_the_network(params, network, batch):
    model, clips = network(params(released=True, **QUIET)), batch(5)
    given = {
        name: torch.stack([coded.ids, coded.mask, coded.segments], dim=1).numpy()
        for name, coded in {"text": clips.tokens, **clips.clues}.items()
    }
    given |= {name: getattr(clips, name).values[:, :50].numpy() for name in ("audio", "vision")}
    with torch.inference_mode():
        expected = model(clips).prediction
    np.testing.assert_allclose(PublishedText(model).predict_arrays(**given), expected, atol=1e-6)


def test_a_clip_is_predicted_as_in_any_batch(params, network):
    model = PublishedText(network(params(released=True, **QUIET)))
    features = type(FEATURES["mosi"])(5, 4)
    clips = arrays(70, features)
    together = model.predict_arrays(**clips)
    for row in (0, 63, 64, 69):
        alone = model.predict_arrays(**{name: array[[row]] for name, array in clips.items()})
        np.testing.assert_allclose(alone, together[[row]], atol=1e-5)


def test_saved_weights_come_back(params, network, batch):
    chosen = params(released=True, **QUIET)
    model, other = network(chosen), network(chosen, seed=1)
    content = saved_state(model)
    assert list(content) == ["epoch", "state_dict", "optimizer"] and content["epoch"] == 1
    load_released_state(other, content["state_dict"])
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("removed", "added", "named"),
    [
        ("cls_head.gate.0.bias", {}, "lacks cls_head.gate.0.bias"),
        (None, {"cls_head.gate.1.bias": torch.zeros(3)}, "unknown cls_head.gate.1.bias"),
        (
            "proj_a0.weight",
            {"proj_a0.weight": torch.zeros(16, 6)},
            r"proj_a0.weight should be \(16, 5\), found \(16, 6\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(params, network, removed, added, named):
    model = network(params(released=True))
    state = saved_state(model)["state_dict"]
    state.pop(removed, None)
    with pytest.raises(DataError, match=named):
        load_released_state(model, state | added)


def test_another_depth_is_refused(params, network):
    state = saved_state(network(params(released=True, smoe_layers=1)))["state_dict"]
    with pytest.raises(DataError, match=r"lacks text_router_moe_trans.encoder.layers\.1.* more"):
        load_released_state(network(params(released=True)), state)


def test_an_unknown_dataset_is_refused(tmp_path):
    with pytest.raises(DataError, match="mosi, mosei, sims, simsv2"):
        load_published(tmp_path / "c.pth", "iemocap")


class Bomb:
    """Unpickled by plain pickle, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def archive(path, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, content in parts.items():
            target.writestr(f"c/{name}", content)


def calling(name, argument):
    """A list of tensors that calls something else."""
    module, _, function = name.rpartition(".")
    return b"\x80\x02c%s\n%s\n(" % (module.encode(), function.encode()) + argument + b"tR."


def overlapping(path):
    """A thousand parts that are the same bytes of the file."""
    archive(path, {"data.pkl": b"\x80\x02N.", "data/0": b"0" * 10**5})
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[content.index(b"PK\x01\x02", at + 1) : end]
    listed = content[at:end] + entry * 1000
    counts = struct.pack("<HHII", 1002, 1002, len(listed), at)
    path.write_bytes(content[:at] + listed + content[end : end + 8] + counts + b"\0\0")


UNFOLDING = {
    "compressed": (
        lambda path: archive(
            path, {"data.pkl": b"\x80\x02N.", "data/0": bytes(10**7)}, zipfile.ZIP_DEFLATED
        ),
        "is compressed",
    ),
    "overlapping": (overlapping, r"parts of 100,\d+,\d+ bytes"),
    "25,000 parts": (
        lambda path: archive(
            path, {"data.pkl": b"\x80\x02N."} | {f"{i}": b"" for i in range(25_000)}
        ),
        "25,001 parts",
    ),
    "70,000 parts": (
        lambda path: archive(
            path, {"data.pkl": b"\x80\x02N."} | {f"{i}": b"" for i in range(70_000)}
        ),
        "70,001 parts",
    ),
    "a bytearray of 100 GB": (
        lambda path: archive(
            path, {"data.pkl": calling("builtins.bytearray", b"\x8a\x05" + b"\xff" * 4 + b"\x17")}
        ),
        "a call of 'builtins bytearray'",
    ),
    "the same in the older form": (
        lambda path: path.write_bytes(
            calling("builtins.bytearray", b"\x8a\x05" + b"\xff" * 4 + b"\x17")
        ),
        "a call of 'builtins bytearray'",
    ),
    "instructions without end": (
        lambda path: archive(path, {"data.pkl": b"\x80\x02(" + b"N" * 10**6 + b"l."}),
        "of memory or more with its list of tensors",
    ),
}


@pytest.mark.parametrize("how", UNFOLDING)
def test_a_checkpoint_that_unfolds_is_refused_at_once(tmp_path, how):
    make, message = UNFOLDING[how]
    path = tmp_path / "c.pth"
    make(path)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=message):
        load_published(path, "mosi")
    assert time.process_time() - began < 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("plain", [False, True], ids=["torch.save", "pickle"])
def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path, plain):
    path, trace = tmp_path / "c.pth", tmp_path / "trace"
    content = {"epoch": 1, "state_dict": {"proj_t0.bias": Bomb(trace)}, "optimizer": {}}
    if plain:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(DataError, match="tensors only"):
        load_published(path, "mosi")
    assert not trace.exists()
    pickle.loads(pickle.dumps(content))
    assert trace.exists()  # the bomb was live


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(3),
        [1, 2],
        {},
        {"state_dict": 3},
        {"state_dict": {"a": 1}},
        {"state_dict": {1: torch.zeros(1)}},
    ],
    ids=str,
)
def test_other_contents_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(DataError, match="state_dict"):
        load_published(tmp_path / "c.pth", "mosi")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_published(tmp_path / "c.pth", "mosi")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_refused(tmp_path, data):
    file = io.BytesIO()
    content = {"epoch": 1, "state_dict": {"a": torch.arange(3.0), "b": 1}, "optimizer": {}}
    torch.save(content, file, _use_new_zipfile_serialization=data.draw(st.booleans()))
    damaged = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "c.pth").write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    with pytest.raises(DataError):
        load_published(tmp_path / "c.pth", "mosi")


@pytest.mark.parametrize("name", ["text", "audio", "vision", "audio_clue", "visual_clue"])
def test_arrays_of_another_shape_are_refused(params, network, name):
    model = PublishedText(network(params(released=True, **QUIET)))
    clips = arrays(2, type(FEATURES["mosi"])(5, 4))
    for wrong in (clips[name][:, :-1], clips[name][..., :-1], clips[name][0]):
        with pytest.raises(DataError, match="should have shape"):
            model.predict_arrays(**{**clips, name: wrong})
