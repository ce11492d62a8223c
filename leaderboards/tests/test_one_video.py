"""A corpus whose test clips are of one source video is shown, and compared in nothing."""

from __future__ import annotations

import pandas as pd

import harness
import leaderboards
from harness.data.store import CorpusStore, Draft
from harness.home import Home
from harness.runs.store import RunStore
from leaderboards.model import analyse, gather
from leaderboards.sections._lines import line_of


def draft(name, video):
    splits = ["train"] * 6 + ["valid"] * 6 + ["test"] * 8
    labels = [(1.0, -1.0, 2.4, -2.0)[i % 4] for i in range(20)]
    clips = pd.DataFrame(
        {
            "id": [f"v{i // 2}_{i}" for i in range(20)],
            "video": [
                video if s == "test" and video else f"v{i // 2}" for i, s in enumerate(splits)
            ],
            "clip": [str(i) for i in range(20)],
            "split": splits,
            "text": [f"clip {i} is {'fine' if y > 0 else 'bad'}" for i, y in enumerate(labels)],
            "label": labels,
        }
    )
    return Draft(name=name, clips=clips, streams={}, manifest={})


def test_its_board_and_that_of_the_other_corpora_are_written(tmp_path):
    home = Home(tmp_path)
    for name, video in (("mosi@one", "only"), ("mosei@many", "")):
        CorpusStore(home.corpora).add(draft(name, video))
    home.suites.mkdir()
    (home.suites / "both.toml").write_text(
        'corpora = ["mosi@one", "mosei@many"]\nseeds = 1\n[[systems]]\nname = "tfidf_ridge"\n'
        '[[systems]]\nname = "tfidf_ridge"\nlabel = "again"\n'
    )
    harness.run("both", home)
    board = gather(RunStore(home.store), "both")
    for grid in board.grids:
        assert [row.label for row in grid.rows if row.runs and not row.reference] == [
            *("tfidf_ridge", "again")
        ]
    one, many = board.grids
    assert not analyse(one).fields and analyse(many).rankings
    assert "| again " in leaderboards.render(RunStore(home.store), "both")
    assert all("one source video" in line_of(one, row).unranked for row in one.rows[-2:])
