"""The conformance checks of a system, on a corpus and with settings that take seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Final

from harness.checks.conformance import check
from harness.checks.findings import ConformanceFinding
from harness.data.corpus import Corpus
from harness.errors import RunFailed
from harness.spec import Scalar
from harness.system import System
from harness.testing.corpora import small_corpus
from harness.testing.encoders import tiny_encoder

__all__ = ["SMALL", "check_system", "findings_of", "fitting_corpus"]

SMALL: Final[Mapping[str, Scalar]] = MappingProxyType({"batch_size": 8, "hidden": 16})
"""Settings that ``check_system`` gives every system that has them."""


def check_system(
    system: System,
    folder: Path,
    *,
    changes: Mapping[str, Scalar] | None = None,
    checks: Iterable[str] | None = None,
) -> list[ConformanceFinding]:
    """Run the conformance checks on a system, as the project does on its own.

    Args:
        system: What to check.
        folder: An empty folder, for the corpus, the encoder and frozen features.
        changes: Hyper-parameters that make it small: widths, layers, heads. ``SMALL`` and an
            encoder are set where the system has them and ``changes`` does not name them.
        checks: Names of ``harness.checks.conformance.CHECKS``; None runs all of them.

    Returns:
        One finding a check; those that its card declares, or that do not apply, are among them.

    Raises:
        RunFailed: When a check fails, with the reason of each.
        SpecError: For an unknown check or hyper-parameter.
    """
    found = findings_of(system, folder, changes=changes, checks=checks)
    failed = [finding for finding in found if not finding.passed]
    if failed:
        reasons = "\n".join(f"  {finding.check}: {finding.detail}" for finding in failed)
        raise RunFailed(
            f"system {system.name} fails {len(failed)} of {len(found)} checks:\n{reasons}",
            hint="repair it, or name what it breaks by design in Card.declares",
        )
    return found


def findings_of(
    system: System,
    folder: Path,
    *,
    changes: Mapping[str, Scalar] | None = None,
    checks: Iterable[str] | None = None,
) -> list[ConformanceFinding]:
    """As ``check_system``, with the checks that fail among the findings.

    Raises:
        SpecError: For an unknown check or hyper-parameter.
    """
    corpus = fitting_corpus(system, folder / "corpora")
    known = {item.name for item in fields(system.params)}
    settings = {name: value for name, value in SMALL.items() if name in known}
    if "encoder" in known and "encoder" not in (changes or {}):
        settings["encoder"] = str(tiny_encoder(folder / "encoder", list(corpus.clips["text"])))
    return check(
        system, corpus, {**settings, **(changes or {})}, cache=folder / "cache", checks=checks
    )


def fitting_corpus(system: System, folder: Path) -> Corpus:
    """A small corpus that has what a system reads: CH-SIMS where it wants uni-modal labels.

    Args:
        system: Whose inputs count.
        folder: A folder of corpora.
    """
    return small_corpus(folder, "sims" if "unimodal" in system.inputs else "mosi")
