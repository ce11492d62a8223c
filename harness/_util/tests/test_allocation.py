"""Memory of freed arrays stays with the process where the C library can be told."""

import platform

from harness._util.allocation import keep_freed


def test_glibc_can_be_told() -> None:
    assert keep_freed() or platform.libc_ver()[0] != "glibc"
