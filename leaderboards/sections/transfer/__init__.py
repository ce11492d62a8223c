"""Domain generalisation: which runs count on every transfer, and what they say together.

``collect`` chooses the runs, ``contests`` compares the algorithms; ``contests_of`` does both for a
board, once.
"""

from leaderboards.sections.transfer.analysis import TransferContest, contests, contests_of
from leaderboards.sections.transfer.picks import Transfers, collect
from leaderboards.sections.transfer.section import SECTION

__all__ = ["SECTION", "TransferContest", "Transfers", "collect", "contests", "contests_of"]
