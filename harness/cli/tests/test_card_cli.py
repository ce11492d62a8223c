"""``msa card`` shows published numbers from their one home, the tables of the literature."""

from __future__ import annotations

import json

import pytest

from harness.metrics import metrics
from harness.system import systems
from leaderboards.literature import literature, table


@pytest.fixture
def published(msa):
    """What the card of a system lists as published."""

    def listed(name: str) -> list[dict[str, object]]:
        code, text, _ = msa("card", name, "--json")
        assert code == 0
        return json.loads(text)["published"]

    return listed


@pytest.mark.parametrize("name", sorted(name for name in systems if systems[name].card.year))
def test_a_system_with_a_paper_has_published_numbers_or_says_why_not(msa, published, name) -> None:
    _, text, _ = msa("card", name)
    titles = "published, accuracies in percent:", "none published:"
    listed = published(name)
    assert [title in text for title in titles] == [bool(listed), not listed]
    assert bool(listed) is not bool(systems[name].card.unlisted)


@pytest.mark.parametrize("name", sorted(name for name in systems if not systems[name].card.year))
def test_a_system_without_a_paper_has_no_published_numbers(published, name) -> None:
    assert not published(name)
    assert not systems[name].card.unlisted


def test_every_system_of_the_literature_is_one_of_ours_or_announced() -> None:
    """A misspelt name would hide a system's numbers from its card."""
    assert {row.system for row in literature()} - set(systems) == {"", "midg"}


def test_a_number_is_shown_with_all_that_its_table_says_of_it(published) -> None:
    (row,) = (row for row in table("mmsa", "sims", "tfn") if row.metric == "acc2")
    (shown,) = (
        number
        for number in published("tfn")
        if (number["table"], number["dataset"], number["metric"]) == ("mmsa", "sims", "acc2")
    )
    assert shown["value"] == 78.38 == pytest.approx(100 * row.value)
    assert {name: shown[name] for name in ("source", "reliability", "selection", "seeds")} == {
        "source": "thuiar/MMSA results/result-stat.md @a94e65d",
        "reliability": "authors' file",
        "selection": "validation",
        "seeds": 5,
    }


@pytest.mark.parametrize("name", ["almt", "misa", "lnln", "text"])
def test_a_card_lists_what_boards_show_of_its_system(published, name: str) -> None:
    rows = {
        (row.table, row.dataset, row.features, row.condition, row.source, row.metric): row.value
        for row in literature()
        if row.system == name
    }
    columns = ("table", "dataset", "features", "condition", "source", "metric")
    shown = {tuple(number[column] for column in columns): number for number in published(name)}
    assert rows.keys() == shown.keys()
    for key, number in shown.items():
        scale = 100 if metrics[number["metric"]].percent else 1
        assert number["value"] == pytest.approx(scale * rows[key])


@pytest.mark.parametrize(
    ("variant", "base"), [("text@published", "text"), ("qa_moe@code", "qa_moe")]
)
def test_another_way_to_run_a_paper_shows_the_papers_numbers(published, variant, base) -> None:
    assert published(variant) == published(base) != []


def test_the_text_names_dataset_condition_source_and_who_vouches(msa) -> None:
    _, text, _ = msa("card", "lnln")
    said = " ".join(text.split())
    assert "- mosi, mean over missing rates 0 to 0.9: acc2_has0 70.94, acc2_non0 72.55" in said
    assert "mae 1.046, corr 0.527 (SemMSA, table under LNLN's protocol; paper)" in said


def test_the_card_shows_how_released_code_chooses_the_epoch(msa):
    _, text, _ = msa("card", "misa")
    assert "mean squared error, mean of batch means, 4 decimals, earliest on ties, patience 8" in (
        " ".join(text.split())
    )
    assert "source: MMSA 2.2.1, trains/singleTask/MISA.py" in text
    _, text, _ = msa("card", "lnln")
    assert "no rule to follow: it keeps the best test epoch of each metric" in text
    _, text, _ = msa("card", "bert_text")
    assert "as released" not in text
    _, text, _ = msa("card", "text")
    assert "sims, simsv2: acc2, 4 decimals, latest on ties, all epochs trained" in text
