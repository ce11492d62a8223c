"""Every registered system, in every quirk, passes every conformance check.

What a quirk that nobody gets unasked adds is among the long tests.
"""

from __future__ import annotations

import dataclasses

import pytest

from harness.checks.conformance import CHECKS, check
from harness.system import systems

QUIRKS = [
    pytest.param(
        name,
        quirk,
        id=f"{name}-{quirk}" if quirk else name,
        marks=[
            pytest.mark.xdist_group(f"{name}-{quirk}"),  # findings are made once per process
            *([] if quirk == usual else [pytest.mark.slow]),
        ],
    )
    for name, system in systems.items()
    for field in [{f.name: f for f in dataclasses.fields(system.params)}.get("quirk")]
    for usual in [field.default if field else ""]
    for quirk in (field.metadata["choices"] if field else ("",))
]


@pytest.fixture(scope="module")
def findings(fitting, small, tmp_path_factory):
    """Findings of one system in one quirk, each computed once."""
    cache, known = tmp_path_factory.mktemp("cache"), {}

    def look_up(name: str, quirk: str, checked: str):
        system = systems[name]
        if (name, quirk) not in known:
            found = check(system, fitting(system), small(system, quirk=quirk), cache=cache)
            known[name, quirk] = {finding.check: finding for finding in found}
        return known[name, quirk][checked]

    return look_up


@pytest.mark.parametrize("checked", CHECKS)
@pytest.mark.parametrize(("name", "quirk"), QUIRKS)
def test_conforms(findings, name, quirk, checked):
    finding = findings(name, quirk, checked)
    assert finding.passed, finding.detail


@pytest.mark.parametrize(("name", "quirk"), QUIRKS)
def test_a_card_declares_what_fails_and_nothing_else(findings, name, quirk):
    declared = {
        check
        for entry in systems[name].card.declares
        for check, _, only in [entry.partition("@")]
        if only in ("", quirk)
    }
    assert declared == {c for c in CHECKS if findings(name, quirk, c).outcome == "declared"}


@pytest.mark.parametrize(("name", "quirk"), QUIRKS)
def test_checks_look_at_networks(findings, name, quirk):
    """A network skips nothing on a ragged tri-modal corpus; other systems skip what is internal."""
    skipped = {c for c in CHECKS if findings(name, quirk, c).outcome == "skipped"}
    if systems[name].build is not None:
        assert not skipped
    else:
        assert skipped <= {"gradients", "parameters", "padding", "save_load", "absence"}
