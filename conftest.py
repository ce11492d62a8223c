"""Every test's surroundings: a home of its own, systems that misbehave on purpose, no deadlines."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Container, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from harness.home import Home

# Properties are tried on busy machines too: how long an example takes decides nothing.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# How wide a page is, is said by the terminals that tests open, not by the one they were started in.
for _size in ("COLUMNS", "LINES"):
    os.environ.pop(_size, None)

FAULTY = '''
"""Systems that fail in every way a system can."""
import os, signal, time
import numpy as np
from harness.errors import RunFailed
from harness.system import Card, Fitted, System

CARD = Card(title="faulty", paper="none", year=None)

def answer(value):
    return Fitted(predict=lambda split: np.full(len(split), value), parameters=0, trainable=0)

def fine(task, params):
    return answer(float(task.seed % 7))

def leave(task, params):
    os._exit(3)

def die(task, params):
    os.kill(os.getpid(), signal.SIGKILL)

def fault(task, params):
    raise ZeroDivisionError("one over zero\\n\\nAdvice on debugging it.")

def diverge(task, params):
    raise RunFailed("training loss became nan in epoch 2")

def undefined(task, params):
    return answer(float("nan"))

def linger(task, params):
    time.sleep(60)

def make(name, fit):
    return System(name=name, card=CARD, inputs=frozenset(), fit=fit)

fine, leave, die, fault, diverge, undefined, linger = (
    make(f"faulty_{f.__name__}", f) for f in (fine, leave, die, fault, diverge, undefined, linger)
)
'''

NOISY = '''
"""Systems that know the labels and add noise of their own, another with every seed."""
import zlib
import numpy as np
from harness.system import Card, Fitted, System

CARD = Card(title="noisy", paper="none", year=None)

def make(name, spread, scale=1.0):
    def fit(task, params):
        def predict(split):
            rng = np.random.default_rng([task.seed, zlib.crc32(name.encode()), len(split)])
            return scale * split.labels + rng.normal(0.0, spread, len(split))
        return Fitted(predict=predict, parameters=0, trainable=0)
    return System(name=f"noisy_{name}", card=CARD, inputs=frozenset(), fit=fit)

good, near, fair, poor, flat = (
    make("good", 0.5), make("near", 0.5), make("fair", 0.58), make("poor", 2.5),
    make("flat", 0.01, scale=0.0),
)
'''


TUNABLE = '''
"""Systems whose error follows from their hyper-parameters: least at x = 0.3 and with small y."""
from dataclasses import dataclass
import numpy as np
from harness.errors import RunFailed, SpecError
from harness.spec import search
from harness.system import Card, Fitted, Params, System, param

CARD = Card(title="tunable", paper="none", year=None)

@dataclass(frozen=True, kw_only=True)
class TunableParams(Params):
    x: float = param(0.0, low=-1.0, high=1.0, source="ours", search=search(-1.0, 1.0))
    y: int = param(1, low=1, high=8, source="ours", search=search(choices=(1, 2, 4)))
    rate: float = param(0.1, low=0.0, source="ours")
    mode: str = param("fine", choices=("fine", "odd", "broken"), source="ours")

    def __post_init__(self):
        super().__post_init__()
        if self.mode == "odd" and self.y > 1:
            raise SpecError(f"odd goes with y = 1, found {self.y}")

def fit(task, params):
    if params.mode == "broken":
        raise RunFailed("training loss became nan in epoch 2")
    spread = 0.2 + abs(params.x - 0.3) + 0.1 * params.y
    def predict(split):
        rng = np.random.default_rng([task.seed, params.y, int(1e6 * (params.x + 1)), len(split)])
        return split.labels + rng.normal(0.0, spread, len(split))
    return Fitted(predict=predict, parameters=0, trainable=0)

def make(name):
    return System(
        name=f"tunable_{name}", card=CARD, params=TunableParams, inputs=frozenset(), fit=fit
    )

one, two = make("one"), make("two")
'''


@pytest.fixture(autouse=True, scope="session")
def _outputs_keep_their_schemas() -> Iterator[None]:
    """Whatever a command prints as JSON in any test is held against its schema."""
    from harness.cli.tests.outputs import hold_to_schemas

    with pytest.MonkeyPatch.context() as patch:
        hold_to_schemas(patch)
        yield


@pytest.fixture(autouse=True)
def _drawn_alike() -> None:
    """What a test draws of PyTorch does not depend on the tests before it."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home that the command line and workers of this test use too."""
    root = tmp_path / "home"
    monkeypatch.setenv("MSA_HOME", str(root))
    home = Home(root)
    home.suites.mkdir(parents=True)
    return home


@pytest.fixture
def msa(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Call ``msa`` in this process: (exit code, standard output, standard error)."""
    from harness.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["msa", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def faulty_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a plug-in distribution whose systems are called ``faulty_*``; workers see it too."""
    names = ("fine", "leave", "die", "fault", "diverge", "undefined", "linger")
    _install(tmp_path, monkeypatch, "faulty", names, FAULTY)


@pytest.fixture
def noisy_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a plug-in distribution of systems called ``noisy_*``; workers see it too."""
    _install(tmp_path, monkeypatch, "noisy", ("good", "near", "fair", "poor", "flat"), NOISY)


@pytest.fixture
def tunable_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a plug-in distribution of systems called ``tunable_*``; workers see it too."""
    _install(tmp_path, monkeypatch, "tunable", ("one", "two"), TUNABLE)


@pytest.fixture
def install_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, tuple[str, ...], str], None]:
    """Installs a plug-in distribution of systems: kind, names, source."""
    return lambda kind, names, source: _install(tmp_path, monkeypatch, kind, names, source)


def _install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, names: tuple[str, ...], source: str
) -> None:
    """A distribution with a module of systems ``<kind>_<name>``."""
    site = tmp_path / "plugin"
    info = site / f"{kind}_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{kind}_plugin.py").write_text(textwrap.dedent(source))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {kind}-plugin\nVersion: 1.0\n")
    lines = ["[msa_harness.systems]", *(f"{kind}_{n} = {kind}_plugin:{n}" for n in names)]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, f"{kind}_plugin", raising=False)  # another test's
    assert f"{kind}_{names[0]}" in _fresh_systems(monkeypatch)


def _fresh_systems(monkeypatch: pytest.MonkeyPatch) -> Container[str]:
    """The registry caches its names; give this test a registry that has not looked yet."""
    import harness.runs.cell
    import harness.runs.executors.guard
    import harness.runs.plan
    import harness.runs.pricing.estimates
    import harness.runs.weights.keeping
    import harness.runs.weights.restoring
    import harness.system
    import harness.tuning.rows
    import harness.tuning.trials
    from harness._util.registry import Registry
    from harness.system import System

    fresh = Registry("system", System, packages=("baselines",), group="msa_harness.systems")
    runs, tuning = harness.runs, harness.tuning
    for module in (
        *(harness.system, runs.plan, runs.cell, runs.pricing.estimates),
        *(runs.weights.keeping, runs.weights.restoring, runs.executors.guard),
        *(tuning.rows, tuning.trials),
    ):
        monkeypatch.setattr(module, "systems", fresh)
    return fresh
