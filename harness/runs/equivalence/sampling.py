"""Which stored runs are executed again: the cheapest that see every corpus, class and seed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Candidate", "chosen"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A stored run that might be executed again.

    Args:
        key: That it would get.
        change: System, earlier source and later one.
        data: Fingerprint of its corpus.
        kind: Class of its parameters; see ``class_of``.
        seed: Training seed.
        seconds: What it took.
    """

    key: str
    change: tuple[str, str, str]
    data: str
    kind: str
    seed: int
    seconds: float


def chosen(
    candidates: Iterable[Candidate], seen: Iterable[Candidate] = (), *, every_seed: bool = False
) -> list[Candidate]:
    """A sample, cheapest first: those that see what no cheaper one sees.

    Each changed system is seen on every corpus and with every class of parameters; every seed is
    seen with some system.

    Args:
        candidates: To choose from.
        seen: Those that were executed by the later source already.
        every_seed: Whether each changed system is to be seen with each of its seeds.

    Example:
        >>> def run(key, seed, seconds):
        ...     change = ("tfn", "old", "new")
        ...     return Candidate(
        ...         key=key, change=change, data="mosi", kind="preset", seed=seed, seconds=seconds
        ...     )
        >>> [one.key for one in chosen([run("a", 1, 9.0), run("b", 2, 5.0), run("c", 2, 7.0)])]
        ['b', 'a']
    """
    known = {thing for one in seen for thing in _sees(one, every_seed)}
    found = []
    for one in sorted(candidates, key=lambda one: (one.seconds, one.key)):
        new = set(_sees(one, every_seed)) - known
        if new:
            found.append(one)
            known |= new
    return found


def _sees(one: Candidate, every_seed: bool) -> Iterator[Hashable]:
    yield one.change, "corpus", one.data
    yield one.change, "class", one.kind
    yield (one.change if every_seed else (), "seed", one.seed)
