"""What tests that compile networks need of a machine."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import pytest

__all__ = ["needs_compiler"]

_HEADERS = Path(sysconfig.get_paths()["include"]) / "Python.h"

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None or not _HEADERS.is_file(),
    reason="no C++ compiler, or no headers of Python",
)
