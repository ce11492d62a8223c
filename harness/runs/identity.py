"""What of the source can change a run's numbers, as one fingerprint.

A run's key contains the code that computes it and nothing beside: the system's own module and what
it imports, and of the harness the parts that the run uses. Files, errors, registries, stores and
display are left out by name (``INERT``); corruption, objectives and training enter only where a run
has them (``roots``). Formatting, prose, the words of errors and of log lines, a system's card, and
the place where code lies change no number and no key.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness._util import canonical
from harness.spec import Protocol, Scalar

__all__ = ["code_fingerprint", "code_of", "numerics", "roots", "source_files"]

_OWN = "harness.own."  # files of the user's own, in another place than the package
_FIRST_PARTY = frozenset({"harness", "baselines", "text_model", "mllm_eval"})

INERT = (
    "harness.errors",
    "harness.home",
    "harness._util",  # but for seeds
    "harness.spec",  # values, which enter the key as such; but for conditions
    "harness.data.datasets",  # likewise: label range, metric family, language
    "harness.data.identifiers",
    "harness.data.media",
    "harness.data.readers",
    "harness.data.residency",  # where clips lie, not what they are
    "harness.data.store",  # the content of a corpus enters as its fingerprint
    "harness.data.transfer",
    "harness.data.twins",
    "harness.runs",
    "harness.text.synthetic",  # weights enter as their digest
    "harness.text.weights",  # refuses some, changes none
    "harness.training.checkpoint",  # an interrupted run ends in the bits of one that was not
)
"""Packages and modules that move data or words about and compute nothing of a prediction."""

_ACTIVE = ("harness._util.seeds", "harness.spec.conditions", "harness.spec.laws")
"""What of the inert packages does compute."""

_OPTIONAL = (
    *("harness.corruption", "harness.training.objectives", "harness.training.selection"),
    *("harness.spec.conditions", "harness.spec.laws"),
)
"""What a run depends on only when ``roots`` names it."""

_RELEASED = "released"
"""What the module of a system is called that reads released weights: of no account to a run that is
trained, so that a layout can be added to a system without running it again."""

_REGISTRIES = frozenset(
    {"harness.training.objectives", "harness.system.objectives", "harness.spec.laws"}
)
"""Packages that list what is looked up by name: a run depends on what it found there."""

_DISPLAY = frozenset({"Card", "param"})
"""Calls whose arguments are shown or, as resolved hyper-parameters, are in the key themselves."""

_SAME = {
    # Vectors and tokens are read from sealed files; weights that are not whole, and configurations
    # that ask for far more, are refused; a model of the hub may be named with its revision; what
    # cannot be fetched is an error of its own.
    "831889f742d6c1bc": "5c3fd44be1b84076788e1a70acde061f93feecd9dea51caa2d406157aeffa796",
    # What is fitted hands its network on, a network is built in two steps, and a system may say how
    # weights are read that its authors released. Stages may have hyper-parameters and a first
    # selectable epoch of their own, patience waits for a warm-up that says so, networks may see
    # what an incomplete step leaves over and choose the order of evaluation, and a run says how it
    # ended: no system that does without computes anything else. A parameter may say what a search
    # may try, or that it counts the epochs of a stage. What an epoch is chosen by may be another's
    # rule: that code counts where a run has rules. Who listens is told of each epoch. Freed memory
    # is kept for the next step.
    "675292f0da8b649b": "61b4500d2580404c40912b09dabaaa5f53a3384b1215e0e30683b36b22fd1cef",
    "a8b9a2d1f9bfea44": "37282a03cbb351dd6f6a5d0ae61076f209c9367c05660b03dfeaf931e3865c45",
    "3f01e03941c23cd2": "77f538e799f01fa98cf9d3729004ea23292ba9d4d07d7e86dfec9196b7056f7c",
    "f3eb7f033f42bb3b": "eeb6e461b2b46bca5faca79c86b9f65b90db333894d55f2340ec6d14f2b0c082",
    "da9f9334c6f577c7": "bea58e7b223a76a235a47c77b6151de2b1b864f0c9805a11aac92304b9931cce",
    "07bb072f44ad28e4": "08e7d39060478c46589c0ccaa9991c392bbde4f22fa130e7b68c37157d50c28a",
    "3d328f80f4140034": "ad1c286fbb84493630f8316e766aa5923b428c2777c88e5e685e5d8d73a67221",
    # The start of BERT's layers has a name that others may use.
    "ff87d8673242f300": "aa71a15f84ff0b6139ce5e6c595baeda0fedc64e2a623b5923c27f725d8d680a",
    # A law may draw for a whole batch, which validation clips are refused; the encoder of a stream
    # may be told its dropout; a card's sentences lie beside it.
    "a68dcc454eb8cefe": "8b2a0f6308639c4709b14be5bf1ecb66cbf9d1d83ecb31436c35d9ccf60fdc29",
    "86ff7be2faaeb869": "4d0bc9dd3e5a6a274ca94f129726960ebe3daa7bce4c65e84b17a3b4f6bdead4",
    "194d3b7940bd9f05": "61f97800338423a3b292b4d74507a2ba7dfaabb9487b69df4206f73fa417da0c",
    "47dd92ef2260642c": "9fd40e24821e906bb3703921e9e59d35303761d82779889f5d309067fc1cb6c4",
    # Invariant experts judge in steps that another system may take apart.
    "0198e165de1f2ae8": "f027749b2514d988301a9255edd155dc2fb7b17390c389f0fe349488199be554",
    # The longest stage of ConFEDE has a name.
    "295dac7847200e05": "32ff9a20ac24ef0f42627c7b9fc30289502c84927740e0f0f9518ed06600969c",
    # What a cap on epochs does to TEXT is said in other words.
    "eaf7209f7373e592": "153f6f22c47b494b91ae423a5cacc51e74af6b7a4daca054d588516449f3be21",
    # The encoder of a stream may be told what attends and what drops.
    "d51f198604dacc9b": "3c8922a768463c36cc4558d9cf6bb2abf11924f0dafd6a8de21cdcbd9ee435b8",
    # Batches are gathered where their clips lie, lengths are known on the host, too, and packing,
    # encoders and sums of losses ask no device for anything.
    "e317bf2bf9d488dd": "d46f217f50db391a9a96392177164e4602e0419f9de08c4f8dc2cf190320a6d4",
    "67e1b98622165382": "379a143c09fe62ed34b0deb680c21b4fc3e817a149f12b90d609d3c2c15b6862",
    "57edefc756109d15": "90b935a9ca6b7fe06de234f233da0d453711812f995e3984ec263e01f310e902",
    "7c01d2e3e97a8e6d": "eb2cf2322671ee9b9b0590083a0ed750b4892a67b0fb24c2ece89679e5c02fb5",
    "bdfa9b4a2131b611": "e7f223901ff97d5466f8cc0d0bca07124aa7c8111a1d0f3e6dc7eec430ecf1e0",
    "dfa53cd58348c601": "4755d1228bfc4c399a4fb3ea1b61527102e1d34129040fa903e5e09b41a1245a",
    "23de6cf31a0d4ab8": "54771b5cf6c509a29da2ddbe5aac201f89d475a0641026fa56fca02e14b3780a",
    "e15e1cbf079c79d3": "c1ad06c7012b855b449cb7e3abfe9fe4332fb81ae4715c39b08cc1a10998e931",
    "b03de799183d74fd": "ad1f9152425daa174f9aa43a2a89c0670da027762c7096f3175601528f360144",
    "9b16e6df4b2643d5": "a2ac745487a172cb852b6efc6db04cdd98c1775e0a4afa3a38449add1967fc5b",
    "75b414339579346f": "786344fa0a80fa25215ea1db676b004d290f8d01ce4c31e3e2495011ec82dbfb",
    "7ae4a2ab8c776a42": "d8138249dd7c83e3d6bdb1b9b55b32e68435d3c21c69264cc6fe05ccd3ffbc1f",
    "a21c5e24dd78aff6": "4ce1a316d16ce7abb6d157b8d4d19c7f5c4b4f5af0d47a61e07f073755263f0e",
    "3a71288dd0f56351": "b108b4aea4f0f92d3f9cf22a6c4c8cdfa7ec4eed3fb8056bbbf7d0bce60d3487",
    "d4248e550064de4a": "3f187a8c0a85a692eab2d21e4fe3906a39efbbb9b4e18a5a6850090cdbd4d310",
    "903fc332ccb9ea87": "0b406b4905f4c20dfefb0c14647b1200b88f3c775f681c25e89f2f3ee294869b",
    "b6ca87957435afa5": "b75af9a03e683231804772d09936f7f59e9ec2595f650bebf93218ce330312c1",
    "2dcf854ba6c0ce33": "55b0705e65139d126fc779fbbe80562a7b994cfa9917c9da822e2080f33a72fe",
    "3f10005ecc854138": "88107bf78a334349ceb206f324327d12fe577db65f36ce2489fceb6bf27b4b2e",
    # A server that nobody named, has other models or does not answer is something not here.
    "0778dbc62e38d615": "96055f9873b728f12f99529d527ed88591837eb570d8f49b9ebafe3df42883c2",
    "e21d9d7e6519f621": "3b04d0fba7f30ed80b707a39b3b7edd08a392a7866ab09e6d7ea7b5d9b3c198f",
    "58064246a6c268c4": "9cbf64665a7772ea19db608add8dcedabdb644856d451ae6a45d8b39a0878ecb",
}
"""Digest of a module (16 digits) -> of an earlier one that computes the same numbers.

What was rewritten without a change of any number keeps the mark it had, so that no run is asked for
again. An entry holds for exactly the code that it was checked for: any later change ends it.
"""

_LOGS = frozenset({"log", "logger", "logging", "warnings"})


def code_of(
    system: str, params: Mapping[str, Scalar], protocol: Protocol, *, released: bool = False
) -> str:
    """The fingerprint of the code that computes a run.

    Args:
        system: Registered name of the system.
        params: Its resolved hyper-parameters, as a run specification has them.
        protocol: As the run has it.
        released: Whether released weights are evaluated instead of trained ones.

    Raises:
        SpecError: For a system that is not here.
    """
    return code_fingerprint(*roots(system, params, protocol, released=released))


def roots(
    system: str, params: Mapping[str, Scalar], protocol: Protocol, *, released: bool = False
) -> tuple[str, ...]:
    """The modules that a run's numbers begin from; see ``code_of``."""
    from harness.metrics import metrics
    from harness.spec.laws import laws
    from harness.system import systems
    from harness.system.objectives import objectives

    found = [systems.module_of(system)]
    if systems[system].build is not None:
        found += ["harness.training.fit", "harness.training.precision"]
        found += [metrics.module_of(protocol.selection_metric)]
        objective = str(params.get("objective", "erm"))
        if objectives[objective].term is not None:
            found += ["harness.training.objectives.generalising", objectives.module_of(objective)]
    if released and (reader := systems[system].released) is not None:
        found += ["harness.training.released", reader.__module__]
    if protocol.rules:
        watched = sorted({rule.monitor for rule in protocol.rules} & set(metrics))
        found += ["harness.training.selection", *map(metrics.module_of, watched)]
    corrupted = {protocol.training_corruption, protocol.selection_corruption} - {"none"}
    found += [laws.module_of(law) for law in sorted(corrupted) if law in laws]
    if corrupted or protocol.corruption != "none":
        found += ["harness.corruption.evaluate_grid", "harness.spec.conditions"]
    return tuple(found)


def code_fingerprint(*modules: str) -> str:
    """Digest of the source that decides what runs beginning from these modules compute.

    Args:
        modules: From ``roots``.

    Returns:
        16 hexadecimal digits.
    """
    covered = numerics(*modules)
    return canonical.digest(sorted(_mark(name, covered) for name in covered))[:16]


@functools.cache
def numerics(*modules: str) -> frozenset[str]:
    """The modules that a fingerprint covers, by dotted name.

    Raises:
        ModuleNotFoundError: For a module that is not there.
    """
    allowed = {top for name in modules if (top := _switch(name))}
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [target for target in _targets(name) if _computes(target, allowed)]
    return frozenset(seen)


def source_files(*modules: str) -> list[Path]:
    """The files of the modules that ``numerics`` names.

    Raises:
        ModuleNotFoundError: As ``numerics``.
    """
    found = (_file(name) for name in sorted(numerics(*modules)))
    return [file for file in found if file is not None]


def _computes(module: str, allowed: set[str]) -> bool:
    if module in _REGISTRIES:
        return False
    switch = _switch(module)
    if switch:
        return switch in allowed
    return _is_in(module, _ACTIVE) or not _is_in(module, INERT)


def _switch(module: str) -> str:
    if module.rpartition(".")[2] == _RELEASED:
        return module
    return next((prefix for prefix in _OPTIONAL if _is_in(module, (prefix,))), "")


def _is_in(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{prefix}.") for prefix in prefixes)


# Imports


@functools.cache
def _targets(module: str) -> tuple[str, ...]:
    """Modules of this project, or of the module's own package, that it takes something from."""
    return tuple(
        dict.fromkeys(
            target
            for node in _running(_tree(module))
            for target, _ in _imported(node, module)
            if target is not None
        )
    )


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, without what stands under ``if TYPE_CHECKING``."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for statement in child.orelse:
                yield from _running(statement)
        else:
            yield from _running(child)


def _imported(node: ast.AST, module: str) -> Iterator[tuple[str | None, str]]:
    """What an import takes: the module of ours that defines it (None: foreign), and the names."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.name if _is_ours(alias.name, module) else None), f"as {alias.asname}"
    elif isinstance(node, ast.ImportFrom):
        source = _absolute(node, module)
        for alias in node.names:
            known = _takes_ours(source, alias.name, module)
            yield (
                _definer(source, alias.name) if known else None,
                f"{alias.name} as {alias.asname}",
            )


def _takes_ours(source: str, name: str, module: str) -> bool:
    """Whether ``name`` of ``source`` is ours; a folder of the user's files is no module itself."""
    return _is_ours(source, module) or _is_ours(f"{source}.{name}", module)


def _is_ours(name: str, module: str) -> bool:
    ours = _FIRST_PARTY | {_top(module)}
    return _top(name) in ours and _file(name) is not None


def _definer(package: str, name: str) -> str:
    """The module that defines ``package.name``, through what a package hands on."""
    part = f"{package}.{name}"
    if _file(part) is not None:
        return part
    file = _file(package)
    if file is not None and file.name == "__init__.py":
        for node in ast.walk(_tree(package)):
            if isinstance(node, ast.ImportFrom) and name in _bound(node):
                source = _absolute(node, package)
                return _definer(source, name) if _is_ours(source, package) else package
    return package


def _bound(node: ast.ImportFrom) -> set[str]:
    return {alias.asname or alias.name for alias in node.names}


def _absolute(node: ast.ImportFrom, module: str) -> str:
    file = _file(module)
    is_package = file is not None and file.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    return importlib.util.resolve_name("." * node.level + (node.module or ""), package)


def _top(module: str) -> str:
    return module.partition(".")[0]


@functools.cache
def _file(module: str) -> Path | None:
    """The source file of a module, None for what is none; nothing of a package is imported."""
    top, *parts = module.split(".")
    if module.startswith(_OWN):
        top, parts = _OWN.rstrip("."), parts[1:]
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    if spec.submodule_search_locations is None:
        return None if parts else Path(spec.origin)
    for folder in spec.submodule_search_locations:
        place = Path(folder, *parts)
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file
    return None


@functools.cache
def _tree(module: str) -> ast.Module:
    file = _file(module)
    if file is None:
        raise ModuleNotFoundError(module)
    return ast.parse(file.read_text("utf-8"))


# Marks


@functools.cache
def _mark(module: str, covered: frozenset[str]) -> str:
    """Digest of a module: its own code, and for each import the code that is imported.

    Where that code lies is left out, so that moving a module re-keys nothing; which code it is
    remains, so that taking a function from elsewhere does.
    """
    imports = sorted(
        f"{name} {_own(target)}"
        for node in _running(_tree(module))
        for target, name in _imported(node, module)
        if target in covered
    )
    return canonical.digest([_own(module), *imports])


@functools.cache
def _own(module: str) -> str:
    found = canonical.digest(_Text(module).of(_tree(module)))
    return _SAME.get(found[:16], found)


class _Text:
    """A syntax tree as text; `ast.unparse` and `ast.dump` differ between versions of Python."""

    def __init__(self, module: str) -> None:
        self._module = module

    def of(self, node: object) -> str:
        """The part of a tree below ``node``, without what changes no number."""
        if isinstance(node, ast.Raise):
            return f"Raise({self.of(_raised(node.exc))})"
        if isinstance(node, ast.Assert):
            return f"Assert({self.of(node.test)})"
        if isinstance(node, ast.Call) and _called(node) in _DISPLAY:
            return f"{_called(node)}()"
        if isinstance(node, ast.AST):
            fields = ((n, v) for n, v in ast.iter_fields(node) if v not in (None, []))
            inside = ",".join(f"{name}={self.of(value)}" for name, value in fields)
            return f"{type(node).__name__}({inside})"
        if isinstance(node, list):
            return f"[{','.join(self.of(item) for item in node if not self._is_silent(item))}]"
        return repr(node)

    def _is_silent(self, node: object) -> bool:
        """Docstrings, log lines, ``__all__``, and imports of ours, which ``_mark`` covers."""
        if isinstance(node, ast.Expr):
            logs = isinstance(node.value, ast.Call) and _owner(node.value) in _LOGS
            return isinstance(node.value, ast.Constant) or logs
        if isinstance(node, ast.Assign):
            return [ast.dump(t) for t in node.targets] == [ast.dump(_ALL)]
        if isinstance(node, ast.ImportFrom):
            source = _absolute(node, self._module)
            return all(_takes_ours(source, alias.name, self._module) for alias in node.names)
        return False


_ALL = ast.Name(id="__all__", ctx=ast.Store())


def _raised(exception: ast.expr | None) -> ast.expr | None:
    """The class of an exception, without what it says."""
    return exception.func if isinstance(exception, ast.Call) else exception


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _owner(call: ast.Call) -> str:
    """``x`` of ``x.method(...)``."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=name)):
            return name
    return ""
