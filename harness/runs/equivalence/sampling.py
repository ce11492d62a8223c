"""Which stored runs are executed again: the cheapest that see every corpus, class and seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

__all__ = ["Candidate", "chosen"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A stored run that might be executed again.

    Args:
        key: That it would get.
        changes: System, earlier source and later one, of each earlier source that it has a run of.
        data: Fingerprint of its corpus.
        kind: Class of its parameters; see ``class_of``.
        seed: Training seed.
        seconds: What it took.
    """

    key: str
    changes: tuple[tuple[str, str, str], ...]
    data: str
    kind: str
    seed: int
    seconds: float


def chosen(
    candidates: Iterable[Candidate], seen: Iterable[Candidate] = (), *, every_seed: bool = False
) -> list[Candidate]:
    """A sample, cheapest first, none of which could be left out.

    Each changed system is seen on every corpus and with every class of parameters; every seed is
    seen with some system.

    Args:
        candidates: To choose from.
        seen: Those that were executed by the later source already.
        every_seed: Whether each changed system is to be seen with each of its seeds.

    Example:
        >>> def run(key, seed, seconds):
        ...     changes = (("tfn", "old", "new"),)
        ...     return Candidate(
        ...         key=key, changes=changes, data="mosi", kind="preset", seed=seed, seconds=seconds
        ...     )
        >>> [one.key for one in chosen([run("a", 1, 9.0), run("b", 2, 5.0), run("c", 2, 7.0)])]
        ['b', 'a']
    """
    counts = Counter(thing for one in seen for thing in _sees(one, every_seed))
    found = []
    for one in sorted(candidates, key=lambda one: (one.seconds, one.key)):
        if any(not counts[thing] for thing in _sees(one, every_seed)):
            found.append(one)
            counts.update(_sees(one, every_seed))
    for one in reversed(found.copy()):
        if all(counts[thing] > 1 for thing in _sees(one, every_seed)):
            found.remove(one)
            counts.subtract(_sees(one, every_seed))
    return found


def _sees(one: Candidate, every_seed: bool) -> set[Hashable]:
    return {
        thing
        for change in one.changes
        for thing in (
            (change, "corpus", one.data),
            (change, "class", one.kind),
            (change if every_seed else (), "seed", one.seed),
        )
    }
