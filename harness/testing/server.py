"""A server of a language model on real sockets that answers what a test says."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["MODEL", "ChatServer", "completion", "serve_chat"]

MODEL = "m"
"""The one model that it serves."""


class ChatServer(http.server.ThreadingHTTPServer):
    """Chat completions as OpenAI's interface has them, on a free port of this machine.

    Args:
        answer: From the body of a request to the text of the answer, or to a status and its
            payload.

    Attributes:
        bodies: Every request so far, in the order in which they came.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Mapping[str, Any]], str | tuple[int, object]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.bodies: list[Mapping[str, Any]] = []

    @property
    def url(self) -> str:
        """The base URL that ``--server`` takes."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement
    server: ChatServer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests have output of their own."""

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": MODEL, "root": "somebody/weights", "owned_by": "test"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        found = self.server.answer(body)
        if isinstance(found, str):
            self._send(200, completion(found))
        else:
            self._send(*found)

    def _send(self, status: int, payload: object) -> None:
        data = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def completion(text: str | None, *, reason: str = "stop") -> dict[str, object]:
    """The payload of one finished answer."""
    message = {"role": "assistant", "content": text, "refusal": None}
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    return {"choices": [{"message": message, "finish_reason": reason}], "usage": usage}


@contextmanager
def serve_chat(
    answer: Callable[[Mapping[str, Any]], str | tuple[int, object]],
) -> Iterator[ChatServer]:
    """A server that answers until the block ends. See ``ChatServer``."""
    with ChatServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
