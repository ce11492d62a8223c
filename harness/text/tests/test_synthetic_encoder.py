"""Random encoders: the same bytes everywhere, every word known, as small as asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from harness.data.datasets import datasets
from harness.data.twins.generate import generate
from harness.text import Encoder, find_encoder, tokenize
from harness.text.synthetic import twin_encoder, twin_phrases, write_encoder

TEXTS = ["The film is great", "这部电影很好"]
UNKNOWN, FIRST, LAST = 1, 2, 3


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    return Encoder("tiny-twin", twin_encoder(tmp_path_factory.mktemp("cache")))


def test_the_files_are_pinned(twin, tmp_path):
    """Another digest would rename every run on twins: grow the version, then change this."""
    assert twin.digest == "0bfcd79139f645bf3d485621fbe569d959832ec65813a6646afb65ecc743125d"
    assert Encoder("again", twin_encoder(tmp_path)).digest == twin.digest


def test_it_is_written_once(tmp_path):
    folder = twin_encoder(tmp_path)
    (folder / "mark").touch()
    assert twin_encoder(tmp_path) == folder
    assert (folder / "mark").is_file()
    assert folder.parent == tmp_path / "encoders"


@pytest.mark.parametrize("dataset", datasets)
def test_it_knows_every_word_of_the_twins(twin, dataset):
    clips = generate(f"{dataset}-twin@compact-x2").clips
    for column in ("text", "audio_clue", "visual_clue", "summary"):
        tokens = tokenize(twin, clips[column].tolist(), 512)
        assert UNKNOWN not in tokens[:, 0]


def test_phrases_are_of_both_languages():
    phrases = set(twin_phrases())
    assert {"not", "wonderful", "完美", "the voice trembles and breaks off"} <= phrases


def test_words_are_tokens(tmp_path):
    encoder = Encoder("x", write_encoder(tmp_path / "x", TEXTS))
    vocabulary = (tmp_path / "x" / "vocab.txt").read_text("utf-8").split()
    assert vocabulary[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert set(vocabulary[5:]) == {"the", "film", "is", "great", *TEXTS[1]}
    ids = tokenize(encoder, ["THE film", "是"], 9)[:, 0]
    assert ids[0].tolist() == [FIRST, vocabulary.index("the"), vocabulary.index("film"), LAST]
    assert ids[1, 1] == UNKNOWN


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden": 16, "layers": 1, "heads": 4, "intermediate": 24},
        {"hidden": 32, "layers": 3, "heads": 2, "intermediate": 64},
    ],
)
def test_it_is_as_large_as_asked_for(tmp_path, sizes):
    encoder = find_encoder(str(write_encoder(tmp_path / "x", TEXTS, **sizes)), tmp_path)
    network = encoder.load()
    assert encoder.hidden_size == sizes["hidden"]
    assert len(network.encoder.layer) == sizes["layers"]
    assert network.encoder.layer[0].intermediate.dense.out_features == sizes["intermediate"]
    config = json.loads((tmp_path / "x" / "config.json").read_text())
    assert config["num_attention_heads"] == sizes["heads"]
    ids = torch.tensor([[FIRST, 5, 6, LAST]])
    assert network(input_ids=ids).last_hidden_state.isfinite().all()


def test_weights_are_drawn_as_bert_draws_them(twin):
    weights = dict(twin.load().named_parameters())
    for name, weight in weights.items():
        values = weight.detach().numpy()
        if name.endswith("bias"):
            assert not values.any()
        elif "LayerNorm" in name:
            assert (values == 1).all()
        elif values.size > 1000:
            assert values.std() == pytest.approx(0.02, rel=0.1)
            assert abs(values.mean()) < 0.003
    drawn = [w.detach().numpy().ravel()[:50] for n, w in weights.items() if "query.weight" in n]
    assert not np.array_equal(*drawn), "every parameter has its own"


def test_the_seed_changes_weights_alone(tmp_path):
    first, other = (write_encoder(tmp_path / str(s), TEXTS, seed=s) for s in (0, 1))
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        assert (first / name).read_bytes() == (other / name).read_bytes()
    assert Encoder("a", first).digest != Encoder("b", other).digest
