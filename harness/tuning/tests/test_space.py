"""What a row is searched over: where it comes from, what comes first, what is refused."""

from __future__ import annotations

import pytest

from harness.data.datasets import datasets
from harness.errors import SpecError
from harness.runs.plan import complete
from harness.spec import Search, Suite, search
from harness.system import systems
from harness.tuning.published import published_spaces
from harness.tuning.space import Space, space_of


def space(row: dict[str, object], **tables: object) -> Space | None:
    suite = complete(
        Suite.parse(
            {"corpora": ["mosi-twin@compact-x5"], "systems": [row], **tables},
            name="small",
            where="small.toml",
        )
    )
    (entry,) = suite.entries
    return space_of(suite, entry, systems[entry.system], "mosi")


def test_what_the_source_printed_is_searched_where_it_is_known() -> None:
    found = space({"name": "tfn"})
    assert found is not None
    assert found.source.startswith("MMSA, ")
    named = {each.name: each for each in found.dimensions}
    sizes = named["text_hidden+audio_hidden+vision_hidden"]
    assert sizes.choices is not None
    assert (128, 32, 128) in sizes.choices
    assert sizes.values("64 16 64") == {"text_hidden": 64, "audio_hidden": 16, "vision_hidden": 64}
    assert named["lr"].choices == ((0.0005,), (0.001,), (0.002,), (0.005,))


@pytest.mark.parametrize("system", list(published_spaces()))
def test_every_published_value_lies_in_the_range_of_its_parameter(system: str) -> None:
    for dataset in datasets:
        suite = complete(
            Suite.parse(
                {"corpora": ["any@thing"], "systems": [{"name": system}]}, name="x", where="x"
            )
        )
        found = space_of(suite, suite.entries[0], systems[system], dataset)
        assert found is not None
        published = published_spaces()[system]
        assert len(found.dimensions) == len(published.choices) + len(published.together)


def test_parameters_declare_what_is_searched_where_nothing_was_printed() -> None:
    found = space({"name": "tfn@clues"})
    assert found is not None
    assert found.source == "declared by its parameters"
    rate = next(each for each in found.dimensions if each.name == "lr")
    assert (rate.low, rate.high, rate.log) == (1e-5, 1e-2, True)
    assert space({"name": "tfn"}, tune={"base": "declared"}).source == found.source


def test_the_suite_comes_first_and_what_it_sets_is_not_searched() -> None:
    found = space(
        {"name": "tfn", "params": {"audio_hidden": 8}, "space": {"lr": {"choices": [1, 0.5]}}},
        tune={"space": {"lr": {"low": 0.1, "high": 0.2}, "batch_size": {"low": 2, "high": 9}}},
        defaults={"text_out": 16},
    )
    assert found is not None
    named = {each.name: each for each in found.dimensions}
    assert named["lr"].choices == ((1.0,), (0.5,))
    assert named["batch_size"].whole
    assert "text_out" not in named
    assert named["text_hidden+vision_hidden"].choices == ((128, 128), (64, 64))
    assert found.source.endswith(" and the suite")


def test_nothing_to_search_is_no_space() -> None:
    assert space({"name": "tfidf_ridge"}) is None
    assert space({"name": "tfn"}, tune={"base": "none"}) is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"hiden": {"low": 1, "high": 2}}, "no parameter 'hiden'"),
        ({"precision": {"choices": ["tf32"]}}, "it is one of arithmetic"),
        ({"quirk": {"choices": ["fixed"]}}, "it decides whose code a row is"),
        ({"audio_dropout": {"low": 0, "high": 1.5}}, r"should lie in \[0.0, 1.0\]; found 1.5"),
        ({"batch_size": {"choices": [1, 32]}}, "batch_size should lie in"),
        ({"batch_size": {"low": 2, "high": 8.5}}, "batch_size is a whole number"),
        ({"loss": {"low": 1, "high": 2}}, "loss is no number: a search over it takes choices"),
        ({"loss": {"choices": ["l3"]}}, "loss should be one of l1, mse"),
        ({"lr": {"choices": ["fast"]}}, "lr should be a float"),
        ({"lr": {"low": 1}}, "a search takes low and high, or choices"),
        ({"lr": {"low": 2, "high": 1}}, "from low to high; found 2 to 1"),
        ({"lr": {"low": 0, "high": 1, "log": True}}, "begins above 0; found low = 0"),
        ({"lr": {"low": 0, "high": 1, "choices": [1]}}, "over a range or over choices"),
        ({"lr": {"choices": []}}, "should be a non-empty list"),
        ({"lr": {"most": 1}}, "unknown key 'most'"),
    ],
)
def test_what_cannot_be_searched_is_named_with_its_place(asked: dict, said: str) -> None:
    with pytest.raises(SpecError, match=said) as error:
        space({"name": "tfn", "space": asked})
    assert str(error.value).startswith("small.toml: ")


def test_what_a_row_sets_it_does_not_search() -> None:
    with pytest.raises(SpecError, match=r"lr is set to 0.1 and searched"):
        space({"name": "tfn", "params": {"lr": 0.1}, "space": {"lr": {"choices": [1.0]}}})


def test_a_digest_tells_spaces_and_samplers_apart() -> None:
    one, other = space({"name": "tfn"}), space({"name": "lmf"})
    assert one is not None
    assert other is not None
    assert one.digest("tpe") == space({"name": "tfn"}).digest("tpe")
    assert len({one.digest("tpe"), one.digest("random"), other.digest("tpe")}) == 3


def test_a_search_is_data() -> None:
    assert search(choices=(1, 2)) == Search(choices=(1, 2))
    assert search(choices=(1, 2)).record() == {"choices": [1, 2]}
