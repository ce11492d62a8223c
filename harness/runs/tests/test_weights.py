"""Weights: kept with a run, exported, put back, removed; and what damaged or forged ones do."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import harness
from harness._util import canonical, checksums
from harness.data import load
from harness.errors import DataError, HarnessError, RunFailed, SpecError, StoreError
from harness.home import Home
from harness.runs.driver import carry_out
from harness.runs.plan import find_suite, make_plan
from harness.runs.replay import find_run
from harness.runs.soundness import damage_of
from harness.runs.store import RunStore, StoredRun
from harness.runs.tests.conftest import WEIGHTS_SUITE
from harness.runs.tests.test_verify import Here
from harness.runs.verify import verify
from harness.runs.weights.card import CARD, TENSORS
from harness.runs.weights.exporting import export, train_again
from harness.runs.weights.placing import KeptWeights
from harness.runs.weights.removing import Chosen, removable, remove, seconds_of
from harness.testing import small_corpus
from harness.text import find_encoder

CORPUS = "mosi@small"


def run_of(home: Home, system: str, seed: int = 1111) -> StoredRun:
    return find_run(RunStore(home.store), f"small:{system}:{CORPUS}:{seed}")


@pytest.fixture
def exported(kept: Home, tmp_path: Path) -> Path:
    """A folder of the weights of bert_text that a test may spoil."""
    export(RunStore(kept.store), run_of(kept, "bert_text"), tmp_path / "model")
    return tmp_path / "model"


# Kept


@pytest.mark.parametrize("system", ["lf_dnn", "bert_text"])
def test_a_run_has_the_weights_that_predict(kept: Home, system: str) -> None:
    run = run_of(kept, system)
    card = run.weights
    assert card is not None
    assert checksums.read_sums(run.folder)[TENSORS] == card.digest
    assert card.bytes == (run.folder / TENSORS).stat().st_size
    assert card.run.valid["mae"] == pytest.approx(
        abs(run.predictions("valid") - labels(kept, "valid")).mean()
    )
    assert damage_of(RunStore(kept.store), run) == ()
    assert str(kept.root) not in (run.folder / CARD).read_text()


def labels(home: Home, split: str) -> pd.Series:
    part = load(CORPUS, home).split(split)
    return pd.Series(part.labels, index=part.ids)


@pytest.mark.parametrize("system", ["lf_dnn", "bert_text"])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_stored_weights_predict_what_is_stored_bit_for_bit(
    kept: Home, system: str, split: str
) -> None:
    run = run_of(kept, system)
    found = harness.predict(run.key[:12], CORPUS, split=split, home=kept)
    assert found.notices == ()
    assert found.table["id"].tolist() == run.predictions(split).index.tolist()
    assert np.array_equal(found.table["pred"], run.predictions(split))


def test_what_nothing_trained_is_not_kept_but_named(kept: Home) -> None:
    run = run_of(kept, "bert_text")
    assert run.weights is not None
    facts = run.weights.model.encoder
    assert facts is not None
    assert facts.digest == find_encoder("tiny-twin", kept.cache).digest
    assert {name.split(".")[1] for name in facts.frozen} == {"pooler"}
    assert not load_file(run.folder / TENSORS).keys() & set(facts.frozen)


def test_a_system_without_a_network_says_that_it_keeps_none(kept: Home, tmp_path: Path) -> None:
    run = run_of(kept, "tfidf_ridge", 0)
    assert run.weights is None
    with pytest.raises(StoreError, match="kept no weights"):
        harness.predict(run.key, CORPUS, home=kept)
    with pytest.raises(RunFailed, match="system tfidf_ridge has no network"):
        train_again(kept, run, Here(), encoder=None)


def test_weights_are_no_part_of_a_run(spoilt: Home) -> None:
    (spoilt.suites / "small.toml").write_text('weights = "none"' + WEIGHTS_SUITE)
    plan = make_plan(find_suite("small", spoilt), spoilt)
    report = carry_out(plan, RunStore(spoilt.store), Here())
    assert (report.present, report.done) == (report.planned, 0)


def test_none_are_kept_where_none_are_wanted_and_large_ones_only_when_asked(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_corpus(home.corpora)
    monkeypatch.setattr("harness.runs.cell.LARGEST", 1000)
    for name, line in (("auto", ""), ("all", 'weights = "selected"'), ("no", 'weights = "none"')):
        (home.suites / f"{name}.toml").write_text(line + WEIGHTS_SUITE)
        suite = find_suite(name, home).with_seeds((len(name),))
        carry_out(make_plan(suite, home), RunStore(home.store), Here(), only=["lf_dnn"])
    found = {run.spec.seed: run.weights for run in RunStore(home.store)}
    assert {seed: card is not None for seed, card in found.items()} == {4: False, 3: True, 2: False}
    assert not list((home.cache / "weights").iterdir())


def test_a_choice_that_is_none_is_refused(home: Home) -> None:
    (home.suites / "s.toml").write_text('weights = "best"' + WEIGHTS_SUITE)
    with pytest.raises(SpecError, match="weights should be one of 'selected', 'none'"):
        find_suite("s", home)
    (home.suites / "s.toml").write_text(WEIGHTS_SUITE)
    with pytest.raises(SpecError, match="selected or none; found 'all'"):
        harness.run("s", home, weights="all")


def test_weights_cross_as_bytes_where_no_disk_is_shared(kept: Home, tmp_path: Path) -> None:
    run = run_of(kept, "lf_dnn")
    sent = tmp_path / ".new-sent.safetensors"
    sent.write_bytes((run.folder / TENSORS).read_bytes())
    assert run.weights is not None
    weights = KeptWeights(card=run.weights, file=sent).packed()
    assert not sent.exists()
    (tmp_path / "run").mkdir()
    pickle.loads(pickle.dumps(weights)).put_into(tmp_path / "run")
    for name in (TENSORS, CARD):
        assert (tmp_path / "run" / name).read_bytes() == (run.folder / name).read_bytes()


@pytest.mark.slow
def test_workers_hand_weights_over(home: Home, msa, kept: Home) -> None:
    small_corpus(home.corpora)
    (home.suites / "small.toml").write_text(WEIGHTS_SUITE)
    assert msa("run", "small", "--jobs", "2", "--seeds", "1")[0] == 0
    for system in ("lf_dnn", "bert_text"):
        card = run_of(home, system).weights
        assert card is not None
        assert card.digest == run_of(kept, system).weights.digest
    assert not list((home.cache / "weights").iterdir())


# Exported


def test_an_exported_folder_predicts_the_same_without_the_run(
    kept: Home, exported: Path, home: Home
) -> None:
    small_corpus(home.corpora)
    run = run_of(kept, "bert_text")
    found = harness.predict(exported, CORPUS, split="all", home=home)
    assert sorted(set(found.table["split"])) == ["test", "train", "valid"]
    test = found.table[found.table["split"] == "test"]
    assert np.array_equal(test["pred"], run.predictions("test"))


def test_an_exported_folder_says_what_it_is_and_nothing_of_this_machine(
    kept: Home, exported: Path
) -> None:
    assert sorted(p.name for p in exported.iterdir()) == [
        *("README.md", "config.json", "model.safetensors"),
    ]
    words, config = (exported / "README.md").read_text(), (exported / "config.json").read_text()
    assert "Trained on a twin" not in words
    assert json.loads(config)["model_type"] == "msa-harness"
    assert json.loads(config)["architectures"] == ["bert_text"]
    for text in (words, config):
        assert str(kept.root) not in text
        assert str(exported.parent) not in text
    for line in ("| mae | ", "tiny-twin", "Run `"):
        assert line in words


def test_what_is_there_is_not_written_over(kept: Home, exported: Path) -> None:
    with pytest.raises(SpecError, match="is there already"):
        export(RunStore(kept.store), run_of(kept, "lf_dnn"), exported)


def changed_config(folder: Path, *path: str, to: object) -> None:
    table = json.loads((folder / "config.json").read_text())
    place = table
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    (folder / "config.json").write_text(json.dumps(table))


def changed_tensors(folder: Path, change) -> None:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata=metadata)


def refused(folder: Path, home: Home) -> str:
    with pytest.raises(HarnessError) as caught:
        harness.predict(folder, CORPUS, home=home)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "to", "said"),
    [
        (("model_type",), "bert", "a folder of another project"),
        (("format",), 99, "format should be 1, found 99"),
        (("model", "system"), "bert_test", "unknown system 'bert_test'"),
        (("model", "system"), "tfidf_ridge", "has no network and keeps no weights"),
        (("model", "params", "dropout"), 3.0, r"dropout should lie in"),
        (("model", "params", "dropout"), "much", "dropout should be a float"),
        (("model", "params", "width"), 3, "has no parameter 'width'"),
        (("model", "high"), 4.0, "its description of the network was changed"),
        (("model", "params", "dropout"), 0.2, "its description of the network was changed"),
        (("model", "encoder", "digest"), "0" * 64, "found tiny-twin"),
        (("model", "encoder", "name"), "absent", "was trained with text encoder absent"),
        (("model", "streams"), 3, "model.streams should be"),
        (("run",), None, "run should be a table"),
    ],
)
def test_a_changed_description_is_refused(
    kept: Home, exported: Path, monkeypatch, path: tuple[str, ...], to: object, said: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    changed_config(exported, *path, to=to)
    assert said in refused(exported, kept)


def forged(folder: Path, *path: str, to: object) -> None:
    """A changed description whose tensors say that they belong to it."""
    changed_config(folder, *path, to=to)
    model = json.loads((folder / "config.json").read_text())["model"]
    tensors = load_file(folder / "model.safetensors")
    digest = canonical.digest(model)
    save_file(tensors, folder / "model.safetensors", metadata={"msa-harness.model": digest})


def test_a_network_of_another_size_is_refused_before_it_is_made(kept: Home, tmp_path: Path) -> None:
    folder = tmp_path / "lf"
    export(RunStore(kept.store), run_of(kept, "lf_dnn"), folder)
    forged(folder, "model", "params", "text_hidden", to=10**6)
    assert "does not fit:" in refused(folder, kept)
    forged(folder, "model", "params", "text_hidden", to=10**9)
    assert "no network of these hyper-parameters" in refused(folder, kept)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("head.weight"), "lacks head.weight"),
        (lambda t: t.update(more=torch.zeros(2)), "has unknown more"),
        (lambda t: t.update({"head.bias": t["head.bias"].half()}), "found float16 (1,)"),
        (lambda t: t.update({"head.bias": torch.zeros(2)}), "found float32 (2,)"),
        (lambda t: t["head.bias"].fill_(float("nan")), "numbers that are not finite"),
    ],
)
def test_other_tensors_are_refused(kept: Home, exported: Path, change, said: str) -> None:
    changed_tensors(exported, change)
    assert said in refused(exported, kept)


@pytest.mark.parametrize("cut", [0, 4, 200, 5000, -1])
def test_a_truncated_file_is_refused(kept: Home, exported: Path, cut: int) -> None:
    path = exported / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    assert "no file of tensors, or a damaged one" in refused(exported, kept)


def test_a_pickle_in_its_place_is_refused_and_not_run(kept: Home, exported: Path) -> None:
    (exported / "model.safetensors").unlink()
    torch.save({"head.bias": torch.zeros(1)}, exported / "model.safetensors")
    assert "no file of tensors" in refused(exported, kept)


def test_a_folder_without_weights_is_refused(kept: Home, exported: Path, tmp_path: Path) -> None:
    (exported / "model.safetensors").unlink()
    assert "no such file" in refused(exported, kept)
    (tmp_path / "other").mkdir()
    assert "has no config.json" in refused(tmp_path / "other", kept)


# Removed


def test_pruned_weights_leave_a_sound_run(spoilt: Home) -> None:
    store, run = RunStore(spoilt.store), run_of(spoilt, "lf_dnn")
    before = run.table()
    found = remove(spoilt, Chosen(suite="small"))
    assert len(found) == 4
    assert removable(spoilt, Chosen(suite="small")) == []
    pruned = store.get(run.key)
    assert not (pruned.folder / TENSORS).exists()
    assert damage_of(store, pruned) == ()
    assert pruned.table().equals(before)
    assert not [finding for finding in verify(spoilt) if finding.damage]
    with pytest.raises(StoreError, match="has no weights any more: pruned"):
        pruned.tensors()
    report = carry_out(make_plan(find_suite("small", spoilt), spoilt), store, Here())
    assert report.done == 0


def test_weights_that_vanished_are_damage(spoilt: Home) -> None:
    store, run = RunStore(spoilt.store), run_of(spoilt, "lf_dnn")
    (run.folder / TENSORS).unlink()
    assert damage_of(store, StoredRun(run.folder)) == (f"{TENSORS} is missing",)
    (run.folder / checksums.SUMS).unlink()  # and so did their digest
    checksums.seal(run.folder)
    assert damage_of(store, StoredRun(run.folder)) == (f"{TENSORS} is missing",)


def test_damaged_weights_are_damage(spoilt: Home) -> None:
    run = run_of(spoilt, "lf_dnn")
    content = bytearray((run.folder / TENSORS).read_bytes())
    content[-3] ^= 1
    (run.folder / TENSORS).write_bytes(content)
    assert damage_of(RunStore(spoilt.store), StoredRun(run.folder)) == (
        f"{TENSORS} is not what was written",
    )


def test_who_reads_tables_alone_reads_no_weights(spoilt: Home) -> None:
    run = run_of(spoilt, "lf_dnn")
    (run.folder / TENSORS).write_bytes(b"flipped")
    assert StoredRun(run.folder).damage_but_weights == ()
    assert StoredRun(run.folder).table().equals(run.table())
    (run.folder / TENSORS).unlink()
    assert StoredRun(run.folder).damage_but_weights == (f"{TENSORS} is missing",)


def test_the_best_of_each_row_are_kept(spoilt: Home) -> None:
    found = removable(spoilt, Chosen(rank=1))
    for system in ("lf_dnn", "bert_text"):
        runs = [run_of(spoilt, system, seed) for seed in (1111, 1112)]
        worse = max(runs, key=lambda run: run.weights.run.valid["mae"])
        assert [one.key for one in found if one.what.startswith(system)] == [worse.key]


def test_weights_go_by_age(spoilt: Home) -> None:
    assert removable(spoilt, Chosen(older_than=seconds_of("1d"))) == []
    assert len(removable(spoilt, Chosen(older_than=0.0))) == 4
    for wrong in ("30", "d", "-1d", "1y", "9" * 9 + "d"):
        with pytest.raises(SpecError, match="an age is a number"):
            seconds_of(wrong)
    with pytest.raises(SpecError, match="which weights may go"):
        Chosen()


def test_weights_that_are_gone_come_back_by_training_again(spoilt: Home, tmp_path: Path) -> None:
    run = run_of(spoilt, "lf_dnn")
    digest = run.weights.digest
    remove(spoilt, Chosen(suite="small"))
    train_again(spoilt, run_of(spoilt, "lf_dnn"), Here(), encoder=None)
    again = run_of(spoilt, "lf_dnn")
    assert again.weights.digest == digest
    assert not again.weights.removed
    assert damage_of(RunStore(spoilt.store), again) == ()


# Named


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("small:lf_dnn", "SUITE:ROW:CORPUS:SEED"),
        (f"small:lf_dn:{CORPUS}:1111", f"did you mean small:lf_dnn:{CORPUS}:1111"),
        (f"small:lf_dnn:{CORPUS}:1", "SUITE:ROW:CORPUS:SEED"),
        ("zz", "first digits of its key"),
    ],
)
def test_a_name_of_no_run_is_refused(kept: Home, name: str, said: str) -> None:
    with pytest.raises(SpecError, match=said.replace("?", r"\?")):
        find_run(RunStore(kept.store), name)


def test_a_file_is_no_source_of_weights(kept: Home, tmp_path: Path) -> None:
    (tmp_path / "m.dat").write_bytes(b"x")
    with pytest.raises(DataError, match=r"found the file m\.dat"):
        harness.predict(tmp_path / "m.dat", CORPUS, home=kept)
