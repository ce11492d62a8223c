"""Questions to stored runs beyond a board: clips, variance, quality, reproduction, fidelity.

Each module is one study: a function of the run store that returns plain records, which the command
line prints.
"""

__all__ = [
    "clips",
    "clips_page",
    "fidelity",
    "parity",
    "parity_record",
    "quality",
    "reproduce",
    "reproduce_page",
    "selection",
    "selection_page",
    "tuning",
    "tuning_page",
    "variance",
]
