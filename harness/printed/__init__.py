r"""Numbers as papers print them: the one reader of every table of results.

>>> found = read_number(r"\textbf{.712}$_{\pm .010}$")
>>> found.value, found.spread, found.decimals
(Decimal('0.712'), Decimal('0.010'), 3)
"""

from harness.printed.headers import pair_of
from harness.printed.numbers import Printed, read_number, read_numbers

__all__ = ["Printed", "pair_of", "read_number", "read_numbers"]
