"""Ids, columns, keys and names of strangers reach a terminal as text, and never in full length."""

from __future__ import annotations

import json
import unicodedata

import pytest

from harness.tests.official_labels import predictions_for, store_official

ESCAPES = ["\x1b]0;PWNED\x07", "\x9b2J", "\u202egnp", "\u200bzero", "\x1b[31m", "bell\x07"]


def acting(text: str) -> set[str]:
    """Characters that a terminal obeys, or that nobody sees."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {ascii(c) for c in text if c not in "\n\t" and unicodedata.category(c) in kinds}


def written(path, rows, columns="id,pred"):
    path.write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path, request):
    evil = request.param
    table = predictions_for("sims")
    clips = [f"{clip},{pred}" for clip, pred in zip(table["id"], table["pred"], strict=True)]
    folder = tmp_path / f"na{evil.replace('/', '')}me"
    folder.mkdir()
    (folder / "suite.toml").write_text(f'{json.dumps(evil)} = 1\ncorpora = ["mosi"]\n')
    (folder / "labels.csv").write_text(f"video_id,clip_id,te{evil}xt\n1,2,3\n")
    return {
        "ids": written(tmp_path / "ids.csv", [*clips, f"v_{evil},0.5"]),
        "columns": written(tmp_path / "columns.csv", ["a,1"], f"i{evil}d,pred"),
        "values": written(tmp_path / "values.csv", [f"{table['id'][0]},x{evil}"]),
        "manifest": written(tmp_path / "m.toml", [f'name = "a{evil}"'], 'paper = "b"'),
        "folder": folder,
    }


@pytest.mark.parametrize("files", ESCAPES, indirect=True)
def test_no_command_passes_an_escape_on(msa, home, files) -> None:
    store_official(home, "sims")
    folder = files["folder"]
    commands = [
        *(("score", files[name], "--dataset", "sims") for name in ("ids", "columns", "values")),
        ("score", files["ids"], "--dataset", "sims", "--json"),
        ("compare", files["ids"], files["ids"], "--dataset", "sims"),
        ("submit", files["ids"], "--dataset", "sims"),
        ("submit", files["ids"], "--dataset", "sims", "--manifest", files["manifest"]),
        ("run", folder / "suite.toml"),
        ("data", "add", folder / "labels.csv", "--dataset", "sims"),
        ("board", "none" + folder.name),
        ("lint", files["columns"]),
        ("card", folder.name),
    ]
    for command in commands:
        code, out, errors = msa(*command)
        assert acting(out + errors) == set(), command
        assert code in (0, 1, 2)
        assert out or errors


def test_a_message_has_a_length(msa, home, tmp_path) -> None:
    store_official(home, "sims")
    for row in (f"{'x' * 3_000_000},0.1", f"a_1,{'9' * 3_000_000}"):
        file = written(tmp_path / "long.csv", [row, row])
        _, out, errors = msa("score", file, "--dataset", "sims")
        assert len(out + errors) < 5000
    suite = tmp_path / "long.toml"
    suite.write_text(f'"{"k" * 300_000}" = 1\n')
    _, out, errors = msa("run", suite)
    assert len(out + errors) < 5000
    assert "characters left out" in errors


def test_json_is_what_was_in_the_file(msa, home, tmp_path) -> None:
    store_official(home, "sims")
    table = predictions_for("sims")
    rows = [f"{clip},{pred}" for clip, pred in zip(table["id"], table["pred"], strict=True)]
    file = written(tmp_path / "ids.csv", [*rows, "v_1\u202ex,0.5"])
    code, out, errors = msa("score", file, "--dataset", "sims", "--json")
    assert code == 0, errors
    assert "\\u202e" in out
    assert "v_1\u202ex" in json.dumps(json.loads(out), ensure_ascii=False)
