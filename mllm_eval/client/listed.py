"""What a server's list of models says of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mllm_eval.model.revision import told

__all__ = ["arguments_of", "entries"]


def entries(listed: Any) -> dict[str, Mapping[str, Any]]:  # noqa: ANN401 - JSON
    """What the list says of each model, by name."""
    found = listed.get("data") if isinstance(listed, Mapping) else None
    return {str(e.get("id")): e for e in found or () if isinstance(e, Mapping)}


def arguments_of(known: Mapping[str, Mapping[str, Any]], model: str) -> str:
    """How a model is served: the digest told, else the longest context told, else nothing.

    Args:
        known: As ``entries`` gives it.
        model: Its name.
    """
    length = known.get(model, {}).get("max_model_len")
    context = f"max_model_len {length}" if isinstance(length, int) else ""
    return told(model, known).arguments or context
