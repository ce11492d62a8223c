"""Secrets in text: passwords and keys of addresses, headers, and of this process's environment.

Whatever is printed, logged or stored of what others say (a database driver, a server, a library)
goes through ``redacted``. What the code itself knows to be secret it hands to ``keep_secret`` when
it reads it, so that it is masked wherever somebody repeats it, also outside an address.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar
from urllib.parse import quote, quote_plus, unquote, urlsplit

__all__ = ["MASK", "is_secret_name", "keep_address", "keep_secret", "masked", "redacted"]

MASK: Final = "***"

_SHORTEST: Final = 6  # characters; shorter ones are words: none, test, EMPTY
_SHORTEST_VARIABLE: Final = 8  # of a variable nobody has read: its name alone makes it a secret
_NAME: Final = re.compile(
    r"(?:^|[._-])(?:key|apikey|token|secrets?|passw(?:or)?d|passphrase|pwd|credentials?|signature"
    r"|sig|jwt|auth)(?:$|[._-])|(?:apikey|token|secret|passw(?:or)?d)$",
    re.IGNORECASE,
)
_HUMPS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_SECRET: Final = frozenset({"pwd", "oldpwd", "ssh_auth_sock", "ray_auth_mode"})

_ADDRESS: Final = r"\b[a-z][a-z0-9+.-]{0,30}://"
_USER: Final = re.compile(rf"({_ADDRESS})[^\s/?#'\"<>]{{0,500}}@", re.IGNORECASE)
_PASSWORD: Final = re.compile(  # with characters that end a host, as some drivers take them
    rf"({_ADDRESS})[^\s/?#'\"<>@:]{{0,100}}:(?!\d{{1,5}}(?:[/?#]|\b[^@]))[^\s'\"<>]{{0,500}}@",
    re.IGNORECASE,
)
_PARAMETER: Final = re.compile(r"([?&;#])([\w.%-]+)=([^\s&;#'\"<>)\]}]*)")
_SETTING: Final = re.compile(
    r"(?<![\w?&;#-])((?:api|access|secret)[_-]?key|token|secret|passw(?:or)?d|pwd)(['\"]?\s*[=:]\s*)"
    r"(?!\s)('[^']*'|\"[^\"]*\"|[^\s'\"&;,)\]}]+)",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(
    r"((?:authorization|api-key|x-api-key|x-auth-token|cookie)['\"]?\s*[:=]\s*['\"]?"
    r"(?:(?:bearer|basic|token)\s+)?)[^\s'\",;]+",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"(\bbearer\s+)(?=[^\s'\"]{0,200}\d)[^\s'\",;]{8,}", re.IGNORECASE)
_KNOWN_FORM: Final = re.compile(
    r"\b(?:sk-[\w-]{16,}|hf_\w{20,}|gh[oprsu]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{10,500}\.eyJ[\w-]{10,2000}\.[\w-]*)"
)
"""Keys that say by their beginning whose they are."""

T = TypeVar("T")
_kept: set[str] = set()


def keep_secret(*values: str) -> None:
    """Mask these from now on, wherever they are repeated, also percent-encoded or in JSON."""
    _kept.update(value for value in values if len(value) >= _SHORTEST)


def keep_address(address: str) -> None:
    """Mask from now on the password and the secret parameters of an address."""
    found = re.match(rf"({_ADDRESS})([^\s:/@]*):([^@]*)@", address, re.IGNORECASE)
    if found is not None:
        user, password = found[2], unquote(found[3])
        keep_secret(found[3], password, _basic(f"{unquote(user)}:{password}"))
    for part in _split(address):
        name, _, value = part.partition("=")
        if is_secret_name(name):
            keep_secret(value, unquote(value))


def is_secret_name(name: str) -> bool:
    """Whether a variable, a parameter or a header of this name holds a secret.

    Example:
        >>> is_secret_name("OPENAI_API_KEY"), is_secret_name("accessToken"), is_secret_name("PWD")
        (True, True, False)
        >>> is_secret_name("TOKENIZERS_PARALLELISM"), is_secret_name("monkey")
        (False, False)
    """
    plain = _HUMPS.sub("_", unquote(name))
    return plain.lower() not in _NOT_SECRET and _NAME.search(plain) is not None


def masked(value: T, secrets: Iterable[str]) -> T:
    """A text, or all texts in a JSON value, with these secrets masked and nothing else.

    Args:
        value: Left as it is where it is no text.
        secrets: Those shorter than six characters are words, and masked in addresses alone.

    Example:
        >>> masked({"told": ["the key k-1234 is wrong"]}, ["k-1234"])
        {'told': ['the key *** is wrong']}
    """
    forms = [form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)]
    return _masked(value, sorted(forms, key=len, reverse=True)) if forms else value


def redacted(text: str) -> str:
    """A text for others to read: without passwords, keys and tokens.

    Example:
        >>> redacted("no answer from http://ann:pw@host:5000/?token=abc&page=2")
        'no answer from http://***@host:5000/?token=***&page=2'
    """
    shown = masked(text, (*_kept, *_variables()))
    for pattern in (_PASSWORD, _USER):
        shown = pattern.sub(rf"\1{MASK}@", shown)
    shown = _PARAMETER.sub(_parameter, shown)
    shown = _SETTING.sub(rf"\1\2{MASK}", shown)
    for pattern in (_HEADER, _BEARER):
        shown = pattern.sub(rf"\1{MASK}", shown)
    return _KNOWN_FORM.sub(MASK, shown)


def _parameter(found: re.Match[str]) -> str:
    mark, name, value = found.groups()
    return f"{mark}{name}={MASK if value and is_secret_name(name) else value}"


def _split(address: str) -> list[str]:
    try:
        parts = urlsplit(address)
    except ValueError:  # a port or host that is none: it is refused elsewhere
        return []
    return re.split("[&;]", f"{parts.query}&{parts.fragment}")


def _variables() -> Iterator[str]:
    """Values of the environment that are secret by the names of their variables."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_VARIABLE and "/" not in value[:1] and is_secret_name(name):
            yield value


def _forms(secret: str) -> set[str]:
    """How others spell a secret: as it is, in an address, in JSON, in Python, in a header."""
    told = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), *told,
            repr(secret)[1:-1], _basic(secret)}  # fmt: skip


def _basic(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _masked(value: T, forms: list[str]) -> T:
    changed: object = value
    if isinstance(value, str):
        for form in forms:
            changed = str(changed).replace(form, MASK)
    elif isinstance(value, Mapping):
        changed = {_masked(key, forms): _masked(item, forms) for key, item in value.items()}
    elif isinstance(value, list):
        changed = [_masked(item, forms) for item in value]
    return changed  # type: ignore[return-value]  # of the kind that it was
