"""The folders of model cards and prompts are registries of TOML files."""

from __future__ import annotations

from harness.registry import TomlRegistry as Shelf

__all__ = ["Shelf"]
