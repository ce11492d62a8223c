"""Twins: synthetic corpora shaped like a published dataset, with a known ground truth.

A twin tests a harness, not a model: nothing in it is real data, and it never shares a table with
real data. It is named ``<dataset>-twin@<shape>[-like-<census>][-x<percent>][-s<seed>][-shift]``:
``mosi-twin@compact``, ``sims-twin@unaligned-39``, ``mosei-twin@compact-x25-s7``. ``<shape>`` is
``compact`` or one of the dataset's published feature sets, ``-x`` keeps a percentage of the clips,
``-s`` draws another twin, ``-shift`` adds a nuisance that differs between datasets. Twins of one
dataset and seed agree clip by clip in everything that their names leave equal.

**Clips.** Official counts of clips and source videos in each split; videos are shared between
splits where the dataset's are. Twins of different datasets are independent: unlike the real sets,
the twin of CH-SIMS v2 does not contain the twin of CH-SIMS (``manifest["contains"]`` is empty).

**Labels.** A clip of video v has the score g, the latent sentiment l and the label y ::

    g = sqrt(icc) u_v + sqrt(1 - icc) e             u_v, e ~ N(0, 1)
    l = Q(rank of g within its split)               Q: quantile function of the split
    y = l rounded to the label grid

Q has exactly the split's official counts of negative, zero and positive clips; the strength of
both signs follows a Kumaraswamy distribution fitted to the mean and deviation of the real labels.

**Signals.** Modality m in (text, audio, vision) shows ::

    s_m = c_m rho_m l / spread + sqrt(1 - rho_m^2) eps_m         eps ~ N(0, R)

with c_m = 1, except that in the share ``conflict`` of the clips one modality has c_m = -1 (column
``conflict``). Audio and vision err in opposite directions (R_av < 0), so fusing pays. Uni-modal
labels, where the dataset has them, are ``spread * s_m`` rounded to the grid.

**Rendering.** A transcript makes claims whose mean valence is ``unit * s_text`` plus noise; its
text stream is a frozen random embedding per word plus the word's and the utterance's valence along
a fixed direction. Audio and vision frames are AR(1) noise plus an offset of the source video; in
one random window ``s_m`` moves every feature along a fixed direction. Explanations state the level
of ``s_audio``, of ``s_vision`` and of the mean signal, truthfully with probability ``truthful``.

**Ceilings.** ``manifest["ceilings"]["test"]`` has, for text, audio, vision and all three, the MAE
of the posterior median and the Pearson correlation of the posterior mean of y given the *exact*
s_m, by numerical integration over l and the conflicts, scored on this twin's test clips. All else a
clip has, save the column ``conflict``, is made of its s_m and of noise that knows nothing of y. So
no system that judges each clip by itself does better, except by the sampling error of the test
split; one that recognises source videos could gain from u_v, which the ceilings leave out.
``train_mean`` is the constant baseline. ``manifest["generator"]`` records every setting.

**Census.** With ``-like-<census>``, the numbers of the streams look like those of a real file, see
``census``; clips, labels and signals are those of the twin without it, transcripts have another
length.

**Shift.** With ``-shift``, every audio and vision frame of a clip is moved by the nuisance ::

    n = kappa l / spread + sqrt(1 - kappa^2) eta                 eta ~ N(0, 1)

along a direction at right angles to the signal's. kappa is the dataset's own: 0.8 on MOSI, 0.5 on
MOSEI, -0.7 on the CH-SIMS sets. Within one dataset n is as good as a signal; a system that leans
on it fails on a dataset of the other sign, while signals mean the same everywhere. Clips, labels,
signals and transcripts are those of the twin without shift, and so are the ceilings, which no
system that ignores n exceeds. Two more say what n is worth: ``all, nuisance known`` bounds systems
trained on this dataset, ``all, nuisance mistaken`` is the same with the sign of kappa turned.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd

from harness._util.budget import CAP, FACTOR, Budget
from harness._util.canonical import Json
from harness.data.corpus import LABELS
from harness.data.datasets import Dataset, datasets
from harness.data.store import Draft
from harness.data.twins.census import Census
from harness.data.twins.law import CONFLICTS, TwinLaw, ceilings
from harness.data.twins.recipe import Story, TwinRecipe, shift_of, story_of
from harness.data.twins.streams import render
from harness.data.twins.texts import Utterance, explain, speak
from harness.data.twins.truth import TwinTruth, draw_truth, keep
from harness.errors import SpecError

__all__ = ["census_of", "generate", "is_twin", "recipe_of"]

COMPACT = {"text": (20, 32), "audio": (40, 8), "vision": (40, 12)}
"""Tensor shapes of ``compact``, small enough to train on in seconds."""

_NAME = re.compile(
    r"(?P<dataset>[a-z0-9_]+)-twin@(?P<shape>[a-z]+(?:-[0-9]+)?)(?:-like-(?P<mark>[0-9a-f]{8}))?"
    r"(?:-x(?P<percent>[1-9][0-9]?))?(?:-s(?P<seed>[1-9][0-9]{0,8}))?(?P<shift>-shift)?"
)
_GRAMMAR = (
    "<dataset>-twin@<shape>[-like-<census>][-x<percent>][-s<seed>][-shift], shape `compact` or a"
    " feature set of the dataset, percent 1 to 99, seed 1 to 999999999 (all clips and seed 0: leave"
    " them out)"
)


def is_twin(name: str) -> bool:
    """Whether a corpus name claims to be a twin's; ``generate`` says whether it is a valid one."""
    return name.partition("@")[0].endswith("-twin")


def generate(name: str, census: Census | None = None) -> Draft:
    """Make the twin called ``name``: the same content in every process, whatever ran before.

    Args:
        name: ``<dataset>-twin@<shape>[-like-<census>][-x<percent>][-s<seed>][-shift]``, percent 1
            to 99, seed from 1. A scaled twin keeps whole source videos, and at least about 20 clips
            of 5 videos per split (thinned where the videos are longer).
        census: The one that the name ends in; None for a name without one.

    Returns:
        Clips with transcripts, labels, explanations and ``conflict``; text, audio and vision
        streams, no published tokens; a manifest with ``synthetic``, ``generator``, ``ceilings``.

    Raises:
        SpecError: When the name does not follow the grammar, names an unknown dataset or shape, or
            another census than is given.
        DataError: When the census tells of more than may be allocated; see ``memory_allowed``.

    Example:
        >>> draft = generate("mosi-twin@compact-x5")
        >>> draft.streams["audio"].values.shape[1:]
        (40, 8)
    """
    recipe = recipe_of(name, census)
    mark = census_of(name)
    if mark != (None if census is None else census.mark):
        raise SpecError(
            f"{name} is made from a census that is not here"
            if census is None
            else f"{name} is no twin of the census {census.mark}",
            hint="msa data twin CENSUS makes it; msa data census CORPUS takes one",
        )
    truth = keep(draw_truth(recipe), recipe)
    if census is not None:
        _need_affordable(census, len(truth.clips))
    utterances = speak(recipe, truth)
    return Draft(
        name=name,
        clips=_clips(recipe, truth, utterances),
        streams=render(recipe, truth, utterances),
        manifest=_manifest(recipe, truth),
    )


def _need_affordable(census: Census, clips: int) -> None:
    """Refuse a census that tells of more than any file of features may hold."""
    frame = np.dtype(np.float32).itemsize
    size = sum(clips * frames * dim * frame for frames, dim in census.shapes.values())
    Budget(f"the census {census.mark}", CAP // FACTOR).spend(size, "its twin")


def census_of(name: str) -> str | None:
    """The mark of the census that a twin is made from; None for what takes its name alone."""
    parts = _NAME.fullmatch(name)
    return None if parts is None else parts["mark"]


def recipe_of(name: str, census: Census | None = None) -> TwinRecipe:
    """The settings that a twin's name stands for, its sizes among them; nothing is drawn.

    Args:
        name: As ``generate`` takes it.
        census: Whose sizes count, instead of those of the published feature set.

    Raises:
        SpecError: When the name does not follow the grammar, or names an unknown dataset or shape.
    """
    parts = _parts(name)
    dataset = datasets[parts["dataset"]]
    shape = parts["shape"]
    return TwinRecipe(
        dataset=dataset,
        shapes=_shapes(dataset, shape) if census is None else census.shapes,
        aligned=shape.startswith("aligned"),
        percent=int(parts["percent"] or 100),
        seed=int(parts["seed"] or 0),
        story=_story(dataset, census),
        shift=shift_of(dataset) if parts["shift"] else None,
        census=census,
    )


def _parts(name: str) -> re.Match[str]:
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise SpecError(
            f"{name!r} is not the name of a twin; expected {_GRAMMAR}",
            hint="for example mosi-twin@compact-x25-s7",
        )
    return parts


def _story(dataset: Dataset, census: Census | None) -> Story:
    """The dataset's, told in as many words as the census's text stream has frames."""
    story = story_of(dataset)
    if census is None:
        return story
    return dataclasses.replace(story, length=(census.streams["text"].median, story.length[1]))


def _shapes(dataset: Dataset, shape: str) -> dict[str, tuple[int, int]]:
    known = {"compact": COMPACT, **dataset.shapes}
    if shape not in known:
        raise SpecError(
            f"{dataset.name} twins come as {', '.join(known)}; found {shape!r}",
            hint=f"for example {dataset.name}-twin@compact",
        )
    return dict(known[shape])


def _clips(recipe: TwinRecipe, truth: TwinTruth, utterances: list[Utterance]) -> pd.DataFrame:
    clips = truth.clips.assign(text=[said.text for said in utterances], label=truth.labels)
    if recipe.dataset.unimodal_labels:
        law = TwinLaw(recipe.dataset, recipe.story, recipe.dataset.splits["train"])
        clips[list(LABELS[1:])] = law.label(recipe.story.spread * truth.signals)
    conflict = pd.Series(np.array(CONFLICTS)[truth.conflict], name="conflict")
    return pd.concat([clips, explain(recipe, truth), conflict], axis=1)


def _manifest(recipe: TwinRecipe, truth: TwinTruth) -> dict[str, Json]:
    train, test = truth.rows("train"), truth.rows("test")
    law = TwinLaw(recipe.dataset, recipe.story, recipe.dataset.splits["test"])
    mean = float(truth.labels[train].mean())
    seen = None if truth.nuisance is None else truth.nuisance[test]
    best = ceilings(
        law, truth.signals[test], truth.labels[test], mean, shift=recipe.shift, seen=seen
    )
    return {
        "synthetic": True,
        "imitates": recipe.dataset.title,
        "generator": recipe.record(),
        "ceilings": {"test": best},
        "contains": [],
    }
