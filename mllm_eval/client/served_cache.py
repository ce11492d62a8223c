"""Who was met before: what servers said of their models, kept for when they are away.

A model's stored runs and journalled answers are found by what was served; a suite of several models
is run while one of them is.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

from harness._util.atomic import write_atomic
from harness._util.canonical import digest, dumps
from harness._util.sealed import stamped, unstamped
from mllm_eval.client.served import Served

__all__ = ["recall", "remember"]

log = logging.getLogger(__name__)


def remember(cache: Path, model: str, stated: str, served: Served) -> None:
    """Keep what a server said of ``model``, under the revision that was stated for it."""
    content = stamped(
        {item.name: getattr(served, item.name) for item in dataclasses.fields(served)}
    )
    write_atomic(_file(cache, model, stated), dumps(content))


def recall(cache: Path, model: str, stated: str) -> Served | None:
    """What was last said of the model; None when it was never met, or the note is damaged."""
    path = _file(cache, model, stated)
    try:
        kept = {"arguments": "", **unstamped(json.loads(path.read_text("utf-8")))}
        return Served(**{item.name: str(kept[item.name]) for item in dataclasses.fields(Served)})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read and is ignored: %r", path, error)
        return None


def _file(cache: Path, model: str, stated: str) -> Path:
    return cache / "mllm" / "served" / f"{digest([model, stated])[:16]}.json"
