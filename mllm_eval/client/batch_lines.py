"""Lines of OpenAI's batch files: a request each, and a response each, matched by ``custom_id``.

That is the key of the request's identity, so a response finds its question in whatever order and
file it comes, and none that was put to another model, in other words or with other sampling.
"""

from __future__ import annotations

import json
from typing import Any

import httpx

from harness._util.canonical import dumps
from harness._util.redaction import redacted
from harness.errors import DataError
from mllm_eval.client.completions import encodable, is_policy
from mllm_eval.client.endpoint import Client
from mllm_eval.client.journal import Answer
from mllm_eval.client.requests import Request
from mllm_eval.client.session import state_of

__all__ = ["BatchResponse", "batch_line", "response_of"]

_BODY_IS_NONE = (*(ValueError, KeyError, TypeError, IndexError, AttributeError), RecursionError)
_LONGEST = 500  # characters kept of an error


class BatchResponse:
    """What a line of a batch's output, or of its errors, says of one request.

    Args:
        key: Of the request's identity.
        status: HTTP status.
        body: The completion, or the error; None where the batch gave the request up.
    """

    def __init__(self, key: str, status: int, body: Any) -> None:  # noqa: ANN401 - JSON
        self.key = key
        self.status = status
        self.body = body

    def answer(self, request: Request) -> Answer:
        """What it comes to, as for a request that is put to a server at once."""
        content = json.dumps(self.body).encode()
        if self.status == 200:
            try:
                return request.answer(content, self.key, 0.0, 1)
            except _BODY_IS_NONE as error:
                return self._without(f"HTTP 200 without {request.noun}: {error!r}", 500)
        told = redacted(encodable(json.dumps(self.body, ensure_ascii=False)))
        return self._without(f"HTTP {self.status}: {told}", self.status)

    def _without(self, text: str, status: int) -> Answer:
        blocked = is_policy(httpx.Response(status, json=self.body))
        state = "blocked" if blocked else state_of(status)
        return Answer(self.key, state, text[:_LONGEST], "", (), None, None, 0.0, 1)


def batch_line(request: Request, client: Client) -> bytes:
    """A request as one line."""
    body = json.loads(request.body(client.name, client.audio_part, client.frame_part))
    line = {
        "custom_id": client.identity(request).key,
        "method": "POST",
        "url": f"/v1/{request.path}",
        "body": body,
    }
    return dumps(line).encode() + b"\n"


def response_of(line: bytes, where: str) -> BatchResponse:
    """What a line says; an error of OpenAI's and one of vLLM's, which tells it beside the response.

    Raises:
        DataError: When it is no line of such a file, naming the place.
    """
    try:
        told = json.loads(line)
        key, response, error = told["custom_id"], told.get("response"), told.get("error")
        if not isinstance(key, str) or not isinstance(response, dict | None):
            raise TypeError("custom_id is a text and response an object")
        if response is None and error is None:
            raise ValueError("neither response nor error")
        if response is None:
            return BatchResponse(key, 500, error)
        body = response.get("body")
        return BatchResponse(key, int(response["status_code"]), error if body is None else body)
    except _BODY_IS_NONE as error:
        raise DataError(f"{where}: expected a line of a batch's output ({error!r})") from None
