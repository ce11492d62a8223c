"""The page "Are the tests honest?": written from the results of ``msa study calibration``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness._util.atomic import write_atomic
from harness.stats.calibration import (
    BEFORE,
    CANDIDATES,
    CORRECTIONS,
    CURVE,
    METRICS,
    PRIMARY,
    Design,
    Finding,
    Part,
    Rate,
    Results,
)
from leaderboards.figures import save
from leaderboards.guide.calibration_figures import draw_boards, draw_nulls, draw_power
from leaderboards.guide.prose import fill, grid

__all__ = ["FIGURES", "PAGE", "RESULTS", "render", "write"]

PAGE, RESULTS = "calibration.md", "calibration.json"

FIGURES: Mapping[str, str] = {
    "calibration_nulls.svg": "False positives in MAE by design: boards near 5 %, percentile apart",
    "calibration_power.svg": "Power against the true difference in MAE, eight designs",
    "calibration_boards.svg": "Boards of equal systems with a false claim, now and before",
}
"""File -> what it shows, for those who do not see it."""

_ALPHA = 5  # percent
_METRIC = "mae"

_ORDINARY, _HIDDEN, _FALLEN, _NOISE = (
    "ordinary",
    "one run hides a spread",
    "seeds collapse",
    "noise alone",
)


def write(found: Results, folder: Path) -> list[Path]:
    """Write the page, its figures and all numbers.

    Args:
        found: Of the whole study.
        folder: Where to.

    Raises:
        OSError: When a file cannot be written.
    """
    files = [folder / PAGE, folder / RESULTS]
    write_atomic(files[0], render(found))
    write_atomic(files[1], found.dumps())
    figures = draw_nulls(found), draw_power(found), draw_boards(found)
    with tempfile.TemporaryDirectory() as scratch:
        for name, figure in zip(FIGURES, figures, strict=True):
            drawn = save(figure, Path(scratch) / Path(name).stem)
            files.append(folder / name)
            write_atomic(files[-1], next(f for f in drawn if f.suffix == ".svg").read_bytes())
    return files


def render(found: Results) -> str:
    """The page as Markdown; its bytes depend on the results alone."""
    blocks = (
        "<!-- Written by `msa study calibration --out leaderboards/docs`; edit leaderboards/guide/"
        " instead. -->",
        "# Are the tests honest?",
        *_introduction(found),
        "## Two equal systems",
        *_nulls(found),
        "## Where nothing can help",
        *_limits(found),
        "## Two systems that differ",
        *_differences(found),
        "## Whole boards",
        *_boards(found),
        "## What else was tried",
        *_others(found),
        "## What is simulated",
        *_simulated(found),
    )
    return "\n\n".join(blocks) + "\n"


def _figure(name: str) -> str:
    return f"![{FIGURES[name]}]({name})"


def _percent(rate: Rate | None) -> str:
    return "" if rate is None else f"{100 * rate.share:.1f}"


def _with_error(rate: Rate | None) -> str:
    return "" if rate is None else f"{100 * rate.share:.1f} ± {100 * rate.error:.1f}"


def _group(design: Design) -> str:
    """Why a design may not be held to 5 %."""
    if design.unseen_spread:
        return _HIDDEN
    if design.collapse:
        return _FALLEN
    return _NOISE if design.only_noise else _ORDINARY


def _missed(
    parts: Mapping[Part, Finding], group: str, candidate: str, metric: str
) -> dict[str, Rate]:
    """Design -> how often intervals miss, in the designs of a group."""
    found = {
        part.design.title: finding.rate(metric, candidate, "missed")
        for part, finding in parts.items()
        if _group(part.design) == group
    }
    return {title: rate for title, rate in found.items() if rate is not None}


def _span(rates: Mapping[str, Rate]) -> str:
    """Smallest and largest, percent."""
    shares = [100 * rate.share for rate in rates.values()]
    low, high = f"{min(shares):.1f}", f"{max(shares):.1f}"
    return low if low == high else f"{low} to {high}"


def _introduction(found: Results) -> Iterator[str]:
    settings, designs = found.settings, len(found.of("null"))
    typical = Rate(hits=round(settings.nulls * _ALPHA / 100), of=settings.nulls)
    yield fill(
        f"""A test at {_ALPHA} % promises a false winner in {_ALPHA} % of comparisons of two equal
        systems. Whether it keeps that can only be seen where the truth is known. So predictions are
        simulated clip by clip, scored by the metrics of boards, and compared by the code behind
        `msa compare` and behind rank sets: {designs} designs, {settings.nulls:,} comparisons each
        without a difference and {settings.replicates:,} with one. A rate of {_ALPHA} % without one
        is then right to ± {100 * typical.error:.1f} points, one Monte-Carlo standard error.
        Bootstraps take {settings.draws:,} draws in {settings.bootstrapped:,} of either."""
    )
    yield fill(
        f"""All numbers are those of `msa study calibration --replicates {settings.replicates}
        --draws {settings.draws} --seed {settings.seed}`; they are kept, unrounded, in
        [{RESULTS}]({RESULTS})."""
    )
    nulls, names = found.of("null"), list(METRICS)
    ours = [f"{METRICS[m].title} {_span(_missed(nulls, _ORDINARY, PRIMARY, m))}" for m in names]
    before = [f"{METRICS[m].title} {_span(_missed(nulls, _ORDINARY, BEFORE, m))}" for m in names]
    usual = sum(_group(part.design) == _ORDINARY for part in nulls)
    yield fill(
        f"""- **The procedure of boards**, {CANDIDATES[PRIMARY].title}, errs in these percentages of
        comparisons over the {usual} ordinary designs: {"; ".join(ours)}."""
    )
    yield fill(
        f"""- **The one before**, {CANDIDATES[BEFORE].title}: {"; ".join(before)}. It errs in both
        directions: too often with few seeds or few videos, too seldom where the noise of a single
        run on a single clip is much of what varies, which costs power."""
    )
    joint, old = (_false(found, name) for name in ("joint", "percentile"))
    yield fill(
        f"""- **Boards of equal systems** with any false claim: {_span(joint)} % now,
        {_span(old)} % before."""
    )


# Two equal systems


def _nulls(found: Results) -> Iterator[str]:
    nulls = found.of("null")
    yield fill(
        """Share of comparisons with a winner, percent, ± one Monte-Carlo standard error. Where A
        is deterministic, or noisier than B, their metrics differ by a little even so; there the
        rate is of intervals that leave out the true difference."""
    )
    yield _figure("calibration_nulls.svg")
    yield grid(
        ("Two equal systems", *(f"{metric.title} (%)" for metric in METRICS.values())),
        [
            (
                part.design.title,
                *(_with_error(finding.rate(name, PRIMARY, "missed")) for name in METRICS),
            )
            for part, finding in nulls.items()
        ],
    )
    said = "; ".join(f"*{candidate.short}*, {candidate.title}" for candidate in CANDIDATES.values())
    yield fill(f"The same comparisons by every procedure that was tried: {said}. In MAE:")
    yield _by_candidate(nulls, "mae")
    for name in list(METRICS)[1:]:
        yield f"<details>\n<summary>{METRICS[name].title}</summary>"
        yield _by_candidate(nulls, name)
        yield "</details>"


def _by_candidate(parts: Mapping[Part, Finding], metric: str) -> str:
    return grid(
        ("Missed (%)", *(candidate.short for candidate in CANDIDATES.values())),
        [
            (
                part.design.title,
                *(_percent(finding.rate(metric, name, "missed")) for name in CANDIDATES),
            )
            for part, finding in parts.items()
        ],
    )


def _limits(found: Results) -> Iterator[str]:
    nulls = found.of("null")

    def spans(group: str, metric: str = _METRIC) -> tuple[str, str]:
        now, before = (_missed(nulls, group, name, metric) for name in (PRIMARY, BEFORE))
        return _span(now), _span(before)

    now, before = spans(_HIDDEN)
    yield fill(
        f"""- **One run of a system that has a spread over seeds.** {now} % ({before} % before). The
        spread is not in the data: no method can add it. Such rows are marked `n=1`, what is said of
        them holds for that run, and they are not ranked. With no spread to hide, one run against
        one is an ordinary design."""
    )
    now, before = spans(_FALLEN)
    yield fill(
        f"""- **Seeds that collapse.** {now} % ({before} % before): too careful, by nature. A
        difference becomes large when more seeds of one system than of the other collapse, and just
        then the spread over seeds is large as well, for the same seeds make both. A procedure that
        is less careful here takes a spread over few seeds for smaller than it is, and errs too
        often elsewhere."""
    )
    now, before = spans(_NOISE)
    plug = {group: _missed(nulls, group, "plug_in", _METRIC) for group in (_NOISE, _ORDINARY)}
    yield fill(
        f"""- **Nothing but seed × clip noise.** {now} % ({before} % before). All mean squares
        estimate the same noise there, and what is left after subtracting it is small and uncertain:
        those of seeds have few degrees of freedom, and the interval allows for a spread they may
        have missed. The plug-in reference takes the estimated variance at its word. It errs in
        {_span(plug[_NOISE])} % here, and in {_span(plug[_ORDINARY])} % in ordinary designs."""
    )


# Two systems that differ


def _differences(found: Results) -> Iterator[str]:
    parts = found.of("difference")
    yield fill(
        """Coverage: share of 95 % intervals that hold the true difference, percent. The true
        difference is the mean over all comparisons of a design, which is right to a small fraction
        of an interval. Power: share with p < .05 in MAE; worth nothing where a procedure finds too
        many winners among equals."""
    )
    headings = [f"{metric.title} (%)" for metric in METRICS.values()]
    yield grid(
        (
            "Two systems that differ",
            "difference in MAE",
            *(f"coverage, {heading}" for heading in headings),
            "before, MAE (%)",
            "power (%)",
            "before (%)",
        ),
        [_difference(part, finding) for part, finding in parts.items()],
    )
    yield _figure("calibration_power.svg")
    yield grid(
        ("Power in MAE (%)", "procedure", "equal", *(f"× {times:g}" for times in CURVE)),
        [
            (title, when, *(_percent(f.rate(_METRIC, name, "rejected")) for f in of.values()))
            for title, of in found.curves().items()
            for name, when in ((PRIMARY, "now"), (BEFORE, "before"))
        ],
    )
    yield "Columns are multiples of the difference in the table above."


def _difference(part: Part, finding: Finding) -> tuple[str, ...]:
    return (
        part.design.title,
        f"{finding.numbers[f'{_METRIC} difference']:.3f}",
        *(_covered(finding.rate(name, PRIMARY, "missed")) for name in METRICS),
        _covered(finding.rate(_METRIC, BEFORE, "missed")),
        *(_percent(finding.rate(_METRIC, name, "rejected")) for name in (PRIMARY, BEFORE)),
    )


def _covered(missed: Rate | None) -> str:
    return "" if missed is None else f"{100 - 100 * missed.share:.1f}"


# Whole boards

_HEADS = "now", "Holm", "before"  # of ``CORRECTIONS``


def _false(found: Results, correction: str) -> dict[str, Rate]:
    rates = {
        part.title: finding.rate(correction, "false")
        for part, finding in found.of("equal").items()
        if _group(part.design) == _ORDINARY
    }
    return {title: rate for title, rate in rates.items() if rate is not None}


def _boards(found: Results) -> Iterator[str]:
    settings = found.settings
    yield fill(
        f"""A board asks about all pairs of its rows at once. Of equal systems it should make any
        false claim in at most {_ALPHA} % of boards, and leave a best system out of those that could
        be best in at most {_ALPHA} %. {settings.boards:,} boards of MAE a line; the bootstrap of
        before, with 10,000 draws, for {settings.bootstrapped_boards:,} of them. *Now* is all pairs
        resampled together, as on boards; *Holm* corrects the same p-values by Holm's procedure;
        *before* is Holm over the percentile bootstrap."""
    )
    yield _figure("calibration_boards.svg")
    yield grid(
        (
            "Boards of equal systems, any false claim",
            "systems",
            *(f"{head} (%)" for head in _HEADS),
            *(f"best left out, {when} (%)" for when in ("now", "before")),
        ),
        [
            (
                part.design.title,
                str(part.systems),
                *(_with_error(finding.rate(name, "false")) for name in CORRECTIONS),
                *(_mean(finding, name, "missed") for name in ("joint", "percentile")),
            )
            for part, finding in found.of("equal").items()
        ],
    )
    yield fill(
        """On a ladder every system is a little better than the next. Found is the share of truly
        different pairs that are told apart in the right order."""
    )
    yield grid(
        (
            "A ladder of ten systems",
            *(f"found, {head} (%)" for head in _HEADS),
            *(f"could be best, {when}" for when in ("now", "before")),
        ),
        [
            (
                part.design.title,
                *(_mean(finding, name, "found") for name in CORRECTIONS),
                *(f"{finding.numbers[f'{name} best']:.1f}" for name in ("joint", "percentile")),
            )
            for part, finding in found.of("ladder").items()
        ],
    )


def _mean(finding: Finding, correction: str, what: str) -> str:
    mean, error = (finding.numbers[f"{correction} {what}{end}"] for end in ("", " error"))
    return f"{100 * mean:.1f} ± {100 * error:.1f}"


# What else was tried


_REMARKS: Mapping[str, str] = {
    BEFORE: "resampling S seeds understates their variance by (S - 1) / S and knows nothing of how"
    " uncertain it is; noise of one run on one clip it counts twice",
    "bca": "corrects a skew that differences hardly have, by a skewness that few units cannot tell",
    "boot_t": "holds, but counts noise of one run on one clip twice: it finds less",
    "unsubtracted": "the same without a bootstrap",
    "floored": "Satterthwaite's degrees of freedom are made for sums, and here a mean square is"
    " subtracted",
    "plug_in": "takes the estimated variance for the true one",
    "paired_t": "takes these clips for all clips: more seeds make it worse",
    "wilcoxon": "the same fault, and with five seeds or fewer no p-value below .05 at all",
}


def _others(found: Results) -> Iterator[str]:
    nulls, powers = found.of("null"), found.of("difference")
    yield fill(
        """False positives in MAE over ordinary designs, smallest and largest in percent, and power
        averaged over the same designs, as far as a procedure applies. Power of one that errs too
        often is worth nothing."""
    )
    rows = []
    for name, candidate in CANDIDATES.items():
        rates = _missed(nulls, _ORDINARY, name, _METRIC)
        power = [
            finding.rate(_METRIC, name, "rejected")
            for part, finding in powers.items()
            if part.design.title in rates
        ]
        shares = [100 * rate.share for rate in power if rate is not None]
        mean = f"{sum(shares) / len(shares):.1f}"
        remark = _REMARKS.get(name, "the procedure of boards")
        rows.append((candidate.title, _span(rates), mean, remark))
    yield grid(("Procedure", "false positives (%)", "power (%)", "Remark"), rows)


# What is simulated


def _simulated(found: Results) -> Iterator[str]:
    yield fill(
        """A prediction follows the label and has an error. The variance of an error has five
        shares: what a clip and what a video does to all systems, what both do to one system, and
        what a clip does to one run. A run as a whole has an error scale; its standard deviation
        makes the spread over seeds. In MMSA's logs the relative standard deviation of MAE over
        seeds is about .01 on MOSEI and .02 to .05 on MOSI, and up to .25 where runs collapse to a
        constant. Labels and videos are new in every comparison."""
    )
    yield grid(
        (
            "Design",
            "seeds",
            "videos",
            "clips",
            "sd of MAE over seeds, relative",
            "shares: clip, video, own video, run × clip",
            "besides",
        ),
        [_described(part.design, finding) for part, finding in found.of("null").items()],
    )


def _described(design: Design, finding: Finding) -> Sequence[str]:
    besides = {
        f"log sd of clips in a video {design.uneven:g}": design.uneven,
        f"{design.largest:.0%} of clips in one video": design.largest,
        "Student's t with 2.5 degrees of freedom": design.law == "t",
        f"{design.gross:.0%} of clips with six-fold errors": design.gross,
        f"a run is a constant with p = {design.collapse:g}": design.collapse,
        f"error scales of videos up to 1 : {design.contrast:g}": design.contrast > 1,
        "no seed changes A": design.deterministic,
    }
    shares = design.shared, design.video, design.own_video, design.noise
    spread = finding.numbers["spread"]
    return (
        design.title,
        " and ".join(map(str, design.seeds)),
        str(design.videos),
        f"{design.sizes.sum():,.0f}",
        f"{spread:.3f}" if max(design.seeds) > 1 else "",
        ", ".join(f"{share:g}" for share in shares),
        "; ".join(words for words, holds in besides.items() if holds),
    )
