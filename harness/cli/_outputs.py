"""What every ``--json`` prints, as JSON Schema: one entry a command.

Keys are stable: what is listed stays, more may be added. Numbers are unrounded, accuracies from 0
to 1, undefined ones null. What an entry leaves open (``OBJECT``, ``ANY``) is described where it is
made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from harness._util.canonical import Json

__all__ = ["OUTPUTS", "schema_of_output"]

Schema = dict[str, Json]

TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
TRUTH: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
ANY: Final[Schema] = {}


def _or_null(one: Schema) -> Schema:
    return {"anyOf": [one, {"type": "null"}]}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _named(value: Schema) -> Schema:
    """An object whose keys are names."""
    return {"type": "object", "additionalProperties": value}


def _table(optional: Mapping[str, Schema] | None = None, /, **keys: Schema) -> Schema:
    """An object with keys that are always there, and some that need not be."""
    return {
        "type": "object",
        "properties": {**keys, **(optional or {})},
        "required": list(keys),
    }


def _open(**keys: Schema) -> Schema:
    """An object with keys that are always there, and others as its subject has them."""
    return {**_table(**keys), "additionalProperties": True}


def _one_of(*kinds: Schema) -> Schema:
    return {"anyOf": list(kinds)}


MAYBE_TEXT, MAYBE_WHOLE, MAYBE = _or_null(TEXT), _or_null(WHOLE), _or_null(NUMBER)
TEXTS, WHOLES = _list(TEXT), _list(WHOLE)
COUNTS, VALUES = _named(WHOLE), _named(MAYBE)
LABEL: Final = _one_of(TEXT, NUMBER, {"type": "null"})

_NOTICES = _list(_table(kind=TEXT, text=TEXT))
_COVERAGE = {
    "missing": WHOLE,
    "extra": WHOLE,
    "missing_examples": TEXTS,
    "extra_examples": TEXTS,
}
_UNDER = {"condition": TEXT, "variant": TEXT}
_FINDING = _table(check=TEXT, outcome=TEXT, detail=TEXT)
_METRICS = _named(
    _table(
        {"leads": _or_null(TRUTH), "exploratory": TRUTH}, mean=MAYBE, sd=MAYBE, values=_list(MAYBE)
    )
)
_ON_A_CORPUS = {"corpus": TEXT, "dataset": TEXT, "twin": TRUTH}

_ROW = {
    "corpus": TEXT,
    "data": TEXT,
    "twin": TRUTH,
    "protocol": TEXT,
    "look": _or_null(OBJECT),
    "row": TEXT,
    "system": TEXT,
    "reference": TRUTH,
    "deterministic": TRUTH,
    "inputs": TEXTS,
    "side_info": TEXT,
    "knowledge": TEXT,
    "supervision": TEXT,
    "n": WHOLE,
    "N": WHOLE,
    "seeds": WHOLES,
    "runs": TEXTS,
    "holes": _list(_table(seed=WHOLE, state=TEXT, reason=TEXT)),
    "about": TEXT,
    "ranked_by": TEXT,
    "rank": _or_null(WHOLES),
    "could_be_best": _or_null(TRUTH),
    "unranked_because": MAYBE_TEXT,
    "collapse": _or_null(_table(seeds=WHOLES, probability=MAYBE, low=MAYBE, high=MAYBE)),
    "badge": TEXT,
    "released": _or_null(OBJECT),
    "passes": WHOLE,
    "evaluation_noise": _or_null(VALUES),
    "settings": ANY,
    "metrics": _METRICS,
}
"""A row of a board; further records, of absent parts, transfers and so on, have keys of theirs."""

_PLANNED = {
    "corpus": TEXT,
    "label": TEXT,
    "cells": WHOLE,
    "stored": WHOLE,
    "failed": WHOLE,
    "missing": WHOLE,
    "needs": TEXTS,
    "reason": MAYBE_TEXT,
    "lacks": MAYBE_TEXT,
    "schedule": MAYBE_WHOLE,
    "resumes": _list(_table(seed=WHOLE, after_epoch=WHOLE)),
}
_FORECAST = _table(
    **dict.fromkeys(("corpus", "row", "model", "rate_from"), TEXT),
    **dict.fromkeys(("clips", "not_shown", "questions", "completion_tokens", "media_bytes"), WHOLE),
    **dict.fromkeys(("rate", "price", "hours"), MAYBE),
    prompt_tokens=MAYBE_WHOLE,
)
"""What asking models takes, by ``--plan``."""

_PLAN = _table(suite=TEXT, device=TEXT, jobs=WHOLE, totals=OBJECT, rows=_list(_open(**_PLANNED)))

_CELL = {
    "status": TEXT,
    "key": MAYBE_TEXT,
    "corpus": MAYBE_TEXT,
    "row": MAYBE_TEXT,
    "system": MAYBE_TEXT,
    "seed": MAYBE_WHOLE,
    "suites": TEXTS,
    "reason": MAYBE_TEXT,
    "seconds": MAYBE,
    "epochs": MAYBE_WHOLE,
    "selected_epoch": MAYBE_WHOLE,
    "metric": MAYBE_TEXT,
    "score": MAYBE,
}

OUTPUTS: Final[Mapping[str, Schema]] = {
    "board": _named(_list(_one_of(_table(**_ROW), OBJECT))),
    "card": _one_of(
        _table(
            {"unlisted": TEXT, "selection": _or_null(OBJECT), "unselected": TEXT},
            name=TEXT,
            title=TEXT,
            paper=TEXT,
            year=MAYBE_WHOLE,
            url=TEXT,
            text=TEXT,
            deviations=TEXTS,
            declares=_named(TEXT),
            published=_list(OBJECT),
            inputs=TEXTS,
            optional=TEXTS,
            deterministic=TRUTH,
            parameters=_list(_named(TEXT)),
        ),
        _open(name=TEXT, title=TEXT, inputs=TEXTS, licence=TEXT, revision=TEXT),
    ),
    "carry": _table(
        suite=TEXT,
        tolerance=NUMBER,
        present=WHOLE,
        carried_before=WHOLE,
        without_run=WHOLE,
        changes=_list(
            _table(
                system=TEXT,
                old=TEXT,
                new=TEXT,
                stored=WHOLE,
                sample=TEXTS,
                sample_seconds=NUMBER,
                verdict=MAYBE_TEXT,
                replayed=_list(OBJECT),
                carried=WHOLE,
                carried_seconds=NUMBER,
                again=WHOLE,
                failures=_list(_table(cell=TEXT, reason=TEXT)),
            )
        ),
    ),
    "check": _list(_FINDING),
    "clips": _table(
        suite=TEXT,
        corpora=_list(
            _table(
                corpus=TEXT,
                dataset=TEXT,
                twin=TRUTH,
                data=TEXT,
                rows=_list(_table(row=TEXT, runs=WHOLE, planned=WHOLE)),
                left_out=_named(TEXT),
                about=TEXT,
                reliability=MAYBE,
                between=_or_null(TEXTS),
                unpaired=TEXT,
                clips=_list(
                    _table(
                        id=TEXT,
                        video=TEXT,
                        label=NUMBER,
                        answer=NUMBER,
                        preds=_named(NUMBER),
                        error=NUMBER,
                        low=MAYBE,
                        high=MAYBE,
                        least=NUMBER,
                        discrimination=MAYBE,
                        discrimination_low=MAYBE,
                        discrimination_high=MAYBE,
                        against=TRUTH,
                        difference=MAYBE,
                        difference_low=MAYBE,
                        difference_high=MAYBE,
                        p=MAYBE,
                        q=MAYBE,
                        text=MAYBE_TEXT,
                        slices=_named(TEXT),
                    )
                ),
            )
        ),
    ),
    "compare": _table(
        {
            "narrower": _list(_table(metric=TEXT, test=TEXT, p=MAYBE, question=TEXT, verdict=TEXT)),
            "slices": _list(
                _table(
                    slicing=TEXT,
                    part=TEXT,
                    clips=WHOLE,
                    videos=WHOLE,
                    metric=TEXT,
                    a=MAYBE,
                    b=MAYBE,
                    difference=MAYBE,
                    low=MAYBE,
                    high=MAYBE,
                    p=MAYBE,
                    p_holm=MAYBE,
                    verdict=TEXT,
                )
            ),
        },
        clips=WHOLE,
        left_out=WHOLE,
        left_out_by=_named(_table(**_COVERAGE)),
        videos=WHOLE,
        seeds_a=WHOLE,
        seeds_b=WHOLE,
        labels=TEXT,
        source_videos=TEXT,
        method=TEXT,
        about=TEXT,
        conditional_on_one_run=TRUTH,
        collapse_a=OBJECT,
        collapse_b=OBJECT,
        level=NUMBER,
        looks=_or_null(WHOLES),
        **_UNDER,
        warnings=_NOTICES,
        metrics=_list(
            _table(
                metric=TEXT,
                a=MAYBE,
                b=MAYBE,
                difference=MAYBE,
                low=MAYBE,
                high=MAYBE,
                standard_error=MAYBE,
                degrees=MAYBE,
                p=MAYBE,
                p_holm=MAYBE,
                probability_better=MAYBE,
                detectable=MAYBE,
                margin=MAYBE,
                verdict=TEXT,
                seeds_needed=MAYBE_WHOLE,
            )
        ),
    ),
    "data.check": _list(
        _table(corpus=TEXT, check=TEXT, verdict=TEXT, expected=LABEL, found=LABEL, detail=TEXT)
    ),
    "data.info": _table(
        corpus=TEXT,
        dataset=TEXT,
        data=TEXT,
        clips=COUNTS,
        official=TEXT,
        streams=_named(WHOLES),
        tokens=_or_null(WHOLES),
        columns=TEXTS,
        licence=TEXT,
        manifest=OBJECT,
    ),
    "data.masks": _table(file=TEXT, grid=TEXT, conditions=WHOLE, masks=TEXT),
    "doctor": _list(
        _one_of(
            _table(check=TEXT, verdict=TEXT, found=TEXT),
            _table(what=TEXT, state=TEXT, found=TEXT, next=TEXT, rows=TEXTS, model=MAYBE_TEXT),
        )
    ),
    "export.mlflow": _table(
        created=WHOLE,
        present=WHOLE,
        boards=ANY,
        registered=ANY,
        seconds=NUMBER,
        where=TEXT,
        left_out=ANY,
    ),
    "extract": _table(
        corpus=TEXT, data=TEXT, clips=WHOLE, space=ANY, streams=_named(WHOLES), problems=ANY
    ),
    "fuse": _list(
        _table(
            dict.fromkeys(("mae", "corr", "acc2", "f1", "acc2_has0", "acc2_non0"), MAYBE),
            system=TEXT,
            clips=WHOLE,
            weight=MAYBE,
            labels=TEXT,
            **_COVERAGE,
            warnings=_NOTICES,
        )
    ),
    "lint": _list(
        _table(
            row=TEXT,
            runs=MAYBE_WHOLE,
            values=_named(TEXT),
            spreads=VALUES,
            findings=_list(_table(kind=TEXT, verdict=TEXT, metrics=TEXTS, text=TEXT)),
        )
    ),
    "list": _list(_open(name=TEXT)),
    "mllm.batch.write": _table(requests=WHOLE, file=MAYBE_TEXT, command=TEXT),
    "mllm.batch.read": _table(
        kept=WHOLE, known=WHOLE, open=WHOLE, foreign=WHOLE, damaged=TEXTS, left=WHOLE
    ),
    "mllm.canary": _table(model=TEXT, revision=TEXT, engine=TEXT, findings=_list(OBJECT)),
    "mllm.explain": _one_of(
        _table(corpus=TEXT, data=TEXT, side_info=ANY, explanations=ANY),
        _table(corpus=TEXT, rows=_list(_FORECAST)),
    ),
    "mllm.probe": _table(
        corpus=TEXT,
        data=TEXT,
        split=TEXT,
        asked=WHOLE,
        recordings=WHOLE,
        probed=OBJECT,
        outcomes=ANY,
        findings=_list(OBJECT),
        hears=ANY,
        accepted=MAYBE,
        stored=TEXT,
    ),
    "mllm.serve": _table(
        model=TEXT, base_url=TEXT, engine=TEXT, revision=TEXT, arguments=ANY, log=TEXT, pid=ANY
    ),
    "predict": _table(
        weights=TEXT,
        system=TEXT,
        dataset=TEXT,
        encoder=MAYBE_TEXT,
        on=TEXT,
        clips=WHOLE,
        to=TEXT,
        warnings=TEXTS,
    ),
    "prune": _table(
        deleted=TRUTH, found=_list(_table(key=TEXT, what=TEXT, bytes=WHOLE, failed=TRUTH))
    ),
    "publish": _table(
        archive=TEXT,
        sha256=TEXT,
        runs=WHOLE,
        submissions=WHOLE,
        missing=WHOLE,
        signature=MAYBE_TEXT,
    ),
    "replay": _table(
        key=TEXT,
        cell=TEXT,
        verdict=TEXT,
        predictions=WHOLE,
        changed=WHOLE,
        largest=MAYBE,
        tolerance=NUMBER,
        surroundings=_named(_table(then=ANY, now=ANY)),
    ),
    "reproduce": _list(
        _open(
            table=TEXT,
            dataset=TEXT,
            system=MAYBE_TEXT,
            title=TEXT,
            metric=TEXT,
            condition=TEXT,
            published=NUMBER,
            ours=MAYBE,
            seeds=WHOLE,
            margin=NUMBER,
            verdict=TEXT,
            reason=TEXT,
            unstated=TEXTS,
            remarks=TEXTS,
            together=_or_null(OBJECT),
            reached=_or_null(OBJECT),
            suite=MAYBE_TEXT,
            row=MAYBE_TEXT,
            corpus=MAYBE_TEXT,
            next=TEXTS,
        )
    ),
    "mllm.run": _table(suite=TEXT, rows=_list(_FORECAST)),
    "run": _PLAN,
    "plans.list": _list(
        _one_of(
            _table(
                suite=TEXT,
                rows=WHOLE,
                seeds=WHOLE,
                cells=WHOLE,
                stored=WHOLE,
                holes=WHOLE,
                planned=TEXT,
                corpora=TEXTS,
            ),
            _table(suite=TEXT),
        )
    ),
    "runs.list": _one_of(_list(_table(**_CELL)), TEXTS),
    "runs.show": _table(
        **_CELL,
        params=OBJECT,
        scores=_named(VALUES),
        parameters=MAYBE_WHOLE,
        train_clips=MAYBE_WHOLE,
        fit_seconds=MAYBE,
        predict_seconds=MAYBE,
        peak_memory_bytes=MAYBE_WHOLE,
        device=MAYBE_TEXT,
        weights=TRUTH,
        log=MAYBE_TEXT,
        traceback=MAYBE_TEXT,
        kept_epoch=MAYBE_WHOLE,
    ),
    "store.clean": _list(_table(what=TEXT, count=WHOLE, size=WHOLE)),
    "score": _list(
        _table(
            seed=MAYBE_WHOLE,
            labels=TEXT,
            clips=WHOLE,
            **_COVERAGE,
            warnings=_NOTICES,
            scores=VALUES,
            conventions=_list(OBJECT),
            **_UNDER,
        )
    ),
    "status": _list(
        _table(
            suite=TEXT,
            cells=WHOLE,
            stored=WHOLE,
            failed=WHOLE,
            damaged=WHOLE,
            missing=WHOLE,
            holes=COUNTS,
            seconds_left=MAYBE,
            unpriced=WHOLE,
            running=_or_null(OBJECT),
        )
    ),
    "study.calibration": _table(settings=OBJECT, parts=_list(OBJECT)),
    "study.fidelity": _list(
        _table(
            system=TEXT,
            sizes=_list(OBJECT),
            parity=_list(OBJECT),
            conformance=_list(OBJECT),
            by_heart=_or_null(OBJECT),
            twins=_list(OBJECT),
            reached=_list(OBJECT),
            published=OBJECT,
            declared=_list(ANY),
        )
    ),
    "study.parity": _open(format=TEXT, rows=_list(OBJECT)),
    "study.quality": _table(
        suite=TEXT,
        metric=TEXT,
        draws=WHOLE,
        corpora=_list(_table(**_ON_A_CORPUS, judge_nothing=TEXTS, rows=_list(OBJECT))),
    ),
    "study.reliability": _table(
        suite=TEXT,
        corpora=_list(
            _table(
                corpus=TEXT,
                twin=TRUTH,
                grid=TEXT,
                metric=TEXT,
                ranked_by=TEXT,
                conditions=TEXTS,
                rows=_list(OBJECT),
                pairs=_list(OBJECT),
                across=_list(OBJECT),
                one_checkpoint_for_all=_list(OBJECT),
            )
        ),
    ),
    "study.selection": _table(
        suites=TEXTS, corpora=_list(_table(**_ON_A_CORPUS, rows=_list(OBJECT)))
    ),
    "study.variance": _one_of(
        _table(
            suite=TEXT,
            metric=TEXT,
            power=NUMBER,
            corpora=_list(
                _table(**_ON_A_CORPUS, margin=MAYBE, rows=_list(OBJECT), pairs=_list(OBJECT))
            ),
        ),
        _table(
            file=TEXT,
            rows=WHOLE,
            under_two_models=WHOLE,
            columns_not_read=TEXTS,
            groups=_list(OBJECT),
            left_out=_list(OBJECT),
            finding_the_best=OBJECT,
            published=_list(OBJECT),
            reproduced=OBJECT,
        ),
    ),
    "submit": _table(
        format=WHOLE,
        dataset=TEXT,
        split=TEXT,
        badge=TEXT,
        stated=OBJECT,
        source=TEXT,
        seeds=WHOLES,
        clips=WHOLE,
        expected=WHOLE,
        left_out=WHOLE,
        flags=_NOTICES,
        labels=TEXT,
        scores=_named(VALUES),
        outcome=TEXT,
    ),
    "tune": _table(
        suite=TEXT,
        written=TEXT,
        skipped=_list(_table(row=TEXT, corpus=TEXT, reason=TEXT)),
        searches=_list(OBJECT),
    ),
    "verify": _one_of(
        _list(_table(kind=TEXT, name=TEXT, sound=TRUTH, sealed=TRUTH, damage=TEXTS)),
        _table(
            suite=TEXT,
            version=TEXT,
            runs=WHOLE,
            submissions=WHOLE,
            sound=TRUTH,
            damage=TEXTS,
            numbers_checked=TRUTH,
            labels_not_here=TEXTS,
            signer=MAYBE_TEXT,
        ),
    ),
    "weights.export": _table(key=TEXT, folder=TEXT, card=OBJECT),
    "weights.prune": _table(deleted=TRUTH, bytes=WHOLE, found=_list(OBJECT)),
}
"""Command, dotted -> what it prints with ``--json``."""


def schema_of_output(command: str) -> Schema:
    """JSON Schema (draft 7) of what a command prints with ``--json``.

    Args:
        command: Dotted, such as ``data.check``.

    Raises:
        KeyError: For a command without ``--json``.
    """
    words = command.replace(".", " ")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"msa {words} --json",
        **OUTPUTS[command],
    }
