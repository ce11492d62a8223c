"""Suites asked for without a file: some systems on some corpora, a suite with something changed.

Each becomes a file of its own among the suites of the home, named by what it says but for its
seeds, so that it can be run again, compared and cited by that name. The suite that was changed
keeps its runs and its board.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness._util import canonical
from harness._util.atomic import write_atomic
from harness._util.registry import suggest
from harness._util.schema import located
from harness.data.trials import trial_name
from harness.errors import SpecError, StoreError
from harness.home import Home
from harness.runs.plan import parameters_of
from harness.spec import Entry, Scalar, Seeds, Suite, written
from harness.system import systems

__all__ = ["Changes", "changed", "keep", "parameter", "single", "suite_of"]

_OURS = "# Asked for as `msa run "
_DIGITS = 6  # of a name; what is asked for by hand is little


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is asked for beside what a suite says.

    Args:
        params: Hyper-parameter -> its value in every row whose system has it.
        epochs: Ceiling on epochs, of the protocol; None for the protocol's own.
        limit: Clips of each split; None for all of them.
    """

    params: Mapping[str, Scalar] = field(default_factory=dict)
    epochs: int | None = None
    limit: int | None = None

    def __bool__(self) -> bool:
        return bool(self.params) or self.epochs is not None or self.limit is not None

    @property
    def title(self) -> str:
        """The changes in words, nothing where nothing changes."""
        parts = [f"{name} = {value}" for name, value in self.params.items()]
        parts += [] if self.epochs is None else [f"at most {self.epochs} epochs"]
        parts += [] if self.limit is None else [f"trial on {self.limit} clips of each split"]
        return ", ".join(parts)


def parameter(text: str) -> tuple[str, Scalar]:
    """``name=value`` of a command line; the value as TOML reads it, else as text.

    Raises:
        SpecError: For anything else.

    Example:
        >>> parameter("hidden=64"), parameter("lr=1e-3"), parameter("quirk=published")
        (('hidden', 64), ('lr', 0.001), ('quirk', 'published'))
    """
    name, mark, value = text.partition("=")
    if not (mark and name.strip().isidentifier() and value.strip()):
        raise SpecError(f"--set takes NAME=VALUE, such as hidden=64; found {text!r}")
    try:
        read = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        read = value.strip()
    if not isinstance(read, bool | int | float | str):
        raise SpecError(f"--set takes a number, true, false or a word; found {text!r}")
    return name.strip(), read


def suite_of(
    names: str | Sequence[str],
    corpora: str | Sequence[str],
    *,
    seeds: Seeds = 5,
    params: Mapping[str, Scalar] | None = None,
    epochs: int | None = None,
    limit: int | None = None,
    home: Home | None = None,
) -> Suite:
    """The suite that ``msa run --system NAME --corpus NAME`` runs, kept among those of the home.

    Args:
        names: One system, or several to be compared.
        corpora: One corpus, or several.
        seeds: The first so many of the protocol's list, or which.
        params: Hyper-parameter -> its value in every row whose system has it.
        epochs: Ceiling on epochs; None for the protocol's.
        limit: Clips of each split, every video with its share, for a trial; None for all of them.
        home: Where it is kept; ``Home.default()`` when None.

    Raises:
        SpecError: For an unknown system or hyper-parameter, a value that it does not take, or a
            number of epochs or clips below one.
        StoreError: When it cannot be written.
    """
    base = single(_listed(names), _listed(corpora), seeds)
    changes = Changes(params=dict(params or {}), epochs=epochs, limit=limit)
    suite = changed(base, changes)
    keep(suite, home or Home.default())
    return suite


def _listed(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def single(names: Sequence[str], corpora: Sequence[str], seeds: Seeds) -> Suite:
    """The suite of some systems on some corpora, as their presets are.

    Args:
        names: Systems.
        corpora: Corpora.
        seeds: A count or a list.

    Raises:
        SpecError: For an unknown system, or one without a corpus.
    """
    if not (names and corpora):
        raise SpecError(
            "without a suite, --system and --corpus say what is run",
            hint="msa run --system tfn --corpus mosi@unaligned-50, or msa run SUITE",
        )
    for name in names:
        systems[name]  # or fail before anything is written
    return Suite(
        name=f"{names[0]}_on_{corpora[0]}",
        title=f"{', '.join(names)} on {', '.join(corpora)}",
        corpora=tuple(dict.fromkeys(corpora)),
        protocol="in_domain",
        seeds=seeds,
        entries=tuple(Entry(system=name, label=name) for name in dict.fromkeys(names)),
        where="the command line",
    )


def changed(suite: Suite, changes: Changes) -> Suite:
    """A suite of its own name with changes made in it.

    Args:
        suite: What is changed.
        changes: What changes; nothing gives a suite of its own name all the same.

    Raises:
        SpecError: For a hyper-parameter that no row has, a value that it does not take, an epoch
            count or limit below one, or a corpus that has no trials.
    """
    if changes.epochs is not None and changes.epochs < 1:
        raise SpecError(f"--epochs takes a number of epochs, at least 1; found {changes.epochs}")
    suite = _with_params(suite, changes.params)
    if changes.epochs is not None:
        protocol = {**suite.protocol_changes, "max_epochs": changes.epochs}
        suite = dataclasses.replace(suite, protocol_changes=protocol)
    if changes.limit is not None:
        suite = _limited(suite, changes.limit)
    if changes:
        suite = dataclasses.replace(suite, title=f"{suite.title}: {changes.title}")
    digest = canonical.digest(written(dataclasses.replace(suite, seeds=1, corpus_seeds={})))
    name = f"{suite.name}_{digest[:_DIGITS]}"
    return dataclasses.replace(suite, name=name, where=f"{name}.toml", folder=suite.folder)


def _with_params(suite: Suite, params: Mapping[str, Scalar]) -> Suite:
    given = {name: _in_full(name, value) for name, value in params.items()}
    used: set[str] = set()
    entries = []
    for entry in suite.entries:
        names = parameters_of(entry) if entry.system in systems else frozenset()
        own = {name: value for name, value in given.items() if name in names}
        used |= own.keys()
        with located(f"row {entry.label!r}"):
            _check(entry, own)
        entries.append(dataclasses.replace(entry, params={**entry.params, **own}))
    unused = [name for name in given if name not in used]
    if unused and not suite.queries:
        known = {name for e in suite.entries if e.system in systems for name in parameters_of(e)}
        raise SpecError(
            f"no row's system has the hyper-parameter {unused[0]!r}{suggest(unused[0], known)}",
            hint=f"msa card {suite.entries[0].system} lists those of a system",
        )
    defaults = {**suite.defaults, **given} if suite.queries and given else suite.defaults
    return dataclasses.replace(suite, entries=tuple(entries), defaults=defaults)


def _check(entry: Entry, own: Mapping[str, Scalar]) -> None:
    """Refuse a value now that the hyper-parameter would refuse when it is planned."""
    if own:
        systems[entry.system].params(**{**entry.params, **own})


def _in_full(name: str, value: Scalar) -> Scalar:
    """An encoder's folder from the root: the file that names it lies elsewhere."""
    folder = Path(str(value)).expanduser() if name == "encoder" else None
    return str(folder.resolve()) if folder is not None and folder.is_dir() else value


def _limited(suite: Suite, limit: int) -> Suite:
    names = {name: trial_name(name, limit) for name in suite.corpora}

    def of(corpora: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if corpora is None else tuple(names[name] for name in corpora)

    return dataclasses.replace(
        suite,
        corpora=tuple(names.values()),
        corpus_seeds={names[name]: seeds for name, seeds in suite.corpus_seeds.items()},
        entries=tuple(dataclasses.replace(e, corpora=of(e.corpora)) for e in suite.entries),
        queries=tuple(dataclasses.replace(q, corpora=of(q.corpora)) for q in suite.queries),
    )


def keep(suite: Suite, home: Home) -> Path:
    """Write a suite among those of the home; what says the same but for seeds is replaced.

    Raises:
        SpecError: For a number that no file can hold, or another's file of that name.
        StoreError: When the file cannot be written.
    """
    place = home.suites / f"{suite.name}.toml"
    text = written(suite, f"{_OURS.removeprefix('# ')}…`: msa run {suite.name} goes on with it.")
    try:
        if place.is_file() and not place.read_text("utf-8").startswith(_OURS):
            raise SpecError(f"suite {place.name} is there and says something else")
        write_atomic(place, text)
    except OSError as error:
        raise StoreError(f"suite {place.name} cannot be written: {error}") from error
    return place
