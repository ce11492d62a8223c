"""Released weights as rows: planned, evaluated, shown, replayed, and refused in one line."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import harness
from harness.cli import main
from harness.data.corpus import Corpus
from harness.errors import DataError, NotHere, SpecError
from harness.home import Home
from harness.runs.cell import Job, execute
from harness.runs.costs import cost_of
from harness.runs.executors import Done
from harness.runs.identity import code_of, numerics, roots
from harness.runs.plan import Plan, make_plan
from harness.runs.pricing import estimate_suite
from harness.runs.replay import job_of, replay
from harness.runs.store import RunStore
from harness.runs.suite_files import find_suite
from harness.runs.verify import verify
from harness.spec import PredictionCell, Suite
from harness.spec.protocols import protocols
from harness.system import Dims, Network, systems
from harness.testing import small_corpus, tiny_encoder
from harness.text import find_encoder
from leaderboards.model import Row, gather
from leaderboards.rendering import render_html, render_markdown
from leaderboards.sections import compose, records
from text_model.checkpoint import save_published

SIZES = {"hidden": 16, "heads": 2, "head_size": 8, "smoe_layers": 2}
WITH_LAYOUT = [name for name, system in systems.items() if system.released is not None]


def network_of(corpus: Corpus, encoder: Path, home: Home, seed: int) -> Network:
    """A network of TEXT as released, no weight of which is 0 or 1."""
    system = systems["text@published"]
    assert system.build is not None
    torch.manual_seed(seed)
    dims = Dims.of(corpus, find_encoder(str(encoder), home.cache))
    made = system.build(dims, system.resolve("mosi", {**SIZES, "encoder": str(encoder)}))
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made.eval()


def table(encoder: Path, *rows: dict, **more: object) -> dict:
    """A suite on the small corpus."""
    return {
        "corpora": ["mosi@small"],
        "seeds": 2,
        "protocol": {"side_info": "video_mllm"},
        "defaults": {**SIZES, "encoder": str(encoder), "epochs": 1},
        "systems": [*rows, {"name": "lf_dnn"}],
        **more,
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """A home with a corpus, an encoder and two checkpoints."""

    home: Home
    encoder: Path
    corpus: Corpus

    def suite(self, *rows: dict, **more: object) -> Suite:
        return Suite.parse(table(self.encoder, *rows, **more), name="rel", where="rel.toml")

    def plan(self, *rows: dict, **more: object) -> Plan:
        return make_plan(self.suite(*rows, **more), self.home)

    def job(self, *rows: dict) -> Job:
        (job, *_) = [j for j in self.plan(*rows).jobs.values() if j.checkpoint is not None]
        return job


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    home = Home(tmp_path_factory.mktemp("home"))
    corpus = small_corpus(home.corpora)
    encoder = tiny_encoder(home.root / "bert", list(corpus.clips["text"]))
    for seed in (0, 1):
        file = home.root / f"epoch_{seed}.pth"
        save_published(file, network_of(corpus, encoder, home, seed), epoch=79)
    return Place(home=home, encoder=encoder, corpus=corpus)


class Here:
    """Executes in this process."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Done]:
        return (Done(job=job, record=execute(job)) for job in jobs)


NOISY = {
    **{"name": "text@published", "label": "as released", "checkpoint": "epoch_0.pth"},
    **{"seeds": [18], "selected_on": "best run"},
}
QUIET = {"name": "text", "label": "both", "checkpoint": ["epoch_0.pth", "epoch_1.pth"]}


@pytest.fixture(scope="module")
def ran(place) -> RunStore:
    report = harness.run(place.suite(NOISY, QUIET), place.home, executor=Here())
    assert (report.done, report.failed) == (4 + 3 + 2, ())
    return RunStore(place.home.store)


def row(ran: RunStore, label: str) -> Row:
    (grid,) = gather(ran, "rel").grids
    return next(row for row in grid.rows if row.label == label)


# What a run is


def test_a_checkpoint_is_pinned_by_its_content_not_by_its_place(place, tmp_path) -> None:
    job = place.job(NOISY)
    moved = tmp_path / "another name.pth"
    moved.write_bytes((place.home.root / "epoch_0.pth").read_bytes())
    digest = job.spec.artifacts["checkpoint"]
    for written in (str(moved), f"{moved} sha256={digest}"):
        assert place.job({**NOISY, "checkpoint": written}).spec.key == job.spec.key
    other = place.job({**NOISY, "checkpoint": "epoch_1.pth"})
    assert other.spec.key != job.spec.key
    assert job.spec.seed == 18


def test_it_is_found_beside_the_suite_file_first(place, tmp_path) -> None:
    file = tmp_path / "rel.toml"
    file.write_text(
        'corpora = ["mosi@small"]\nprotocol.side_info = "video_mllm"\n[[systems]]\nname = "text"\n'
        f'checkpoint = "epoch_0.pth"\nparams = {{encoder = "{place.encoder}", hidden = 16,'
        " heads = 2, head_size = 8, smoe_layers = 2}\n"
    )
    (tmp_path / "epoch_0.pth").write_bytes((place.home.root / "epoch_1.pth").read_bytes())
    plan = make_plan(find_suite(str(file), place.home), place.home)
    (job,) = [job for job in plan.jobs.values() if job.checkpoint]
    assert job.checkpoint == tmp_path / "epoch_0.pth"


def test_predictions_are_those_of_the_network_in_the_file(place, ran) -> None:
    store, run = ran, row(ran, "both").runs[0]
    stored = store.get(run.key)
    assert stored.manifest.result.trainable == 0
    assert (stored.manifest.result.epochs, stored.manifest.result.passes) == (0, None)
    job = place.job(QUIET)
    again = execute(job).predictions
    assert np.array_equal(
        again[again["split"] == "test"]["pred"].to_numpy()[: len(run.pred)], run.pred
    )
    params = systems["text"].resolve("mosi", {**SIZES, "encoder": str(place.encoder)})
    dims = Dims.of(place.corpus, find_encoder(str(place.encoder), place.home.cache))
    released = systems["text"].released
    assert released is not None and job.checkpoint is not None
    found = released(job.checkpoint, dims, params).state_dict()
    made = network_of(place.corpus, place.encoder, place.home, 0).state_dict()
    assert all(torch.equal(found[name], made[name]) for name in made)


def test_the_noise_of_an_evaluation_is_kept_as_passes(ran) -> None:
    run = row(ran, "as released").runs[0]
    stored = ran.get(run.key)
    assert stored.manifest.result.passes == 5
    passes = [stored.predictions("test", PredictionCell.of_pass(n)) for n in range(2, 6)]
    assert all((one.to_numpy() != run.pred).any() for one in passes)
    assert stored.manifest.result.stability is not None
    assert stored.manifest.result.stability["again"]["max"] > 0


def test_it_predicts_under_a_grid_too(place) -> None:
    job = place.job(QUIET)
    protocol = dataclasses.replace(job.spec.protocol, corruption="sets")
    grid = dataclasses.replace(job, spec=dataclasses.replace(job.spec, protocol=protocol))
    found = execute(grid)
    assert found.manifest.result.corruption is not None
    assert found.predictions["condition"].nunique() > 1


def test_what_reads_a_file_counts_for_released_rows_alone() -> None:
    protocol = protocols["in_domain"]
    trained, released = (
        numerics(*roots("text", {}, protocol, released=answer)) for answer in (False, True)
    )
    assert released - trained >= {"text_model.released", "harness.training.released"}
    assert not any(name.endswith(".released") for name in trained)
    assert code_of("text", {}, protocol) != code_of("text", {}, protocol, released=True)


# What is shown


def test_a_board_shows_what_the_release_states_and_ranks_nothing(ran) -> None:
    board = gather(ran, "rel")
    page = render_markdown(compose(board))
    assert "the release states selection: best run; seed: 18" in page
    assert "the release states selection: not stated; seed: not stated" in page
    assert "5 passes of the same weights over the same clips: MAE" in page
    assert "best run, by the release" in page
    html = render_html(compose(board))
    assert ">released weights<" in html
    found = {record["row"]: record for record in records(board) if "badge" in record}
    one, trained = found["as released"], found["lf_dnn"]
    assert (one["badge"], one["rank"], one["about"]) == ("released weights", None, "checkpoints")
    assert one["released"]["seeds"] == [18]
    assert one["evaluation_noise"]["mae"] > 0
    assert (trained["badge"], trained["released"], trained["passes"]) == ("replayed", None, 1)
    assert "released weights" in found["both"]["unranked_because"]
    noise = float(np.std([one["metrics"]["mae"]["mean"], *_mae_of_passes(ran)], ddof=1))
    assert one["evaluation_noise"]["mae"] == pytest.approx(noise)


def _mae_of_passes(ran: RunStore) -> list[float]:
    return [scores["mae"] for scores in row(ran, "as released").runs[0].passes]


def test_boards_without_released_rows_say_nothing_of_them(ran) -> None:
    board = gather(ran, "rel")
    (grid,) = board.grids
    rows = tuple(row for row in grid.rows if row.released is None)
    plain = dataclasses.replace(board, grids=(dataclasses.replace(grid, rows=rows),))
    html = render_html(compose(plain))
    assert "released weights" not in html and "Released weights" not in html


def test_a_replay_needs_the_file_and_is_identical(place, ran) -> None:
    stored = ran.get(row(ran, "as released").runs[0].key)
    with pytest.raises(SpecError, match="evaluated a released checkpoint"):
        job_of(stored, place.home, encoder=str(place.encoder))
    with pytest.raises(DataError, match="another file"):
        job_of(stored, place.home, checkpoint=place.home.root / "epoch_1.pth")
    file = place.home.root / "epoch_0.pth"
    job = job_of(stored, place.home, encoder=str(place.encoder), checkpoint=file)
    found = replay(stored, job, Here())
    assert (found.verdict, found.changed) == ("identical", 0)
    assert "source" not in found.surroundings


def test_a_trained_run_is_replayed_without_a_checkpoint(place, ran) -> None:
    stored = ran.get(row(ran, "lf_dnn").runs[0].key)
    with pytest.raises(SpecError, match="was trained"):
        job_of(stored, place.home, checkpoint=place.home.root / "epoch_0.pth")


def test_the_store_is_sound(place, ran) -> None:
    assert not [finding for finding in verify(place.home) if finding.damage]


def test_what_training_takes_says_nothing_of_released_rows(place, ran) -> None:
    costs = {run.key: cost_of(run.manifest) for run in ran}
    assert sum(cost.released for cost in costs.values()) == 3
    rows = [{"name": "text", "label": "trained"}, QUIET]
    found = {item.label: item for item in estimate_suite(place.suite(*rows), place.home).rows}
    assert found["trained"].each.basis == "not yet measured"
    assert (found["both"].stored, found["both"].each.basis) == (2, "recorded")


# What is refused


class Bomb:
    """Unpickled by plain pickle, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.mkdir, (self.path,)


def bad_files(folder: Path) -> dict[str, Path]:
    """Files that are no checkpoint of anything."""
    files = {name: folder / f"{name}.pth" for name in ("text", "cut", "hostile", "other")}
    files["text"].write_text("not a checkpoint")
    torch.save({"state_dict": {"weight": torch.zeros(3)}}, files["other"])
    files["cut"].write_bytes(files["other"].read_bytes()[:-200])
    files["hostile"].write_bytes(pickle.dumps({"state_dict": {"w": Bomb(folder / "trace")}}))
    return files


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name", WITH_LAYOUT)
def test_every_layout_refuses_what_is_none(name, place, tmp_path) -> None:
    system = systems[name]
    assert system.released is not None
    params = system.resolve("mosi", {**SIZES, "encoder": str(place.encoder)})
    dims = Dims.of(place.corpus, find_encoder(str(place.encoder), place.home.cache))
    for file in (*bad_files(tmp_path).values(), tmp_path / "missing.pth"):
        with pytest.raises(DataError) as refused:
            system.released(file, dims, params)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "trace").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [
        ("missing.pth", "no checkpoint 'missing.pth', neither beside"),
        ("bert", "no checkpoint 'bert'"),
        ("{bad}/text.pth", "text.pth is no checkpoint of tensors only"),
        ("{bad}/cut.pth", "cut.pth is no checkpoint of tensors only"),
        ("{bad}/hostile.pth", "hostile.pth is no checkpoint of tensors only"),
        ("{bad}/other.pth", "the checkpoint lacks"),
        ("epoch_0.pth sha256=" + "0" * 64, "epoch_0.pth is another file: sha256"),
    ],
)
def test_a_file_that_is_none_is_the_outcome_of_its_own_cell(
    place, tmp_path, checkpoint, said
) -> None:
    bad_files(tmp_path)
    file = checkpoint.format(bad=tmp_path)
    plan = place.plan({**NOISY, "checkpoint": file}, {**QUIET, "checkpoint": ["epoch_1.pth", file]})
    holes = {(cell.label, cell.seed): cell for cell in plan.cells if cell.job is None}
    assert holes.keys() == {("as released", 18), ("both", 1)}
    for hole in holes.values():
        assert said in str(hole.reason)
        assert hole.lack is not None and hole.lack.kind == "checkpoint"
    assert ("both", 0) in {(cell.label, cell.seed) for cell in plan.cells if cell.job is not None}
    assert plan.record().cells  # it can be stored, and shown


def test_a_suite_of_nothing_but_such_files_is_refused(place) -> None:
    with pytest.raises(NotHere, match=r"row 'as released'.* no checkpoint 'missing.pth'"):
        make_plan(
            place.suite({**NOISY, "checkpoint": "missing.pth"}), place.home, only=["as released"]
        )


def test_weights_of_other_features_or_another_encoder_are_holes(place, tmp_path) -> None:
    home = Home(tmp_path / "home")
    corpus = small_corpus(home.corpora, streams={"audio": (11, 7), "vision": (8, 4)})
    file = home.root / "c.pth"
    save_published(file, network_of(corpus, place.encoder, home, 0), epoch=1)
    other = tiny_encoder(tmp_path / "other", ["a few words and no more"])
    for row, said in (
        ({"checkpoint": str(file)}, "proj_a0.weight should be (16, 5), found (16, 7)"),
        ({"params": {"encoder": str(other)}}, "does not fit: bertmodel"),
    ):
        (reason,) = [c.reason for c in place.plan({**NOISY, **row}).cells if c.job is None]
        assert said in str(reason)


def test_a_file_edited_after_planning_is_refused(place, tmp_path) -> None:
    file = tmp_path / "c.pth"
    file.write_bytes((place.home.root / "epoch_0.pth").read_bytes())
    job = place.job({**NOISY, "checkpoint": str(file)})
    file.write_bytes((place.home.root / "epoch_1.pth").read_bytes())
    with pytest.raises(DataError, match=r"c\.pth changed since the run was planned"):
        execute(job)
    file.unlink()
    with pytest.raises(DataError, match=r"c\.pth cannot be read"):
        execute(job)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "tfn"}, "system tfn has no released layout; those that have: text"),
        ({"params": {"lr": 0.1}}, "lr is about training"),
    ],
)
def test_what_cannot_be_a_row_of_released_weights(place, changes, said) -> None:
    with pytest.raises(SpecError, match=said):
        place.plan({**NOISY, **changes})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"name": "text", "seeds": [1]}, "seeds of a row goes with checkpoint"),
        ({"name": "text", "selected_on": "test"}, "selected_on of a row goes with checkpoint"),
        ({**QUIET, "seeds": [1]}, "seeds should be one per checkpoint, 2; found 1"),
        ({**QUIET, "checkpoint": ["a", "a"]}, "names one item twice"),
        ({**QUIET, "checkpoint": []}, "should be a non-empty list"),
        ({**QUIET, "checkpoint": "a.pth sha256=12"}, "64 hexadecimal digits"),
        ({**QUIET, "checkpoint": 3}, "should be a file of weights"),
        ({**QUIET, "selected_on": "luck"}, "should be one of 'validation', 'test', 'best run'"),
    ],
)
def test_what_a_suite_cannot_say(place, row, said) -> None:
    with pytest.raises(SpecError, match=said):
        place.suite(row)


def test_the_command_says_it_in_one_line_and_writes_nothing(
    place, tmp_path, monkeypatch, capsys
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(
        'corpora = ["mosi@small"]\n[[systems]]\nname = "lf_dnn"\ncheckpoint = "epoch_0.pth"\n'
    )
    command = ["msa", "--home", str(place.home.root), "run", str(file)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert said[0].startswith("error: wrong.toml: row 'lf_dnn': system lf_dnn has no released")
    assert len(said) == 2
    assert "wrong" not in RunStore(place.home.store).plans()
