"""Files become stored corpora: features and labels converted once, explanations joined to one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast, get_args

import pandas as pd

from harness._util.budget import Budget
from harness.data import load
from harness.data.corpus import Corpus
from harness.data.datasets import Dataset, datasets
from harness.data.leak_gate import LeakGate
from harness.data.naming import named
from harness.data.readers import explanations, label_csv, mmsa_pickle
from harness.data.store import CorpusStore, Draft
from harness.errors import DataError
from harness.home import Home

__all__ = ["add", "explain"]


def add(
    path: Path | str,
    dataset: Dataset | str,
    *,
    feature_set: str | None = None,
    text: str | None = None,
    encoding: str | None = None,
    pad: bool = False,
    layout: str = "mmsa",
    home: Home | None = None,
) -> Corpus:
    """Convert a data file once into the memory-mapped store; the file is not needed again.

    Pickles are read by an allow-list: arrays, numbers, text and containers, and nothing that runs.

    Args:
        path: A feature pickle (``.pkl``, ``.pickle``) or an MMSA label file (``.csv``).
        dataset: The dataset it is of, or its name.
        feature_set: Name of the feature set; public files name themselves, and what is not the
            official split gets the name with ``-own``.
        text: Column of a label file to use as transcript, such as ``text_en``.
        encoding: Of a label file, such as ``cp1252``; default: UTF-8, else by its characters.
        pad: Whether to pad features that are one array per clip, at the end.
        layout: How a pickle is laid out: ``mmsa`` or ``mag-bert``.
        home: Where corpora are stored; ``Home.default()`` when None.

    Raises:
        DataError: For a file that is missing, unsafe, damaged or not what it claims to be, options
            that do not go with it, clips of another dataset, an official name for anything but the
            official split, or a stored corpus of that name with other content.
        SpecError: For an unknown dataset.
    """
    known = datasets[dataset] if isinstance(dataset, str) else dataset
    file = Path(path)
    Budget.of(file, "a data file")
    if file.suffix.lower() == ".csv":
        if pad or layout != "mmsa":
            raise DataError("--pad and --layout are for feature pickles; a label.csv has no arrays")
        draft = _labels(file, known, feature_set, text or "text", encoding)
    else:
        _refuse_text_options(text, encoding)
        if file.suffix.lower() not in (".pkl", ".pickle"):
            raise DataError(
                f"data files are .pkl (MMSA features) or .csv (MMSA labels); found {file.name}"
            )
        draft = mmsa_pickle.read(file, known, feature_set, pad=pad, layout=layout)
    store = CorpusStore((home or Home.default()).corpora)
    return store.add(named(draft, known, store, stated=feature_set))


def _labels(
    file: Path, dataset: Dataset, feature_set: str | None, column: str, encoding: str | None
) -> Draft:
    name = "label-csv" if column == "text" else f"label-csv-{column.removeprefix('text_')}"
    return label_csv.read(file, dataset, feature_set or name, text=column, encoding=encoding)


def _refuse_text_options(text: str | None, encoding: str | None) -> None:
    if text is not None:
        raise DataError("--text names a column of a label.csv; feature files bring one transcript")
    if encoding is not None:
        raise DataError("--encoding is for a label.csv; feature files are not text")


def explain(
    name: str,
    path: Path | str,
    kind: str,
    *,
    feature_set: str | None = None,
    encoding: str | None = None,
    gate: Callable[[Corpus, pd.DataFrame], LeakGate] | None = None,
    home: Home | None = None,
) -> tuple[Corpus, str]:
    """Join explanations to a stored corpus, as a corpus of its own.

    Args:
        name: The corpus.
        path: Texts by clip id: ``audio_clue``, ``visual_clue``, ``summary`` (CSV, JSON lines, …).
        kind: Written from what: ``transcript_llm``, ``video_mllm`` or ``both``.
        feature_set: Of the new corpus; default: the old one's and ``-explained``.
        encoding: Of a CSV; default: UTF-8, else by its characters.
        gate: Measures whether the texts know the label, ``harness.checks.leak_gate.measure``; what
            it finds is stored with them. Without, boards say that nobody measured it.
        home: Where corpora are stored; ``Home.default()`` when None.

    Returns:
        The new corpus, and what the texts were read as, such as ``utf-8``.

    Raises:
        DataError: For another kind, a corpus that is not here, texts that do not fit it, or a
            stored corpus of that name with other content.
    """
    kinds = get_args(explanations.Kind)
    if kind not in kinds:
        raise DataError(f"--kind is one of {', '.join(kinds)}; found {kind!r}")
    home = home or Home.default()
    corpus = load(name, home)
    explained = explanations.read(Path(path), corpus, encoding=encoding)
    draft = explanations.explain(
        corpus,
        explained.texts,
        feature_set=feature_set or f"{corpus.feature_set}-explained",
        kind=cast("explanations.Kind", kind),
        source=explained.source,
        gate=None if gate is None else gate(corpus, explained.texts),
    )
    return CorpusStore(home.corpora).add(draft), str(explained.source.get("encoding", "utf-8"))
