"""The continuous reliability spectrum: conditions that test clips are seen under, and their grids.

A condition has a strength of noise λ, a rate of missingness η, both in [0, 1], and the modalities
that it hits. Noise comes first, missingness second.

==========  ===================================  ===========================================
            audio, vision                        text
==========  ===================================  ===========================================
noise       x + λ d N(0, 1), d the deviation of  each word becomes [UNK] with probability λ;
            the feature over training frames     its frozen vector becomes zero
element     each frame becomes zero with         each word goes with probability η and the
            probability η                        gap closes; its frozen vector becomes zero
block       one gap of η of the true length      one gap of η of the words
modality    the modality goes with probability   the same; one of the three always stays below
            η: one zero frame is left            η = 1: the end tokens are left
lnln        element                              noise with λ = η
==========  ===================================  ===========================================

``lnln@published`` is ``lnln`` with the draws of the released code, which starts one generator anew
for each modality: streams of equal length lose the same steps.

The first and the last token, which are no words, always stay. ``harness.corruption`` holds the
operators and the draws. Draws decide by u < η, so what is missing under one rate is missing under
every higher one.

Seam: a family on raw video (blur, occlusion, background noise) is a further ``How``. It would be
applied to media before features are extracted, so its operator makes another corpus per condition
instead of another batch; names, grids, stored predictions and reports stay as they are.

Source: the spectrum is that of QA-MoE (ACL 2026, arXiv 2604.05704); rates of LNLN's protocol; sets
of MMIN's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from harness.errors import SpecError
from harness.spec.laws import laws

__all__ = [
    "CLEAN",
    "MODALITIES",
    "RATES",
    "SEED",
    "STEPS",
    "Condition",
    "How",
    "check_selection",
    "check_training",
    "grid",
    "grids",
    "only",
    "seen",
    "told",
]

MODALITIES = ("text", "audio", "vision")

How: TypeAlias = Literal["element", "block", "modality", "lnln", "lnln@published"]

RATES = tuple(step / 10 for step in range(10))
"""0 to 0.9: the rates of LNLN's protocol, and the axes of every map."""

STEPS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Strengths at which one modality at a time is hit."""

SEED = 0
"""Of what test clips go through: the same for every system and training seed."""

_ONLY = "only:"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One point of the spectrum.

    Args:
        noise: λ in [0, 1].
        missing: η in [0, 1].
        how: What η means.
        hit: The modalities that suffer, in the order of ``MODALITIES``.

    Raises:
        SpecError: For a λ or η outside [0, 1], or a modality that is none.

    Example:
        >>> Condition(noise=0.3, missing=0.5, hit=("audio",)).name
        'audio:noise=0.3,element=0.5'
        >>> Condition.parse("block=0.25")
        Condition(noise=0.0, missing=0.25, how='block', hit=('text', 'audio', 'vision'))
    """

    noise: float = 0.0
    missing: float = 0.0
    how: How = "element"
    hit: tuple[str, ...] = MODALITIES

    def __post_init__(self) -> None:
        if not (0.0 <= self.noise <= 1.0 and 0.0 <= self.missing <= 1.0):
            raise SpecError(f"λ and η lie in [0, 1], found {self.noise} and {self.missing}")
        if self.how not in get_args(How):
            raise SpecError(f"η means one of {', '.join(get_args(How))}; found {self.how!r}")
        if self.hit != tuple(name for name in MODALITIES if name in self.hit):
            raise SpecError(f"modalities are {', '.join(MODALITIES)}, in this order")

    @property
    def name(self) -> str:
        """What predictions are stored under; ``parse`` reads it back."""
        if self.is_clean:
            return "clean"
        if self.kept:
            return f"{_ONLY}{'+'.join(self.kept)}"
        parts = {"noise": self.noise, self.how: self.missing}
        said = ",".join(f"{what}={rate:.9g}" for what, rate in parts.items() if rate)
        return said if self.hit == MODALITIES else f"{'+'.join(self.hit)}:{said}"

    @property
    def is_clean(self) -> bool:
        """Whether nothing happens to the clips."""
        return not self.hit or self.noise == self.missing == 0.0

    @property
    def leaves_nothing(self) -> bool:
        """Whether every modality of every clip is gone: no system can say more than a constant."""
        return self.how == "modality" and self.missing == 1.0 and self.hit == MODALITIES

    @property
    def kept(self) -> tuple[str, ...]:
        """For one of the fixed sets, the modalities that are left alone; else none."""
        whole = self.how == "modality" and self.missing == 1.0 and self.noise == 0.0
        return tuple(name for name in MODALITIES if name not in self.hit) if whole else ()

    @property
    def family(self) -> str:
        """``clean``, ``noise``, what ``how`` says, ``set``, or ``joint``: noise with missingness.

        What hits one or two modalities has the family of what hits all.
        """
        if self.is_clean:
            return "clean"
        if self.kept:
            return "set"
        if self.noise and self.missing:
            return "joint"
        return "noise" if self.noise else self.how

    @classmethod
    def parse(cls, name: str) -> Condition:
        """The condition with this name.

        Raises:
            SpecError: When no condition is called so.
        """
        found = _parsed(name)
        if found is None or found.name != name:
            raise SpecError(
                f"no condition is called {name!r}",
                hint="such as noise=0.3,element=0.5 or audio:block=0.4 or only:text+audio",
            )
        return found


CLEAN = Condition()
"""Clips as they are."""

_NAME = re.compile(
    r"(?:(?P<hit>[a-z]+(?:\+[a-z]+)*):)?(?:noise=(?P<noise>[0-9.e-]+))?,?"
    r"(?:(?P<how>element|block|modality|lnln(?:@published)?)=(?P<missing>[0-9.e-]+))?"
)


def _parsed(name: str) -> Condition | None:
    if name == "clean":
        return CLEAN
    if name.startswith(_ONLY):
        kept = name.removeprefix(_ONLY).split("+")
        return only(*kept) if set(kept) <= set(MODALITIES) else None
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    hit = tuple(match["hit"].split("+")) if match["hit"] else MODALITIES
    try:
        return Condition(
            noise=float(match["noise"] or 0.0),
            missing=float(match["missing"] or 0.0),
            how=cast("How", match["how"] or "element"),
            hit=hit,
        )
    except (ValueError, SpecError):
        return None


def only(*kept: str) -> Condition:
    """The fixed set in which every clip has these modalities and no other."""
    hit = tuple(name for name in MODALITIES if name not in kept)
    return Condition(missing=1.0, how="modality", hit=hit)


def _sets() -> tuple[Condition, ...]:
    """All seven sets of modalities; that of all three is the clean condition."""
    sizes = range(1, len(MODALITIES) + 1)
    return tuple(only(*kept) for size in sizes for kept in itertools.combinations(MODALITIES, size))


def _map(how: How) -> tuple[Condition, ...]:
    """λ × η at ten rates each, and for whole modalities the end where none is left."""
    rates = itertools.product(RATES, RATES)
    end = (Condition(missing=1.0, how=how),) if how == "modality" else ()
    return (*(Condition(noise=noise, missing=eta, how=how) for noise, eta in rates), *end)


def _curves(modalities: tuple[str, ...], rates: Iterable[float]) -> tuple[Condition, ...]:
    """Noise and every kind of missingness, one at a time."""
    steps = tuple(rates)
    kinds: tuple[How, ...] = ("element", "block", "modality")
    return (
        *(Condition(noise=rate, hit=modalities) for rate in steps),
        *(Condition(missing=rate, how=how, hit=modalities) for how in kinds for rate in steps),
    )


def _breakdown() -> tuple[Condition, ...]:
    """One modality at a time."""
    return tuple(c for name in MODALITIES for c in _curves((name,), STEPS))


def _spectrum() -> tuple[Condition, ...]:
    maps = (*_map("element"), *_map("block"), *_map("modality"))
    return (*maps, *_sets(), *_breakdown())


def _lnln(how: How) -> tuple[Condition, ...]:
    return tuple(Condition(missing=rate, how=how) for rate in RATES)


_GRIDS: Mapping[str, tuple[str, Callable[[], tuple[Condition, ...]]]] = {
    "spectrum": ("three maps of λ × η, seven sets, each modality by itself", _spectrum),
    "curves": (
        "noise, element, block, modality at ten rates, and seven sets",
        lambda: (*_curves(MODALITIES, RATES), Condition(missing=1.0, how="modality"), *_sets()),
    ),
    "sets": ("the seven fixed sets of modalities", _sets),
    "lnln": ("LNLN's operators and rates with the draws of the spectrum", lambda: _lnln("lnln")),
    "lnln@published": (
        "LNLN's literal protocol, masks of equal streams equal",
        lambda: _lnln("lnln@published"),
    ),
}


def grids() -> Mapping[str, str]:
    """Name of every grid -> what it consists of."""
    return {name: about for name, (about, _) in _GRIDS.items()}


def grid(name: str) -> tuple[Condition, ...]:
    """The conditions of a grid, each once, the clean one first; ``none`` has no other.

    Raises:
        SpecError: For a name that is no grid.

    Example:
        >>> len(grid("spectrum")), len(grid("sets")), grid("none") == (CLEAN,)
        (347, 7, True)
    """
    if name == "none":
        return (CLEAN,)
    if name not in _GRIDS:
        raise SpecError(f"no grid of conditions is called {name!r}", hint=f"one of {_known()}")
    names = dict.fromkeys(c.name for c in (CLEAN, *_GRIDS[name][1]()))
    return tuple(map(Condition.parse, names))


def _known() -> str:
    return ", ".join(_GRIDS)


def told(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Those under which what a system tells of itself is stored too.

    They are the clean condition and those with one modality hit: there, what a quality score of
    that modality should follow is known.
    """
    return tuple(c for c in conditions if c.is_clean or len(c.hit) == 1)


def seen(law: str) -> frozenset[str]:
    """Families that training clips go through under a law or a condition; all others are unseen.

    Example:
        >>> sorted(seen("spectrum")), sorted(seen("noise=0.5,block=0.2"))
        (['element', 'modality', 'noise'], ['block', 'noise'])
    """
    if law in laws:
        return laws[law].seen
    condition = Condition.parse(law)
    parts = {"noise": condition.noise, condition.how: condition.missing}
    return frozenset(name for name, rate in parts.items() if rate)


def check_training(name: str) -> None:
    """Refuse what training clips cannot go through: neither a law nor a condition.

    Raises:
        SpecError: Naming what there is.
    """
    if name in laws:
        return
    try:
        condition = Condition.parse(name)
    except SpecError:
        raise SpecError(
            f"training_corruption is one of {', '.join(laws)}, or a condition such as"
            f" element=0.5; found {name!r}"
        ) from None
    if condition.is_clean or condition.leaves_nothing:
        raise SpecError(f"training_corruption = {name!r} leaves nothing to corrupt, or to learn")


def check_selection(name: str) -> None:
    """Refuse what the validation clips that choose an epoch cannot go through.

    Raises:
        SpecError: As ``check_training``, and for a law whose strengths a whole batch shares.
    """
    check_training(name)
    if name in laws and laws[name].shared:
        alone = ", ".join(other for other, law in laws.items() if not law.shared)
        raise SpecError(
            f"selection_corruption = {name!r} would hit validation clips by who is beside them",
            hint=f"one of {alone}, or a condition such as element=0.5",
        )
