"""Many differences at once: what equal systems would show, resampled together.

Every system's estimate has its own run parts and shares the videos with the others. Under equality,
estimates are drawn as Gaussian with these parts as variances, and the mean squares anew with their
degrees of freedom, so that a draw has everything a pair's p-value is made of. The smallest p-value
of a draw is small more often than one p-value is: that is the correction for asking about all
pairs. It knows how pairs that share a system or a video go together, and by how much the p-values
of few seeds are too small far out in the tail, where Satterthwaite's approximation ends.

Source:
    Westfall, Young. Resampling-Based Multiple Testing. Wiley, 1993: step-down smallest p-values.

Shapes: M systems, P pairs, V source videos, D draws.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from harness._util.seeds import derive
from harness.metrics import Values
from harness.stats.estimate import Estimate, RunPart
from harness.stats.reference import Tail

__all__ = ["Family", "Joint", "Pairs"]

_FEW = 64  # videos up to which their mean squares are drawn pair by pair
_NEAR = 1.5  # standard errors
_NOTHING = 1e-24  # a variance below it is what summing in another order leaves
_TIED = 1e-9  # p-values that differ by less are equal: sums in another order
_BLOCK = 2**21  # pairs times draws that one generator draws: another number draws others
_SLICE = 2**17  # pairs times draws in memory at once: arrays that stay in a processor's cache
_MOST = 2**22  # normal deviates in memory at once, 32 MiB: more than any published test set takes


@functools.cache
def _quick() -> Tail:
    return Tail()


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs (i, j), i < j, of M systems.

    Args:
        i: (P,) place of the first.
        j: (P,) place of the second.
    """

    i: NDArray[np.intp]
    j: NDArray[np.intp]

    @classmethod
    def among(cls, systems: int) -> Pairs:
        """In the order of ``itertools.combinations``."""
        i, j = np.triu_indices(systems, 1)
        return cls(i, j)

    def first(self, of_systems: Values) -> Values:
        """(..., P) what (..., M) systems have, of the first of each pair."""
        return of_systems.take(self.i, axis=-1)

    def second(self, of_systems: Values) -> Values:
        """(..., P) the same of the second."""
        return of_systems.take(self.j, axis=-1)


@dataclass(frozen=True, eq=False)
class _Videos:
    """One test set: influences of all systems on it.

    How differences go together is estimated from V videos, badly where M systems are not far fewer:
    pairs would then seem to depend on each other more than they do. A share M / (M + V - 1) of
    what is drawn is therefore each system's own, and each pair keeps its own variance.

    Args:
        name: Of the test set.
        influence: (M, V).
        degrees: Of its mean squares.
    """

    name: str
    influence: Values = field(repr=False)
    degrees: float

    def of_pairs(self, pairs: Pairs) -> Values:
        """(P,) mean squares of the differences."""
        return _between(self.influence @ self.influence.T, pairs)

    def mixed(self, pairs: Pairs) -> tuple[Values, Values]:
        """(M, V + M) influences to draw from, and (P,) what a pair's drawn variance is short by."""
        systems, videos = self.influence.shape
        own = systems / (systems + videos - 1.0)
        observed = self.of_pairs(pairs)
        each = math.sqrt(own * float(observed.mean()) / 2.0) * np.eye(systems)
        found = np.hstack([math.sqrt(1.0 - own) * self.influence, each])
        drawn = _between(found @ found.T, pairs)
        return found, np.divide(observed, drawn, out=np.zeros_like(drawn), where=drawn > 0)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """D draws of what would be observed of equal systems.

    Args:
        gap: (D, P) differences.
        total: (D, P) mean squares of pairs, summed.
        squares: (D, P) the same squared over degrees of freedom, summed.
    """

    gap: Values = field(repr=False)
    total: Values = field(repr=False)
    squares: Values = field(repr=False)


@dataclass(frozen=True, eq=False)
class _DrawnRuns:
    """What is drawn of the runs of M systems.

    Args:
        values: (D, M) of the systems.
        own: (D, M) mean squares.
        squares: (D, M) the same squared over degrees of freedom, summed.
        two: Of two seeds: (D,) mean square, place of the system, part.
    """

    values: Values = field(repr=False)
    own: Values = field(repr=False)
    squares: Values = field(repr=False)
    two: Sequence[tuple[Values, int, RunPart]] = field(repr=False)


@dataclass(frozen=True, eq=False)
class _DrawnVideos:
    """What is drawn of a test set: for all pairs alike, or by slices from ``generator``.

    Args:
        influence: (M, V + M), from ``_Videos.mixed``.
        short: (P,) likewise.
        noise: (D, M) of the systems.
        factor: (D, 1) of all mean squares; None where they are drawn pair by pair.
        generator: What draws those.
    """

    influence: Values = field(repr=False)
    short: Values = field(repr=False)
    noise: Values = field(repr=False)
    factor: Values | None = field(repr=False)
    generator: np.random.Generator = field(repr=False)


class Joint:
    """Several systems' estimates of one metric, and all their differences.

    Args:
        estimates: M, of different runs.
        seed: Of what is drawn; what is drawn for a system does not depend on the others.
    """

    def __init__(self, estimates: Sequence[Estimate], seed: int) -> None:
        self.pairs = Pairs.among(len(estimates))
        self._values = np.array([one.value for one in estimates])
        self._runs = [one.runs for one in estimates]
        self._seed = seed
        names = dict.fromkeys(name for one in estimates for name in one.videos)
        self._videos = [_stacked(estimates, name) for name in names]
        self._squares = [test.of_pairs(self.pairs) for test in self._videos]

    @property
    def effects(self) -> Values:
        """(P,) differences i - j."""
        return np.asarray(self._values[self.pairs.i] - self._values[self.pairs.j])

    @functools.cached_property
    def rests(self) -> Values:
        """(P,) E of every pair."""
        return self._both([sum(part.rest for part in own.values()) for own in self._runs])

    @functools.cached_property
    def totals(self) -> Values:
        """(P,) T of every pair."""
        own = self._both([sum(part.mean_square for part in own.values()) for own in self._runs])
        return np.asarray(own + sum(self._squares))

    @functools.cached_property
    def degrees(self) -> Values:
        """(P,) of T."""
        own = [
            sum(part.mean_square**2 / part.degrees for part in own.values()) for own in self._runs
        ]
        squares = self._both(own)
        for test, between in zip(self._videos, self._squares, strict=True):
            squares = squares + between**2 / test.degrees
        for place, parts in enumerate(self._runs):
            for part in parts.values():
                square = np.array([part.mean_square])
                self._count_at_least(square, place, part, self.totals[None], squares[None])
        return _satterthwaite(self.totals, squares)

    def _both(self, of_systems: Sequence[float]) -> Values:
        """(P,) sums over the two systems of every pair."""
        each = np.array(of_systems, dtype=np.float64)
        return np.asarray(each[self.pairs.i] + each[self.pairs.j])

    def _count_at_least(
        self, square: Values, place: int, part: RunPart, total: Values, squares: Values
    ) -> None:
        """Add to squares what a mean square of two seeds is short by (``RunPart.least``).

        Args:
            square: (D,) the mean square.
            place: Of its system.
            part: Of which it is.
            total: (D, P) of pairs.
            squares: (D, P) over degrees of freedom, changed here.
        """
        if not part.least:
            return
        held = (self.pairs.i == place) | (self.pairs.j == place)
        least = np.maximum(part.least * total[:, held], square[:, None])
        squares[:, held] += (least**2 - square[:, None] ** 2) / part.degrees

    def family(self, draws: int) -> Family:
        """Adjusted p-values of all pairs, and which systems could be lowest or highest.

        Args:
            draws: D; an adjusted p-value of .05 is then right to ± sqrt(.0475 / D).
        """
        observed = _quick()(np.abs(self.effects), self.totals, self.rests, self.degrees)  # (P,)
        order = np.argsort(observed, kind="stable")
        systems = self._values.size
        against = _extremes(self.effects, observed, self.pairs, systems) + _TIED  # (2, M)
        tied = observed[order[::-1]] + _TIED
        beaten, extreme = np.zeros(observed.size), np.zeros_like(against)
        for gap, p in self._null(draws):
            # Step-down: the k-th smallest is held against the smallest of those not yet rejected.
            least = np.minimum.accumulate(p.take(order[::-1], axis=1), axis=1)
            beaten += (least <= tied).sum(axis=0)[::-1]
            extreme += (_extremes(gap, p, self.pairs, systems) <= against[:, None]).sum(axis=1)
        adjusted = np.empty_like(observed)
        adjusted[order] = np.maximum.accumulate((1.0 + beaten) / (1.0 + draws))
        not_lowest, not_highest = (1.0 + extreme) / (1.0 + draws)
        return Family(
            adjusted=np.maximum(adjusted, observed), not_lowest=not_lowest, not_highest=not_highest
        )

    def _null(self, draws: int) -> Iterator[tuple[Values, Values]]:
        """Blocks of (d, P) differences and their p-values among equal systems."""
        step = max(1, _BLOCK // max(1, self.pairs.i.size))
        for start in range(0, draws, step):
            for drawn in self._draw(min(step, draws - start), start):
                yield drawn.gap, _p_values(drawn, self.rests)

    def _draw(self, draws: int, start: int) -> Iterator[_Drawn]:
        """What one block of generators draws, a slice at a time.

        A generator fills rows one after the other, so that how they are sliced changes none.
        """
        runs = self._draw_runs(draws, start)
        tests = [self._draw_videos(test, draws, start) for test in self._videos]
        step = max(1, _SLICE // max(1, self.pairs.i.size))
        for first in range(0, draws, step):
            rows = slice(first, min(first + step, draws))
            yield self._between_pairs(runs, tests, rows)

    def _draw_runs(self, draws: int, start: int) -> _DrawnRuns:
        values = np.zeros((draws, self._values.size))  # (d, M)
        own, own_squares = np.zeros_like(values), np.zeros_like(values)
        two: list[tuple[Values, int, RunPart]] = []
        for place, runs in enumerate(self._runs):
            for name, part in runs.items():
                if not part.deviation.size:
                    continue
                generator = self._generator("runs", name, start)
                square = max(part.mean_square, part.rest)
                spread = math.sqrt(square - part.rest)  # the rest comes with the videos' part
                values[:, place] += spread * generator.standard_normal(draws)
                anew = square * generator.chisquare(part.degrees, draws) / part.degrees
                own[:, place] += anew
                own_squares[:, place] += anew**2 / part.degrees
                if part.least:
                    two.append((anew, place, part))
        return _DrawnRuns(values, own, own_squares, two)

    def _between_pairs(
        self, runs: _DrawnRuns, tests: Sequence[_DrawnVideos], rows: slice
    ) -> _Drawn:
        """What the differences of the systems show in a slice of a block."""
        values, own, own_squares = runs.values[rows], runs.own[rows], runs.squares[rows]
        pairs = self.pairs
        gap, total = pairs.first(values), pairs.first(own)  # (d, P)
        gap -= pairs.second(values)
        total += pairs.second(own)
        squares = pairs.first(own_squares)
        squares += pairs.second(own_squares)
        for test, drawn, between in zip(self._videos, tests, self._squares, strict=True):
            noise = drawn.noise[rows]
            apart = pairs.first(noise)
            apart -= pairs.second(noise)
            apart *= np.sqrt(drawn.short)
            gap += apart
            if drawn.factor is not None:
                anew = between * drawn.factor[rows] / test.degrees
            else:
                anew = drawn.short * self._squares_anew(
                    drawn.influence, test.degrees, len(noise), drawn.generator
                )
            total += anew
            squares += anew**2 / test.degrees
        for square, place, part in runs.two:
            self._count_at_least(square[rows], place, part, total, squares)
        gap[gap**2 <= _NOTHING] = 0.0  # equal systems, summed in another order
        return _Drawn(gap, total, squares)

    def _draw_videos(self, test: _Videos, draws: int, start: int) -> _DrawnVideos:
        generator = self._generator("videos", test.name, start)
        influence, short = test.mixed(self.pairs)
        noise = _normal((draws,), influence, generator)
        alike = test.influence.shape[1] > _FEW  # their mean squares hardly vary
        factor = generator.chisquare(test.degrees, (draws, 1)) if alike else None
        return _DrawnVideos(influence, short, noise, factor, generator)

    def _generator(self, kind: str, name: str, start: int) -> np.random.Generator:
        return np.random.default_rng(derive(self._seed, kind, name.replace("\x1f", " "), start))

    def _squares_anew(
        self, influence: Values, degrees: float, draws: int, generator: np.random.Generator
    ) -> Values:
        """(d, P) mean squares of pairs between few videos: Wishart."""
        rows = max(1, round(degrees))
        sample = _normal((draws, rows), influence, generator)  # (d, rows, M)
        return _between(sample.transpose(0, 2, 1) @ sample / rows, self.pairs)


@dataclass(frozen=True, eq=False)
class Family:
    """All pairs of M systems, corrected for each other.

    Args:
        adjusted: (P,) two-sided p-values: below alpha, the probability of any false claim about
            any pair is at most alpha.
        not_lowest: (M,) p-value of the claim that a system's true value is not the lowest one:
            the systems at alpha or above hold the lowest with probability 1 - alpha.
        not_highest: (M,) the same for the highest.
    """

    adjusted: Values
    not_lowest: Values
    not_highest: Values


def _normal(shape: tuple[int, ...], influence: Values, generator: np.random.Generator) -> Values:
    """(*shape, M) Gaussian draws with the influences' covariance.

    Tens of thousands of videos are drawn for so many draws at a time as fit ``_MOST``.
    """
    systems, width = influence.shape
    found = np.empty((*shape, systems))
    step = max(1, _MOST // (width * math.prod(shape[1:])))
    for start in range(0, shape[0], step):
        rows = min(step, shape[0] - start)
        deviates = generator.standard_normal((rows, *shape[1:], width))
        found[start : start + rows] = deviates @ influence.T
    return found


def _between(gram: Values, pairs: Pairs) -> Values:
    """(..., P) squared distances from (..., M, M) inner products."""
    own = np.diagonal(gram, axis1=-2, axis2=-1)
    systems = gram.shape[-1]
    flat = gram.reshape(*gram.shape[:-2], systems * systems)
    squares = pairs.first(own)
    squares += pairs.second(own)
    squares -= 2.0 * flat.take(pairs.i * systems + pairs.j, axis=-1)
    # equal systems cancel to a little below zero
    return np.asarray(np.maximum(squares, 0.0, out=squares))


def _p_values(drawn: _Drawn, rest: Values) -> Values:
    """(d, P) two-sided p-values, exact where they may be small.

    Seven in eight differences of equal systems are smaller than 1.5 standard errors. The Gaussian
    tail does for them, at an eighth of the time: it is never below .13.
    """
    distance = np.abs(drawn.gap)
    z = drawn.total - rest
    np.maximum(z, rest, out=z)
    np.maximum(z, _NOTHING, out=z)
    np.divide(distance, np.sqrt(z, out=z), out=z)
    far = np.flatnonzero(z > _NEAR)
    p = np.asarray(ndtr(np.negative(z, out=z), out=z))
    p *= 2.0
    total, squares = drawn.total.take(far), drawn.squares.take(far)
    degrees = _satterthwaite(total, squares)
    exact = _quick()(distance.take(far), total, rest.take(far % rest.size), degrees)
    p.put(far, exact)
    return p


def _extremes(gap: Values, p: Values, pairs: Pairs, systems: int) -> Values:
    """(2, ..., M): per system the smallest one-sided p-value of lying above another, and below.

    Args:
        gap: (..., P) differences i - j.
        p: (..., P) their two-sided p-values.
        pairs: Which they are.
        systems: M.
    """
    half = p / 2.0
    i_above = np.where(gap > 0, half, 1.0 - half)
    found = np.ones((2, *gap.shape[:-1], systems))
    if systems < 2:
        return found
    # Pairs come by their first system, and, taken in another order, by their second.
    by_second = i_above.take(np.argsort(pairs.j, kind="stable"), axis=-1)
    counts = np.arange(systems - 1)
    first = counts * systems - counts * (counts + 1) // 2  # where pairs of 0 to M - 2 begin
    second = counts * (counts + 1) // 2  # where those of 1 to M - 1 do
    found[0, ..., :-1] = np.minimum.reduceat(i_above, first, axis=-1)
    found[1, ..., :-1] = 1.0 - np.maximum.reduceat(i_above, first, axis=-1)
    above, below = found[0, ..., 1:], found[1, ..., 1:]
    np.minimum(above, 1.0 - np.maximum.reduceat(by_second, second, axis=-1), out=above)
    np.minimum(below, np.minimum.reduceat(by_second, second, axis=-1), out=below)
    return found


def _satterthwaite(total: Values, squares: Values) -> Values:
    """Degrees of freedom of sums of mean squares, at least 1."""
    found = np.ones_like(total)
    np.divide(total**2, squares, out=found, where=squares > 0)
    return found.clip(min=1.0)


def _stacked(estimates: Sequence[Estimate], name: str) -> _Videos:
    """The influences on one test set; systems that were not tested on it have none."""
    there = [one.videos.get(name) for one in estimates]
    some = next(part for part in there if part is not None)
    nothing = np.zeros_like(some.influence)
    influence = np.stack([nothing if part is None else part.influence for part in there])
    return _Videos(name, influence, some.degrees)
