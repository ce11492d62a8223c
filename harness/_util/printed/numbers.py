"""A printed number: its value, its spread, and how many decimals were printed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from harness._util.printed.markup import plain
from harness.errors import SubmissionError

__all__ = ["Printed", "read_number", "read_numbers"]

_HINT = "write it as 0.712 or 0.712 ± 0.010, and - or n/a where there is none"
_LONGEST = 300
_LARGEST = 10**6
_FINEST = 30  # digits after the point

_UNSIGNED = "(?=[.,]*[0-9])[0-9.,]+(?:[eE][+-]?[0-9]{1,3})?"
_NONE = r"[-—]+|[/·]|n/?a|n\.a\.?|nan|none|null"
_ABSENT = re.compile(rf"(?:(?:{_NONE})(?:\s*±\s*(?:{_NONE}))?)?", re.IGNORECASE)
_SPREAD = f"(?:{_UNSIGNED}|{_NONE})"
_CELL = re.compile(
    rf"(?P<value>[+-]?{_UNSIGNED})\s*(?P<percent>%?)\s*"
    rf"(?:±\s*(?P<after>{_SPREAD})|[(\[]\s*±\s*(?P<within>{_SPREAD})\s*%?\s*[)\]]"
    rf"|\(\s*(?P<aside>{_UNSIGNED})\s*%?\s*\))?\s*(?P<last>%?)",
    re.IGNORECASE,
)
_WRAPPED = re.compile(r"\(([^()]*±[^()]*)\)\s*(%?)")
_POINT = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
_COMMA = re.compile("[0-9]*,[0-9]+")
_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,}|(?:,[0-9]{3})+\.[0-9]+)")
_GROUPS_COMMA = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+")
_EITHER = re.compile("[1-9][0-9]{0,2},[0-9]{3}")


@dataclass(frozen=True, kw_only=True)
class Printed:
    """One number as printed.

    Args:
        text: The cell, as printed.
        value: In the printed unit, with its trailing zeros.
        spread: What follows ``±`` or stands in parentheses, in the same unit; None without one or
            where it is printed as undefined.
        percent: Whether a percent sign stands in the cell.
    """

    text: str
    value: Decimal
    spread: Decimal | None = None
    percent: bool = False

    @property
    def exponent(self) -> int:
        """Power of ten of the last printed digit: -3 for ``0.712``."""
        return _exponent(self.value)

    @property
    def decimals(self) -> int:
        """Printed digits after the point."""
        return max(0, -self.exponent)


def read_number(text: str, where: str = "value") -> Printed | None:
    """Read a cell that holds one number; None when it says that there is none.

    Args:
        text: As printed: LaTeX, Markdown and HTML, decimal commas, footnote marks, a spread behind
            ``±`` or in parentheses, characters of any width. Empty, a dash, ``n/a`` or ``nan``
            stand for no number.
        where: What should be a number, with the place; opens the message.

    Raises:
        SubmissionError: When it is no number, or can be read as more than one.

    Example:
        >>> read_number("46,36 ± 0,5").value, read_number("85.37(0.20)%").spread
        (Decimal('46.36'), Decimal('0.20'))
        >>> read_number("n/a") is None
        True
    """
    (found,) = read_numbers(text, 1, where)
    return found


def read_numbers(text: str, count: int, where: str = "value") -> tuple[Printed | None, ...]:
    """Read a cell that holds ``count`` numbers apart by slashes, as its header says.

    Args:
        text: As for ``read_number``; a cell that says that there is none says so of all.
        count: How many numbers the header names, 1 or more.
        where: As for ``read_number``.

    Raises:
        SubmissionError: When it holds another number of numbers, or as ``read_number``.

    Example:
        >>> [found.value for found in read_numbers("83.2/84.1", 2)]
        [Decimal('83.2'), Decimal('84.1')]
    """
    try:
        return _numbers(text, count)
    except ValueError as error:
        noun = "a number" if count == 1 else f"{count} numbers apart by /"
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        raise SubmissionError(
            f"{where} should be {noun}, found {shown!r}: {error}", hint=_HINT
        ) from None


def _numbers(text: str, count: int) -> tuple[Printed | None, ...]:
    if len(text) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST} characters")
    shown = plain(text)
    if _ABSENT.fullmatch(shown):
        return (None,) * count
    parts = [shown] if _CELL.fullmatch(shown) else [part.strip() for part in shown.split("/")]
    if len(parts) != count:
        if count == 1 and all(map(_CELL.fullmatch, parts)):
            raise ValueError("the header does not say which of these is which")
        raise ValueError("it is not one number" if count == 1 else f"it holds {len(parts)}")
    return tuple(_one(part, text.strip()) for part in parts)


def _one(shown: str, text: str) -> Printed | None:
    if _ABSENT.fullmatch(shown):
        return None
    wrapped = _WRAPPED.fullmatch(shown)
    cell = _CELL.fullmatch("".join(wrapped.groups()) if wrapped else shown)
    if cell is None:
        raise ValueError(_why_not(shown))
    value = _decimal(cell["value"])
    return Printed(text=text, value=value, spread=_spread_of(cell, value), percent="%" in cell[0])


def _spread_of(cell: re.Match[str], value: Decimal) -> Decimal | None:
    if cell["aside"]:
        return _aside(cell["aside"], value)
    spread = cell["after"] or cell["within"] or ""
    return None if _ABSENT.fullmatch(spread) else _decimal(spread)


def _why_not(shown: str) -> str:
    if len(re.findall(_UNSIGNED, shown)) > 1:
        return "it holds more than one number"
    return "it is not understood" if re.search("[0-9]", shown) else "it is no number"


def _aside(shown: str, value: Decimal) -> Decimal:
    """The spread in parentheses, where nothing else can stand there."""
    if not re.search("[.,]", shown):
        raise ValueError(f"({shown}) can be a spread, a rank or a footnote: write ±")
    spread = _decimal(shown)
    if spread > abs(value) / 2:
        raise ValueError(f"({shown}) can be a spread or a second value: write ±")
    return spread


def _decimal(shown: str) -> Decimal:
    """The number that digits, separators and an exponent spell."""
    digits = shown.lstrip("+-")
    digits, letter, power = digits.lower().partition("e")
    sign = shown[: len(shown) - len(shown.lstrip("+-"))]
    number = Decimal(f"{sign}{_with_point(digits)}{letter}{power}")
    if abs(number) > _LARGEST or abs(_exponent(number)) > _FINEST:
        raise ValueError("it is too large or has too many digits")
    return number


def _with_point(digits: str) -> str:
    if _POINT.fullmatch(digits):
        return digits
    if _EITHER.fullmatch(digits):
        raise ValueError("its comma can stand for a decimal point or group thousands")
    if _COMMA.fullmatch(digits):
        return digits.replace(",", ".")
    if _GROUPS.fullmatch(digits):
        return digits.replace(",", "")
    if _GROUPS_COMMA.fullmatch(digits):
        return digits.replace(".", "").replace(",", ".")
    raise ValueError("its points and commas do not make one number")


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "finite by its grammar"
    return exponent
