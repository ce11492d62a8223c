"""Values that a shell completes: one table from what a parameter is to where its names are.

A shell asks at every press of a key, so names are read off folders and source files: nothing of
what they name is imported, and whatever cannot be read has no names.
"""

from __future__ import annotations

import importlib.util
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer
from typer.main import get_command

from harness import own
from harness.cli._home import home_of
from harness.home import Home

__all__ = ["completing", "run_keys", "systems_named"]

Names = Callable[[typer.Context, str], Iterable[str]]
"""(context, what is typed so far) -> names."""

_STATED: Final = r"\(\s*(?:\w+,\s*)?name=\"([^\"]+)\""
_PARAMETER: Final = re.compile(r"^    (\w+): [\w |.\[\]]+ = param\(", re.MULTILINE)
_OF_SYSTEMS: Final = ("baselines", "text_model", "mllm_eval")
_KEY_DIGITS = 12  # of a run's key: enough to tell it, few enough to read


def completing(app: typer.Typer) -> Callable[..., object]:
    """The command line, with values completed."""
    command = get_command(app)
    _equip(command)
    return command


def _equip(command: Any) -> None:  # noqa: ANN401 - Typer brings Click or has one inside
    for part in getattr(command, "commands", {}).values():
        _equip(part)
    for parameter in command.params:
        names = _names_of(command.name, parameter)
        if names is not None:
            # Where Click keeps the function that it is made with.
            parameter._custom_shell_complete = _answering(names)


def _answering(names: Names) -> Callable[[typer.Context, object, str], list[str]]:
    def answer(context: typer.Context, _: object, typed: str) -> list[str]:
        before, comma, last = typed.rpartition(",")
        found = dict.fromkeys(names(context, last))
        return [f"{before}{comma}{name}" for name in found if name.startswith(last)]

    return answer


def _names_of(command: str, parameter: Any) -> Names | None:  # noqa: ANN401 - as above
    """Where its names are: by what it is called on this command, by its option, by its metavar."""
    called = f"{command} {parameter.name}"
    for key in (called, *parameter.opts, str(parameter.metavar)):
        if key in _WHERE:
            return _WHERE[key]
    return None


def _home(context: typer.Context) -> Home:
    given = context.find_root().params.get("home")
    return home_of(context) if given is None else Home(Path(given).absolute())


def _fixed(*words: str) -> Names:
    return lambda context, typed: words


# Names in folders


def _suites(context: typer.Context, typed: str) -> Iterable[str]:
    return _home(context).suite_files()


def _planned(context: typer.Context, typed: str) -> list[str]:
    """Suites that were run here."""
    return _stems(_home(context).store / "plans", "*.json")


def _corpora(context: typer.Context, typed: str) -> list[str]:
    return _stems(_home(context).corpora, "[!.]*@*", whole=True)


def _corpora_and_twins(context: typer.Context, typed: str) -> list[str]:
    twins = (f"{name}-twin@compact{size}" for name in _datasets() for size in ("", "-x25"))
    return sorted({*_corpora(context, typed), *twins})


def _stems(folder: Path, pattern: str, *, whole: bool = False) -> list[str]:
    return sorted(path.name if whole else path.stem for path in folder.glob(pattern))


def run_keys(home: Home, begin: str = "") -> list[str]:
    """The first digits of stored runs' keys.

    Args:
        home: Where they are.
        begin: What they begin with.
    """
    runs = home.store / "runs"
    folders = runs.glob(f"{begin[:2]}*" if len(begin) < 2 else begin[:2])
    keys = (run.name[:_KEY_DIGITS] for folder in folders for run in folder.glob(f"{begin}*"))
    return sorted(keys)


def _runs(context: typer.Context, typed: str) -> list[str]:
    return run_keys(_home(context), typed) if re.fullmatch("[0-9a-f]*", typed) else []


def _tables(context: typer.Context, typed: str) -> list[str]:
    """Files whose rows are published numbers, each with its source first."""
    files = sorted(_package("leaderboards.literature").glob("*.csv"))
    return [file.stem for file in files if _text(file).startswith("source,")]


def _models(context: typer.Context, typed: str) -> list[str]:
    own_cards = _stems(_home(context).models, "*.toml")
    return [*_stems(_package("mllm_eval.model") / "cards", "*.toml"), *own_cards]


def _prompts(context: typer.Context, typed: str) -> list[str]:
    own_prompts = _stems(_home(context).prompts, "*.toml")
    return [*_stems(_package("mllm_eval.prompt") / "prompts", "*.toml"), *own_prompts]


def _rows(context: typer.Context, typed: str) -> list[str]:
    """Rows of the suites that are named in the line, as their files have them.

    What stands before an option without its value is not parsed, hence the line itself.
    """
    line = os.environ.get("COMP_WORDS", os.environ.get("_TYPER_COMPLETE_ARGS", ""))
    files = _home(context).suite_files()
    texts = (_text(files[word]) for word in line.split() if word in files)
    return [str(row) for text in texts for row in _rows_in(text)]


def _rows_in(text: str) -> list[object]:
    try:
        return [row.get("label", row["name"]) for row in tomllib.loads(text)["systems"]]
    except (ValueError, LookupError, AttributeError, TypeError):  # not a suite, or not yet
        return []


def _rows_and_corpora(context: typer.Context, typed: str) -> list[str]:
    return [*_rows(context, typed), *_corpora(context, typed)]


# Names in source files


def _package(name: str) -> Path:
    """The folder of a package, which is not imported."""
    top, _, rest = name.partition(".")
    spec = importlib.util.find_spec(top)
    assert spec is not None  # it comes with this one
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*rest.split(".")) if rest else Path(spec.origin).parent


def _sources(kind: str, *packages: str) -> Iterator[str]:
    """The text of the files of packages, and of the user's own of a kind."""
    for folder in (*map(_package, packages), own.folder() / kind):
        for file in sorted((*folder.glob("*.py"), *folder.glob("*/*.py"))):
            if file.parent.name != "tests":
                yield _text(file)


def _written(call: str, kind: str, *packages: str) -> list[str]:
    """The names that files state in a call, also in those of the user's own.

    ``_system(name=…)`` makes several much alike.
    """
    stated = re.compile(rf"\b(?:{call}|_{call.lower()}|replace){_STATED}")
    texts = (text for text in _sources(kind, *packages) if f"{call}(" in text)
    return [name for text in texts for name in stated.findall(text)]


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def systems_named() -> list[str]:
    """Names of systems, as their files state them; not those of installed plug-ins."""
    return _written("System", "systems", *_OF_SYSTEMS)


def _parameters(context: typer.Context, typed: str) -> list[str]:
    """``name=`` of hyper-parameters: of training, and of the files of the systems named before."""
    given = context.params.get("system") or context.params.get("name") or ()
    named = {f'"{name}"' for name in ([given] if isinstance(given, str) else given)}
    own_files = (t for t in _sources("systems", *_OF_SYSTEMS) if any(n in t for n in named))
    texts = (_text(_package("harness.system") / "params.py"), *own_files)
    return sorted({f"{name}=" for text in texts for name in _PARAMETER.findall(text)})


def _datasets(context: typer.Context | None = None, typed: str = "") -> list[str]:
    return _written("Dataset", "datasets", "harness.data.datasets")


def _metrics(context: typer.Context, typed: str) -> list[str]:
    return _written("Metric", "metrics", "harness.metrics")


def _systems(context: typer.Context, typed: str) -> list[str]:
    return systems_named()


def _systems_and_models(context: typer.Context, typed: str) -> list[str]:
    return [*systems_named(), *_models(context, typed)]


def _of_kind(context: typer.Context, typed: str) -> Iterable[str]:
    """What ``msa check KIND`` takes."""
    kinds: Mapping[str, Names] = {"system": _systems, "dataset": _datasets, "metric": _metrics}
    names = kinds.get(str(context.params.get("kind")))
    return () if names is None else names(context, typed)


_NOUNS = (
    *("systems", "datasets", "corpora", "protocols", "metrics", "slicings"),
    *("mllms", "prompts", "suites", "tables"),
)
_WHERE: Mapping[str, Names] = {
    "SUITE": _suites,
    "--suite": _planned,
    "board suite": _planned,
    "publish suite": _planned,
    "clips suite": _planned,
    "paper suite": _planned,
    "status suite": _planned,
    "--other": _planned,
    "CORPUS": _corpora,
    "--corpus": _corpora_and_twins,
    "CORPUS|FILE|FOLDER": _corpora,
    "RUN": _runs,
    "RUN|FOLDER|FILE.pth": _runs,
    "reproduce table": _tables,
    "SYSTEM|MODEL": _systems_and_models,
    "--system": _systems,
    "--systems": _systems,
    "--dataset": _datasets,
    "--metric": _metrics,
    "--slices": _metrics,
    "--row": _rows,
    "--between": _rows,
    "--only": _rows_and_corpora,
    "--set": _parameters,
    "--prompt": _prompts,
    "MODEL": _models,
    "--split": _fixed("train", "valid", "test"),
    "--executor": _fixed("local", "ray"),
    "--device": _fixed("cpu", "cuda"),
    "--weights": _fixed("selected", "none"),
    "--until": _fixed("decided"),
    "--sampler": _fixed("random", "tpe", "halving"),
    "list noun": _fixed(*_NOUNS),
    "new kind": _fixed("system", "dataset", "metric", "suite", "submission"),
    "check kind": _fixed("system", "dataset", "metric"),
    "check name": _of_kind,
}
"""What a parameter is -> where its names are: ``command parameter``, an option, a metavar."""
