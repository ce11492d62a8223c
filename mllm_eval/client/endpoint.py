"""A model behind a base URL.

The API key is read from an environment variable when it is needed and appears in no message, log or
journal.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx

from harness._util.redaction import keep_secret, redacted
from harness.errors import RunFailed, SpecError
from mllm_eval.client.concurrency import Limits
from mllm_eval.client.journal import Identity
from mllm_eval.client.requests import Request
from mllm_eval.client.session import Session

__all__ = ["Client"]


@dataclass(frozen=True, kw_only=True)
class Client:
    """A model behind an OpenAI-compatible base URL.

    Args:
        base_url: Up to and including ``/v1``.
        model: Name the server knows.
        revision: Of the weights, or the snapshot of a closed model.
        engine: Inference engine and version.
        key_variable: Environment variable that holds the API key; None: no key is sent.
        limits: How hard to try.
    """

    base_url: str
    model: str
    revision: str
    engine: str
    key_variable: str | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL as error:
            raise SpecError(
                f"expected a base URL, found {redacted(self.base_url)!r}: {redacted(str(error))}"
            ) from None
        if url.scheme not in ("http", "https") or url.userinfo or url.query or url.fragment:
            raise SpecError(
                "expected a base URL such as http://127.0.0.1:8000/v1, without user, password or "
                f"query, found {url.copy_with(userinfo=b'', query=None, fragment=None)}",
                hint="put the API key into an environment variable and name it: key_variable",
            )

    def identity(self, request: Request) -> Identity:
        """What the request's answer is keyed by."""
        return Identity(
            model=self.model,
            revision=self.revision,
            engine=self.engine,
            prompt=request.prompt,
            media=request.media,
            sampling=request.sampling.fields(),
            schema=request.schema,
            extra=request.extra,
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
        """Connections to the server, checked to be there.

        Raises:
            RunFailed: When the server cannot be reached, is not ready or refuses the key.
        """
        key = self.key()
        async with httpx.AsyncClient(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=self.limits.timeout,
            limits=httpx.Limits(max_connections=self.limits.most),
        ) as http:
            session = Session(self, http, key)
            await session.check()
            yield session
