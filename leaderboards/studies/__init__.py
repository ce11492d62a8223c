"""Questions to stored runs beyond a board: variance, quality, reproduction, fidelity.

Each module is one study: a function of the run store that returns plain records, which the command
line prints.
"""

__all__ = [
    "fidelity",
    "quality",
    "reproduce",
    "reproduce_page",
    "tuning",
    "tuning_page",
    "variance",
]
