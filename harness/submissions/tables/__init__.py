"""Result tables that other people printed or exported: rows of metrics instead of predictions.

``rows`` reads such a file, ``seeds`` makes a per-seed table of it, ``means`` reads published means
and spreads. None of them has clips, so they are compared, never re-scored.
"""

__all__ = ["means", "rows", "seeds"]
