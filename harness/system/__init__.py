"""The contract between a method and the harness.

A system is a value with a card, frozen hyper-parameters, the inputs it reads, and a network or a
function that fits one. ``contract`` defines it, ``params`` and ``network`` its two halves,
``gates`` marks what a network decides about a clip, ``diagnostics`` names what it reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness._util.lazy import lazily

if TYPE_CHECKING:
    from harness.system.contract import Card, Epoch, Fitted, System, Task, systems
    from harness.system.network import Dims, Network, Output, ParameterGroup, Pass, Stage
    from harness.system.params import (
        ClueParams,
        KnowledgeParams,
        Params,
        QuirkParams,
        TokenParams,
        TrainingParams,
        TrainingProgress,
        WarmParams,
        param,
    )

__all__ = [
    "Card",
    "ClueParams",
    "Dims",
    "Epoch",
    "Fitted",
    "KnowledgeParams",
    "Network",
    "Output",
    "ParameterGroup",
    "Params",
    "Pass",
    "QuirkParams",
    "Stage",
    "System",
    "Task",
    "TokenParams",
    "TrainingParams",
    "TrainingProgress",
    "WarmParams",
    "diagnostics",
    "gates",
    "objectives",
    "param",
    "ridge",
    "scan",
    "systems",
    "zero_shot",
]

__getattr__ = lazily(  # boards read ``diagnostics`` without torch
    __name__,
    contract=("Card", "Epoch", "Fitted", "System", "Task", "systems"),
    network=("Dims", "Network", "Output", "ParameterGroup", "Pass", "Stage"),
    params=(
        *(
            "ClueParams",
            "KnowledgeParams",
            "Params",
            "TrainingProgress",
            "QuirkParams",
            "TokenParams",
        ),
        *("TrainingParams", "WarmParams", "param"),
    ),
)
