"""Registries without registration: a noun is whatever its package's files define.

A ``Registry`` scans the modules of some packages for top-level objects of one type. Adding a
system, dataset, protocol or metric is adding a file; nothing is edited, nothing happens at import.
Plug-ins come from entry points, then from files of the user's own (``harness.own``), and are looked
up last. ``registry["tfn"]`` imports only ``tfn.py``; listing the names imports them all. A
``TomlRegistry`` does the same for a folder of TOML files.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import itertools
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from harness._util.extras import explained
from harness._util.own_files import Broken, OwnFiles, left_out, spoken
from harness._util.siblings import refuse_strangers
from harness.errors import SpecError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["Named", "Registry", "TomlRegistry", "suggest"]


class Named(Protocol):
    """Anything with a name unique in its registry."""

    @property
    def name(self) -> str:
        """The registered name."""


T = TypeVar("T", bound=Named)
_UPGRADE = "upgrade or uninstall the package that brings it; all others are read"
_LONGEST = 100  # characters of a name that is compared with known ones
F = TypeVar("F")


def suggest(name: str, known: Iterable[str], *, key: bool = False) -> str:
    """The end of a message about an unknown name: the nearest known ones, or nothing.

    Args:
        name: What was given.
        known: What there is.
        key: Whether it is a key of a table: then one guess, in quotes as it stands in the file.

    Example:
        >>> suggest("tfm", ["tfn", "mfm", "lmf"]), suggest("lrr", ["lr"], key=True)
        ('; did you mean tfn or mfm?', "; did you mean 'lr'?")
    """
    near = list(known) if len(name) <= _LONGEST else []
    close = difflib.get_close_matches(name, near, n=1 if key else 3)
    shown = [repr(guess) if key else guess for guess in close]
    return f"; did you mean {' or '.join(shown)}?" if shown else ""


class Registry(Mapping[str, T], Generic[T]):
    """A read-only mapping from name to object, in file order unless told otherwise.

    Args:
        noun: Singular, for messages ("system").
        kind: The type collected from the modules.
        packages: Dotted packages whose public modules are scanned.
        group: Entry-point group of plug-ins; its last part is what the user's folder of own files
            is called.
        order: Sort key; objects of one key stay in file order.
        hint: What to do about an unknown name; None: ask ``msa list``.
    """

    def __init__(
        self,
        noun: str,
        kind: type[T],
        *,
        packages: tuple[str, ...],
        group: str | None = None,
        order: Callable[[T], float] | None = None,
        hint: str | None = None,
    ) -> None:
        self.noun = noun
        self._order = order
        self._hint = hint or f"msa list {noun}s"
        self._kind = kind
        self._packages = packages
        self._group = group
        self._own = None if group is None else OwnFiles(group.rpartition(".")[2])
        self._broken_plugins: list[Broken] = []

    def __getitem__(self, name: str) -> T:
        file = self._file_of(name)
        if file is not None:
            return self._defined(file)[name]
        try:
            return self._all[name]
        except KeyError:
            raise self._unknown(name) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (self._file_of(name) is not None or name in self._all)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def module_of(self, name: str) -> str:
        """Dotted name of the module that defines ``name``.

        Raises:
            SpecError: For an unknown name.
        """
        file = self._file_of(name)
        if file is not None:
            return file.__name__
        item = self[name]
        for module in self._modules():
            if name in self._defined(module):
                return module.__name__
        plugged = (point.module for point, plugin in self._plugins if plugin.name == name)
        own = (m.__name__ for m in self._own_modules() if self._defined(m).get(name) is item)
        return next(itertools.chain(plugged, own))

    def broken(self, name: str) -> Broken | None:
        """The plug-in or own file that should define ``name`` and cannot be loaded, if any."""
        if self._own is None or name in self:
            return None
        every = (*self._broken_plugins, *self._own.broken)
        return next((one for one in every if name in one.names), None)

    @cached_property
    def _all(self) -> dict[str, T]:
        found: dict[str, T] = {}
        origin: dict[str, str] = {}
        for module in self._modules():
            for name, item in self._defined(module).items():
                if found.setdefault(name, item) is not item:
                    where = f"{origin[name]} and {module.__name__}"
                    raise SpecError(f"two {self.noun}s are called {name!r}: {where}")
                origin.setdefault(name, module.__name__)
        for point, item in self._plugins:
            if found.setdefault(item.name, item) is not item:
                self._refuse(point, self._taken(item.name, origin))
            origin.setdefault(item.name, point.value)
        self._add_own(found, origin)
        order = self._order
        if order is None:
            return found
        return dict(sorted(found.items(), key=lambda pair: order(pair[1])))

    def _add_own(self, found: dict[str, T], origin: dict[str, str]) -> None:
        """What the user's own files define; a name that is taken is refused."""
        if self._own is None:
            return
        for module in self._own.modules:
            for name, item in self._defined(module).items():
                if found.setdefault(name, item) is not item:
                    self._own.refuse(module, name, self._taken(name, origin))
                origin.setdefault(name, module.__name__)

    def _taken(self, name: str, origin: Mapping[str, str]) -> str:
        return f"{self.noun} {name!r} is there already, in {origin[name]}; rename it"

    def _file_of(self, name: str) -> ModuleType | None:
        """The module of ours that is called as the name begins, if it defines it."""
        stem = name.partition("@")[0]
        if not stem.isidentifier() or stem.startswith("_"):
            return None
        for package in self._homes:
            if importlib.util.find_spec(f"{package}.{stem}") is not None:
                module = importlib.import_module(f"{package}.{stem}")
                if name in self._defined(module):
                    return module
        return None

    @cached_property
    def _homes(self) -> tuple[str, ...]:
        """The packages that are scanned, which are ours or a plug-in's own."""
        refuse_strangers(self._packages)
        return self._packages

    def _own_modules(self) -> tuple[ModuleType, ...]:
        return () if self._own is None else self._own.modules

    def _modules(self) -> Iterator[ModuleType]:
        for package in self._homes:
            parent = importlib.import_module(package)
            for info in sorted(pkgutil.iter_modules(parent.__path__), key=lambda i: i.name):
                if not info.name.startswith("_") and info.name != "tests":
                    yield importlib.import_module(f"{package}.{info.name}")

    def _defined(self, module: ModuleType) -> dict[str, T]:
        return {v.name: v for v in vars(module).values() if isinstance(v, self._kind)}

    @cached_property
    def _plugins(self) -> tuple[tuple[importlib.metadata.EntryPoint, T], ...]:
        """Those that could be loaded; any other is left out with one warning."""
        return tuple(self._loaded(self._group)) if self._group else ()

    def _loaded(self, group: str) -> Iterator[tuple[importlib.metadata.EntryPoint, T]]:
        for point in importlib.metadata.entry_points(group=group):
            try:
                with explained():
                    item = point.load()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the boundary of a plug-in: any fault is a reason
                said = getattr(error, "hint", None)
                self._refuse(point, spoken(error), said or _UPGRADE)
                continue
            if isinstance(item, self._kind):
                yield point, item
            else:
                kind, found = self._kind.__name__, type(item).__name__
                self._refuse(point, f"it is no {kind} but a {found}")

    def _refuse(
        self, point: importlib.metadata.EntryPoint, reason: str, remedy: str = _UPGRADE
    ) -> None:
        place, names = f"{self.noun} plug-in {point.value}", frozenset({point.name})
        broken = Broken(place=place, reason=reason, names=names, remedy=remedy)
        self._broken_plugins.append(left_out(broken))

    def _unknown(self, name: str) -> SpecError:
        broken = self.broken(name)
        if broken is not None:
            message = f"{self.noun} {name!r} cannot be loaded: {broken}"
            return SpecError(message, hint=broken.remedy)
        return SpecError(f"unknown {self.noun} {name!r}{suggest(name, self._all)}", hint=self._hint)


class TomlRegistry(Mapping[str, F], Generic[F]):
    """Everything of a folder of TOML files by file name, in alphabetical order.

    The folder, and that of the user where there is one, are read when they are first asked for.

    Args:
        folder: Holds one TOML file per thing.
        noun: Singular, for messages ("prompt").
        load: File -> thing.
        hint: The command that lists them.
        own: Says where the user keeps further ones; the folder need not be there.

    Raises:
        SpecError: On access to a name that is not there, with the nearest names, or to a folder
            with a file that ``load`` refuses, or where the user's has a name that is taken.
    """

    def __init__(
        self,
        folder: Traversable,
        *,
        noun: str,
        load: Callable[[Traversable], F],
        hint: str,
        own: Callable[[], Path] | None = None,
    ) -> None:
        self._folder, self._noun, self._load, self._hint = folder, noun, load, hint
        self._own = own

    def __getitem__(self, name: str) -> F:
        try:
            return self._all[name]
        except KeyError:
            message = f"unknown {self._noun} {name!r}{suggest(name, self._all)}"
            raise SpecError(message, hint=self._hint) from None

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @cached_property
    def _all(self) -> dict[str, F]:
        files = {file.name: file for file in self._folder.iterdir()}
        place = None if self._own is None else self._own()
        if place is not None and place.is_dir():
            own = {file.name: file for file in place.iterdir() if file.name.endswith(".toml")}
            if taken := sorted(files.keys() & own.keys()):
                name = taken[0].removesuffix(".toml")
                raise SpecError(
                    f"{self._noun} {name!r} comes with the code, and {place} has one of that name",
                    hint="rename the file",
                )
            files |= own
        return {
            name.removesuffix(".toml"): self._load(files[name])
            for name in sorted(files)
            if name.endswith(".toml")
        }
