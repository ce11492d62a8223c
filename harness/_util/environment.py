"""Variables of the environment, for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["environment"]


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables while the block runs, for this process and those that it starts.

    Example:
        >>> with environment({"MSA_EXAMPLE": "1"}):
        ...     os.environ["MSA_EXAMPLE"]
        '1'
        >>> "MSA_EXAMPLE" in os.environ
        False
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
