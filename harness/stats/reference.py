"""What an estimate is measured against: a t distribution whose variance has a part counted twice.

With T the sum of the mean squares behind a variance (seeds of either system, source videos), nu its
degrees of freedom after Satterthwaite and E the mean square of what belongs to neither a seed nor a
video, the variance of the estimate is T - E, for E stands in T once too often, and at least E. What
the data leave unknown of it is the fiducial law

    variance ~ max(T · nu / chi2(nu) - E, E)

and the estimate's deviation from the truth is Gaussian given the variance. Without E this is the t
distribution after Welch and Satterthwaite; with E it is narrower and never narrower than what E
alone leaves. Interval, p-value, test of equivalence and power all come from it, so that they never
disagree.

Sources:
    Satterthwaite. Biometrics Bulletin 2(6), 1946: degrees of freedom of a sum of mean squares.
    Tsui, Weerahandi. JASA 84(406), 1989: p-values in the presence of nuisance parameters.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, ndtr, ndtri, stdtrit

from harness.errors import SpecError
from harness.metrics import Values

__all__ = ["Laws", "Reference", "Tail"]

_NOTHING = 1e-24  # a variance below it is what summing in another order leaves
_STEPS = 50  # halvings of a bracket
_SECANTS = 10  # at most: a distance is then right to its last digits
_CLOSE = 1e-12  # about it, relative
_ROUNDING = 1e-13  # of a tail probability, relative, and far more than it is
_SPACING = 0.02  # of a table in log nu, from 1 to some 4,000 degrees


def _nodes(count: int, power: int) -> tuple[Values, Values]:
    """Gauss-Legendre nodes and weights on (0, 1), crowded at 0 by u = s ** power.

    Small quantiles of chi2 are large variances: they make the far tail.
    """
    x, weight = np.polynomial.legendre.leggauss(count)
    s = (x + 1.0) / 2.0
    return s**power, weight / 2.0 * power * s ** (power - 1)


_U, _WEIGHTS = _nodes(64, 6)


class Laws:
    """The laws of n estimates about their truths, by quadrature over the variance.

    Args:
        total: (n,) T of each.
        rest: (n,) E.
        degrees: (n,) of T, at least 1.
    """

    def __init__(self, total: Values, rest: Values, degrees: Values) -> None:
        self._bounds = total, rest, degrees
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = degrees / chdtri(degrees, 1.0 - _U[:, None])  # (nodes, n)
            self._deviations = np.sqrt(np.maximum(total * ratios - rest, rest))
        self._still = np.maximum(total, rest) <= _NOTHING

    def beyond(self, distance: Values) -> Values:
        """(n,) P(deviation at least ``distance`` from zero, on either side), right to 1e-3 of it.

        Where nothing varies, 1 at a distance of zero and 0 at any other.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2.0 * (_WEIGHTS @ ndtr(-distance / self._deviations))
        p = np.where(self._still, np.where(distance**2 <= _NOTHING, 1.0, 0.0), p)
        return np.asarray(np.where(np.isnan(distance), math.nan, p).clip(max=1.0))

    def reach(self, level: float) -> Values:
        """(n,) how far the interval of a level in (0, 1) reaches to either side."""
        total, rest, degrees = self._bounds
        alpha = round(1.0 - level, 12)  # 1 - 0.95 is a little more than 0.05
        # T · nu / chi2 bounds the variance from above where E does not.
        wide = np.sqrt(total) * stdtrit(degrees, 1.0 - alpha / 2.0)
        high = np.maximum(wide, np.sqrt(rest) * -ndtri(alpha / 2.0))
        low = np.zeros_like(high)
        surely, hardly = self._around(alpha)
        for _ in range(_STEPS):
            middle = (low + high) / 2.0
            inside = middle <= surely
            if not (inside | (middle >= hardly) | self._still).all():  # the last few halvings
                inside = self.beyond(middle) > alpha
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        return np.asarray(np.where(self._still, 0.0, high))

    def _around(self, alpha: float) -> tuple[Values, Values]:
        """(n,) distances: up to the one ``beyond`` is above alpha, from the other on below it.

        Found by secants in the logarithm, they are so near that most halvings of a bracket need
        not be looked at; what cannot be told is 0 and infinite.
        """
        total, rest, degrees = self._bounds
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            quantile = np.asarray(stdtrit(degrees, 1.0 - alpha / 2.0), dtype=np.float64)
            variance = np.maximum(total - rest, rest)
            spread: Values = np.asarray(np.sqrt(variance), dtype=np.float64)
            last: Values = spread * quantile
            found: Values = 0.98 * last
            error = np.log(self.beyond(last) / alpha)
            for _ in range(_SECANTS):
                new = np.log(self.beyond(found) / alpha)
                step = np.where(new == error, 0.0, new * (found - last) / (new - error))
                last, found, error = found, found - step, new
                if (np.abs(step) <= _CLOSE * found).all():
                    break
            below, above = found * (1.0 - _CLOSE), found * (1.0 + _CLOSE)
            surely = self.beyond(below) > alpha * (1.0 + _ROUNDING)
            hardly = self.beyond(above) < alpha * (1.0 - _ROUNDING)
        told = surely & hardly & (below > 0.0)
        return np.where(told, below, 0.0), np.where(told, above, math.inf)

    def p_equivalence(self, effect: Values, margin: float) -> Values:
        """(n,) p-values of two one-sided tests of estimates against ±margin."""
        return self.one_sided(margin - np.abs(effect))

    def one_sided(self, distance: Values) -> Values:
        """(n,) P(deviation at least ``distance`` to one side); it may be negative."""
        half = self.beyond(np.abs(distance)) / 2.0
        return np.asarray(np.where(distance >= 0, half, 1.0 - half))


class Tail:
    """``Laws.beyond`` for millions of laws, right to 1 % of it down to p-values of 1e-6."""

    def __init__(self) -> None:
        u, self._weights = _nodes(16, 4)
        nu = np.exp(np.arange(415) * _SPACING)[:, None]
        self._table = np.log(nu / chdtri(nu, 1.0 - u))  # (degrees, nodes)

    def __call__(self, distance: Values, total: Values, rest: Values, degrees: Values) -> Values:
        """(n,) two-sided tail probabilities; (n,) arguments."""
        last = len(self._table) - 2
        place = (np.log(degrees) / _SPACING).clip(0.0, last + 1.0)
        low = np.minimum(place.astype(np.intp), last)
        share = place - low
        found = np.zeros_like(distance)
        for logs, weight in zip(self._table.T, self._weights, strict=True):
            ratio = np.exp(logs[low] + share * (logs[low + 1] - logs[low]))
            variance = np.maximum(np.maximum(total * ratio - rest, rest), _NOTHING)
            found += weight * ndtr(-distance / np.sqrt(variance))
        return 2.0 * found


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The law of one estimate about the truth; every answer is NaN when it is undefined.

    Args:
        effect: The estimate.
        total: T, a variance.
        rest: E, a variance.
        degrees: Of T, at least 1.

    Example:
        >>> from scipy import stats
        >>> found = Reference(effect=2.0, total=1.0, rest=0.0, degrees=4.0)
        >>> round(found.p_value(), 4), round(float(2 * stats.t.sf(2.0, 4)), 4)
        (0.1161, 0.1161)
    """

    effect: float
    total: float
    rest: float
    degrees: float

    def standard_error(self) -> float:
        """Square root of the estimated variance."""
        return math.sqrt(max(self.total - self.rest, self.rest))

    def p_value(self) -> float:
        """Two-sided p of a truth of zero: the level at which the interval reaches zero."""
        return float(self._law.beyond(np.abs(self._effect))[0])

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval at a level in (0, 1)."""
        reach = self.reach(level)
        return self.effect - reach, self.effect + reach

    def reach(self, level: float = 0.95) -> float:
        """Half the width of the interval."""
        if math.isnan(self.effect + self.total + self.rest):
            return math.nan
        return float(self._law.reach(level)[0])

    def p_equivalence(self, margin: float) -> float:
        """P-value of two one-sided tests against ±margin; small means equivalent.

        Args:
            margin: Largest difference without practical meaning, > 0.

        Raises:
            SpecError: For a margin that is not positive.

        Source:
            Schuirmann. Journal of Pharmacokinetics and Biopharmaceutics 15, 1987.
        """
        if not margin > 0:
            raise SpecError(f"an equivalence margin is positive, found {margin:g}")
        return float(self._law.p_equivalence(self._effect, margin)[0])

    def share_positive(self) -> float:
        """Confidence that the truth is above zero; a half where estimate and variance are zero."""
        return float(self._law.one_sided(-self._effect)[0])

    def detectable(self, alpha: float = 0.05, power: float = 0.8) -> float:
        """Smallest true difference that a two-sided test finds with the given power.

        Args:
            alpha: Level of the test.
            power: Wanted probability of p < alpha, above a half.
        """
        return self.reach(1.0 - alpha) + self.reach(2.0 * power - 1.0)

    @property
    def _effect(self) -> Values:
        return np.array([self.effect])

    @functools.cached_property
    def _law(self) -> Laws:
        return Laws(*(np.array([part]) for part in (self.total, self.rest, self.degrees)))
