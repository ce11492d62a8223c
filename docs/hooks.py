"""Pages that live elsewhere in the project join the site where they are, not as copies."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

BOARDS = Path(__file__).parents[1] / "leaderboards" / "docs"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the guide to boards, with its figures, under ``boards/``."""
    for path in sorted(BOARDS.iterdir()):
        files.append(File.generated(config, f"boards/{path.name}", abs_src_path=str(path)))
    return files
