"""The command line as a user meets it: output, exit codes, one clear error per mistake."""

from __future__ import annotations

import csv
import dataclasses
import errno
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.data.datasets import datasets
from harness.system import systems
from harness.tests.research import research_data

LABELS = """video_id,clip_id,text,label,annotation,mode
aa,0001,good,1.0,Positive,train
aa,0002,bad,-1.0,Negative,train
-b,0001,fine,0.4,Positive,valid
cc,0001,poor,-0.6,Negative,test
cc,0002,great,0.8,Positive,test
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "label.csv"
    path.write_text(LABELS)
    return path


@pytest.mark.parametrize(
    "noun", ["systems", "datasets", "corpora", "protocols", "metrics", "suites", "prompts"]
)
def test_every_list_prints_and_parses(msa, noun: str) -> None:
    code, text, _ = msa("list", noun)
    assert code == 0
    assert text.strip()
    code, text, _ = msa("list", noun, "--json")
    assert code == 0
    assert isinstance(json.loads(text), list)


def test_a_suite_is_listed_with_the_rows_that_its_queries_find(msa, home) -> None:
    home.suites.mkdir(parents=True, exist_ok=True)
    (home.suites / "asks.toml").write_text(
        'corpora = ["mosi-twin@compact"]\n'
        'systems = [{name = "tfn"}, {name = "zero"}, {query = "trained"}]\n'
    )
    _, text, _ = msa("list", "suites", "--json")
    rows = {row["name"]: row["rows"] for row in json.loads(text)}
    here = [s for s in systems.values() if not s.reference and "server" not in s.locations]
    trained = [s for s in here if s.supervision == "train"]
    assert rows["asks"] == len(trained) + 1


@pytest.mark.parametrize("name", systems)
def test_every_card_prints_and_parses(msa, name: str) -> None:
    code, text, _ = msa("card", name)
    assert code == 0
    assert text.startswith(f"{name}: {systems[name].card.title}")
    code, text, _ = msa("card", name, "--json")
    card = json.loads(text)
    values = {row["parameter"]: row for row in card["parameters"]}
    for dataset in datasets:
        resolved = systems[name].resolve(dataset, {})
        assert {k: row[dataset] for k, row in values.items()} == {
            item.name: f"{v:g}" if isinstance(v := getattr(resolved, item.name), float) else str(v)
            for item in dataclasses.fields(resolved)
        }


def test_the_card_of_no_system_is_one_clear_error(msa) -> None:
    code, _, error = msa("card", "tfm")
    assert code == 2
    assert "did you mean" in error


def test_adding_checking_and_describing_a_corpus(msa, labels: Path) -> None:
    code, text, _ = msa("data", "add", labels, "--dataset", "sims")
    assert (code, text.splitlines()[0].split(",")[0]) == (0, "sims@label-csv-own: 5 clips")
    code, text, _ = msa("data", "info", "sims@label-csv-own", "--json")
    assert code == 0
    assert json.loads(text)["clips"] == {"train": 2, "valid": 1, "test": 2}
    code, text, _ = msa("data", "check", "--json")
    verdicts = {check["verdict"] for check in json.loads(text)}
    assert code == 1, "five clips are not CH-SIMS"
    assert "fail" in verdicts


def write_predictions(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_scoring_a_file_against_a_label_csv(msa, labels: Path, tmp_path: Path) -> None:
    rows = [{"video_id": "cc", "clip_id": f"000{k}", "pred": p} for k, p in ((1, -0.5), (2, 0.9))]
    file = write_predictions(tmp_path / "pred.csv", rows)
    code, text, _ = msa("score", file, "--dataset", "sims", "--labels", labels, "--json")
    (scored,) = json.loads(text)
    assert code == 0
    assert scored["clips"] == 2
    assert scored["missing"] == scored["extra"] == 0
    assert scored["scores"]["mae"] == pytest.approx(0.1)
    code, text, _ = msa("score", file, "--dataset", "sims", "--labels", labels)
    assert "CH-SIMS test: 2 clips scored" in text


def test_scoring_needs_labels_from_somewhere(msa, tmp_path: Path) -> None:
    file = write_predictions(tmp_path / "pred.csv", [{"id": "cc_0001", "pred": 0.5}])
    code, _, errors = msa("score", file, "--dataset", "sims")
    assert code == 2
    assert "next: msa data add LABEL.CSV --dataset sims" in errors


@pytest.mark.data
def test_scoring_a_real_submission(msa) -> None:
    file = research_data("predictions", "mag_qwen3_mosi_seed24.csv")
    truth = research_data("mosi", "label.csv")
    code, text, _ = msa("score", file, "--dataset", "mosi", "--labels", truth, "--json")
    (scored,) = json.loads(text)
    assert code == 0
    assert scored["clips"] == 685
    assert scored["missing"] == 1
    assert scored["scores"]["mae"] == pytest.approx(0.805, abs=5e-4)
    assert scored["scores"]["corr"] == pytest.approx(0.765, abs=5e-4)


MISTAKES = {
    ("run", "nothing"): "no suite 'nothing'",
    ("run", "{bad_toml}"): "cannot read suite",
    ("run", "{misspelt}"): "unknown key 'sytems'; did you mean 'systems'?",
    ("run", "{unknown_system}"): ".toml: row 'tffn': unknown system 'tffn'; did you mean tfn",
    ("run", "{unknown_param}"): ".toml: row 'tfn': system tfn has no parameter 'hiden'; did",
    ("run", "{small}", "--seeds", "none"): "--seeds takes",
    ("run", "{small}", "--seeds", "99"): "asks for 99 seeds",
    ("run", "{small}", "--only", "zzz"): "--only zzz matches no row",
    ("run", "{small}", "--device", "abacus"): "--device takes",
    ("run", "{absent_corpus}"): "corpus 'mosi@unaligned-50' is not here",
    ("board", "nothing"): "suite 'nothing' has not been run here",
    ("board", "--out", "x.md"): "--out takes one board",
    ("status", "nothing"): "suite 'nothing' has not been run here",
    ("list", "everything"): "msa list takes",
    ("data", "add", "{labels}", "--dataset", "moji"): "unknown dataset 'moji'",
    ("data", "add", "nothing.csv", "--dataset", "mosi"): "no such file",
    ("data", "add", "{misspelt}", "--dataset", "mosi"): "data files are",
    ("data", "info", "mosi@label-csv"): "is not here",
    ("data", "check"): "no corpus is stored yet",
    ("score", "nothing.csv", "--dataset", "mosi"): "no such file",
    ("score", "{labels}", "--dataset", "mosi"): "expected a column pred",
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.items(), ids=lambda v: str(v)[:60])
def test_a_mistake_is_one_clear_error(msa, home, labels, tmp_path, arguments, message) -> None:
    body = 'corpora = ["mosi-twin@compact-x5"]\nseeds = 1\n'
    files = {
        "labels": LABELS,
        "bad_toml": "title = ",
        "misspelt": body + '[[sytems]]\nname = "tfn"\n',
        "unknown_system": body + '[[systems]]\nname = "tffn"\n',
        "unknown_param": body + '[[systems]]\nname = "tfn"\nparams = { hiden = 3 }\n',
        "small": body + '[[systems]]\nname = "zero"\n',
        "absent_corpus": 'corpora = ["mosi@unaligned-50"]\n[[systems]]\nname = "zero"\n',
    }
    paths = {}
    for name, text in files.items():
        paths[name] = tmp_path / f"{name}.{'csv' if name == 'labels' else 'toml'}"
        paths[name].write_text(text)
    code, _, errors = msa(*(str(a).format(**paths) for a in arguments))
    assert code in (1, 2)
    assert message in errors
    assert "Traceback" not in errors


def test_help_needs_no_heavy_import(tmp_path: Path) -> None:
    program = (
        "import sys; sys.argv = ['msa', '--help']\n"
        "from harness.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'transformers', 'mlflow', 'sklearn', 'scipy'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_version_is_that_of_the_distribution(capsys, monkeypatch) -> None:
    import harness
    from harness.cli import main

    monkeypatch.setattr(sys, "argv", ["msa", "--version"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    assert capsys.readouterr().out == f"msa {harness.__version__}\n"
    assert harness.__version__ == importlib.metadata.version("msa-harness")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = harness.nothing


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_what_a_disk_refuses_anywhere_is_one_line(monkeypatch, msa, number: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/somewhere/cache/note.json")

    monkeypatch.setattr("harness.runs.progress.status", refuse)
    code, _, errors = msa("status")
    assert code == 1
    assert os.strerror(number) in errors.splitlines()[0]
    assert "note.json" in errors
    assert "Traceback" not in errors


def test_an_error_that_no_disk_made_is_shown_as_it_is(monkeypatch, msa) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ChildProcessError(errno.ECHILD, "nobody")

    monkeypatch.setattr("harness.runs.progress.status", fail)
    with pytest.raises(ChildProcessError):
        msa("status")
