"""Places in files that people write, and what is said about a wrong value there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness._util.registry import suggest
from harness.errors import HarnessError, SpecError

__all__ = ["Place", "check_keys", "located"]

_LONGEST_EXCERPT = 60


@dataclass(frozen=True)
class Place:
    """Where a value stands, for messages, and the class of the error about it."""

    where: str
    error: type[HarnessError] = SpecError

    def key(self, name: str) -> Place:
        """A key of the table that stands here."""
        return Place(f"{self.where}: {name}", self.error)

    def entry(self, name: str) -> Place:
        """An entry of the table that stands here, whose keys are names of the writer's."""
        return Place(f"{self.where}.{name}", self.error)

    def item(self, index: int) -> Place:
        """An item of the list that stands here, counted from 0."""
        return Place(f"{self.where}[{index}]", self.error)

    def wrong(self, expected: str, found: object, *, hint: str | None = None) -> HarnessError:
        """The error about a value of another kind."""
        shown = repr(found)
        if len(shown) > _LONGEST_EXCERPT:
            shown = f"{shown[: _LONGEST_EXCERPT - 3]}..."
        comma = ";" if "," in expected or expected.startswith("one of") else ","
        return self.error(f"{self.where} should be {expected}{comma} found {shown}", hint=hint)

    def refused(self, why: str, *, hint: str | None = None) -> HarnessError:
        """The error about a value of the right kind; ``why`` goes on after the place."""
        return self.error(f"{self.where} {why}", hint=hint)


def check_keys(
    table: Mapping[str, object],
    allowed: Iterable[str],
    where: str,
    error: type[HarnessError] = SpecError,
) -> None:
    """Refuse unknown keys with the nearest known one.

    Raises:
        HarnessError: An ``error``, for the first unknown key.
    """
    known = sorted(allowed)
    for key in table:
        if key not in known:
            guess = suggest(key, known, key=True)
            raise error(f"{where}: unknown key {key!r}{guess} (known: {', '.join(known)})")


@contextlib.contextmanager
def located(where: str) -> Iterator[None]:
    """Put a place in front of what an error says that is raised inside.

    Example:
        >>> with located("demo.toml: row 'tfn'"):
        ...     raise SpecError("system tfn has no parameter 'hiden'")
        Traceback (most recent call last):
        harness.errors.SpecError: demo.toml: row 'tfn': system tfn has no parameter 'hiden'
    """
    try:
        yield
    except HarnessError as error:
        raise type(error)(f"{where}: {error}", hint=error.hint) from None
