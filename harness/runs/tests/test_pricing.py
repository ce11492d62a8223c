"""Estimates of suites: every basis, and nothing fetched, generated or written."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pandas as pd
import pytest

from harness.data.corpus import EXPLANATIONS
from harness.data.store import CorpusStore
from harness.data.twins import generate as twin
from harness.errors import DataError, SpecError, StoreError
from harness.home import Home
from harness.runs.cell import Job
from harness.runs.costs import costs_of, known_costs, work_left
from harness.runs.inventory import stored_encoder
from harness.runs.manifest import Costs, Manifest, Provenance, Result
from harness.runs.plan import Plan, make_plan
from harness.runs.pricing import RowEstimate, SuiteEstimate, estimate_suite
from harness.runs.pricing.estimates import UNMEASURED, expected_epochs
from harness.runs.pricing.placeholders import AtHand
from harness.runs.record import RunRecord
from harness.runs.store import RunStore
from harness.spec import Suite
from harness.testing import tiny_encoder
from harness.text.synthetic import TWIN_ENCODER, twin_encoder

MOSI, TWIN = "mosi@unaligned-50", "mosi-twin@compact-x5"


def suite_of(*rows: str, corpora: tuple[str, ...] = (TWIN,), seeds: int = 3, epochs: int = 20):
    systems = [{"name": name} for name in rows]
    table = {"corpora": list(corpora), "seeds": seeds, "systems": systems}
    table["protocol"] = {"max_epochs": epochs}
    return Suite.parse(table, name="small", where="small.toml")


def row_of(estimated: SuiteEstimate, label: str, corpus: str = TWIN) -> RowEstimate:
    (found,) = (p for p in estimated.rows if (p.label, p.corpus) == (label, corpus))
    return found


def tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever fetches or generates anything fails the test."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("an estimate is made of what is here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("harness.text.encoder._download", refuse)
    monkeypatch.setattr("harness.text.encoder._from_hub", refuse)
    monkeypatch.setattr("harness.data.twins.generate.generate", refuse)


@pytest.fixture
def store_run(home: Home) -> Callable[..., None]:
    """Store a planned job as run, at a cost of one's choice."""

    def commit(job: Job, seconds: float, *, clips: int = 100, device: str = "cpu") -> None:
        spec = job.spec
        manifest = Manifest(
            spec=spec,
            encoder=job.names.get("encoder"),
            result=Result(
                parameters=0, trainable=0, epochs=0, selected_epoch=None, train_clips=clips
            ),
            provenance=Provenance(device=device, processor="any", commit=None, dirty=None),
            cost=Costs(
                fit_seconds=seconds * 0.75,
                predict_seconds=seconds * 0.25,
                peak_memory_bytes=1000 + int(seconds),
            ),
        )
        row = {
            "id": ["a"],
            "split": ["test"],
            "condition": ["clean"],
            "variant": ["plain"],
            "pred": [0.0],
        }
        RunStore(home.store).commit(
            RunRecord(key=spec.key, manifest=manifest, predictions=pd.DataFrame(row))
        )

    return commit


@pytest.fixture
def planned(home: Home) -> Callable[[Suite], Plan]:
    """Plan as a run would, its twins generated."""
    return lambda suite: make_plan(suite, home)


def jobs_of(plan: Plan, label: str, corpus: str = TWIN) -> list[Job]:
    cells = [cell for cell in plan.cells if (cell.label, cell.corpus) == (label, corpus)]
    return [cell.job for cell in cells if cell.job is not None]


# Epochs


@pytest.mark.parametrize(
    ("own", "protocol", "expected"), [(0, 100, 30), (0, 20, 20), (5, 100, 5), (50, 20, 20)]
)
def test_epochs_are_the_systems_own_or_thirty_within_the_protocols(own, protocol, expected) -> None:
    assert expected_epochs(own, protocol) == expected


# Placeholders


def test_a_published_corpus_stands_in_with_its_counts_and_shapes(home: Home) -> None:
    corpus = AtHand(home).corpus("sims@unaligned-39")
    assert {name: len(split) for name, split in corpus.splits.items()} == {
        "train": 1368,
        "valid": 456,
        "test": 457,
    }
    assert {n: (s.frames, s.dim) for n, s in corpus.streams.items()} == {
        "text": (39, 768),
        "audio": (400, 33),
        "vision": (55, 709),
    }
    assert not set(EXPLANATIONS) & set(corpus.clips)


def test_a_twin_stands_in_as_it_would_be_generated(home: Home, offline: None) -> None:
    placeholder = AtHand(home).corpus("mosi-twin@compact-x25")
    assert not home.corpora.exists()
    assert {n: (s.frames, s.dim) for n, s in placeholder.streams.items()} == twin.COMPACT
    assert len(placeholder.split("train")) == 321
    assert set(EXPLANATIONS) <= set(placeholder.clips)


@pytest.mark.parametrize(
    ("name", "streams", "explained"),
    [
        ("mosi@unaligned-50-explained", 3, True),
        ("mosi@label-csv", 0, False),
        ("sims@label-csv-en", 0, True),
    ],
)
def test_what_goes_beyond_a_published_feature_set_has_explanations(
    home: Home, name: str, streams: int, explained: bool
) -> None:
    corpus = AtHand(home).corpus(name)
    assert len(corpus.streams) == streams
    assert set(EXPLANATIONS) <= set(corpus.clips) or not explained


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("mosi@my-own", DataError, "only the sizes of unaligned-50, aligned-50, label-csv are"),
        ("mosi@unaligned-500", DataError, "only the sizes of"),
        ("mosi", DataError, "'mosi' is not here"),
        ("moji@unaligned-50", SpecError, "unknown dataset 'moji'"),
        ("mosi-twin@tiny", SpecError, "mosi twins come as compact"),
    ],
)
def test_a_corpus_of_no_known_size_is_refused(home: Home, name, error, message) -> None:
    with pytest.raises(error, match=message):
        AtHand(home).corpus(name)


def test_encoders_that_are_here_are_found_and_others_are_not_asked_for(
    home: Home, tmp_path: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_encoder(tmp_path / "own", ["some words"])
    found = stored_encoder(str(folder), home.cache)
    assert found is not None
    assert found.name == "own"
    for name in ("bert-base-uncased", "minilm-l6", "no/such/model", "not a name: " + "x" * 300):
        assert stored_encoder(name, home.cache) is None
    monkeypatch.undo()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: str(folder))
    cached = stored_encoder("bert-base-uncased", home.cache)
    assert cached is not None
    assert cached.folder == folder


def test_the_twins_encoder_is_found_once_made_and_not_made(home: Home) -> None:
    assert stored_encoder(TWIN_ENCODER, home.cache) is None
    expected = AtHand(home).vocabulary(TWIN_ENCODER)
    assert not home.cache.exists()
    twin_encoder(home.cache)
    made = stored_encoder(TWIN_ENCODER, home.cache)
    assert made is not None
    assert made.vocabulary == expected


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("bert-base-uncased", 30_522),
        ("bert-base-chinese", 21_128),
        ("roberta-large", 50_265),
        ("somebody/else", None),
    ],
)
def test_the_vocabulary_of_a_well_known_encoder_is_known_without_it(
    name: str, tokens: int | None, home: Home
) -> None:
    assert AtHand(home).vocabulary(name) == tokens
    assert not home.cache.exists()


# Bases


def test_without_features_and_weights_rows_say_what_they_need_and_name_no_price(
    home: Home, offline: None
) -> None:
    suite = suite_of("tfn", "self_mm", "tfidf_ridge", corpora=(MOSI, "sims@unaligned-39"))
    found = estimate_suite(suite, home, device="cuda")
    tfn = row_of(found, "tfn", MOSI)
    assert (tfn.cells, tfn.missing, tfn.each.basis) == (3, 3, UNMEASURED)
    assert tfn.needs == (f"needs corpus {MOSI}",)
    chinese = row_of(found, "self_mm", "sims@unaligned-39")
    assert chinese.needs == ("needs corpus sims@unaligned-39", "needs encoder bert-base-chinese")
    assert (chinese.each.seconds, chinese.each.memory) == (None, None)
    assert found.device == "cuda"
    assert tree(home.root) == [home.suites]


def test_a_twin_not_yet_generated_is_not_generated(home: Home, offline: None) -> None:
    found = estimate_suite(suite_of("lf_dnn"), home)
    assert row_of(found, "lf_dnn").needs == (f"makes corpus {TWIN}",)
    assert tree(home.root) == [home.suites]


@pytest.mark.parametrize("name", ["feature_ridge", "lf_dnn", "mag_bert", "tfn", "almt"])
def test_a_system_without_records_has_no_price_and_not_zero(home: Home, name: str) -> None:
    found = estimate_suite(suite_of(name), home)
    each = row_of(found, name).each
    assert (each.basis, each.seconds, each.memory) == (UNMEASURED, None, None)
    assert found.unknown == sum(row.to_run for row in found.rows) > 0
    assert (found.seconds, found.longest) == (0, None)


def test_an_encoder_that_nobody_knows_is_needed(home: Home, offline: None) -> None:
    entry = suite_of("bert_text").entries[0]
    suite = dataclasses.replace(
        suite_of("bert_text"),
        entries=(dataclasses.replace(entry, params={"encoder": "some/model"}),),
    )
    row = row_of(estimate_suite(suite, home), "bert_text")
    assert "needs encoder some/model" in row.needs


def test_the_median_of_what_the_same_cells_took_is_the_best_basis(
    home: Home, store_run, planned
) -> None:
    suite = suite_of("lf_dnn", seeds=5)
    jobs = jobs_of(planned(suite), "lf_dnn")
    for job, seconds in zip(jobs, (10, 20, 60), strict=False):
        store_run(job, seconds)
    found = estimate_suite(suite, home, jobs=1)
    row = row_of(found, "lf_dnn")
    assert (row.cells, row.stored, row.failed, row.missing) == (5, 3, 0, 2)
    assert (row.each.basis, row.each.seconds, row.each.memory) == ("recorded", 20, 1060)
    assert (row.needs, found.seconds) == ((), 40)


def test_stored_cells_are_free_and_failed_ones_are_not(home: Home, store_run, planned) -> None:
    suite = suite_of("lf_dnn")
    plan = planned(suite)
    first, *others = jobs_of(plan, "lf_dnn")
    store_run(first, 8)
    store = RunStore(home.store)
    store.fail(others[0].spec.key, "out of memory")
    row = row_of(estimate_suite(suite, home), "lf_dnn")
    assert (row.stored, row.failed, row.missing, row.seconds) == (1, 1, 1, 16)
    for job in plan.jobs.values():
        store_run(job, 8)
    found = estimate_suite(suite, home, jobs=2)
    assert all(row.to_run == 0 for row in found.rows)
    assert (found.seconds, found.path, found.unknown, found.longest) == (
        0,
        0,
        0,
        None,
    )


def test_another_device_or_budget_is_no_record_of_the_same_cell(
    home: Home, store_run, planned
) -> None:
    suite = suite_of("lf_dnn")
    store_run(jobs_of(planned(suite), "lf_dnn")[0], 8, device="cuda")
    assert row_of(estimate_suite(suite, home), "lf_dnn").each.basis == UNMEASURED
    assert row_of(estimate_suite(suite, home, device="cuda"), "lf_dnn").each.basis == "recorded"
    longer = row_of(
        estimate_suite(suite_of("lf_dnn", epochs=30), home, device="cuda"), "lf_dnn"
    ).each
    assert longer.basis == "scaled"


def test_runs_on_another_corpus_are_scaled_by_training_clips_and_epochs(
    home: Home, store_run, planned
) -> None:
    other = "sims-twin@compact-x5"
    source = suite_of("lf_dnn", corpora=(other,), epochs=10)
    for job, seconds in zip(jobs_of(planned(source), "lf_dnn", other), (3, 4, 50), strict=False):
        store_run(job, seconds, clips=10)
    clips = len(CorpusStore(home.corpora).load(other).split("train"))
    target = suite_of("lf_dnn", corpora=("sims-twin@compact-x5-s1",), epochs=30)
    planned(target)
    each = row_of(estimate_suite(target, home), "lf_dnn", "sims-twin@compact-x5-s1").each
    assert each.basis == "scaled"
    assert each.detail == f"3 stored runs on {other}, per clip"
    same_size = len(CorpusStore(home.corpora).load("sims-twin@compact-x5-s1").split("train"))
    assert abs(same_size - clips) < 20
    assert each.seconds == pytest.approx(4 * same_size / 10 * 30 / 10)


def test_runs_with_other_parameters_come_after_those_with_the_same(
    home: Home, store_run, planned
) -> None:
    def changed(corpus: str) -> Suite:
        suite = suite_of("lf_dnn", corpora=(corpus,))
        entry = dataclasses.replace(suite.entries[0], params={"lr": 0.5})
        return dataclasses.replace(suite, entries=(entry,))

    store_run(jobs_of(planned(changed(TWIN)), "lf_dnn")[0], 5, clips=1000)
    each = row_of(estimate_suite(suite_of("lf_dnn"), home), "lf_dnn").each
    assert each.detail == f"1 stored run on {TWIN}, other parameters, per clip"
    elsewhere = "mosi-twin@compact-x5-s3"
    store_run(jobs_of(planned(suite_of("lf_dnn", corpora=(elsewhere,))), "lf_dnn", elsewhere)[0], 7)
    each = row_of(estimate_suite(suite_of("lf_dnn"), home), "lf_dnn").each
    assert each.detail == f"1 stored run on {elsewhere}, per clip"


def test_twins_do_not_price_real_data(home: Home, store_run, planned) -> None:
    store_run(jobs_of(planned(suite_of("lf_dnn")), "lf_dnn")[0], 5)
    found = estimate_suite(suite_of("lf_dnn", corpora=(MOSI,)), home)
    assert row_of(found, "lf_dnn", MOSI).each.basis == UNMEASURED


def test_where_a_system_does_not_apply_there_is_nothing_to_pay(home: Home) -> None:
    row = row_of(
        estimate_suite(suite_of("tfn", corpora=("mosi@label-csv",)), home), "tfn", "mosi@label-csv"
    )
    assert (row.cells, row.to_run, row.seconds) == (0, 0, 0)
    assert row.reason == "needs audio, text, vision"


def test_a_cell_of_two_rows_is_paid_once(home: Home) -> None:
    suite = suite_of("lf_dnn")
    twice = (*suite.entries, dataclasses.replace(suite.entries[0], label="again"))
    found = estimate_suite(dataclasses.replace(suite, entries=twice), home)
    assert (row_of(found, "lf_dnn").cells, row_of(found, "again").cells) == (3, 0)


# Totals


def test_the_path_is_the_longest_cell_or_the_work_shared(home: Home, store_run, planned) -> None:
    suite = suite_of("lf_dnn", "tfn", seeds=5)
    for label, seconds in (("lf_dnn", 3.0), ("tfn", 11.0)):
        store_run(jobs_of(planned(suite), label)[0], seconds)
    found = estimate_suite(suite, home, jobs=1)
    each = [row_of(found, label).each.seconds for label in ("lf_dnn", "tfn")]
    assert each == [3.0, 11.0]
    assert found.seconds == pytest.approx(4 * sum(each))
    assert found.longest is not None
    assert found.longest.each.seconds == max(each)
    for jobs in (1, 2, 3, 1000):
        path = dataclasses.replace(found, jobs=jobs).path
        assert path == pytest.approx(max(max(each), 4 * sum(each) / jobs))


def test_costs_come_back_from_the_store_and_damage_is_named(home: Home, store_run, planned) -> None:
    job = jobs_of(planned(suite_of("lf_dnn")), "lf_dnn")[0]
    store_run(job, 12)
    store = RunStore(home.store)
    (cost,) = costs_of(store)
    assert (cost.system, cost.corpus, cost.data) == ("lf_dnn", TWIN, job.spec.data)
    assert (cost.params, cost.seconds, cost.max_epochs) == (job.spec.params, 12, 20)
    file = store.get(job.spec.key).folder / "manifest.json"
    file.write_text(json.dumps({"spec": {}, "cost": {}}))
    with pytest.raises(StoreError, match=r"is damaged: manifest\.json"):
        list(costs_of(store))
    (file.parent / "SHA256SUMS").unlink()  # as runs were before they had digests
    with pytest.raises(StoreError, match=r"damaged record manifest\.json"):
        list(costs_of(store))
    assert list(known_costs(store)) == []


def test_what_is_left_of_a_suite_follows_from_its_own_rows(home: Home, store_run, planned) -> None:
    plan = planned(suite_of("lf_dnn", "tfn", seeds=4))
    store = RunStore(home.store)
    cells = plan.record().cells
    for job, seconds in zip(jobs_of(plan, "lf_dnn"), (4, 6), strict=False):
        store_run(job, seconds)
    left = work_left(_seconds(store), cells)
    references = len(plan.jobs) - 8
    assert (left.seconds, left.unpriced) == (2 * 5, 4 + references)
    for job in plan.jobs.values():
        store_run(job, 1)
    assert work_left(_seconds(store), cells) == dataclasses.replace(left, seconds=0, unpriced=0)


def _seconds(store: RunStore) -> dict[str, float]:
    return {run.key: run.manifest.cost.seconds for run in store}


# The command


SUITE = f"""
corpora = ["{MOSI}"]
seeds = 2
[[systems]]
name = "lf_dnn"
[[systems]]
name = "mag_bert"
[[systems]]
name = "feature_ridge"
"""


@pytest.fixture
def written(home: Home) -> list[Path]:
    (home.suites / "demo.toml").write_text(SUITE)
    return tree(home.root)


def test_the_command_prints_rows_and_what_is_not_measured_and_leaves_nothing(
    msa, home: Home, written, offline: None
) -> None:
    code, text, errors = msa("run", "demo", "--plan", "--device", "cuda", "--jobs", 2)
    assert (code, errors) == (0, "")
    lines = text.splitlines()
    (bert,) = (line for line in lines if " mag_bert " in line)
    assert UNMEASURED in bert
    assert f"needs corpus {MOSI}; needs encoder bert-base-uncased" in bert
    assert any(line.startswith("9 cells to run (0 of them failed before)") for line in lines)
    assert not any("hours on cuda" in line for line in lines)
    assert lines[-1] == "what is not here, and what brings it: msa doctor demo"
    assert lines[-2].startswith("not yet measured: 9 cells; after `msa run demo --seeds 1`")
    assert tree(home.root) == written


def test_the_command_prints_hours_once_something_was_run(msa, home: Home, store_run, planned):
    suite = suite_of("lf_dnn", "tfn", seeds=5)
    (home.suites / "demo.toml").write_text(
        f'corpora = ["{TWIN}"]\nseeds = 5\nprotocol = {{ max_epochs = 20 }}\n'
        '[[systems]]\nname = "lf_dnn"\n[[systems]]\nname = "tfn"\n'
    )
    store_run(jobs_of(planned(suite), "lf_dnn")[0], 900, device="cuda")
    code, text, _ = msa("run", "demo", "--plan", "--device", "cuda", "--jobs", 2)
    assert code == 0
    assert "about 0.50 hours on cuda with --jobs 2: 1.00 hours of work" in text
    assert "enough of one, to itself" in text


def test_the_command_as_json_has_stable_keys_and_unrounded_seconds(msa, home: Home, written):
    code, text, _ = msa("run", "demo", "--plan", "--device", "cuda", "--jobs", 2, "--json")
    record = json.loads(text)
    assert code == 0
    assert list(record) == ["suite", "device", "jobs", "totals", "rows"]
    assert list(record["totals"]) == [
        *("cells", "stored", "failed", "missing", "to_run", "unknown"),
        *("seconds", "path_seconds", "longest", "carried", "because_of_code_alone"),
    ]
    row = next(row for row in record["rows"] if row["label"] == "mag_bert")
    assert list(row) == [
        *("corpus", "label", "cells", "stored", "failed", "missing", "to_run"),
        *(
            "seconds",
            "memory",
            "basis",
            "detail",
            "needs",
            "reason",
            "lacks",
            "schedule",
            "resumes",
        ),
    ]
    assert (row["seconds"], row["basis"]) == (None, UNMEASURED)
    assert (record["totals"]["path_seconds"], record["totals"]["unknown"]) == (0, 9)
    assert tree(home.root) == written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nothing", "--plan"), "no suite 'nothing'"),
        (("run", "demo", "--plan", "--only", "zzz"), "--only zzz matches no row"),
        (("run", "demo", "--plan", "--device", "abacus"), "--device takes"),
        (("run", "demo", "--plan", "--seeds", "99"), "asks for 99 seeds"),
        (("run", "demo", "--json"), "--json goes with --plan"),
    ],
)
def test_a_mistake_is_one_clear_error(msa, written, arguments, message: str) -> None:
    code, text, errors = msa(*arguments)
    assert (code, text) == (2, "")
    assert errors.count("error:") == 1
    assert message in errors


def test_only_and_seeds_narrow_the_price(msa, written) -> None:
    _, text, _ = msa("run", "demo", "--plan", "--only", "lf_*", "--seeds", 5, "--json")
    (row,) = json.loads(text)["rows"]
    assert (row["label"], row["cells"]) == ("lf_dnn", 5)


def test_status_says_what_is_left(msa, home: Home, store_run, planned) -> None:
    plan = planned(suite_of("lf_dnn", seeds=3))
    RunStore(home.store).put_plan("small", plan.record())
    store_run(jobs_of(plan, "lf_dnn")[0], 45)
    _, text, _ = msa("status", "small", "--json")
    (row,) = json.loads(text)
    assert (row["stored"], row["seconds_left"], row["unpriced"]) == (1, 90, len(plan.jobs) - 3)
    _, text, _ = msa("status")
    assert f"1.5 min + {len(plan.jobs) - 3} cells not known" in text
