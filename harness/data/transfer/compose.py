"""Transfer corpora: trained on some datasets, tested on another, composed of stored corpora.

A transfer corpus is called ``<source>[+<source>…]-to-<target>@<parts>[-text|-text-en]``. Its parts
are the corpora ``<dataset>@<parts>``: ``mosi+mosei-to-sims@label-csv-text`` is made of
``mosi@label-csv``, ``mosei@label-csv`` and ``sims@label-csv``. Parts may be twins, all or none:
``mosi-twin+mosei-twin-to-sims-twin@compact-x25``.

Train and valid are the union of the sources' train and valid, test is the target's test; no other
clip of the target is there, so no target label and no target statistic can reach a system through
its task. Labels are divided by the largest label of their dataset. Column ``domain`` names the
dataset that each clip comes from.

**Common features** (no suffix): streams are kept, which takes one feature space for all parts.
``manifest["feature_space"]`` of a corpus says which extractor with which settings made its streams;
they are common where all parts say the same, and have the same streams of the same width.

**Text** (``-text``, ``-text-en``): streams are dropped. ``-text`` has transcripts as they are;
``-text-en`` has English ones, column ``text_en`` for datasets in another language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from harness._util.canonical import Json
from harness.data.corpus import Corpus
from harness.data.datasets import Dataset
from harness.data.leak_gate import leak_gate_of
from harness.data.store import CorpusStore, Draft
from harness.data.transfer.name import Parts, is_transfer, parts_of
from harness.data.transfer.pieces import Pieces
from harness.errors import DataError

__all__ = ["Parts", "compose", "is_transfer", "open_or_compose", "parts_of"]


def compose(name: str, load: Callable[[str], Corpus]) -> Draft:
    """Make the transfer corpus called ``name``.

    Args:
        name: See the module.
        load: Opens a part by its name.

    Returns:
        Clips with ``domain``, labels in [-1, 1]; streams on the common-feature track; explanations
        where all parts have them from the same kind of writer. ``manifest["parts"]`` records
        every part with its fingerprint.

    Raises:
        SpecError: For a name that is no transfer's.
        DataError: When a part is not here, parts have different feature spaces or lack English
            transcripts, or source clips come from test videos of the target.
    """
    parts = parts_of(name)
    opened = {part: load(part) for part in parts.corpora}
    pieces = Pieces(parts, opened)
    pieces.check_videos()
    streams = pieces.streams if parts.track == "common features" else {}
    clips = pieces.clips
    return Draft(name=name, clips=clips, streams=streams, manifest=_manifest(parts, opened, clips))


def open_or_compose(name: str, store: CorpusStore, load: Callable[[str], Corpus]) -> Corpus:
    """The stored transfer corpus, made and stored when asked for the first time.

    Raises:
        SpecError: As ``compose``.
        DataError: As ``compose``, and when a part has been replaced since.
    """
    if name not in store:
        return store.add(compose(name, load))
    corpus = store.load(name)
    recorded = corpus.manifest["parts"]
    assert isinstance(recorded, Mapping)
    for part, then in recorded.items():
        now = store.load(part).fingerprint if part in store else then
        if now != then:
            raise DataError(
                f"corpus {name} was made of another {part} ({str(then)[:12]}) than is here now"
                f" ({str(now)[:12]})",
                hint="delete its folder; it is made again when it is asked for",
            )
    return corpus


def _manifest(parts: Parts, opened: Mapping[str, Corpus], clips: pd.DataFrame) -> dict[str, Json]:
    target = opened[parts.target]
    manifest: dict[str, Json] = {
        "track": parts.track,
        "sources": list(parts.sources),
        "target": parts.target,
        "parts": {name: corpus.fingerprint for name, corpus in opened.items()},
        "label_divisors": {c.dataset.name: c.dataset.high for c in opened.values()},
        "synthetic": target.is_twin,
    }
    if "summary" in clips and "side_info" in target.manifest:
        manifest["side_info"] = target.manifest["side_info"]
        if any("explanations" in corpus.manifest for corpus in opened.values()):
            manifest["explanations"] = _worst_gate([one.manifest for one in opened.values()])
    planted = target.manifest.get("ceilings")
    if isinstance(planted, Mapping):
        manifest["ceilings"] = {"test": _ceilings(planted["test"], target.dataset, clips)}
    return manifest


def _worst_gate(parts: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """What the leak gate found of the part that leaks most; nothing where a part was not asked."""
    gates = [leak_gate_of(manifest) for manifest in parts]
    known = [gate for gate in gates if gate is not None]
    leaking = [gate for gate in known if gate.leaks]
    if not leaking and len(known) < len(gates):
        return {}
    worst = min(leaking or known, key=lambda gate: gate.mae.difference if gate.mae else 0.0)
    return {"leak_gate": worst.json()}


def _ceilings(planted: Json, target: Dataset, clips: pd.DataFrame) -> Json:
    """The target's ceilings on labels in [-1, 1]; the constant is the mean of the sources."""
    assert isinstance(planted, Mapping)
    shrunk: dict[str, Json] = {
        view: {**best, "mae": round(best["mae"] / target.high, 4)}  # type: ignore[operator]  # numbers
        for view, best in planted.items()
        if isinstance(best, Mapping)
    }
    mean = clips["label"][clips["split"] == "train"].mean()
    test = clips["label"][clips["split"] == "test"]
    return shrunk | {
        "train_mean": {"mae": round(float((test - mean).abs().mean()), 4), "corr": None}
    }
