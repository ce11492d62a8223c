"""A board as a paper cites it: tables in LaTeX, a paragraph on methods, references.

What is written is a pure function of the board, as the board itself is of the store.
"""

from leaderboards.paper.files import FILES, write_paper
from leaderboards.paper.methods import methods
from leaderboards.paper.references import Work, references
from leaderboards.paper.tables import tables

__all__ = ["FILES", "Work", "methods", "references", "tables", "write_paper"]
