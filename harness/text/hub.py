"""Whether a model hub would give an encoder; nothing is downloaded."""

from __future__ import annotations

from harness.text.encoder import split_revision

__all__ = ["refusal_of"]

_PATIENCE = 5  # seconds until a silent hub counts as unreachable


def refusal_of(name: str) -> str | None:
    """Why the hub does not give the model called ``name``; None where it would.

    Args:
        name: ``NAME`` or ``NAME@REVISION``.

    Raises:
        DataError: For a revision that cannot be one.
    """
    from huggingface_hub import HfApi, errors

    http_error = errors.HTTPError  # type: ignore[attr-defined]  # that of the client's HTTP library
    model, pinned = split_revision(name)
    try:
        HfApi().model_info(model, revision=pinned, timeout=_PATIENCE)
    except (errors.HFValidationError, http_error, OSError) as error:
        return type(error).__name__
    return None
