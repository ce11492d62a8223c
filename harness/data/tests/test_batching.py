"""Batches: trimming takes padding only, every clip comes once, the corpus stays as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from harness.data import residency
from harness.data.batching import Batch, BatchSource, Sequence, epoch_order
from harness.data.corpus import Corpus, Split, Stream
from harness.data.datasets import datasets
from harness.data.store import CorpusStore, Draft

SIZES = {"text": (7, 3), "audio": (9, 2), "vision": (5, 4)}
EVERYTHING = frozenset({"text", "audio", "vision", "tokens"})


def stream(lengths: list[int], frames: int, dim: int, seed: int = 0) -> Stream:
    values = np.random.default_rng(seed).standard_normal((len(lengths), frames, dim), np.float32)
    values[np.arange(frames) >= np.array(lengths)[:, None]] = 0
    return Stream(values, np.array(lengths, dtype=np.int64))


def clips(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"v_{i}" for i in range(n)],
            "video": "v",
            "clip": [str(i) for i in range(n)],
            "split": "train",
            "text": "words",
            "label": np.linspace(-1, 1, n).round(6),
            "label_T": np.linspace(1, -1, n).round(6),
        }
    )


def split_of(streams: dict[str, Stream], n: int) -> Split:
    corpus = Corpus(
        name="sims-twin@test",
        dataset=datasets["sims"],
        fingerprint="0" * 64,
        clips=clips(n),
        streams=streams,
        tokens=None,
        manifest={},
    )
    return corpus.split("train")


def tokens_of(lengths: list[int], width: int) -> np.ndarray:
    tokens = np.zeros((len(lengths), 3, width), dtype=np.int32)
    for row, length in enumerate(lengths):
        tokens[row, 0, :length] = np.arange(length) + 100 * row + 1
        tokens[row, 1, :length] = 1
        tokens[row, 2, length // 2 : length] = 1
    return tokens


@pytest.fixture
def source() -> BatchSource:
    lengths = {"text": [7, 1, 3, 4], "audio": [2, 2, 9, 5], "vision": [1, 1, 1, 5]}
    streams = {name: stream(lengths[name], *SIZES[name]) for name in SIZES}
    tokens = tokens_of([6, 2, 3, 1], 8)
    return BatchSource(split_of(streams, 4), inputs=EVERYTHING, tokens={"tokens": tokens})


def sequence(batch: Batch, name: str) -> Sequence:
    found = getattr(batch, name)
    assert isinstance(found, Sequence)
    return found


# Gathering


def test_a_batch_holds_the_clips_asked_for_in_their_order(source: BatchSource) -> None:
    batch = source.gather(torch.tensor([3, 1]))
    assert len(batch) == 2
    assert batch.rows.tolist() == [3, 1]
    np.testing.assert_allclose(batch.labels, [1.0, -1 / 3], atol=1e-6)
    assert batch.labels.dtype == torch.float32
    assert set(batch.unimodal) == {"label_T"}
    np.testing.assert_allclose(batch.unimodal["label_T"], [-1.0, 1 / 3], atol=1e-6)
    assert sequence(batch, "text").lengths.tolist() == [4, 1]
    assert batch.tokens is not None
    assert batch.tokens.ids.tolist() == [[301, 0], [101, 102]]


@settings(deadline=None)
@given(st.data())
def test_trimming_takes_nothing_but_padding(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 6))
    name = data.draw(st.sampled_from(sorted(SIZES)))
    frames, dim = SIZES[name]
    whole = stream(data.draw(st.lists(st.integers(1, frames), min_size=n, max_size=n)), frames, dim)
    rows = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=8))
    source = BatchSource(split_of({name: whole}, n), inputs=frozenset({name}))

    got = sequence(source.gather(torch.tensor(rows)), name)

    assert got.values.shape == (len(rows), whole.lengths[rows].max(), dim)
    assert got.frames == frames
    assert got.values.dtype == torch.float32
    np.testing.assert_array_equal(got.lengths, whole.lengths[rows])
    np.testing.assert_array_equal(got.untrimmed(), whole.values[rows])
    np.testing.assert_array_equal(got.mask.sum(1), whole.lengths[rows])
    assert not got.values[~got.mask].any()
    np.testing.assert_array_equal(
        got.mask, np.arange(got.values.shape[1]) < whole.lengths[rows][:, None]
    )


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data())
def test_tokens_are_trimmed_to_the_longest_text(lengths: list[int], data: st.DataObject) -> None:
    tokens = tokens_of(lengths, 9)
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=8))
    source = BatchSource(
        split_of({}, len(lengths)), inputs=frozenset({"tokens"}), tokens={"tokens": tokens}
    )
    got = source.gather(torch.tensor(rows)).tokens
    longest = max(lengths[row] for row in rows)
    assert got is not None
    for position, part in enumerate((got.ids, got.mask, got.segments)):
        assert part.dtype == torch.int64
        np.testing.assert_array_equal(part, tokens[rows, position, :longest])
    assert not tokens[rows, :, longest:].any()


def test_texts_without_a_token_still_make_a_batch() -> None:
    tokens = np.zeros((2, 3, 5), dtype=np.int32)
    source = BatchSource(split_of({}, 2), inputs=frozenset({"tokens"}), tokens={"tokens": tokens})
    got = source.gather(torch.tensor([0, 1])).tokens
    assert got is not None
    assert got.ids.shape == (2, 1)


def test_streams_nobody_asked_for_and_streams_nobody_has_are_none() -> None:
    split = split_of({"audio": stream([1, 2], 3, 2), "vision": stream([1, 2], 3, 2)}, 2)
    batch = BatchSource(split, inputs=frozenset({"text", "audio"})).gather(torch.tensor([0]))
    assert (batch.text, batch.vision, batch.tokens) == (None, None, None)
    assert batch.audio is not None


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])
def test_in_order_every_clip_comes_once(source: BatchSource, batch_size: int) -> None:
    batches = list(source.in_order(batch_size))
    assert torch.cat([batch.rows for batch in batches]).tolist() == [0, 1, 2, 3]
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert len(source) == 4


def test_everything_of_a_batch_is_on_the_device_that_was_asked_for() -> None:
    device = torch.device("meta")  # the one other device every machine has
    split = split_of({name: stream([1, 2], *SIZES[name]) for name in SIZES}, 2)
    tokens = tokens_of([1, 2], 4)
    source = BatchSource(split, inputs=EVERYTHING, tokens={"tokens": tokens}, device=device)
    batch = source.gather(torch.tensor([0, 1]))
    assert batch.tokens is not None
    tensors = [batch.rows, batch.labels, *batch.unimodal.values()]
    tensors += [batch.tokens.ids, batch.tokens.mask, batch.tokens.segments]
    for name in SIZES:
        part = sequence(batch, name)
        tensors += [part.values, part.lengths, part.mask, part.untrimmed()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_reach_a_cuda_device_unchanged(source: BatchSource) -> None:
    split = split_of({"audio": stream([2, 5], 9, 2)}, 2)
    rows = torch.tensor([1, 0])
    there = BatchSource(split, inputs=frozenset({"audio"}), device=torch.device("cuda")).gather(
        rows
    )
    here = BatchSource(split, inputs=frozenset({"audio"})).gather(rows)
    assert there.labels.is_cuda
    torch.testing.assert_close(
        sequence(there, "audio").values.cpu(), sequence(here, "audio").values
    )
    torch.testing.assert_close(sequence(there, "audio").mask.cpu(), sequence(here, "audio").mask)


# Epochs


@given(st.integers(1, 200), st.integers(2, 64), st.integers(0, 2**32))
def test_an_epoch_is_a_permutation_without_a_last_batch_of_one(
    size: int, batch_size: int, seed: int
) -> None:
    batches = epoch_order(size, batch_size, np.random.default_rng(seed))
    assert sorted(torch.cat(batches).tolist()) == list(range(size))
    assert all(len(batch) == batch_size for batch in batches[:-2])
    assert all(1 < len(batch) <= batch_size + 1 for batch in batches) or size == 1


def test_the_order_is_the_generator_s_and_random() -> None:
    def order(seed: int) -> list[int]:
        return torch.cat(epoch_order(50, 8, np.random.default_rng(seed))).tolist()

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(20)}) == 20
    firsts = [order(seed)[0] for seed in range(400)]
    assert len(set(firsts)) > 40  # of 50 clips, any may come first


# The corpus


def test_nothing_done_to_a_batch_reaches_the_corpus(tmp_path: Path) -> None:
    draft = Draft(
        name="sims-twin@test",
        clips=clips(4),
        streams={name: stream([1, 2, 3, 4], *SIZES[name]) for name in SIZES},
        tokens=tokens_of([1, 2, 3, 4], 6),
        manifest={},
    )
    corpus = CorpusStore(tmp_path).add(draft)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    split = corpus.split("train")
    assert split.tokens is not None
    source = BatchSource(split, inputs=EVERYTHING, tokens={"tokens": split.tokens})
    before = [batch_values(batch) for batch in source.in_order(4)]
    for batch in [
        *source.in_order(4),
        source.gather(torch.arange(4)),
        source.gather(torch.tensor([3])),
    ]:
        for tensor in batch_tensors(batch):
            tensor.add_(1)
            tensor.mul_(3)
    assert [batch_values(batch) for batch in source.in_order(4)] == before
    for name, whole in draft.streams.items():
        np.testing.assert_array_equal(corpus.streams[name].values, whole.values)
        np.testing.assert_array_equal(corpus.streams[name].lengths, whole.lengths)
    np.testing.assert_array_equal(corpus.tokens, draft.tokens)
    np.testing.assert_array_equal(corpus.clips["label"], draft.clips["label"])
    assert {path: path.read_bytes() for path in files} == files


def batch_tensors(batch: Batch) -> list[torch.Tensor]:
    assert batch.tokens is not None
    tensors = [batch.labels, *batch.unimodal.values()]
    tensors += [batch.tokens.ids, batch.tokens.mask, batch.tokens.segments]
    for name in SIZES:
        tensors += [sequence(batch, name).values, sequence(batch, name).lengths]
    return tensors


def batch_values(batch: Batch) -> list[object]:
    return [tensor.tolist() for tensor in batch_tensors(batch)]


# Where clips lie


def test_clips_without_room_make_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = {"text": [7, 1, 3, 4], "audio": [2, 2, 9, 5], "vision": [1, 1, 1, 5]}
    split = split_of({name: stream(lengths[name], *SIZES[name]) for name in SIZES}, 4)
    tokens = {"tokens": tokens_of([6, 2, 3, 1], 8)}
    found = []
    for free in (10**9, 10):
        monkeypatch.setattr(residency, "free_bytes", lambda device, free=free: free)
        source = BatchSource(split, inputs=EVERYTHING, tokens=tokens)
        assert source.resident == (free > 10)
        found.append([batch_values(batch) for batch in source.in_order(3)])
    assert found[0] == found[1]


def test_only_clips_without_room_are_told_of_and_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    residency._say.cache_clear()
    monkeypatch.setattr(residency, "free_bytes", lambda device: 1000)
    device = torch.device("meta")
    residency.begin()
    assert residency.stayed() is None
    assert residency.has_room(int(1000 * residency.SHARE), device, "few clips")
    assert residency.stayed() is True
    assert not caplog.records
    for _ in range(2):
        assert not residency.has_room(501, device, "train clips of mosi@test")
    assert residency.stayed() is False
    (record,) = caplog.records
    assert "train clips of mosi@test" in record.getMessage()
    residency.begin()
    assert residency.stayed() is None


def test_features_keep_their_precision_until_they_are_in_a_batch() -> None:
    whole = stream([2, 3], 3, 2)
    half = Stream(whole.values.astype(np.float16), whole.lengths)  # type: ignore[arg-type]
    source = BatchSource(split_of({"audio": half}, 2), inputs=frozenset({"audio"}))
    assert source._tables["values"]["audio"].dtype == torch.float16
    got = sequence(source.gather(torch.tensor([1, 0])), "audio").values
    assert got.dtype == torch.float32
    np.testing.assert_array_equal(got, half.values[[1, 0]].astype(np.float32))


def test_lengths_are_known_on_the_host_wherever_batches_are(source: BatchSource) -> None:
    split = split_of({name: stream([1, 2], *SIZES[name]) for name in SIZES}, 2)
    there = BatchSource(
        split,
        inputs=EVERYTHING,
        tokens={"tokens": tokens_of([1, 2], 4)},
        device=torch.device("meta"),
    )
    (rows,) = there.placed([torch.tensor([1, 0])])
    batch = there.gather(rows)
    audio, tokens = sequence(batch, "audio"), batch.tokens
    assert audio.lengths.device.type == "meta" and audio.on_host is not None
    assert audio.on_host.tolist() == [2, 1]
    assert tokens is not None and tokens.on_host is not None
    assert tokens.on_host.tolist() == [2, 1]
    assert audio.packed().batch_sizes.tolist() == [2, 1]


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.booleans())
def test_packing_is_pytorch_s_own(lengths: list[int], known: bool) -> None:
    values, counts = torch.randn(len(lengths), max(lengths), 3), torch.tensor(lengths)
    read = Sequence(values, counts, 6, counts if known else None)
    expected = pack_padded_sequence(values, counts, batch_first=True, enforce_sorted=False)
    packed = read.packed()
    for ours, theirs in zip(packed, expected, strict=True):
        assert torch.equal(ours, theirs)
    unpacked, _ = pad_packed_sequence(expected, batch_first=True, total_length=6)
    assert torch.equal(read.unpacked(packed, 6), unpacked)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("resident", [True, False])
def test_batches_of_a_gpu_are_those_of_the_cpu(resident: bool) -> None:
    split = split_of({name: stream([1, 4, 2], *SIZES[name]) for name in SIZES}, 3)
    tokens = {"tokens": tokens_of([1, 2, 3], 4)}
    device = torch.device("cuda")
    there = BatchSource(split, inputs=EVERYTHING, tokens=tokens, device=device, resident=resident)
    here = BatchSource(split, inputs=EVERYTHING, tokens=tokens)
    for ours, theirs in zip(there.in_order(2), here.in_order(2), strict=True):
        assert ours.labels.is_cuda
        assert batch_values(ours) == batch_values(theirs)


def test_lengths_that_were_replaced_are_those_that_are_packed() -> None:
    values, lengths = torch.ones(2, 3, 1), torch.tensor([3, 2])
    stream = dataclasses.replace(
        Sequence(values, lengths, 3, lengths), lengths=torch.tensor([1, 2])
    )
    assert stream.packed().batch_sizes.tolist() == [2, 1]
