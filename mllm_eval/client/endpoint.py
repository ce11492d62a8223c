"""A model behind a base URL, or behind several that serve it alike.

The API key is read from an environment variable when it is needed and appears in no message, log or
journal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from harness._util.canonical import Json
from harness._util.redaction import keep_secret, redacted
from harness.errors import RunFailed, SpecError
from mllm_eval.client.concurrency import Limits
from mllm_eval.client.journal import Identity
from mllm_eval.client.requests import AudioPart, Request
from mllm_eval.client.session import Session

if TYPE_CHECKING:
    from mllm_eval.client.requests import FramePart

__all__ = ["Client"]


@dataclass(frozen=True, kw_only=True)
class Client:
    """A model behind an OpenAI-compatible base URL, or several.

    Args:
        base_url: Up to and including ``/v1``; several, joined by commas, of servers that serve the
            model alike: each question goes to the one with the shortest queue. Empty: what the
            journal has is all there is.
        model: Name the server knows.
        revision: Of the weights, or the snapshot of a closed model.
        engine: Inference engine and version.
        arguments: How the server was started, as far as it tells.
        asked_as: Name that requests give; empty: ``model``.
        audio_part: In which kind of part sound is sent.
        frame_part: In which kind of part frames are sent.
        key_variable: Environment variable that holds the API key; None: no key is sent.
        limits: How hard to try.
    """

    base_url: str
    model: str
    revision: str
    engine: str
    arguments: str = ""
    asked_as: str = ""
    audio_part: AudioPart = "input_audio"
    frame_part: FramePart = "image_url"
    key_variable: str | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for address in self.addresses:
            _check_address(address)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The base URLs, each once."""
        parts = (part.strip() for part in self.base_url.split(",") if self.base_url)
        return tuple(dict.fromkeys(parts))

    def at(self, address: str) -> Client:
        """The same with one of the base URLs alone."""
        return dataclasses.replace(self, base_url=address)

    @property
    def name(self) -> str:
        """The name that requests give."""
        return self.asked_as or self.model

    def identity(self, request: Request) -> Identity:
        """What the request's answer is keyed by."""
        sent: dict[str, Json] = {}
        if self.audio_part != "input_audio":
            sent["audio_part"] = self.audio_part
        if self.frame_part != "image_url":
            sent["frame_part"] = self.frame_part
        if self.name != self.model:
            sent["asked_as"] = self.asked_as
        return Identity(
            model=self.model,
            revision=self.revision,
            engine=self.engine,
            prompt=request.prompt,
            media=request.media,
            sampling=request.sampling.fields(),
            schema=request.schema,
            extra={**request.extra, **sent},
            arguments=self.arguments,
        )

    def key(self) -> str:
        """The API key, empty when none is sent.

        Raises:
            RunFailed: When the variable is not set.
        """
        if self.key_variable is None:
            return ""
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise RunFailed(
                f"{self.base_url} needs an API key in {self.key_variable}, which is not set",
                hint=f"export {self.key_variable}=...",
            )
        keep_secret(key)
        return key

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Connections to every server, checked to be there.

        Raises:
            SpecError: Without a base URL.
            RunFailed: When one cannot be reached, is not ready or refuses the key.
        """
        if not self.addresses:
            raise SpecError(
                f"no server is named to ask {self.model}",
                hint=f"msa mllm serve {self.model}, then name its address: --server URL",
            )
        async with Session.opened([self.at(address) for address in self.addresses]) as session:
            yield session


def _check_address(address: str) -> None:
    """Raise SpecError for what is no base URL of a server, or holds a secret."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise SpecError(
            f"expected a base URL, found {redacted(address)!r}: {redacted(str(error))}"
        ) from None
    if url.scheme not in ("http", "https") or url.userinfo or url.query or url.fragment:
        raise SpecError(
            "expected a base URL such as http://127.0.0.1:8000/v1, without user, password or "
            f"query, found {url.copy_with(userinfo=b'', query=None, fragment=None)}",
            hint="put the API key into an environment variable and name it: key_variable",
        )
