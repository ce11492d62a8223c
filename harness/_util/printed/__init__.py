r"""Numbers as papers print them: the one reader of every table of results, and how we print ours.

>>> found = read_number(r"\textbf{.712}$_{\pm .010}$")
>>> found.value, found.spread, found.decimals
(Decimal('0.712'), Decimal('0.010'), 3)
"""

from harness._util.printed.durations import duration
from harness._util.printed.headers import pair_of
from harness._util.printed.numbers import Printed, read_number, read_numbers
from harness._util.printed.writing import UNDEFINED, defined, interval, over_runs, with_spread

__all__ = [
    "UNDEFINED",
    "Printed",
    "defined",
    "duration",
    "interval",
    "over_runs",
    "pair_of",
    "read_number",
    "read_numbers",
    "with_spread",
]
