"""The Python interface does what its page says, and imports no more than it needs."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INTERFACE = (
    *("harness.score", "harness.compare", "harness.run", "harness.predict", "harness.data.add"),
    *("harness.data.load", "harness.data.explain", "harness.submissions.submit"),
    *("harness.metrics.score", "harness.stats.compare", "harness.runs.progress.status"),
    *("harness.run_table", "harness.score_table", "harness.prediction_table"),
    "leaderboards.board",
)


@pytest.mark.parametrize(
    ("page", "examples"), [("python", 21), ("metrics", 6), ("protocols", 3), ("statistics", 8)]
)
def test_the_examples_of_a_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, examples: int
) -> None:
    monkeypatch.chdir(tmp_path)
    done = doctest.testfile(
        str(ROOT / f"docs/pages/{page}.md"), module_relative=False, encoding="utf-8"
    )
    assert done.attempted >= examples
    assert done.failed == 0


@pytest.mark.parametrize("name", INTERFACE)
def test_what_is_stable_is_a_documented_function(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute)
    assert inspect.isfunction(found)
    assert attribute in importlib.import_module(module).__all__
    for heading in ("Args:", "Raises:"):
        assert heading in inspect.getdoc(found) or name == "harness.metrics.score"


def test_scoring_comparing_adding_and_submitting_import_no_network_library() -> None:
    names = [name for name in INTERFACE if name not in ("harness.run", "harness.predict")]
    program = "\n".join(
        [
            "import importlib, sys",
            f"for name in {names!r}:",
            "    module, _, attribute = name.rpartition('.')",
            "    getattr(importlib.import_module(module), attribute)",
            "print([name for name in ('torch', 'sklearn', 'mlflow') if name in sys.modules])",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ast.literal_eval(done.stdout) == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    import harness
    import harness.data

    for module in (harness, harness.data):
        with pytest.raises(AttributeError, match="nothing"):
            _ = module.nothing  # type: ignore[attr-defined]


SCRIPT = """
from pathlib import Path
import harness, leaderboards
from harness.home import Home

print("started")
home = Home(Path("home"))
report = harness.run("plain.toml", home, workers=2)
print(report.done, len(harness.score_table("plain", home=home)), leaderboards.board("plain", home))
"""
SUITE = """
corpora = ["mosi-twin@compact-x5"]
seeds = 2
protocol = { name = "in_domain", max_epochs = 1 }
[[systems]]
name = "lf_dnn"
"""


@pytest.mark.slow
def test_a_plain_script_runs_a_suite_once(tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text(SUITE)
    (tmp_path / "script.py").write_text(SCRIPT)  # without a guard
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["started", "6 6 <board of plain: 5 rows on 1 corpora>"]


def test_a_failed_cell_is_an_exception_that_names_it(home) -> None:
    import harness
    from harness.errors import RunFailed
    from harness.runs.tests.test_verify import Here

    home.suites.mkdir(parents=True, exist_ok=True)
    (home.suites / "diverges.toml").write_text(SUITE + "params = { lr = 1e30 }\n")
    with pytest.raises(RunFailed, match=r"2 cells failed: lf_dnn on mosi-twin@compact-x5, seed"):
        harness.run("diverges", home, executor=Here())
    report = harness.run("diverges", home, executor=Here(), failures="report")
    assert (report.present, len(report.failed)) == (4, 2)


def test_a_comparison_shows_itself(tmp_path: Path) -> None:
    import harness

    rows = ["video_id,clip_id,text,label,annotation,mode"]
    rows += [f"v{v},{c},t,{(v * 7 + c) % 5 - 2},Neutral,test" for v in range(6) for c in range(5)]
    (tmp_path / "label.csv").write_text("\n".join(rows))
    for name, error in (("a.csv", 0.2), ("b.csv", 0.9)):
        lines = [
            f"v{v}_{c},{(v * 7 + c) % 5 - 2 + error * (-1) ** (v + c)}"
            for v in range(6)
            for c in range(5)
        ]
        (tmp_path / name).write_text("\n".join(["id,pred", *lines]))
    found = harness.compare(
        *(tmp_path / "a.csv", tmp_path / "b.csv", "mosi"), labels=tmp_path / "label.csv"
    )
    frame = found.frame()
    assert frame.loc["mae", "difference"] == pytest.approx(-0.7)
    assert list(frame.index) == [comparison.metric for comparison in found.comparisons]
    assert repr(found).startswith("<CMU-MOSI, A - B: mae -0.7000 (checkpoint a better)")
    assert "-0.7000" in found._repr_html_()
    assert "30 clips of 6 source videos" in found._repr_html_()


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells)  # stored without, so that none is out of date
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in shown} == {"execute_result"}
    pages = "".join(output.data.get("text/html", "") for output in shown)
    assert "SYNTHETIC TWIN" in pages
    assert "lf_dnn" in pages
