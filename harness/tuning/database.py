"""The trials of a search as Optuna keeps them: a journal under the home, one study per row.

It saves drawing thousands of settings again, and Optuna's own tools read it. It is no authority:
each trial is held against its stored run, and a journal that is lost is written again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.tuning.sampling import Drawn, as_trial, distributions
from harness.tuning.space import Space

if TYPE_CHECKING:
    from optuna import Study

__all__ = ["Journal"]

_FORMAT = "msa-harness"
_CREATE_TRIAL = 4  # Optuna's number of that line


class Journal:
    """The studies of one search.

    Args:
        path: Its file, made when there is none.

    Raises:
        StoreError: For one that is damaged, or of another version of Optuna; it is left as it is.
        MissingExtra: Where Optuna is not installed.
    """

    def __init__(self, path: Path) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        self._path = path
        self._optuna = optuna
        self._studies: dict[str, Study] = {}
        self._check()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)  # of a killed process
            self._storage = JournalStorage(JournalFileBackend(str(path)))
            names = optuna.get_all_study_names(storage=self._storage)
            self._studies = {
                name: optuna.load_study(study_name=name, storage=self._storage) for name in names
            }
        except OSError as error:
            raise StoreError(
                f"the search database {path.name} cannot be opened: {error}"
            ) from error
        except self._unreadable as error:
            raise self._damaged(str(error)) from error

    @property
    def _unreadable(self) -> tuple[type[Exception], ...]:
        """What Optuna raises for a file that it did not write, or wrote otherwise."""
        own: type[Exception] = self._optuna.exceptions.OptunaError
        return (ValueError, LookupError, TypeError, AttributeError, AssertionError, own)

    def read(self, row: str, space: Space) -> list[Drawn]:
        """The trials of a row in their order; none for one that is of another space.

        Raises:
            StoreError: When they cannot be read.
        """
        if row not in self._studies:
            return []
        wanted = distributions(space)
        try:
            trials = self._studies[row].get_trials(deepcopy=False)
            if any(trial.distributions != wanted for trial in trials):
                return []
            return [
                Drawn(
                    values=dict(trial.params),
                    score=trial.values[0] if trial.values else None,
                    key=str(trial.user_attrs.get("run", "")),
                )
                for trial in trials
            ]
        except self._unreadable as error:
            raise self._damaged(str(error)) from error

    def append(self, row: str, space: Space, drawn: Sequence[Drawn]) -> None:
        """Add trials to a row.

        Raises:
            StoreError: When the disk refuses.
        """
        wanted = distributions(space)
        try:
            if row not in self._studies:
                self._studies[row] = self._optuna.create_study(
                    study_name=row, storage=self._storage
                )
            study = self._studies[row]
            if _FORMAT not in study.user_attrs:
                study.set_user_attr(_FORMAT, self._version)
            study.add_trials([as_trial(each, wanted) for each in drawn])
        except OSError as error:
            raise StoreError(
                f"the search database {self._path.name} cannot be written: {error}",
                hint="free some space; the same command continues",
            ) from error

    def restart(self, row: str) -> None:
        """Forget the trials of a row."""
        if row in self._studies:
            self._optuna.delete_study(study_name=row, storage=self._storage)
            del self._studies[row]

    @property
    def _version(self) -> str:
        """Whose journals are read: those of one major version."""
        return str(self._optuna.__version__).partition(".")[0]

    def _check(self) -> None:
        """Refuse what was not written here; what a kill left of a last line is taken off."""
        try:
            content = self._path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            lines = [json.loads(line) for line in whole.splitlines()]
            found = {version for line in lines for version in _versions(line)}
            trials = sum(line["op_code"] == _CREATE_TRIAL for line in lines)
            if other := sorted(found - {self._version}):
                raise StoreError(
                    f"the search database {self._path.name} is of Optuna {other[0]}, here is"
                    f" {self._version}",
                    hint=self._hint,
                )
            if trials and not found:
                raise ValueError("it does not say which version of Optuna wrote it")
            if len(whole) < len(content):
                self._path.write_bytes(whole)
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> StoreError:
        return StoreError(
            f"the search database {self._path.name} is damaged: {why}", hint=self._hint
        )

    @property
    def _hint(self) -> str:
        return "move it away: the same command makes it again from the stored runs"


def _versions(line: Any) -> list[str]:  # noqa: ANN401 - a line of JSON
    attributes = line.get("user_attr", {})
    return [str(attributes[_FORMAT])] if _FORMAT in attributes else []
