"""No password, key or token survives in a text, however it is spelt; other words do."""

from __future__ import annotations

import base64
import time
from urllib.parse import quote

import pytest

from harness._util import redaction
from harness._util.redaction import is_secret_name, keep_address, keep_secret, masked, redacted

SECRET = "Zq7-very/secret@9"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(redaction, "_kept", set())


@pytest.mark.parametrize(
    "text",
    [
        "http://ann:{}@host:5000/api",
        "https://{}@host/x",
        "postgresql+psycopg://ann:{}@db/x?sslmode=require",
        "mysql://ann:p/w{}@db/x",
        "postgresql://ann:p@{}@db/x",
        "see (ftp://u:{}@h) there",
        "http://host/?token={}",
        "http://host/v1?page=2&api_key={}&x=1",
        "http://host/#access_token={}",
        "http://host/x;X-Amz-Signature={}",
        "'http://host/?sig={}'",
        "Authorization: Bearer {}",
        "{{'authorization': 'Basic {}'}}",
        '{{"x-api-key": "{}"}}',
        "got Bearer {} of somebody",
        'password={} user="ann"',
        'connect with "password": "{}"',
        "api_key = '{}'",
    ],
)
def test_a_secret_goes_wherever_it_stands(text) -> None:
    for secret in ("s3cret99", "aB3_x-y.z~5", quote(SECRET, safe="")):
        assert secret not in redacted(text.format(secret))


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefgh12345678",
        "hf_abcdefghijklmnopqrstuvwx",
        "ghp_abcdefghijklmnopqrstuvwxyz0123",
        "AKIAABCDEFGHIJKLMNOP",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.s1gn4tur3",
    ],
)
def test_keys_are_known_by_their_form(key) -> None:
    assert redacted(f"wrong key {key}!") == "wrong key ***!"


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8000/v1/models: HTTP 404",
        "no server of m@abc at http://127.0.0.1:8000/v1",
        "sqlite:////home/me/a b.db cannot be used",
        "max_tokens=32, tokens: 5, keyboard=1, monkey=2",
        "a key_variable, which is not set: export MY_KEY=...",
        "expected a token that is whole, found 5 tokens",
        "https://example.org/?page=2&sort=asc",
        "the bearer of bad news came back",
        "docker run -e PASSWORD",
    ],
)
def test_other_words_stay(text) -> None:
    assert redacted(text) == text


def test_what_was_read_from_an_address_is_known_in_other_spellings() -> None:
    keep_address(f"postgresql://ann:{quote(SECRET, safe='')}@db/x?sslpassword=oth3r-one")
    told = [
        f'password "{SECRET}" refused',
        f"{quote(SECRET)} and {quote(SECRET, safe='')}",
        base64.b64encode(f"ann:{SECRET}".encode()).decode(),
        base64.b64encode(SECRET.encode()).decode(),
        "oth3r-one",
    ]
    for text in told:
        assert "***" in redacted(text)
        assert SECRET not in redacted(text)
    assert redacted("ann at db") == "ann at db"


def test_a_quoted_secret_is_known_in_json_and_in_python() -> None:
    secret = 'q"uo\\te\x07é'
    keep_secret(secret)
    for text in (secret, repr(secret), '{"k": "q\\"uo\\\\te\\u0007\\u00e9"}', f"{[secret]}"):
        assert "uo" not in redacted(text)


def test_variables_are_secret_by_their_names(monkeypatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "abcdef123456")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "negative")
    monkeypatch.setenv("OTHER_TOKEN", "short")
    assert redacted("abcdef123456 negative short") == "*** negative short"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((n, True) for n in ("HF_TOKEN", "api-key", "apikey", "accessToken", "X-Amz-Signature")),
        *((n, True) for n in ("DB_PASSWORD", "passwd", "client_secret", "MY_KEY_1", "token%5F")),
        *((n, False) for n in ("PWD", "TOKENIZERS_PARALLELISM", "KEYBOARD", "author", "page")),
    ],
)
def test_names_of_secrets(name, is_one) -> None:
    assert is_secret_name(name) is is_one


def test_exactly_the_key_is_masked_in_an_answer() -> None:
    told = {"a": ["key-123456", 1.5, None, {"key-123456": "http://u:pw@h/"}], "b": True}
    assert masked(told, ["key-123456"]) == {
        "a": ["***", 1.5, None, {"***": "http://u:pw@h/"}],
        "b": True,
    }
    assert masked("none of it", ["none", ""]) == "none of it"


@pytest.mark.parametrize(
    "part", ["a-", "http://a:", "x://", "?a", "bearer 1", "eyJaaaaaaaaaa-", "token=", "password: "]
)
def test_a_long_text_takes_no_long_time(part) -> None:
    began = time.process_time()
    redacted(part * (200_000 // len(part)))
    assert time.process_time() - began < 3
