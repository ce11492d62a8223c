"""What the harness costs, as ratios against named references measured in the same run.

``python -m harness.benchmarks`` writes ``BENCHMARKS.md``: ``suite.BENCHMARKS`` lists functions from
a folder to work in and a ``Scale`` to rows. A ratio is taken between neighbours in time (ours,
reference, ours, reference, …), so that what else the machine does falls on both.
"""
