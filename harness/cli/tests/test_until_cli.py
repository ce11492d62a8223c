"""``msa run --until decided``, and what boards and comparisons say of such a suite."""

from __future__ import annotations

import json

import pytest

from harness.stats import levels

pytestmark = pytest.mark.usefixtures("noisy_systems")
SUITE = 'corpora = ["mosi-twin@compact-x5"]\n' + "".join(
    f'[[systems]]\nname = "noisy_{name}"\n' for name in ("good", "flat")
)


@pytest.mark.slow
def test_a_suite_is_run_until_decided_and_says_so_everywhere(home, msa) -> None:
    (home.suites / "small.toml").write_text(SUITE)
    code, said, progress = msa("run", "small", "--until", "decided", "--looks", "2,3")
    assert code == 0
    level = levels((2, 3))[0]
    shown = f"{level:.3f}".removeprefix("0")
    assert f"look at 2 seeds (declared: 2, 3; 3 is the most), level {shown}" in progress
    assert f"decided with 2 seeds, at level {shown}" in said

    board = (home.boards / "small.md").read_text("utf-8")
    assert "seeds were added until decided, looks at 2, 3" in board
    assert "0/2 + 2 collapsed" in board
    assert "2 of 2 runs (seeds 1111, 1112)" in board
    page = (home.boards / "small.html").read_text("utf-8")
    assert "2 of 2 runs collapsed (seeds 1111, 1112): probability of collapse 1.00" in page
    written = json.loads(msa("board", "small", "--json")[1])
    records = {one["row"]: one for one in written["small"]}
    flat = records["noisy_flat"]
    assert flat["look"] == {"looks": [2, 3], "seeds": 2, "level": level, "decide": "best"}
    assert flat["collapse"]["seeds"] == [1111, 1112]
    assert flat["collapse"]["probability"] == flat["collapse"]["high"] == 1.0
    assert records["noisy_good"]["collapse"]["seeds"] == []
    assert records["zero"]["collapse"] is None

    both = ("compare", "small:noisy_good", "small:noisy_flat")
    code, said, _ = msa(*both)
    assert code == 0
    assert "B: 2 of 2 runs collapsed (seeds 1111, 1112): probability of collapse 1.00" in said
    assert f"looks at 2, 3: verdicts are at level {shown}, that of the look at 2" in said
    found = json.loads(msa(*both, "--json")[1])
    assert (found["level"], found["looks"]) == (level, [2, 3])
    assert found["collapse_b"]["seeds"] == [1111, 1112]
    assert found["collapse_a"]["collapsed"] == 0
    mae = next(row for row in found["metrics"] if row["metric"] == "mae")
    assert (mae["verdict"] == "a better") == (mae["p"] < level)

    for options in (("--seeds", 3), (), ("--until", "decided", "--looks", "2,4")):
        code, _, errors = msa("run", "small", *options)
        assert code == 2
        assert "has declared looks at 2, 3 seeds" in errors
        assert "msa run small --until decided" in errors


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--until", "done"), "--until takes decided; found 'done'"),
        (("--until", "decided", "--looks", "3,x"), "--looks takes numbers of seeds"),
        (("--until", "decided", "--seeds", "3"), "goes with neither --seeds nor --only"),
        (("--until", "decided", "--only", "zero"), "goes with neither --seeds nor --only"),
        (("--looks", "3,5"), "--looks and --decide go with --until decided"),
        (("--until", "decided", "--decide", "absent"), "compares no row 'absent'"),
        (("--until", "decided", "--looks", "5,3"), "rising numbers of seeds"),
    ],
)
def test_what_cannot_be_asked_is_one_line(home, msa, options, problem) -> None:
    (home.suites / "small.toml").write_text(SUITE)
    code, _, errors = msa("run", "small", *options)
    assert code == 2
    assert problem in errors


def test_the_price_is_that_of_all_looks(home, msa) -> None:
    (home.suites / "small.toml").write_text(SUITE)
    asked = ("run", "small", "--until", "decided", "--looks", "2,4", "--plan", "--json")
    code, out, err = msa(*asked)
    assert code == 0, err
    assert "noisy_good" in out
    assert json.dumps(4) in out
