"""What two numbers must have in common to share a table, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from harness._util import canonical
from harness._util.canonical import Json
from harness._util.schema import Integer, Kind, Place, Scalar, check_keys, kinds_of
from harness.errors import SpecError
from harness.spec.selection import SelectionRule

__all__ = ["Protocol", "changeable", "check_changes", "refine"]

_DISPLAY = ("name", "title", "seeds")
_FIXED = (*_DISPLAY, "kind", "rules")
"""Fields that no suite changes."""
_LATER: Mapping[str, Json] = {
    "knowledge_data": "none",
    "settings": 1,
    "search_space": "none",
    "training_corruption": "none",
    "selection_corruption": "none",
    "supervision": "train",
    "selection": "protocol",
    "rules": [],
}
"""Fields of the protocol that its first version did not have -> the value that it implied."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that must be equal for two numbers to share a table.

    ``seeds`` is the official list, of which a suite uses the first n; the seed itself enters a
    run's identity, the list does not. ``name`` and ``title`` are for display.
    """

    name: str
    title: str
    kind: Literal["in_domain", "reliability", "domain_generalization", "zero_shot"] = "in_domain"
    split: Literal["official"] = "official"
    selection_metric: str = "mae"
    """Metric that chooses the epoch; every metric of a row comes from that one checkpoint."""
    selection_split: Literal["valid"] = "valid"
    selection_ties: Literal["earliest", "latest"] = "earliest"
    max_epochs: Annotated[int, Integer(low=1)] = 100
    """Ceiling on training epochs. A system may stop sooner by its own published schedule; one whose
    schedule is longer trains it whole, unless a suite sets this field."""
    patience: Annotated[int, Integer(low=1)] = 8
    """Epochs without a new best before training stops (MMSA's early stop)."""
    selection: Literal["protocol", "released"] = "protocol"
    """Who chooses the epoch: the fields above, the same for all; or the rule of each system's
    released code, which takes the place of metric, ties and patience."""
    rules: tuple[SelectionRule, ...] = ()
    """Of one run: the rules of its released code that it is chosen by."""
    corruption: str = "none"
    """The grid of conditions that test clips are seen under; ``none``: as they are."""
    training_corruption: str = "none"
    """What training clips go through before a system sees them."""
    selection_corruption: str = "none"
    """The same of the validation clips that choose the epoch."""
    supervision: Literal["train", "none"] = "train"
    """Whether systems learn from the training labels; ``none``: zero-shot."""
    side_info: Literal["none", "transcript_llm", "video_mllm", "both"] = "none"
    """What systems may know of a clip besides transcript, audio and vision: explanations that a
    language model wrote from the transcript, a multimodal one from the clip, or both."""
    knowledge_data: str = "none"
    """The corpus that systems may learn from besides the one they are tested on."""
    settings: Annotated[int, Integer(low=1)] = 1
    """Hyper-parameter settings that each algorithm tries, in the sense of ``algorithm_of``; for a
    tuned row, its trials."""
    search_space: str = "none"
    """For a tuned row, the digest of the sampler and the space that its settings came from."""
    metric_set: Literal["canonical"] = "canonical"
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("max_epochs", "patience", "settings"):
            if getattr(self, name) < 1:
                raise SpecError(f"protocol {self.name}: {name} must be at least 1")

    @cached_property
    def identity(self) -> Mapping[str, Json]:
        """The fields that change results.

        A field that came later takes no part while it says what went without saying before: a
        dimension that protocols gain one day does not rename those that do without it.
        """
        values = {
            f.name: canonical.plain(getattr(self, f.name))
            for f in dataclasses.fields(self)
            if f.name not in _DISPLAY
        }
        implied = {name for name, value in _LATER.items() if values[name] == value}
        return {name: value for name, value in values.items() if name not in implied}

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits; equal digests may share a table."""
        return canonical.digest(self.identity)[:12]


def refine(protocol: Protocol, changes: Mapping[str, Scalar], where: str) -> Protocol:
    """``protocol`` with some fields replaced, names and types checked.

    Raises:
        SpecError: For a field that does not exist, may not change, or has the wrong type or value.
    """
    check_changes(changes, where)
    return dataclasses.replace(protocol, **changes)  # type: ignore[arg-type]  # checked above


def check_changes(changes: Mapping[str, object], where: str) -> None:
    """Whether a protocol may be changed so.

    Raises:
        SpecError: Naming ``where`` and the field, for one that does not exist, may not change, or
            has the wrong type or value.
    """
    kinds = changeable()
    check_keys(changes, kinds, where)
    for name, value in changes.items():
        kinds[name].read(value, Place(where).entry(name))


def changeable() -> Mapping[str, Kind[Any]]:
    """The fields that a suite may change -> what they may be."""
    return {name: kind for name, kind in kinds_of(Protocol).items() if name not in _FIXED}
