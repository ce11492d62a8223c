"""``msa run``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from harness.cli._home import home_of
from harness.cli._output import JsonFlag
from harness.cli._plan import print_plan
from harness.cli._progress import progress
from harness.errors import RunFailed, SpecError

if TYPE_CHECKING:
    from harness.home import Home
    from harness.runs.driver import RunReport
    from harness.runs.executors import Executor
    from harness.runs.looks import Look, Until
    from harness.runs.store import RunStore
    from harness.spec import Suite
    from harness.tracking.live import Live

P = ParamSpec("P")

__all__ = [
    "AddressOption",
    "DeviceOption",
    "ExecutorOption",
    "JobsOption",
    "LimitOption",
    "OnlyOption",
    "PlanOption",
    "SeedsOption",
    "SuiteArgument",
    "TimeoutOption",
    "limited",
    "register",
    "run_suite",
    "seeds_of",
]

SuiteArgument = Annotated[
    str, typer.Argument(metavar="SUITE", help="A suite's name, or a TOML file.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(_run)


SystemOption = Annotated[
    list[str] | None,
    typer.Option("--system", metavar="NAME", help="Without a suite: this system; repeatable."),
]
CorpusOption = Annotated[
    list[str] | None,
    typer.Option("--corpus", metavar="NAME", help="Without a suite: on this corpus; repeatable."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A hyper-parameter of every row whose system has it, such as lr=1e-4; repeatable.",
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Train for N epochs at most: a shorter, other protocol."),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Take N clips of each split: a trial, on no board of whole corpora."
    ),
]
SeedsOption = Annotated[
    str | None, typer.Option(help="A count (first n of the protocol's list) or a,b,c.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Rows, systems or corpora to run now (* and ? allowed); repeatable. Rows and corpora"
        " together mean these rows on these corpora."
    ),
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes.")]
_JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        help="Worker processes; default: 1, and on a GPU as many as its memory has room for.",
    ),
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
ExecutorOption = Annotated[str, typer.Option(help="local, or ray for many nodes.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        help="HOST:PORT of a Ray cluster, or auto; default: one on this machine.",
        envvar="RAY_ADDRESS",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        metavar="decided",
        help="Add seeds until it is decided, at looks that are declared before the first run.",
    ),
]
LooksOption = Annotated[
    str | None,
    typer.Option(help="With --until: numbers of seeds, rising; default 3,5,10,20."),
]
DecideOption = Annotated[
    str | None,
    typer.Option(
        help="With --until: best (default), or the label of a row to compare the others with."
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Stop and fail a cell that takes longer; default: none."),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        metavar="selected|none",
        help="Keep the weights of networks; default: the suite's choice, else those up to 64 MB.",
    ),
]
LiveOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="mlflow|tensorboard",
        help="Show epochs while cells run, where msa export puts them, or in events; repeatable.",
    ),
]
LiveUriOption = Annotated[
    str | None,
    typer.Option(
        help="Tracking URI of --live mlflow; default: SQLite in the home.",
        envvar=["MSA_TRACKING_URI", "MLFLOW_TRACKING_URI"],
    ),
]
PlanOption = Annotated[
    bool, typer.Option("--plan", help="Say what would run and what it takes; run nothing.")
]


def _run(
    context: typer.Context,
    suite: Annotated[
        str | None,
        typer.Argument(
            metavar="SUITE", help="A suite's name, or a TOML file; else --system and --corpus."
        ),
    ] = None,
    system: SystemOption = None,
    corpus: CorpusOption = None,
    changes: SetOption = None,
    epochs: EpochsOption = None,
    limit: LimitOption = None,
    seeds: SeedsOption = None,
    only: OnlyOption = None,
    jobs: _JobsOption = None,
    device: DeviceOption = "cpu",
    executor: ExecutorOption = "local",
    ray_address: AddressOption = None,
    until: UntilOption = None,
    looks: LooksOption = None,
    decide: DecideOption = None,
    cell_timeout: TimeoutOption = None,
    weights: WeightsOption = None,
    live: LiveOption = None,
    live_uri: LiveUriOption = None,
    plan_only: PlanOption = False,
    as_json: JsonFlag = False,
) -> None:
    """Run what is missing of a suite, then write its board; stopped, the same command goes on.

    With --system, --set, --epochs or --limit the suite is one of its own, kept among the suites.
    """
    from harness.runs.running import find_executor, kind_of_device

    if as_json and not plan_only:
        raise SpecError("--json goes with --plan", hint="msa board SUITE --json")
    home, asked = home_of(context), _until(until, looks, decide)
    if asked is not None and (seeds is not None or only):
        raise SpecError(
            "--until adds seeds to all rows: it goes with neither --seeds nor --only",
            hint="--looks 3,5,10 says how many seeds",
        )
    wanted = _Wanted(
        systems=system or (), corpora=corpus or (), params=changes or (), epochs=epochs, limit=limit
    )
    chosen = _suite(suite, wanted, seeds_of(seeds), home, kept=not plan_only)
    chosen = chosen.with_weights(weights)
    if plan_only:
        kind_of_device(device)  # refuses what is none
        chosen = chosen if asked is None else _at_last_look(chosen, asked, home)
        print_plan(chosen, home, device=device, jobs=jobs, only=only or (), as_json=as_json)
    else:
        workers = find_executor(
            executor, home, workers=jobs or 1, address=ray_address, cell_timeout=cell_timeout
        )
        run_suite(
            *(chosen, home),
            only=only or (),
            until=asked,
            jobs=jobs,
            device=device,
            executor=workers,
            cell_timeout=cell_timeout if workers is None else None,
            live=live or (),
            live_uri=live_uri,
        )


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What the options say of the suite that is run."""

    systems: Sequence[str]
    corpora: Sequence[str]
    params: Sequence[str]
    epochs: int | None
    limit: int | None


def _suite(
    name: str | None,
    wanted: _Wanted,
    seeds: int | tuple[int, ...] | None,
    home: Home,
    *,
    kept: bool,
) -> Suite:
    """The suite by that name; one of its own, which is kept, where options say something else."""
    from harness._util.extras import explained
    from harness.runs.suite_files import find_suite

    if name is not None and (wanted.systems or wanted.corpora):
        raise SpecError(
            "a suite names its own systems and corpora: give a suite, or --system and --corpus",
            hint=f"msa run {name} --only ROW --only CORPUS runs a part of a suite",
        )
    changes_nothing = not wanted.params and wanted.epochs is None and wanted.limit is None
    if name is not None and changes_nothing:
        return find_suite(name, home).with_seeds(seeds)
    with explained():
        from harness.runs import asked

    params = dict(map(asked.parameter, wanted.params))
    changes = asked.Changes(params=params, epochs=wanted.epochs, limit=wanted.limit)
    if name is None:
        base = asked.single(wanted.systems, wanted.corpora, 5 if seeds is None else seeds)
    else:
        base = find_suite(name, home).with_seeds(seeds)
    return _own(asked.changed(base, changes), home, kept=kept)


def limited(suite: Suite, limit: int, home: Home, *, kept: bool) -> Suite:
    """A suite of its own name, on N clips of each split of its corpora.

    Raises:
        SpecError: For a limit below one, or a corpus that has no trials.
    """
    from harness.runs import asked

    changed = asked.changed(suite, asked.Changes(params={}, epochs=None, limit=limit))
    return _own(changed, home, kept=kept)


def _own(suite: Suite, home: Home, *, kept: bool) -> Suite:
    """A suite that options made, among those of the home where it is kept."""
    from harness.runs import asked

    if kept:
        asked.keep(suite, home)
        typer.echo(f"suite: {suite.name} (msa run {suite.name} goes on with it)", err=True)
    return suite


def _until(until: str | None, looks: str | None, decide: str | None) -> Until | None:
    """What ``--until``, ``--looks`` and ``--decide`` ask for."""
    if until is None:
        if looks is not None or decide is not None:
            raise SpecError("--looks and --decide go with --until decided")
        return None
    if until != "decided":
        raise SpecError(f"--until takes decided; found {until!r}")
    from harness.runs.looks import Until

    try:
        numbers = None if looks is None else tuple(int(part) for part in looks.split(","))
    except ValueError:
        raise SpecError(f"--looks takes numbers of seeds like 3,5,10; found {looks!r}") from None
    return Until(looks=numbers, decide=decide)


def _at_last_look(suite: Suite, until: Until, home: Home) -> Suite:
    """What there is to run if nothing is decided before the last look."""
    from harness.runs.store import RunStore
    from harness.runs.until import at_look, declare

    return at_look(suite, declare(suite, until, RunStore(home.store)).looks[-1])


def run_suite(
    suite: Suite,
    home: Home,
    *,
    only: Sequence[str] = (),
    until: Until | None = None,
    jobs: int | None = None,
    device: str = "cpu",
    executor: Executor | None = None,
    cell_timeout: float | None = None,
    live: Sequence[str] = (),
    live_uri: str | None = None,
) -> None:
    """Run what is missing of a suite and write its board; None executes on this machine.

    Raises:
        RunFailed: When interrupted, when cells failed, or when what rows ask did not answer.
    """
    import harness
    import leaderboards
    from harness.runs.finished import Finished
    from harness.runs.store import RunStore

    board = home.boards / f"{suite.name}.md"
    finished = Finished(
        suite=suite,
        home=home,
        options={"only": sorted(only), "device": device},
        board=leaderboards.files_of(board),
    )
    plain = until is None and executor is None and device == "cpu"
    if plain and (cells := finished.cells()) is not None:
        typer.echo(f"0 cells run, {cells} already stored, 0 failed\nboard: {board}")
        return
    with contextlib.ExitStack() as watching:
        shown = watching.enter_context(progress())
        others = [watching.enter_context(show) for show in _showing(live, home, live_uri)]
        report = harness.run(
            *(suite, home),
            workers=jobs,
            only=only,
            until=until,
            device=device,
            executor=executor,
            on_look=_tell,
            cell_timeout=cell_timeout,
            on_start=shown.start,
            on_done=_all_of(shown.advance, *(other.end for other in others)),
            on_event=_all_of(shown.hear, *(other.hear for other in others)),
            failures="report",
        )
    by_evidence = f" ({report.carried} of them carried over)" if report.carried else ""
    typer.echo(
        f"{report.done} cells run, {report.present} already stored{by_evidence},"
        f" {len(report.failed)} failed"
    )
    if report.look is not None:
        typer.echo(_outcome(report.look))
    if report.done or report.failed or not finished.board_stands():
        leaderboards.write(RunStore(home.store), suite.name, board)
    if not report.failed:
        finished.keep(report.planned, report.inputs if plain and not report.lacks else None)
    typer.echo(f"board: {board}")
    if report.failed:
        raise RunFailed(
            "failed cells:\n" + "\n".join(_failures(report, RunStore(home.store))),
            hint=f"msa runs show {report.failed_keys[0][:12]} says where it broke; the same command"
            " tries them again",
        )
    if report.unanswered:
        reasons = (f"  {lack.title}: {lack.reason}" for lack in report.unanswered)
        raise RunFailed(
            "rows wait for what does not answer:\n" + "\n".join(reasons),
            hint=report.unanswered[0].hint or "the same command tries them again",
        )


def _showing(
    kinds: Sequence[str], home: Home, uri: str | None
) -> Iterator[contextlib.AbstractContextManager[Live]]:
    if kinds:
        from harness._util.extras import explained

        with explained():
            from harness.tracking import live
        yield from (live.showing(kind, home, uri) for kind in dict.fromkeys(kinds))


def _all_of(*hearers: Callable[P, None]) -> Callable[P, None]:
    def call(*given: P.args, **named: P.kwargs) -> None:
        for hearer in hearers:
            hearer(*given, **named)

    return call


def _failures(report: RunReport, store: RunStore) -> Iterator[str]:
    """Which cells failed, why, and where their logs are."""
    for (cell, why), key in zip(report.failed, report.failed_keys, strict=True):
        yield f"  {cell}: {why}"
        if (log := store.log_file(key)).is_file():
            yield f"    log: {log}"


def _tell(look: Look) -> None:
    """Before a look, where it stands among all; after it, what is open."""
    from harness.runs.looks import shown

    if look.undecided is None:
        looks = ", ".join(map(str, look.looks))
        typer.echo(
            f"look at {look.seeds} seeds (declared: {looks}; {look.looks[-1]} is the most), level"
            f" {shown(look.level)}",
            err=True,
        )
    for corpus, words in (look.undecided or {}).items():
        typer.echo(f"undecided on {corpus}: {words}", err=True)


def _outcome(look: Look) -> str:
    from harness.runs.looks import shown

    said = "decided" if look.decided else "not decided"
    return f"{said} with {look.seeds} seeds, at level {shown(look.level)}"


def seeds_of(text: str | None) -> int | tuple[int, ...] | None:
    """The value of ``--seeds``.

    Raises:
        SpecError: For anything but a positive count or distinct seeds.
    """
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise SpecError(f"--seeds takes a count or numbers like 1,2,3; found {text!r}") from None
    if min(numbers) < 0 or len(set(numbers)) < len(numbers) or numbers == (0,):
        raise SpecError(f"--seeds takes a positive count or distinct seeds; found {text!r}")
    return numbers if "," in text else numbers[0]
