"""What a program that the harness starts is told of its environment: what it needs, and no keys.

Package installers run code of packages, model servers run code of models. Neither is handed what
happens to be in the environment of whoever started the harness.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Final

from harness._util.redaction import is_secret_name

__all__ = ["NETWORK", "passed_on"]

_NAMES: Final = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TMP", "TEMP", "TZ", "TERM"),
        *("LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH"),
    }
)
_PREFIXES: Final = ("LC_", "XDG_")
NETWORK: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_", "REQUESTS_CA_")
"""Prefixes of what it takes to get out of here; proxies may have passwords."""


def passed_on(*prefixes: str, secrets: Collection[str] = ()) -> dict[str, str]:
    """Variables of this process that a child gets.

    Args:
        prefixes: Further ones than those that every program may have, of upper-case names;
            lower-case names match as well.
        secrets: Variables that are needed although their names say that they are secret.
    """
    wanted = (*_PREFIXES, *prefixes)
    return {
        name: value
        for name, value in os.environ.items()
        if name in secrets
        or ((name in _NAMES or name.upper().startswith(wanted)) and not is_secret_name(name))
    }
