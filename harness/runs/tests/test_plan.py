"""Plans: every cell of a suite, each identity once, and refusals before anything runs."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from harness._util import canonical
from harness.data.corpus import STREAMS, Stream
from harness.data.store import CorpusStore, Draft
from harness.errors import DataError, SpecError
from harness.home import Home
from harness.runs.driver import select_cells
from harness.runs.identity import numerics, roots
from harness.runs.plan import Cell, Plan, _told, expand_queries, find_suite, make_plan
from harness.runs.stored_plan import PlannedCell, StoredPlan
from harness.spec import SelectionRule, Suite
from harness.spec.protocols import protocols
from harness.spec.selection import described
from harness.system import Params, param, systems

PROTOCOL = "[protocol]\nmax_epochs = 2\n"
SYSTEMS = """
[[systems]]
name = "tfn"
[[systems]]
name = "tfn"
label = "TFN, slow"
params = { lr = 1e-4 }
[[systems]]
name = "lf_dnn"
corpora = ["mosi@small"]
"""
START = 'corpora = ["mosi@small", "sims@label-csv"]\nseeds = 2\n'
Planner = Callable[[str], Plan]


def draft(name: str, streams: tuple[str, ...]) -> Draft:
    clips = pd.DataFrame({"split": ["train"] * 4 + ["valid"] * 2 + ["test"] * 2})
    clips = clips.assign(video="v", clip=clips.index.astype(str), text="words", label=0.0)
    stream = Stream(np.ones((8, 3, 2), dtype=np.float32), np.full(8, 3))
    return Draft(
        name=name,
        clips=clips.assign(id="v_" + clips["clip"]),
        streams=dict.fromkeys(streams, stream),
        manifest={},
    )


@pytest.fixture
def plan(home: Home) -> Planner:
    """Plan a suite where one corpus has feature streams and another has none."""
    corpora = CorpusStore(home.corpora)
    corpora.add(draft("mosi@small", STREAMS))
    corpora.add(draft("sims@label-csv", ()))

    def make(text: str) -> Plan:
        (home.suites / "demo.toml").write_text(text)
        return make_plan(find_suite("demo", home), home)

    return make


def queried(text: str) -> list[tuple[str, tuple[str, ...] | None]]:
    suite = Suite.parse(tomllib.loads(START + text), name="all", where="all.toml")
    return [(entry.system, entry.corpora) for entry in expand_queries(suite).entries]


QUERY = '[[systems]]\nquery = "trained"\ncorpora = ["mosi@small"]\n'


def test_a_query_adds_a_row_for_every_system_that_no_other_row_names() -> None:
    rows = queried(SYSTEMS + QUERY)
    assert [name for name, _ in rows[:3]] == ["tfn", "tfn", "lf_dnn"]
    here = {name: s for name, s in systems.items() if "server" not in s.locations}
    learning = [name for name, s in here.items() if s.supervision == "train" and not s.reference]
    assert [name for name, _ in rows[3:]] == [x for x in learning if x not in ("tfn", "lf_dnn")]
    assert {corpora for _, corpora in rows[3:]} == {("mosi@small",)}


def test_a_query_never_takes_the_label_of_another_row() -> None:
    with pytest.raises(SpecError, match="the label of another row"):
        queried('[[systems]]\nname = "tfn"\nlabel = "lmf"\n' + QUERY)


def test_a_query_finds_no_row_that_prints_like_another() -> None:
    with pytest.raises(SpecError, match=r"the labels 'ｌｍｆ' .* and 'lmf' print alike"):
        queried('[[systems]]\nname = "tfn"\nlabel = "ｌｍｆ"\n' + QUERY)


def test_the_grid_is_corpora_by_rows_by_seeds_led_by_the_references(plan: Planner) -> None:
    made = plan(START + PROTOCOL + SYSTEMS)
    assert made.seeds == dict.fromkeys(("mosi@small", "sims@label-csv"), (1111, 1112))
    rows = list(dict.fromkeys((cell.corpus, cell.label) for cell in made.cells))
    references = [label for corpus, label in rows if corpus == "mosi@small"][:-3]
    assert references
    assert rows == [
        *(("mosi@small", label) for label in (*references, "tfn", "TFN, slow", "lf_dnn")),
        *(("sims@label-csv", label) for label in (*references, "tfn", "TFN, slow")),
    ]
    seeds = {label: [] for _, label in rows}
    for cell in made.cells:
        if cell.corpus == "mosi@small":
            seeds[cell.label].append(cell.seed)
    assert seeds == {
        **{label: [0] for label in references},
        **{label: [1111, 1112] for label in ("tfn", "TFN, slow", "lf_dnn")},
    }


def test_each_cell_has_its_own_identity_and_its_parameters_resolved(plan: Planner) -> None:
    made = plan(START + PROTOCOL + SYSTEMS)
    jobs = [cell.job for cell in made.cells if cell.job is not None]
    assert len(made.jobs) == len(jobs) == len({job.spec.key for job in jobs})
    slow = next(c.job.spec for c in made.cells if c.label == "TFN, slow" and c.job)
    plain = next(c.job.spec for c in made.cells if c.label == "tfn" and c.job)
    assert slow.params["lr"] == 1e-4
    assert {**slow.params, "lr": plain.params["lr"]} == plain.params
    assert slow.protocol.max_epochs == 2
    assert plan(START + PROTOCOL + SYSTEMS).jobs.keys() == made.jobs.keys()


def test_what_systems_are_told_of_a_dataset_is_in_the_key(plan: Planner) -> None:
    """TF-IDF reads words or characters by it, and the dataset's own file enters no fingerprint."""
    (spec, *_) = [job.spec for job in plan(START + PROTOCOL + SYSTEMS).jobs.values()]
    assert set(spec.labels) == {"low", "high", "family", "language"}
    other = dataclasses.replace(spec, labels={**spec.labels, "language": "another"})
    assert other.key != spec.key


def test_where_a_system_does_not_apply_the_cell_stays_with_the_reason(plan: Planner) -> None:
    made = plan(START + PROTOCOL + SYSTEMS)
    empty = [cell for cell in made.cells if cell.job is None]
    assert {(cell.corpus, cell.label) for cell in empty} == {
        ("sims@label-csv", "tfn"),
        ("sims@label-csv", "TFN, slow"),
    }
    assert {cell.reason for cell in empty} == {"needs audio, text, vision"}


DEFAULTS = "[defaults]\nlr = 0.5\nrank = 2\n"


def test_defaults_reach_the_rows_whose_systems_have_them_unless_they_say_otherwise(plan) -> None:
    rows = """
[[systems]]
name = "lmf"

[[systems]]
name = "lf_dnn"
params = { lr = 0.25 }
"""
    made = plan('corpora = ["mosi-twin@compact-x5"]\nseeds = 1\n' + DEFAULTS + rows)
    specs = {job.spec.system: job.spec.params for job in made.jobs.values()}
    assert (specs["lmf"]["lr"], specs["lmf"]["rank"]) == (0.5, 2)
    assert specs["lf_dnn"]["lr"] == 0.25
    assert "rank" not in specs["lf_dnn"]
    changed = {row.label: row.changed for row in made.record().rows}
    assert changed["lmf"] == {"lr": 0.5, "rank": 2}


def test_a_default_that_no_system_has_is_refused(plan) -> None:
    with pytest.raises(SpecError, match="no row's system has the default 'rannk'"):
        plan(START + "[defaults]\nrannk = 2\n" + SYSTEMS)


EXPLAINED = """
corpora = ["mosi-twin@compact-x5"]
seeds = 1
[[systems]]
name = "explanation_ridge"
[[systems]]
name = "tfidf_ridge"
"""


def test_explanations_are_read_only_where_the_protocol_allows_them(plan) -> None:
    without, allowed = plan(EXPLAINED), plan(EXPLAINED + "[protocol]\nside_info='video_mllm'\n")
    (refused,) = [cell for cell in without.cells if cell.label == "explanation_ridge"]
    assert refused.reason == "reads explanations; the protocol's side_info is none"
    jobs = {job.spec.system: job.spec for job in allowed.jobs.values()}
    assert jobs["explanation_ridge"].protocol.side_info == "video_mllm"
    assert jobs["tfidf_ridge"].key in without.jobs  # the same run in both suites
    knows = {row.label: row.side_info for row in allowed.record().rows}
    assert (knows["explanation_ridge"], knows["tfidf_ridge"]) == ("video_mllm", "none")


def test_a_plan_is_recorded_as_plain_json_without_places(plan: Planner, home: Home) -> None:
    made = plan(START + PROTOCOL + SYSTEMS)
    text = canonical.dumps(made.record().json())
    assert str(home.root) not in text
    record = made.record()
    assert [row.label for row in record.rows][-3:] == ["tfn", "TFN, slow", "lf_dnn"]
    keys = [cell.key for cell in record.cells]
    assert set(keys) - {None} == set(made.jobs)
    assert len(keys) == len(made.cells)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "[protocol]\nselection_metric = 'mea'\n",
            SpecError,
            "unknown metric 'mea'; did you mean mae",
        ),
        ("[protocol]\nselection_metric = 'acc7'\n", SpecError, "'acc7' is not defined for 'sims'"),
        ("[protocol]\nname = 'in_domian'\n", SpecError, "did you mean in_domain"),
        ("[protocol]\nmax_epoch = 3\n", SpecError, "did you mean 'max_epochs'"),
        ("[[systems]]\nname = 'tfm'\n", SpecError, "unknown system 'tfm'; did you mean tfn"),
        ("[[systems]]\nname='tfn'\nlabel='x'\nparams={lrr=1}\n", SpecError, "did you mean 'lr'"),
        ("[[systems]]\nname='tfn'\nlabel='train_mean'\n", SpecError, "label of a reference row"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(
    plan: Planner, text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plan(START + text + SYSTEMS)


def test_more_seeds_than_the_protocol_lists_are_given_as_a_list(plan: Planner) -> None:
    start = 'corpora = ["sims@label-csv"]\n'
    with pytest.raises(SpecError, match="asks for 99 seeds") as caught:
        plan(start + "seeds = 99\n" + "[[systems]]\nname = 'tfn'\n")
    assert caught.value.hint == "give the seeds as a list"


def test_a_corpus_that_is_not_here_is_a_data_error(plan: Planner) -> None:
    with pytest.raises(DataError, match="'mosi@unaligned-50' is not here"):
        plan('corpora = ["mosi@unaligned-50"]\n[[systems]]\nname = "tfn"\n')


def test_an_unknown_suite_is_told_from_the_known(home: Home) -> None:
    (home.suites / "demo.toml").write_text("")
    with pytest.raises(SpecError, match=r"no suite 'dmo'; did you mean demo\?$"):
        find_suite("dmo", home)


@pytest.mark.parametrize(
    ("only", "labels"),
    [
        ((), {"tfn", "TFN, slow", "lf_dnn", "*"}),
        (("tfn",), {"tfn", "TFN, slow"}),
        (("TFN*",), {"TFN, slow"}),
        (("tfn", "lf_*"), {"tfn", "TFN, slow", "lf_dnn"}),
        (("mosi@*",), {"tfn", "TFN, slow", "lf_dnn", "*"}),
    ],
)
def test_cells_are_chosen_by_row_system_or_corpus(
    plan: Planner, only: tuple[str, ...], labels: set[str]
) -> None:
    made = plan(START + PROTOCOL + SYSTEMS)
    mosi = [cell for cell in select_cells(made, only) if cell.corpus.startswith("mosi")]
    chosen = {cell.label for cell in mosi}
    references = {cell.label for cell in made.cells} - {"tfn", "TFN, slow", "lf_dnn"}
    assert chosen == (labels - {"*"} | references if "*" in labels else labels)


def test_a_pattern_that_matches_nothing_is_refused_even_beside_one_that_does(plan: Planner) -> None:
    with pytest.raises(SpecError, match=r"--only tfm matches no row or corpus \(rows: .*lf_dnn\)"):
        list(select_cells(plan(START + PROTOCOL + SYSTEMS), ("tfn", "tfm")))


# Epochs and their choice


LONG = """
[[systems]]
name = "almt"
params = { encoder = "tiny-twin", max_tokens = 16 }
[[systems]]
name = "lf_dnn"
[[systems]]
name = "tfidf_ridge"
"""
ONE = 'corpora = ["mosi@small"]\nseeds = 1\n'


def planned(made: Plan, label: str) -> Cell:
    return next(cell for cell in made.cells if cell.label == label)


def recorded(made: Plan, label: str) -> PlannedCell:
    return next(cell for cell in made.record().cells if cell.label == label)


@pytest.mark.parametrize("name", ["in_domain", "reliability", "zero_shot"])
def test_a_schedule_longer_than_the_cap_is_trained_whole(plan: Planner, name: str) -> None:
    made = plan(ONE + f'[protocol]\nname = "{name}"\n' + LONG)
    caps = {
        label: job.spec.protocol.max_epochs
        for label in ("almt", "lf_dnn", "tfidf_ridge")
        if (job := planned(made, label).job)
    }
    assert caps.pop("almt") == 200
    assert set(caps.values()) == {100}
    assert made.protocol.max_epochs == 100
    assert recorded(made, "almt").max_epochs == 200
    assert recorded(made, "lf_dnn").max_epochs is None
    assert all(cell.schedule is None for cell in made.cells)


def test_a_suite_that_sets_the_cap_means_it_and_says_what_it_cuts(plan: Planner) -> None:
    made = plan(ONE + "[protocol]\nmax_epochs = 50\n" + LONG)
    assert {job.spec.protocol.max_epochs for job in made.jobs.values()} == {50}
    assert (planned(made, "almt").schedule, planned(made, "lf_dnn").schedule) == (200, None)
    assert (recorded(made, "almt").schedule, recorded(made, "almt").max_epochs) == (200, None)


def test_the_same_epochs_are_the_same_run_whoever_allows_them(plan: Planner) -> None:
    """Nothing that fits is given another key by schedules that do not."""
    free, whole, cap = (
        plan(ONE + text + LONG) for text in ("", "[protocol]\nmax_epochs = 200\n", PROTOCOL)
    )
    keys = {
        label: [planned(made, label).job for made in (free, whole, cap)]
        for label in ("almt", "lf_dnn")
    }
    almt = [job.spec.key for job in keys["almt"] if job]
    plain = [job.spec for job in keys["lf_dnn"] if job]
    assert almt[0] == almt[1] != almt[2]
    assert plain[0].protocol.identity == protocols["in_domain"].identity
    assert len({spec.key for spec in plain}) == 3


def test_rules_of_released_code_are_in_the_key_and_those_without_do_not_apply(
    plan: Planner,
) -> None:
    ours = plan(ONE + LONG)
    made = plan(ONE + '[protocol]\nname = "as_released"\n' + LONG)
    job, before = planned(made, "lf_dnn").job, planned(ours, "lf_dnn").job
    assert job is not None
    assert before is not None
    assert job.spec.protocol.rules == (SelectionRule(monitor="l1", digits=4, patience=8),)
    assert job.spec.key != before.spec.key
    assert job.spec.code != before.spec.code
    assert recorded(made, "lf_dnn").selection == described(job.spec.protocol.rules)
    without = planned(made, "tfidf_ridge")
    assert without.job is None
    assert without.reason is not None
    assert without.reason.startswith("no released rule of selection")
    constants = [c for c in made.cells if systems[c.label].reference]
    assert constants
    assert all(c.job and c.job.spec.key in ours.jobs for c in constants)


def test_the_protocols_own_choice_depends_on_no_code_of_released_rules() -> None:
    own = numerics(*roots("lf_dnn", {}, protocols["in_domain"]))
    ruled = dataclasses.replace(
        protocols["as_released"], rules=(SelectionRule(monitor="corr", digits=4),)
    )
    more = numerics(*roots("lf_dnn", {}, ruled))
    assert "harness.training.selection" not in own
    assert more - own == {"harness.training.selection"}


def test_what_came_later_is_told_where_it_is_not_what_runs_of_before_had() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Grown(Params):
        old: int = param(1, source="ours")
        new: str = dataclasses.field(default="a", metadata={"source": "ours", "later": True})

    assert _told(Grown()) == {"old": 1}
    assert _told(Grown(new="b")) == {"old": 1, "new": "b"}


def test_slices_are_planned_for_boards_and_are_no_part_of_an_identity(plan: Planner) -> None:
    text = 'corpora = ["mosi@small", "mosi@told"]\nseeds = 2\n'
    told = draft("mosi@told", ())
    clips = told.clips.assign(label=[0.0, 1.0] * 4, text=["words", "no words"] * 4)
    home = Home.default()
    CorpusStore(home.corpora).add(dataclasses.replace(told, clips=clips))
    system = '[[systems]]\nname = "tfidf_ridge"\n'
    plain, asked = plan(text + system), plan(f'slices = ["negation", "strength"]\n{text}{system}')
    assert asked.jobs.keys() == plain.jobs.keys()
    assert plain.record().slices is None
    assert asked.record().slices == ("negation", "strength")
    small, other = asked.record().corpora
    assert small.slices == ()  # all its clips are alike
    assert [(one.name, one.parts, one.place) for one in other.slices or ()] == [
        ("negation", ("negated", "not negated"), "1 0"),
        ("strength", ("neutral (to 0.5)", "weak (to 1.5)"), "0 1"),
    ]
    record = asked.record()
    assert StoredPlan.of(record.json(), "plan").corpora[1].slices == record.corpora[1].slices
    with pytest.raises(SpecError, match=r"slices.*'negatio'"):
        plan(f'slices = ["negatio"]\n{text}{system}')
