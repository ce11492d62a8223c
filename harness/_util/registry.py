"""Registries without registration: a noun is whatever its package's files define.

A ``Registry`` scans the modules of some packages for top-level objects of one type. Adding a
system, dataset, protocol or metric is adding a file; nothing is edited, nothing happens at import.
Plug-ins come from entry points and are looked up last. ``registry["tfn"]`` imports only ``tfn.py``;
listing the names imports them all. A ``TomlRegistry`` does the same for a folder of TOML files.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from harness._util.extras import explained
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
        group: Entry-point group of plug-ins.
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

    def __getitem__(self, name: str) -> T:
        own = self._own_file(name)
        if own is not None:
            return self._defined(own)[name]
        try:
            return self._all[name]
        except KeyError:
            raise SpecError(self._unknown(name), hint=self._hint) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (self._own_file(name) is not None or name in self._all)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def module_of(self, name: str) -> str:
        """Dotted name of the module that defines ``name``.

        Raises:
            SpecError: For an unknown name.
        """
        own = self._own_file(name)
        if own is not None:
            return own.__name__
        self[name]
        for module in self._modules():
            if name in self._defined(module):
                return module.__name__
        return next(point.module for point, item in self._plugins() if item.name == name)

    @cached_property
    def _all(self) -> dict[str, T]:
        found: dict[str, T] = {}
        origin: dict[str, str] = {}
        sources = [(m.__name__, self._defined(m)) for m in self._modules()]
        sources += [(point.value, {item.name: item}) for point, item in self._plugins()]
        for where, objects in sources:
            for name, item in objects.items():
                if name in found and found[name] is not item:
                    message = f"two {self.noun}s are called {name!r}: {origin[name]} and {where}"
                    raise SpecError(message)
                found.setdefault(name, item)
                origin.setdefault(name, where)
        order = self._order
        if order is None:
            return found
        return dict(sorted(found.items(), key=lambda pair: order(pair[1])))

    def _own_file(self, name: str) -> ModuleType | None:
        stem = name.partition("@")[0]
        if not stem.isidentifier() or stem.startswith("_"):
            return None
        for package in self._packages:
            if importlib.util.find_spec(f"{package}.{stem}") is not None:
                module = importlib.import_module(f"{package}.{stem}")
                if name in self._defined(module):
                    return module
        return None

    def _modules(self) -> Iterator[ModuleType]:
        for package in self._packages:
            parent = importlib.import_module(package)
            for info in sorted(pkgutil.iter_modules(parent.__path__), key=lambda i: i.name):
                if not info.name.startswith("_") and info.name != "tests":
                    yield importlib.import_module(f"{package}.{info.name}")

    def _defined(self, module: ModuleType) -> dict[str, T]:
        return {v.name: v for v in vars(module).values() if isinstance(v, self._kind)}

    def _plugins(self) -> Iterator[tuple[importlib.metadata.EntryPoint, T]]:
        for point in importlib.metadata.entry_points(group=self._group) if self._group else ():
            try:
                with explained():
                    item = point.load()
            except (ImportError, AttributeError) as error:
                raise SpecError(
                    f"{self.noun} plug-in {point.value} cannot be loaded: {error}",
                    hint="upgrade or uninstall the package that brings it",
                ) from error
            if not isinstance(item, self._kind):
                kind, found = self._kind.__name__, type(item).__name__
                raise SpecError(f"{self.noun} plug-in {point.value} is no {kind} but a {found}")
            yield point, item

    def _unknown(self, name: str) -> str:
        return f"unknown {self.noun} {name!r}{suggest(name, self._all)}"


class TomlRegistry(Mapping[str, F], Generic[F]):
    """Everything of a folder of TOML files by file name, in alphabetical order.

    The folder is read when it is first asked for.

    Args:
        folder: Holds one TOML file per thing.
        noun: Singular, for messages ("prompt").
        load: File -> thing.
        hint: The command that lists them.

    Raises:
        SpecError: On access to a name that is not there, with the nearest names, or to a folder
            with a file that ``load`` refuses.
    """

    def __init__(
        self, folder: Traversable, *, noun: str, load: Callable[[Traversable], F], hint: str
    ) -> None:
        self._folder, self._noun, self._load, self._hint = folder, noun, load, hint

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
        own = sorted(self._folder.iterdir(), key=lambda file: file.name)
        return {
            file.name.removesuffix(".toml"): self._load(file)
            for file in own
            if file.name.endswith(".toml")
        }
