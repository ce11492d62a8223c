"""The home that a call of the command line is about."""

from __future__ import annotations

import typer

from harness.home import Home

__all__ = ["home_of"]


def home_of(context: typer.Context) -> Home:
    """The home of ``--home``, else of ``MSA_HOME``, else of the current directory."""
    home = context.find_object(Home)
    return Home.default() if home is None else home
