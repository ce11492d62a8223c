"""Corrupted clips: counter-based draws, the operators, and who applies them to what.

``harness.spec.conditions`` names the conditions. Networks meet them in their batches, systems that
read arrays and transcripts in splits; both go through the same operators and draws.
"""

from harness.corruption.corrupter import Corrupter, deviations, unknown_token
from harness.corruption.draws import VERSION, Draws, clip_keys
from harness.corruption.evaluate_grid import GridAnswers, answer_grid, obstacle
from harness.corruption.laws import LawDraws
from harness.corruption.masks import Masks, read_masks, write_masks
from harness.corruption.operators import Damage, Units, corrupt
from harness.corruption.splits import split_under

__all__ = [
    "VERSION",
    "Corrupter",
    "Damage",
    "Draws",
    "GridAnswers",
    "LawDraws",
    "Masks",
    "Units",
    "answer_grid",
    "clip_keys",
    "corrupt",
    "deviations",
    "obstacle",
    "read_masks",
    "split_under",
    "unknown_token",
    "write_masks",
]
